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
# *Under a minute on two cores. No network.*
#
# How many half-spoiled examples do the work of one clean one? The answer is not a constant: it hangs on how
# many clean examples are to be replaced, and beyond some number no amount that was tried is enough.

# %%
from workbench.laws import analyse, read_table
from workbench.studies.store import Store
from workbench.views.shipped import VERBS
from workbench.views.widgets import Exchange

# %%
with Store.open(VERBS, read_only=True) as store:
    table = read_table(store.table())
exact = analyse(table, "exact_match", items=600)
loss = analyse(table, "loss")

# %% [markdown]
# ## Slide along it
#
# Left: two curves, and the sizes at which they are equal. Right: the ratio of those sizes, with its 95% band.
# Grey: there no amount tried is enough. Compare the other qualities, and the loss with the exact match.

# %%
exchange = Exchange([exact, loss])
exchange

# %% [markdown]
# ## The claim, checked
#
# For data of which half is wrong: at 512 clean examples the rate is 'not reached' more likely than not.

# %%
rate = exchange.rates[0]
at_512 = rate.best.not_reached[rate.best.size >= 512]
assert rate.other == "50% other_form"
assert at_512.min() > 0.5
exchange.picture()
