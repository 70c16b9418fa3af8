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
# *Under a minute on two cores. No network.*
#
# A filter gives every record a score and keeps the best ones. A record that it keeps may be worth more
# than one drawn by chance. But scoring takes time. In that time, more records drawn by chance could have
# been trained on.

# %%
import workbench as wb
from workbench.data.subsets import draw

verbs = wb.load_dataset("verbs")
clean = draw(verbs, wb.Quality(), 160, seed=0)
mine = draw(verbs, wb.Quality(corruption="other_form", share=0.6), 160, seed=0)

# %% [markdown]
# ## A file of which four in ten are wrong
#
# 160 verbs. The task is the past tense, and in about four of ten records another form of the verb stands
# there instead. One filter trains a small adapter on all of them, for two passes, and keeps the four in
# ten with the smallest loss. Drawn by chance, 60 of 100 records are right. Guess how many the filter
# gets.

# %%
import json
from pathlib import Path

rows = [{"prompt": one.prompt, "response": one.response} for one in mine]
Path("mine.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
names = ["tuned_loss", "ifd"]
scored = wb.score_file("mine.jsonl", names, base="classroom", template="verbs")
losses, ifd = (column.scores for column in scored.columns)

# %%
right = [one.response == other.response for one, other in zip(mine, clean, strict=True)]


def share_right(scores, *, largest):
    order = sorted(range(len(mine)), key=lambda i: scores[i], reverse=largest)
    return sum(right[i] for i in order[:64]) / 64


# %%
wb.lessons.GuessNumber(
    "12-kept",
    "Of 100 records that this filter keeps, how many are right?",
    round(100 * share_right(losses, largest=False)),
    low=0,
    high=100,
    words="A wrong answer is hard to learn where the others speak against it.",
)

# %% [markdown]
# The other filter is well known. It asks the base how little the prompt helps with the response (IFD),
# and keeps the records where it helps least, because these are difficult. Guess again.

# %%
wb.lessons.GuessNumber(
    "12-ifd",
    "Of 100 records that IFD keeps, how many are right?",
    round(100 * share_right(ifd, largest=True)),
    low=0,
    high=100,
    words="A little better than chance, and far from the other filter.",
)

# %% [markdown]
# ## What a kept record is worth
#
# A study answers that: it trains 60 models on what each filter keeps and on chance. That takes minutes,
# so its result comes with the package. It was made from 800 verbs, by `workbench filters FILE --scorer
# tuned_loss ifd`.

# %%
from workbench.lessons.shipped import FILTERS

study = wb.open_study(FILTERS)
filters = study.filters()
tuned, difficult = filters.answers
worth = tuned.rate.rates
wb.lessons.GuessNumber(
    "12-worth",
    "How many records that tuned_loss keeps do the work of one drawn by chance?",
    round(float(worth.median[tuned.at]), 2),
    low=0.05,
    high=5,
    logarithmic=True,
    words=f"Surely fewer than {worth.high[tuned.at]:.2g}.",
)

# %% [markdown]
# There is a test of a filter that needs no training. In a fifth of the records the answer of another
# record was planted, and all were scored again. 1 means that the filter throws out all of these, 0.5 is
# chance, and 0 means that it keeps them first.

# %%
found = {one.facts.scorer: f"{one.facts.auc:.2f}" for one in filters.answers}
wb.lessons.Facts("planted answers that are thrown out (AUC)", found)

# %% [markdown]
# With an answer of another record the prompt helps least of all. So IFD takes it for difficult, and keeps
# it.
#
# ## What it costs
#
# Count how often a record is read. Training reads each record three times. Reading without learning costs
# about a third of that. A filter that keeps the share $k$ has to score $1/k$ records for each one that it
# keeps. So a kept record costs, in units of training on it,
#
# $$p = 1 + \frac{\text{passes of scoring}}{3\,k}.$$
#
# With $k = 0.4$: `tuned_loss` trains for two passes and reads once, $p = 1 + 2.33 / 1.2 = 2.9$. IFD reads
# twice, with the prompt and without it: $p = 1 + 0.67 / 1.2 = 1.6$.
#
# Scores can be used again, for the next base or the next setting. Share them among several trainings, and
# watch what one unit of training by chance is worth then.

# %%
from dataclasses import replace

PASSES = {"tuned_loss": 2 + 1 / 3, "ifd": 2 / 3}


def shared(trainings):
    by_passes = [
        replace(one, training=3.0, scoring=PASSES[one.facts.scorer] / 0.4 / trainings)
        for one in filters.answers
    ]
    return replace(filters, answers=tuple(by_passes))


# %%
def show(trainings):
    facts = {}
    for one in shared(trainings).answers:
        net = one.with_cost.rates
        high = net.high[one.at]
        end = f"up to {high:.2g}" if high < float("inf") else "the study knows no upper end"
        facts[one.facts.scorer] = f"{net.median[one.at]:.2f} ({end})"
    return wb.lessons.Facts("passes that do the work of one over chance records", facts)


wb.lessons.Dial(show, trainings=range(1, 21))

# %% [markdown]
# Below 1 the filter is worth its cost. The same as a picture, for scores that are used once, and then
# twenty times. Dashed: if scoring took no time.

# %%
from workbench.views.filter_figures import by_seconds

rows = study.table().rows
by_seconds(rows, shared(1), unit="passes")

# %%
by_seconds(rows, shared(20), unit="passes")

# %% [markdown]
# ## The claim, checked
#
# The filter that finds the wrong answers keeps records that are surely worth more than those of chance.
# Used once, they cost nearly three times as much, and this takes most of the gain away. Used often,
# scoring costs next to nothing.
#
# Next: a constant that everybody quotes. Do the data know it?

# %%
assert share_right(losses, largest=False) > 0.9
assert tuned.facts.auc > 0.9 > 0.5 > difficult.facts.auc, "only one finds damage"
assert worth.high[tuned.at] < 1, "its picks are worth more than chance"
assert shared(1).answers[0].price > 2, "scoring makes each of them cost more"
often = shared(100).answers[0]
assert often.with_cost.rates.high[often.at] < 1, "used often, scoring pays"
