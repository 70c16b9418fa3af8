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
# *About one minute on two cores. No network.*
#
# How fast does repeated data lose its worth? The best known answer is a constant, R_D = 15.4 repeats,
# fitted to 182 training runs. It is often quoted and came without an interval. Here we ask the data how well
# they know it: first data whose truth we made ourselves, then, where the published table is at hand, the 182
# runs.

# %%
import workbench as wb

from pathlib import Path

import ipywidgets as widgets
import numpy as np

from workbench.laws.profiles import profile
from workbench.laws.simulate import TRUTHS, simulated
from workbench.views.law_figures import profile_curve

# %% [markdown]
# ## A truth of our own
#
# In this simulated study the true constant is 8. Some of its runs repeat their data up to 255 times. What if
# nobody had paid for the long ones?

# %%
whole = simulated(TRUTHS["repetition"], seed=0)
TRUTHS["repetition"].values["R_D"], len(whole)


# %%
def known(most_epochs):
    keep = [row.size <= most_epochs * row.values["unique"] for row in whole.rows]
    fit = wb.fit_table(whole.where(np.array(keep)), "loss", "repetition")
    return profile(fit, "R_D")


for epochs in (2, 4, 256):
    found = known(epochs)
    print(f"up to {epochs:3} epochs: R_D = {found.value:.3g}, {found.verdict}")

# %% [markdown]
# Move the slider: the curve is how much worse the fit becomes when the constant is held elsewhere. Where it
# stays below the line, the data do not object.

# %%
slider = widgets.SelectionSlider(options=[2, 4, 8, 16, 64, 256], value=4, description="epochs")
_ = widgets.interact(lambda epochs: profile_curve(known(epochs)), epochs=slider)

# %%
profile_curve(known(2))

# %% [markdown]
# ## The published table
#
# Muennighoff et al. 2023 (arXiv:2305.16264) fitted R_D and R_N with the other constants held fixed. Put
# `datablations_fit182.csv` into this folder, or into `shared/oracles/datablations` beside the repository.

# %%
name = "datablations_fit182.csv"
places = [Path(name), *(p / "shared/oracles/datablations" / name for p in Path.cwd().parents)]
table = next((place for place in places if place.exists()), None)
print(table or "not at hand: the next cell is passed over")

# %%
fixed = {"A": 520.825, "B": 1487.716, "E": 1.8691437, "alpha": 0.3526596, "beta": 0.3526596}
names = {"model": "N_params", "size": "D_tokens", "unique": "U_unique_tokens", "loss": "val_loss"}
if table:
    runs = wb.read_table(table, columns=names)
    published = profile(wb.fit_table(runs, "loss", "data_constrained", fixed=fixed, delta=1e-3), "R_D")
    print(f"R_D = {published.value:.3g}, from {published.low:.3g}: {published.verdict}")

# %% [markdown]
# All the evidence for and against 'quality scales better than size', each with its source and its number, is
# in `docs/evidence.md`.

# %%
assert not known(2).identified, "two epochs can't tell how repeats wear out"
assert known(256).identified, "many epochs can"
assert known(256).low < 8 < known(256).high
assert table is None or not published.identified
