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
# # 5. What does a grid show that one run hides?
#
# *Under a minute on two cores. No network.*
#
# One run tells little: chance, quality and size all move it. A grid holds them apart. Each cell below is one
# quality at one size, and the mean of its seeds.

# %%
import workbench as wb

from statistics import fmean

# %% [markdown]
# ## A grid that was trained before
#
# 112 models, trained by `workbench run verbs --budget lunch`. Open a cell with a click, or with the arrow
# keys and Enter. Where does it cost more to go one row down than it brings to go two columns to the right?

# %%
shipped = wb.shipped_study()
grid = wb.widgets.GridMap(shipped.folder)
grid

# %% [markdown]
# ## A grid of your own
#
# It fills in while it trains, in a process of its own. When that process is killed, run this cell again: what
# is done is not trained twice.

# %%
half = wb.Quality(corruption="other_form", share=0.5)
small = wb.study("verbs", qualities=(wb.Quality(), half), sizes=(32, 128), seeds=(0, 1), steps=40)
job = wb.start(small, "runs/grid")
wb.widgets.GridMap("runs/grid")

# %% [markdown]
# ## What is behind one number
#
# The held-out verbs, with the loss of one model on each. Sort by the loss: which kinds of verb are hard?

# %%
data = wb.load_dataset("verbs")
wb.widgets.Examples.heldout(data, shipped.folder, shipped.cell(half.label, 128).key())

# %% [markdown]
# And what that model was taught. Choose *other form* to see the damage.

# %%
wb.widgets.Examples.drawn(data, half, size=128)

# %% [markdown]
# ## The claim, checked
#
# 512 examples of which half are wrong, against 32 that are right: sixteen times the data doesn't make up for
# half of it being wrong.


# %%
def exact_match(quality, size):
    rows = [row for row in shipped.table().rows if (row["quality"], row["size"]) == (quality, size)]
    return fmean(row["exact_match"] for row in rows)


assert exact_match(half.label, 512) < exact_match("clean", 32)
grid.picture()
