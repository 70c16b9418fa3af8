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
# # 6. One law for every quality is a good map and a bad ruler
#
# *Under a minute on two cores. No network.*
#
# A law with four constants can stand for 112 trained models. That is worth a lot: it speaks about qualities
# and sizes that nobody trained. Does it also say how much is true?

# %%
from workbench.laws import read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.problems import fit_table, misfit
from workbench.studies.store import Store
from workbench.views.law_figures import residuals
from workbench.views.shipped import VERBS
from workbench.views.widgets import LawExplorer

# %%
with Store.open(VERBS, read_only=True) as store:
    table = read_table(store.table())
fits = {law: fit_table(table, "loss", law) for law in ("noise_floor", "quality_exponent")}
for name, fit in fits.items():
    print(f"{name:17} {fit.law.formula:38} misfit: p = {misfit(fit):.1g}")

# %% [markdown]
# ## Move it
#
# Drag the circle, or use the sliders. The thick line joins all mixtures of size and quality that the law
# calls equal to as many clean examples; the arrow is the exchange rate. Everything is computed in the page
# from the constants of 200 redrawn studies.

# %%
chosen = min(fits.values(), key=lambda fit: fit.objective)
LawExplorer(bootstrap(chosen, 200, workers=1))

# %% [markdown]
# ## The claim, checked
#
# Both laws say what everybody expects: more data helps, cleaner data helps more. Both miss the cells by more
# than the seeds' noise explains, most of all those of which half is wrong: their loss falls in a step, and no
# power law has one. So read a rate off a curve of each quality (notebook 7), and use the surface to see where
# to look.

# %%
assert all(misfit(fit) < 0.05 for fit in fits.values())
residuals(chosen)
