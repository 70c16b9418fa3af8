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
# # 0. A clean example is worth more than a spoiled one, and the price depends on how many you have
#
# *About two minutes on two cores. No network.*
#
# A small model knows how English words are spelled and inflected, but it has never seen a past tense. We
# teach it past tenses from data that is all right, and from data in which half of the answers are another
# form of the same verb: *walking* where *walked* is asked for. How many half-spoiled examples do the work of
# one clean example?

# %%
from dataclasses import replace
from pathlib import Path

import ipywidgets as widgets

from workbench.config import Quality
from workbench.laws import exchange_rate, fit_curves, read_table
from workbench.studies.grid import verbs
from workbench.studies.runner import run
from workbench.views.figures import quality_by_size

# %% [markdown]
# ## The study
#
# A study is a grid: quality x size x seed. This is the smallest budget, narrowed further. Three seeds are the
# fewest that show how much chance alone changes a result.

# %%
half = Quality(corruption="other_form", share=0.5)
study = replace(verbs("coffee"), qualities=(Quality(), half), sizes=(32, 128, 512))
len(study.cells())

# %% [markdown]
# ## What "half spoiled" means
#
# The records on which the models are judged are never spoiled.

# %%
from workbench.data.sources import load_dataset
from workbench.studies.examples import changed_examples

for example in changed_examples(study, load_dataset("verbs"), each=5):
    print(f"{example['prompt']:24} {example['before']:14} became {example['response']}")

# %% [markdown]
# ## Train
#
# All cells of a stack are trained at once over one frozen base. What is done is kept in the folder: run this
# cell again and it returns at once.

# %%
bar = widgets.IntProgress(max=len(study.cells()), description="cells")
display(bar)
store = run(study, Path("runs/five-minutes"), lambda at: setattr(bar, "value", at.cells_done))

# %% [markdown]
# ## Look
#
# The dotted line is the model before training.

# %%
table = read_table(store.table())
fits = {metric: fit_curves(table, metric) for metric in ("loss", "exact_match")}
quality_by_size(store.table(), fits=fits)

# %% [markdown]
# ## The exchange rate
#
# Read it at each number of clean examples. "Not reached" means that no amount of the other data that was
# tried is enough.

# %%
rate = exchange_rate(table, "exact_match", reference="clean", other=half.label, items=study.heldout)
slider = widgets.SelectionSlider(options=study.sizes, description="clean")
_ = widgets.interact(lambda n: print(rate.sentence(n)), n=slider)

# %% [markdown]
# ## The claim, checked
#
# At every size the clean data gives the better model, and one clean example is worth more than two
# half-spoiled ones: the wrong half does harm, beyond the right answers that are missing.

# %%
score = {(row["quality"], row["size"], row["seed"]): row["exact_match"] for row in store.rows()}
assert all(score["clean", n, s] > score[half.label, n, s] for n in study.sizes for s in study.seeds)
assert rate.best.low[0] > 2
