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
# What is a noisy example? Not one that looks odd: *walk, walking* looks as good as *walk, walked*. It is one
# whose answer the rest of the data speaks against. A model that has read the rest can say so.

# %%
import workbench as wb

import ipywidgets as widgets
import torch
from scipy.stats import mannwhitneyu

from workbench.config import CellConfig
from workbench.data.corruptions import CORRUPTIONS
from workbench.data.subsets import draw
from workbench.lessons.figures import suspects
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import train
from workbench.training.prepare import prepare

# %% [markdown]
# ## Ways to go wrong
#
# Each kind of damage is exact: a record in, the damaged record out, and which records are hit hangs on their
# names and a seed alone. So a record that is spoiled at one rate is spoiled, in the same way, at every
# higher one. Turn the dials and look for what you would have noticed yourself.

# %%
verbs = wb.load_dataset("verbs")
usable = [name for name in CORRUPTIONS if name != "flip"]
{name: CORRUPTIONS[name].about for name in usable}

# %%
kind = widgets.Dropdown(options=usable, value="other_form", description="damage")
wrong = widgets.FloatSlider(value=0.3, min=0.1, max=0.9, step=0.1, description="share", readout_format=".0%")


def drawn(kind, wrong):
    display(wb.widgets.Examples.drawn(verbs, wb.Quality(corruption=kind, share=round(1 - wrong, 1)), size=96))


_ = widgets.interact(drawn, kind=kind, wrong=wrong)

# %% [markdown]
# ## Ask a model
#
# 128 verbs, three in ten with another form of the verb. Two adapters learn from them: one stops after two
# passes, the other goes on for fifteen. Then each is asked for the loss of every example that it was trained
# on: how far is this answer from what you expect?

# %%
noisy = wb.Quality(corruption="other_form", share=0.7)
short = CellConfig(data="verbs", base="classroom", template="verbs", quality=noisy, size=128, steps=16)
short = short.with_(learning_rate=4e-3)
cells = [short, short.with_(steps=120)]
base = wb.load_base("classroom")
prepared = prepare(base, verbs, cells, "verbs")
examples = prepared.draws[short.key()]
spoiled = torch.tensor([record.spoiled is not None for record in draw(verbs, noisy, 128, short.seed)])

# %%
stack, _ = train(prepared.frozen, cells, [examples, examples])
before = evaluate(prepared.frozen, HeldOut(examples), None).losses
after = evaluate(prepared.frozen, HeldOut(examples), stack).losses
losses = dict(zip(["untrained", "two passes", "fifteen passes"], [*before, *after], strict=True))

# %% [markdown]
# How often has a spoiled example the larger loss, in a pair of a spoiled and a good one? Half of the time is
# guessing. The untrained base does worse than that: it knows *walking* well and has never seen *walked*.


# %%
def told_apart(loss):
    pairs = int(spoiled.sum()) * int((~spoiled).sum())
    return round(float(mannwhitneyu(loss[spoiled], loss[~spoiled]).statistic) / pairs, 3)


apart = {moment: told_apart(loss) for moment, loss in losses.items()}
apart

# %% [markdown]
# ## Sort, and look
#
# The examples as the adapter of two passes sees them. Sort by the loss: what stands on top, and where would
# you stop crossing out? Some good verbs are up there, too. Which?

# %%
records = draw(verbs, noisy, 128, short.seed)
rows = [
    {
        "prompt": one.prompt,
        "response": one.response,
        "kind": "spoiled" if one.spoiled else "as it was",
        "score": s,
    }
    for one, s in zip(records, losses["two passes"].tolist(), strict=True)
]
wb.widgets.Examples(sorted(rows, key=lambda row: -row["score"]), score="loss after two passes")

# %% [markdown]
# ## Cross out
#
# Leave out the three tenths with the largest loss, without looking at the answers, and learn by heart again.

# %%
kept = losses["two passes"].argsort()[: round(0.7 * len(examples))].tolist()
cleaned, _ = train(prepared.frozen, cells[1:], [[examples[place] for place in kept]])
judged = {
    "all": evaluate(prepared.frozen, prepared.heldout, stack).metrics(1)["exact_match"],
    "crossed out": evaluate(prepared.frozen, prepared.heldout, cleaned).metrics(0)["exact_match"],
}
judged

# %% [markdown]
# ## The claim, checked
#
# After two passes the loss tells nine of ten pairs apart; after fifteen it has forgotten half of that, and
# the model has learnt the damage along with the rest. Looking at the loss early is cheap cleaning. It is no
# proof: a rare verb is as surprising as a wrong one.

# %%
assert apart["two passes"] > 0.8 > apart["fifteen passes"]
assert apart["untrained"] < 0.5, "before training, the wrong form is the one that is known"
assert judged["crossed out"] > judged["all"]
suspects(losses, spoiled)
