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
# # 1. What is a noisy example?
#
# *About a minute on two cores. No network.*
#
# An example is *noisy* when its answer is wrong. But who says that it is wrong? Some errors you see at
# once. Others look as good as the truth: is *walk → walking* wrong? Only the rest of the data can say so.
# A model that has learnt from the rest may know it, too. Can you beat it?

# %%
import workbench as wb

from workbench.data.corruptions import CORRUPTIONS

# %% [markdown]
# ## Ways to go wrong
#
# The task is the past tense of a verb. Choose a kind of damage, and how many of the examples stay right.
# Look for what you would have noticed yourself, then press *Show what was changed*.
#
# A record's name and a seed decide whether it is spoiled. So what is spoiled when 70% are right is
# spoiled when 50% are right, too.

# %%
verbs = wb.load_dataset("verbs")
usable = [name for name in CORRUPTIONS if name != "flip"]
wb.lessons.Damage(verbs, usable)

# %% [markdown]
# ## By eye
#
# Here are 24 verbs with their answers. About seven in ten are right, the others have another form of the
# verb. Click on those that you would cross out.

# %%
from workbench.data.subsets import draw

noisy = wb.Quality(corruption="other_form", share=0.7)
records = draw(verbs, noisy, 128, 0)
wb.lessons.CrossOut(records[:24])

# %% [markdown]
# ## Ask a model
#
# Two adapters learn from 128 such verbs. One stops after two passes over them, the other goes on for
# fifteen. Then each is asked for its *loss* on every example that it was trained on: how surprised is it
# by this answer?

# %%
from workbench.config import CellConfig
from workbench.training.prepare import prepare

task = CellConfig(data="verbs", base="classroom", template="verbs", quality=noisy, size=128)
short = task.with_(steps=16, learning_rate=4e-3)
long = short.with_(steps=120)
prepared = prepare(wb.load_base("classroom"), verbs, [short, long], "verbs")
frozen, examples = prepared.frozen, prepared.draws[short.key()]
draws = [examples, examples]
stack = wb.lessons.train_shown("training two adapters", frozen, [short, long], draws)

# %%
from workbench.training.evaluation import HeldOut, evaluate

moments = ("untrained", "two passes", "fifteen passes")
before = evaluate(frozen, HeldOut(examples), None).losses
after = evaluate(frozen, HeldOut(examples), stack).losses
losses = dict(zip(moments, [*before, *after], strict=True))

# %% [markdown]
# Take one spoiled example and one good one. How often has the spoiled one the larger loss? Half of the
# time is guessing. Put the three moments in order first: who tells spoiled from good best?

# %%
from workbench.lessons.figures import suspects, told_apart

spoiled = [record.spoiled is not None for record in records]
apart = {moment: told_apart(loss, spoiled) for moment, loss in losses.items()}
wb.lessons.GuessOrder(
    "01-moments",
    "Which model tells spoiled from good best? Put it on top.",
    {moment: round(100 * share) for moment, share in apart.items()},
    unit="of 100 pairs",
)

# %% [markdown]
# ## The line
#
# Now all 128, sorted by the loss after two passes, the largest on top. Drag the line down: what lies
# above it is crossed out. Where do you stop? Single rows can be crossed out, or put back, by hand.

# %%
crossing = wb.lessons.CrossOut(records, losses["two passes"], "loss after two passes")
crossing

# %% [markdown]
# ## Learn again from what is left
#
# How much is it worth? Two adapters learn for fifteen passes: one from what your line has left, one
# without the three tenths of the largest loss. *Move your line, then run these three cells again.*

# %%
sure = losses["two passes"].argsort()[: round(0.7 * len(examples))].tolist()
left = [[examples[place] for place in kept] for kept in (crossing.kept, sure)]
cleaned = wb.lessons.train_shown("training with what is left", frozen, [long, long], left)

# %%
from workbench.lessons.figures import bars

judged = evaluate(frozen, prepared.heldout, stack).metrics(1)["exact_match"]
both = evaluate(frozen, prepared.heldout, cleaned)
yours, rule = (both.metrics(row)["exact_match"] for row in (0, 1))
wb.lessons.GuessNumber(
    "01-cleaned",
    f"All 128: {judged:.0%} right. And without the three tenths of the largest loss?",
    round(100 * rule),
    low=40,
    high=100,
    unit="%",
)

# %%
mine = f"your line: {len(crossing.kept)} left"
bars({"all 128": judged, mine: yours}, "right of 600 verbs")

# %% [markdown]
# ## The claim, checked
#
# After two passes the loss tells nine of ten pairs apart. After fifteen it has lost most of that: the
# model has learnt the errors by heart, too. So look at the loss early: it is a cheap way to clean. It
# proves nothing: a rare but right verb surprises the model as a wrong one does.
#
# The base that has learnt nothing yet does worse than guessing: it knows *walking* well, and it has never
# seen *walked*.
#
# All of this learning went into an adapter, a small addition to a frozen model. Why can it be so small?
# That is the next notebook.

# %%
assert apart["two passes"] > 0.8 > apart["fifteen passes"]
assert apart["untrained"] < 0.5, "before training, the wrong form is the one that is known"
assert rule > judged
suspects(losses, spoiled)
