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
# # 7. How many spoiled examples replace a clean one?
#
# *Under a minute on two cores, twenty with the exercises. No network.*
#
# How many spoiled examples do the work of one clean one? Before you look, write two numbers down: what you
# would pay for a clean example when you have 32 of them, and when you have 512.

# %%
import workbench as wb

import numpy as np

from workbench.lessons import check, score

# %%
shipped = wb.shipped_study()
exact, loss = shipped.analysis("exact_match"), shipped.analysis("loss")

# %% [markdown]
# ## Slide along it
#
# Left: two curves, and the sizes at which they are equal. Right: the ratio of those sizes, with its 95% band.
# Grey: there no amount tried is enough. It opens with data of which a quarter is wrong. Were your numbers
# near? Compare the other qualities, and the loss with the exact match.

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
check("enough", enough_mine)

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
check("rate", rate_mine)

# %% [markdown]
# ## The claim, checked
#
# A clean example has a price, which depends on how many there are, and beyond some size nothing spoiled can
# pay it. For data of which half is wrong: at 512 clean examples the rate is 'not reached' more likely than
# not.

# %%
rate = shipped.exchange_rate("exact_match", reference="clean", other="50% other_form")
at_512 = rate.rates.not_reached[rate.rates.size >= 512]
assert at_512.min() > 0.5
print(score())
exchange.picture()
