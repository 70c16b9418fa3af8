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
# # 13. Do the data know the constant that a fit returns?
#
# *Under a minute on two cores. No network.*
#
# A model can see the same data more than once. Each repeat teaches it less. How fast does repeated data
# lose its worth? The best known answer is a constant, $R_D = 15.4$ repeats, fitted to 182 training runs.
# It is often quoted, and it came without an interval. Here we ask how well the data know it: first data
# whose truth we made ourselves, then the 182 runs.
#
# In this law $U$ different examples, each read $R$ times again, are worth as much as
#
# $$D = U + U \, R_D \left(1 - e^{-R / R_D}\right)$$
#
# different ones. With a large $R_D$ a repeat is nearly as good as new data.

# %%
import workbench as wb
from workbench.laws.simulate import TRUTHS, simulated

whole = simulated(TRUTHS["repetition"], seed=0)

# %% [markdown]
# ## A truth of our own
#
# We chose $R_D = 8$ and simulated a study. Its longest runs read their data 256 times. Suppose that
# nobody had paid for the long runs, and only those up to 4 epochs were there. A fit still returns a
# number. Guess which one.

# %%
import numpy as np
from workbench.laws.profiles import profile


def known(most_epochs):
    keep = [row.size <= most_epochs * row.values["unique"] for row in whole.rows]
    fit = wb.fit_table(whole.where(np.array(keep)), "loss", "repetition")
    return profile(fit, "R_D")


# %%
few = known(4)
wb.lessons.GuessNumber(
    "13-repeats",
    "The truth is 8. Which number does a fit return from runs of at most 4 epochs?",
    round(few.value, 1),
    low=0.5,
    high=500,
    logarithmic=True,
    words="It has many digits. Do the data know them?",
)

# %% [markdown]
# ## Ask the data
#
# A fit returns the value of $R_D$ that suits the data best. To ask how sure that is, hold $R_D$ at
# another value and fit all other constants again. If the fit stays nearly as good, the data do not object
# to that value. If it becomes much worse, they do. Do this for many values: the curve of how much worse
# it becomes is the **profile likelihood**. All values below the line are still possible, and together
# they are the interval.

# %%
facts = {}
for epochs in (2, 4, 256):
    found = few if epochs == 4 else known(epochs)
    facts[f"up to {epochs} epochs"] = f"R_D = {found.value:.3g}; {found.verdict}"
wb.lessons.Facts("what a fit returns, and whether the data know it", facts)

# %% [markdown]
# Move the slider: which runs are needed before the curve crosses the line on both sides?

# %%
from workbench.views.law_figures import profile_curve


def curve(epochs):
    return profile_curve(known(epochs))


wb.lessons.Dial(curve, epochs=[2, 4, 8, 16, 64, 256], start={"epochs": 4})

# %% [markdown]
# ## The published table
#
# Muennighoff et al. 2023 (arXiv:2305.16264) fitted $R_D$, and $R_N$ for repeated parameters, and held the
# other constants fixed. Their 182 runs come with this package. The same question to them: $R_D = 15.4$
# was published without an interval. Guess its lower end.

# %%
from workbench.lessons.shipped import DATABLATIONS

fixed = {"A": 520.825, "B": 1487.716, "E": 1.8691437, "alpha": 0.3526596, "beta": 0.3526596}
columns = {"model": "N_params", "size": "D_tokens", "loss": "val_loss"}
runs = wb.read_table(DATABLATIONS, columns=columns | {"unique": "U_unique_tokens"})
fit = wb.fit_table(runs, "loss", "data_constrained", fixed=fixed, delta=1e-3)
published = profile(fit, "R_D")

# %%
wb.lessons.GuessNumber(
    "13-published",
    "Published: 15.4. How small may R_D be, so that the 182 runs don't object?",
    round(published.low, 1),
    low=0.5,
    high=500,
    logarithmic=True,
    words="And the upper end? The curve below shows it.",
)

# %%
profile_curve(published)

# %% [markdown]
# The curve stays below the line as far to the right as it was computed. The best fit is somewhere else
# than 15.4, and it is hardly better: the objective is almost flat. So the 182 runs know that $R_D$ isn't
# small. How large it is they don't know.

# %% [markdown]
# ## The claim, checked
#
# A fit returns a number in any case. Whether the data know it, the profile says. With our runs of at most
# 4 epochs they don't; with all of our runs they do, and the truth is inside the interval. The 182
# published runs don't know an upper end.
#
# All the evidence for and against "quality scales better than size" is in `docs/evidence.md`, each with
# its source.
#
# Next: write the whole workbench yourself.

# %%
assert not few.identified
assert known(256).identified
assert known(256).low < 8 < known(256).high
assert not published.identified
