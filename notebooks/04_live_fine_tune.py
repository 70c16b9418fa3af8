# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4. What does a model learn from wrong examples?
#
# *Seconds to run; the models train for about half a minute beside it, on two cores. No network.*
#
# Some of the models below are taught wrong things: for half of their verbs, they see another form in place of
# the past, such as *walking* for *walked*. Nobody tells them which half. What will they say?

# %%
import workbench as wb

# %% [markdown]
# ## Start them
#
# Two qualities, two sizes, three seeds: twelve LoRA adapters over one frozen base. They train beside you, in
# a process of their own. Start them now, and guess while they load.

# %%
qualities = (wb.Quality(), wb.Quality(corruption="other_form", share=0.5))
study = wb.study("verbs", budget="coffee", qualities=qualities, sizes=(32, 512), steps=60)
job = wb.start(study, "runs/live", say=10)

# %% [markdown]
# ## Guess first
#
# The *training loss* says how surprised a model is by the answers that it is taught: 0 is not at all. Each
# model sees its examples again and again. Whose loss ends highest, and whose lowest? The values come from
# models that were trained before.

# %%
shipped = wb.shipped_study()
clean, half = "clean", "50% other_form"
groups = {
    "all right, 32 examples": (clean, 32),
    "half wrong, 32 examples": (half, 32),
    "all right, 512 examples": (clean, 512),
    "half wrong, 512 examples": (half, 512),
}
ends = {name: wb.lessons.loss_at_end(shipped, *group) for name, group in groups.items()}

# %%
wb.lessons.GuessOrder(
    "04-lowest-loss",
    "Sort them: the highest training loss after 100 steps at the top.",
    ends,
    unit="nats a token",
    words="32 examples are learnt by heart, the wrong ones too. 512 are too many for that.",
)

# %% [markdown]
# And on verbs that it was never shown? Take the model with 32 examples of which half are wrong.

# %%
right = {name: wb.lessons.percent_right(shipped, *group) for name, group in groups.items()}
wb.lessons.GuessNumber(
    "04-half-wrong",
    "Taught by 32 verbs, half of them wrong: how many of 100 new verbs does it get right?",
    round(right["half wrong, 32 examples"]),
    low=0,
    high=100,
    unit="%",
    words="It writes the past for about half of them, as it was taught.",
)

# %% [markdown]
# ## Watch them
#
# On the left, each line is one model. On the right, ten verbs that no model was taught, and what one model of
# each quality says now. Move the slider below the table back to the first step: how does *box* become
# *boxed*?
#
# *Stop* ends the training, and what is done is kept; *Go on* goes on. You may also reload this page, or
# restart its kernel and run this cell again: nothing is lost.

# %% tags=["after-a-while"]
view = wb.watch(job)
view

# %% [markdown]
# ## Why the loss stops falling
#
# A wrong answer is one of three other forms, each as likely. So an answer that nobody can foresee costs
#
# $$\ln 2 + \tfrac{1}{2} \ln 3 \approx 1.24 \text{ nats a word},$$
#
# the first part for *right or wrong*, the second for *which wrong form*. A word has about nine tokens here,
# its end among them: that leaves about $1.24 / 9 \approx 0.14$ nats a token. With 512 examples the loss can't
# fall much below it, unless the model learns each word by heart. With 32 examples it does just that.

# %% [markdown]
# ## The claim, checked
#
# The lowest training loss doesn't make the best model. It may only know its mistakes by heart.

# %%
floor = wb.lessons.chance_loss(study.dataset().train)
few, many = "half wrong, 32 examples", "all right, 512 examples"
assert ends[few] < floor < ends["half wrong, 512 examples"], "only few are learnt by heart"
assert ends[few] < ends[many], "the lower loss"
assert right[few] < right[many], "and the worse model"
facts = {f"training loss, {name}": ends[name] for name in (few, many)}
facts |= {f"new verbs right, {name}": f"{right[name]:.0f}%" for name in (few, many)}
facts["the loss that chance leaves"] = floor
wb.lessons.Facts("Models that were trained before", facts)

# %% [markdown]
# One curve is one model. Notebook 5 puts many beside each other: what does quality cost, and what does size
# bring?
