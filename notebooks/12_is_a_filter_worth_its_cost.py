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
# # 12. Is a filter worth its cost?
#
# *About two minutes on two cores. No network.*
#
# A filter scores every record and keeps the best. What it keeps may be worth more than records drawn by
# chance. But scoring takes time, and in that time chance records could have been trained on.

# %%
import workbench as wb

import json
from dataclasses import replace
from math import isfinite
from pathlib import Path

from workbench.data.subsets import draw
from workbench.filtering import compare_filters
from workbench.views.filter_figures import by_seconds

# %% [markdown]
# ## A file of which four in ten are wrong
#
# 800 verbs, the past tense asked for, and in four of ten another form of the verb instead. What is learnt is
# judged by verbs that are right.

# %%
verbs = wb.load_dataset("verbs")
mine = draw(verbs, wb.Quality(corruption="other_form", share=0.6), 800, seed=0)
for name, records in (("mine", mine), ("right", verbs.heldout[:200])):
    rows = [{"prompt": one.prompt, "response": one.response} for one in records]
    Path(f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")

# %% [markdown]
# ## Two filters, chance, and chance with the same lengths
#
# One filter asks the base how little the prompt helps with the response (IFD, the larger the better). The
# other trains a small adapter on all records for two passes and keeps those with the smallest loss. Each
# keeps four in ten. Beside each stand records that chance drew with responses as long: filters change length.

# %%
results = compare_filters(
    "mine.jsonl",
    ["tuned_loss", "ifd"],
    base="classroom",
    template="verbs",
    keep="40%",
    heldout_file="right.jsonl",
    corruption="other_record",
    sizes=(32, 64, 128, 256),
    seeds=(0, 1, 2),
    whole=False,
    on_progress=lambda progress: None,
)

# %%
filters = results.filters()
filters

# %% [markdown]
# The last column is the sanity check: damage was planted in a fifth of the records, and they were scored
# again. 1 finds all of it, 0.5 is guessing. Below that, a filter *looks for* the damage: a wrong answer is
# one with which the prompt helps little.
#
# `workbench filters FILE --scorer tuned_loss ifd` does the same in a terminal.
#
# ## The time on the axis

# %%
rows = results.table().rows
by_seconds(rows, filters)

# %% [markdown]
# Dashed: if scoring took no time. Scores can be used again, for the next base or the next setting. Share the
# scoring among several trainings on the same picks, and watch the price come down; then the lines of twenty.


# %%
def shared(times):
    return replace(
        filters, answers=tuple(replace(one, scoring=one.scoring / times) for one in filters.answers)
    )


def show(times):
    for one in shared(times).answers:
        net = one.with_cost.rates
        low, high = net.median[one.at], net.high[one.at]
        most = f"at most {high:.2f}" if isfinite(high) else "no upper limit"
        yield f"{one.name}: {low:.2f} seconds do the work of one of chance ({most})."


wb.lessons.Dial(show, times=range(1, 21), names={"times": "trainings"})

# %%
by_seconds(rows, shared(20))

# %% [markdown]
# ## The claim, checked
#
# Each pick of the filter that finds the wrong answers is surely worth more than one of chance. Each also
# costs more time, as long as it is trained on once. Scores that are used often cost next to nothing.

# %%
tuned, ifd = filters.answers
assert tuned.facts.auc > 0.9 > 0.5 > ifd.facts.auc, "one finds the damage, the other looks for it"
assert tuned.rate.rates.high[tuned.at] < 1, "its picks are worth more than chance"
assert tuned.price > 1, "scoring makes each pick dearer"
often = shared(100).answers[0]
assert often.with_cost.rates.high[often.at] < 1, "used often, scoring pays"
