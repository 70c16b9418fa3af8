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
# # 11. What should the next hour train, and the next dollar buy?
#
# *Under a minute on two cores. No network.*
#
# A study that was trained knows how sure it is, what its cells took, and which further ones would narrow its
# answer most for their minutes. And once you say what things cost, it knows what to buy.

# %%
import workbench as wb

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np

# %%
shipped = wb.shipped_study()
worse = "25% other_form"
poor = "50% other_form"

# %% [markdown]
# ## The next hour
#
# The question: how many examples of which a quarter is wrong do the work of 128 clean ones? Cells are new
# seeds of the sizes measured, or new sizes around the question. Each is weighed after those before it.

# %%
shipped.plan(other=worse, size=128)

# %% [markdown]
# `workbench plan` says the same in a terminal, with the command that trains these cells.
#
# ## The next dollar
#
# You have 256 examples of which half are wrong, and a purse of 100. A new one costs 0.10. Someone who mends
# one is right nine times out of ten. Move what that costs.


# %%
def spend(clean):
    prices = wb.Prices(have=(poor, 256), budget=100, new={poor: 0.10}, clean=clean, right=0.9)
    return shipped.plan(other=poor, size=32, prices=prices)


slider = widgets.FloatLogSlider(value=0.3, base=10, min=-1.5, max=1, step=0.1, description="mending")
_ = widgets.interact(lambda price: print("\n".join(spend(price).notes)), price=slider)

# %% [markdown]
# ## The claim, checked
#
# Cheap mending is bought, and the rest of the purse goes into more examples, which are mended too. Dear
# mending is not. In between the study can't be sure, for what it knows is an interval and not a number.

# %%
costs = np.geomspace(0.03, 10, 12)
best = {"new": [], "cleaning": [], "both": []}
for cost in costs:
    found = dict.fromkeys(best, 0.0)
    for one in spend(cost).purchases:
        found["both" if len(one.offers) > 1 else one.name.split()[0]] = one.best
    for name, line in best.items():
        line.append(found[name])

# %%
assert best["both"][0] > 0.95, "cheap mending is bought"
assert best["new"][-1] > 0.95, "dear mending is not"
for name, line in best.items():
    plt.plot(costs, line, label=name)
plt.xscale("log")
plt.xlabel("price of mending one example, where a new one costs 0.10")
plt.ylabel("probability of being the best purchase")
plt.legend()
plt.show()
