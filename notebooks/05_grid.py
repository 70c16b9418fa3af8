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
# One run tells little: chance, quality and size all move it. A grid holds them apart. Each of its cells is
# one quality at one size, and the mean over its seeds.

# %%
import workbench as wb

# %% [markdown]
# ## Guess first
#
# Each of these models was taught the past of some verbs, and for a part of them a wrong form in its place.
# Then it was asked 600 verbs that it had never seen. Which one gets most of them right?

# %%
shipped = wb.shipped_study()
cells = {
    "32 examples, all right": ("clean", 32),
    "128 examples, a quarter wrong": ("25% other_form", 128),
    "256 examples, half wrong": ("50% other_form", 256),
    "1,024 examples, a tenth wrong": ("10% other_form", 1024),
}
right = {name: wb.lessons.percent_right(shipped, *cell) for name, cell in cells.items()}
wb.lessons.GuessOrder(
    "05-four-cells",
    "Sort them: most new verbs right at the top.",
    right,
    unit="% right",
)

# %% [markdown]
# ## A grid that was trained before
#
# 112 models, trained by `workbench run verbs --budget lunch`. Open a cell with a click, or with the arrow
# keys and Enter: each of its lines is one seed. Where does it cost more to go one row down than it brings to
# go two columns to the right?

# %%
grid = wb.widgets.GridMap(shipped.folder)
grid

# %% [markdown]
# ## A grid of your own
#
# It fills in while it trains, in a process of its own. When that process is killed, run these cells again:
# what is done is not trained twice.

# %%
half = wb.Quality(corruption="other_form", share=0.5)
both = (wb.Quality(), half)
small = wb.study("verbs", qualities=both, sizes=(32, 128), seeds=(0, 1), steps=40)
job = wb.start(small, "runs/grid")

# %% tags=["after-a-while"]
wb.widgets.GridMap("runs/grid")

# %% [markdown]
# ## What is behind one number
#
# The held-out verbs that the model with 128 right examples gets wrong, and what it says in their place. Sort
# by the loss: which kinds of verb are hard? Choose *right* to see the others.

# %%
data = wb.load_dataset("verbs")
key = shipped.cell("clean", 128).key()
wb.widgets.Examples.heldout(data, shipped.folder, key, kind="wrong")

# %% [markdown]
# The same for the model of which half of the examples are wrong. Its mistakes are of another kind: which
# ones?

# %%
key = shipped.cell(half.label, 128).key()
wb.widgets.Examples.heldout(data, shipped.folder, key, kind="wrong")

# %% [markdown]
# And what that model was taught. Choose *other form* to see the damage.

# %%
wb.widgets.Examples.drawn(data, half, size=128)

# %% [markdown]
# ## Guess again
#
# 32 examples, all right, or sixteen times as many, of which half are wrong? There are then 256 right ones
# among them.

# %%
few = wb.lessons.percent_right(shipped, "clean", 32)
many = wb.lessons.percent_right(shipped, half.label, 512)
wb.lessons.GuessNumber(
    "05-half-of-512",
    f"32 right examples give {few:.0f}% of the new verbs. And 512, half of them wrong?",
    round(many),
    low=0,
    high=100,
    unit="%",
    words="Eight times as many right ones, and yet the wrong ones among them cost more.",
)

# %% [markdown]
# ## The claim, checked
#
# Sixteen times the data doesn't make up for half of it being wrong. One run of each would not have told: the
# seeds of one cell differ by several verbs in a hundred.

# %%
wb.lessons.Facts(
    "New verbs right, mean over four seeds",
    {"32 examples, all right": f"{few:.0f}%", "512 examples, half wrong": f"{many:.0f}%"},
)

# %% [markdown]
# What the whole grid says about half-wrong examples, in the words of its report:

# %%
wb.lessons.say(shipped.exchange_rate("exact_match", other=half.label).sentence())
assert many < few

# %% [markdown]
# Where does more data catch up? Between the cells of a grid lies a curve. Notebook 6 fits one to each
# quality.
