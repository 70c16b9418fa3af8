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
# # 0. Is a clean example worth more than a spoiled one?
#
# *Seconds to run; a study of your own trains beside it for about a minute, on two cores. No network.*
#
# A small model knows how English words are spelled and inflected, but it has never seen a past tense. We
# teach it past tenses from data that is all right, and from data in which half of the answers are another
# form of the same verb: *walking* where *walked* is asked for. How many half-spoiled examples do the work of
# one clean example?

# %%
import workbench as wb

from textwrap import fill

import ipywidgets as widgets

# %% [markdown]
# ## The study
#
# A study is a grid: quality x size x seed. This is the smallest budget, narrowed further. Three seeds are the
# fewest that show how much chance alone changes a result. It trains in a process of its own, all cells of a
# stack at once over one frozen base; watch it fill in, and read on.

# %%
half = wb.Quality(corruption="other_form", share=0.5)
study = wb.study("verbs", budget="coffee", qualities=(wb.Quality(), half), sizes=(32, 128, 512))
job = wb.start(study, "runs/five-minutes")
wb.widgets.GridMap(job.study_folder)

# %% [markdown]
# ## What "half spoiled" means
#
# The records on which the models are judged are never spoiled.

# %%
from workbench.studies.examples import changed_examples

for example in changed_examples(study, wb.load_dataset("verbs"), each=5):
    print(f"{example['prompt']:24} {example['before']:14} became {example['response']}")

# %% [markdown]
# ## Look
#
# A wider grid of the same kind was trained before and ships with the workbench: seven sizes, four seeds. The
# dotted line is the model before training.

# %%
shipped = wb.shipped_study()
shipped.figure(qualities=("clean", half))

# %% [markdown]
# ## The exchange rate
#
# Read it at each number of clean examples. "Not reached" means that no amount of the other data that was
# tried is enough.

# %%
rate = shipped.exchange_rate("exact_match", reference="clean", other=half.label)
slider = widgets.SelectionSlider(options=[int(size) for size in rate.rates.size], description="clean")
_ = widgets.interact(lambda n: print(fill(rate.sentence(n), 90)), n=slider)

# %% [markdown]
# ## Your own answer
#
# From the study that you started above. While it trains, this says so: run the cell again when the grid is
# full.

# %%
if job.wait(1).name == "finished":
    own = wb.open_study(job.study_folder)
    answer = own.exchange_rate("exact_match", reference="clean", other=half.label)
    print(fill(answer.sentence(), 90))
else:
    print(f"{job.state().name}: run this cell again when the grid above is full")

# %% [markdown]
# ## The claim, checked
#
# At every size the clean data gives the better model, and one clean example is worth more than two
# half-spoiled ones: the wrong half does harm, beyond the right answers that are missing. How many
# more depends on how many you have.

# %%
rows = shipped.table().rows
score = {(row["quality"], row["size"], row["seed"]): row["exact_match"] for row in rows}
sizes, seeds = ({key[place] for key in score if key[1] > 0} for place in (1, 2))
assert all(score["clean", n, s] > score[half.label, n, s] for n in sizes for s in seeds)
assert rate.rates.low[0] > 2
shipped.figure(qualities=("clean", half))
