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
# # 6. Can one law stand for all qualities?
#
# *Under a minute on two cores, twenty with the exercises. No network.*
#
# 112 models were trained: seven sizes, four qualities, four seeds. A law with four constants describes
# all of them. That would be worth a lot: it also speaks about sizes and qualities that nobody trained.
# But is it true?
#
# The law here is called `noise_floor`. It says that the loss $L$ of a model comes from three parts:
#
# $$L(n, s) = E + F\,(1 - s) + B\,n^{-\beta}$$
#
# Here $n$ is the number of training examples and $s$ the share of them that is right. $E$ is always left,
# $F\,(1 - s)$ is the harm of the wrong ones, and $B\,n^{-\beta}$ becomes small with more data.

# %%
import workbench as wb

shipped = wb.shipped_study()
fit = shipped.fit("loss", "noise_floor")
other = shipped.fit("loss", "quality_exponent")

# %% [markdown]
# ## Guess first
#
# If the law is right, it misses each measurement by about as much as two seeds differ by chance: the
# squares of its errors are 1 on average, in units of that noise. How large are they really?

# %%
from workbench.lessons.misses import chance_in_words, squared_errors

wb.lessons.GuessNumber(
    "06-misfit",
    "How large are the law's squared errors, where 1 would be chance?",
    round(squared_errors(fit), 1),
    low=0.2,
    high=50,
    logarithmic=True,
    words="The law misses by more than chance can explain.",
)

# %% [markdown]
# ## Move it
#
# Drag the circle, or use the sliders. The thick line joins all mixtures of size and quality that the law
# calls equal to that many clean examples. The arrow is the exchange rate. The page computes all of it
# from the constants of 200 studies that were drawn again from this one.

# %%
from workbench.laws.bootstrap import bootstrap

wb.widgets.LawExplorer(bootstrap(fit, 200, workers=1))

# %% [markdown]
# ## 1. The law by hand
#
# **Exercise.** Which loss does the law expect? Until you fill it in the check says "not yet".


# %%
def law_mine(values, size, share):
    # your turn: values has "E", "F", "B" and "beta"; size and share are arrays,
    # and so is the result
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def law_solved(values, size, share):
    return values["E"] + values["F"] * (1 - share) + values["B"] * size ** -values["beta"]


# %%
import numpy as np

from workbench.lessons import check, score

check("law", law_mine)

# %% [markdown]
# ## 2. What is left over
#
# Let $r_i$ be what the law misses in cell $i$, divided by the noise of the seeds. There are $N$ cells,
# and $k$ constants were fitted. If the law is right, then
#
# $$\frac{1}{N - k} \sum_i r_i^2 \approx 1.$$
#
# **Exercise.** Compute the left side.


# %%
def excess_mine(residual, constants):
    # your turn: residual is in units of the noise, one a cell; constants were fitted;
    # the result is a number
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def excess_solved(residual, constants):
    return (residual**2).sum() / (len(residual) - constants)


# %%
check("excess", excess_mine)

# %% [markdown]
# ## 3. Optional, hard: how sure is a constant?
#
# Fit the law again and again, each time without one cell: that gives $n$ values of a constant. They share
# all but one cell, so they lie closer together than the constant is uncertain.
#
# **Exercise.** The *jackknife* makes a standard error of them. Write it down.


# %%
def standard_error_mine(left_out):
    # your turn: left_out has the constant of each fit, (n,); the result is a number
    return ...


# %% jupyter={"source_hidden": true} tags=["solution"]
def standard_error_solved(left_out):
    n = len(left_out)
    return np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())


# %%
check("standard_error", standard_error_mine)

# %% [markdown]
# ## The claim, checked
#
# The law says what everybody expects: more data helps, and cleaner data helps more. But it misses the
# cells by more than the noise of the seeds explains. So does a second law, in which quality changes the
# slope instead: $L = E + B\,n^{-\beta} s^{-\gamma}$.

# %%
from workbench.laws.problems import misfit

said = {one.law.formula: chance_in_words(misfit(one)) for one in (fit, other)}
wb.lessons.Facts("would chance alone make a right law miss by so much?", said)

# %% [markdown]
# Look where it misses. The worst cells are those of which half is wrong: their loss falls in a step, and
# no power law has a step.

# %%
from workbench.views.law_figures import residuals

assert misfit(fit) < 0.05
assert misfit(other) < 0.05
print(score())
residuals(fit)

# %% [markdown]
# So use a law to see where to look, and don't read a price off it. Next: a curve for each quality by
# itself, and the price of a clean example.
