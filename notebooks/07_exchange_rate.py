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
# A clean example has a price: the number of spoiled examples that do its work. Is it the same when you have
# few clean examples and when you have many?

# %%
import workbench as wb

import numpy as np

from workbench.lessons import check, score

shipped = wb.shipped_study()
exact, loss = shipped.analysis("exact_match"), shipped.analysis("loss")

# %% [markdown]
# ## First, two guesses
#
# In these data a quarter of the answers are wrong. You have 32 clean examples, and then 256.

# %%
rate = shipped.exchange_rate("exact_match", reference="clean", other="25% other_form")
sizes_and_prices = zip(rate.rates.size, rate.rates.median, strict=True)
price = {int(size): float(f"{value:.2g}") for size, value in sizes_and_prices}
line = {"low": 0.5, "high": 100, "unit": "spoiled ones", "logarithmic": True}
few = "You have 32 clean examples. How many spoiled ones do the work of one of them?"
wb.lessons.GuessNumber("07-at-32", few, price[32], **line, words=rate.sentence(32))

# %%
many = "You have 256 clean examples. How many spoiled ones do the work of one of them?"
wb.lessons.GuessNumber("07-at-256", many, price[256], **line, words=rate.sentence(256))

# %% [markdown]
# ## Slide along it
#
# Left: two curves, and the sizes at which they are equal. Right: the ratio of those sizes, which is the
# price, with its 95% band. Where it is grey, no amount that was tried is enough.
#
# It opens with data of which a quarter is wrong. Compare the other qualities, and the loss with the exact
# match.

# %%
exchange = wb.widgets.Exchange([exact, loss])
exchange

# %% [markdown]
# ## 1. The fewest that are enough
#
# The rate at $n$ clean examples is $m / n$, where $m$ is the fewest spoiled ones that score as well. Where
# no size on the curve is enough, $m$ is infinite: nothing is read beyond what was tried.
#
# **Exercise.** Find $m$ on one curve. Until you fill it in the check says "not yet".


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
# Other seeds would have given other curves. So the workbench draws 1,000 studies that could as well have
# been measured, and each has its own $m$.
#
# **Exercise.** From all these $m$: the median rate at $n$, and the share of draws in which no amount is
# enough.


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
# ## 3. Optional, hard: the interval
#
# **Exercise.** From the same $m$: the interval of the rate at $n$ that holds 95% of the draws, 2.5% left out
# at each end. An infinite draw counts as the largest.


# %%
def rate_interval_mine(n, enough):
    # your turn: the result is [low, high]
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def rate_interval_solved(n, enough):
    return np.quantile(enough / n, [0.025, 0.975], method="inverted_cdf")


# %%
check("rate_interval", rate_interval_mine)

# %% [markdown]
# ## The claim, checked
#
# The price of a clean example falls with the number that you have: at 32 clean examples its interval lies
# above that at 256. Beyond that this study can't say what it is.

# %%
at = {int(size): place for place, size in enumerate(rate.rates.size)}
assert rate.rates.low[at[32]] > rate.rates.high[at[256]], "the intervals overlap"
assert rate.rates.not_reached[at[2048]] > 0.5
print(score())
wb.lessons.say(rate.sentence())
exchange.picture()

# %% [markdown]
# The whole answer for these data, in the words of the study's report, stands above the picture. Next: the
# numbers differ. Does anybody notice it in a talk?
