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
# *Seconds to run; a study of your own trains beside it for about a minute, on two cores. No network.*
#
# A small model knows how English words are spelled and inflected, but it has never seen a past tense. We
# teach it past tenses from data that is all right, and from data in which half of the answers are another
# form of the same verb: *walking* where *walked* is asked for. How many half-spoiled examples do the work of
# one clean example?

# %%
from dataclasses import replace
from pathlib import Path
from textwrap import fill

import ipywidgets as widgets

from workbench.config import Quality
from workbench.laws import exchange_rate, fit_curves, read_table
from workbench.lessons.shipped import VERBS
from workbench.studies.background import BackgroundRun
from workbench.studies.disk.store import Store
from workbench.studies.grid import verbs
from workbench.views.figures import quality_by_size
from workbench.views.widgets import GridMap

# %% [markdown]
# ## The study
#
# A study is a grid: quality x size x seed. This is the smallest budget, narrowed further. Three seeds are the
# fewest that show how much chance alone changes a result. It trains in a process of its own, all cells of a
# stack at once over one frozen base; watch it fill in, and read on.

# %%
half = Quality(corruption="other_form", share=0.5)
study = replace(verbs("coffee"), qualities=(Quality(), half), sizes=(32, 128, 512))
job = BackgroundRun.start(study, Path("runs/five-minutes"))
GridMap(job.study_folder)

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
# ## Look
#
# A wider grid of the same kind was trained before and ships with the workbench: seven sizes, four seeds. The
# dotted line is the model before training.

# %%
with Store.open(VERBS, read_only=True) as store:
    wanted = ("clean", half.label)
    rows = [row for row in store.table() if row["size"] == 0 or row["quality"] in wanted]
table = read_table([{**row, "evaluation": "600 held-out verbs"} for row in rows])
fits = {metric: fit_curves(table, metric) for metric in ("loss", "exact_match")}
quality_by_size(rows, fits=fits)

# %% [markdown]
# ## The exchange rate
#
# Read it at each number of clean examples. "Not reached" means that no amount of the other data that was
# tried is enough.

# %%
rate = exchange_rate(table, "exact_match", reference="clean", other=half.label, items=600)
slider = widgets.SelectionSlider(options=[int(size) for size in rate.best.size], description="clean")
_ = widgets.interact(lambda n: print(fill(rate.sentence(n), 90)), n=slider)

# %% [markdown]
# ## Your own answer
#
# From the study that you started above. While it trains, this says so: run the cell again when the grid is
# full.

# %%
if job.wait(1).name == "finished":
    with Store.open(job.study_folder, read_only=True) as store:
        own = read_table(store.table())
    answer = exchange_rate(own, "exact_match", reference="clean", other=half.label, items=600)
    print(fill(answer.sentence(), 90))
else:
    print(f"{job.state().name}: run this cell again when the grid above is full")

# %% [markdown]
# ## The claim, checked
#
# At every size the clean data gives the better model, and one clean example is worth more than two
# half-spoiled ones: the wrong half does harm, beyond the right answers that are missing.

# %%
score = {(row["quality"], row["size"], row["seed"]): row["exact_match"] for row in rows}
sizes, seeds = ({key[place] for key in score if key[1] > 0} for place in (1, 2))
assert all(score["clean", n, s] > score[half.label, n, s] for n in sizes for s in seeds)
assert rate.best.low[0] > 2
quality_by_size(rows, fits=fits)
