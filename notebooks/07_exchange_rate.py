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
# # 7. A clean example has a price, and beyond some size nothing spoiled can pay it
#
# *Under a minute on two cores, twenty with the exercises. No network.*
#
# How many half-spoiled examples do the work of one clean one? The answer is not a constant: it hangs on how
# many clean examples are to be replaced, and beyond some number no amount that was tried is enough.

# %%
import workbench as wb

import numpy as np

from workbench.laws.exchange import fewest, summarise
from workbench.lessons import check, score

# %%
shipped = wb.shipped_study()
exact, loss = shipped.analysis("exact_match"), shipped.analysis("loss")

# %% [markdown]
# ## Slide along it
#
# Left: two curves, and the sizes at which they are equal. Right: the ratio of those sizes, with its 95% band.
# Grey: there no amount tried is enough. Compare the other qualities, and the loss with the exact match.

# %%
exchange = wb.widgets.Exchange([exact, loss])
exchange

# %% [markdown]
# ## 1. The fewest that are enough
#
# The rate at n clean examples is m / n, where m is the fewest half-spoiled ones that score as well. Where no
# size on the curve is enough, m is infinite: nothing is read beyond what was tried.
#
# **Exercise.** Find m on one curve. Until you fill it in the check says "not yet".


# %%
def enough_mine(sizes, scores, target):
    # your turn: the result is a number; 0 where the first size is enough, np.inf where none is
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def enough_solved(sizes, scores, target):
    good = scores >= target
    if not good.any():
        return np.inf
    return 0 if good[0] else sizes[good.argmax()]


# %%
clean, half = exact.curve("clean"), exact.curve("50% other_form")
sizes = np.geomspace(half.size[0], half.size[-1], 400)
curves, targets = half.predict(sizes), clean.predict(np.array([64.0, 512.0]))
check(
    "the fewest that are enough",
    enough_mine,
    lambda sizes, scores, target: fewest(sizes, scores[None], np.array([target]), falling=False)[0],
    [(sizes, curves[0], 0.3), (sizes, curves[0], 0.5), (sizes, curves[0], 1.0)],
    tolerance=0.03,
    hint="Sizes stand in rising order: take the first that is enough.",
)

# %% [markdown]
# ## 2. The rate, over all that could have been measured
#
# Other seeds would have given other curves. So the workbench draws 1,000 studies that could as well have been
# measured, and each has its own m.
#
# **Exercise.** From their m's: the median rate at n, and the share of draws in which no amount is enough.


# %%
def rate_mine(n, enough):
    # your turn: enough has m of each draw, some of them infinite; the result is [median, share]
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def rate_solved(n, enough):
    return [np.median(enough / n), np.isinf(enough).mean()]


# %%
def answer(n, enough):
    summary = summarise(np.array([n]), enough[:, None] / n)
    return [summary.median[0], summary.not_reached[0]]


draws = [fewest(sizes, curves[1:], targets[1:, place], falling=False) for place in (0, 1)]
check(
    "the rate",
    rate_mine,
    answer,
    [(64.0, draws[0]), (512.0, draws[1])],
    tolerance=0.03,
    hint="An infinite m stays infinite when it is divided.",
)

# %% [markdown]
# ## The claim, checked
#
# For data of which half is wrong: at 512 clean examples the rate is 'not reached' more likely than not.

# %%
rate = exchange.rates[0]
at_512 = rate.rates.not_reached[rate.rates.size >= 512]
assert rate.other == "50% other_form"
assert at_512.min() > 0.5
print(score())
exchange.picture()
