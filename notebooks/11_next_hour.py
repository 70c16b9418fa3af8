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
# A study has an answer, and it knows how sure that answer is. It also knows how long each model took to
# train. So it can say which further models would make the answer surer, for the fewest minutes. If you
# tell it your prices, it can say what to buy.

# %%
import workbench as wb

shipped = wb.shipped_study()
worse, poor = "25% other_form", "50% other_form"

# %% [markdown]
# ## The next hour
#
# The question: how many examples do the work of 128 clean ones, if a quarter of them is wrong? Guess
# first.

# %%
rate = shipped.exchange_rate("exact_match", other=worse, sizes=[128]).rates
words = f"The study says {128 * rate.low[0]:.0f} to {128 * rate.high[0]:.0f}."
wb.lessons.GuessNumber(
    "11-quarter-wrong",
    "How many examples, a quarter of them wrong, do the work of 128 clean ones?",
    round(128 * rate.median[0]),
    low=32,
    high=2048,
    logarithmic=True,
    words=words,
)

# %% [markdown]
# Between the two ends of the interval the study can't decide. New models can: more seeds of the sizes
# that were trained, or new sizes around the question. The plan weighs each of them by what it adds to
# those before it.

# %%
shipped.plan(other=worse, size=128)

# %% [markdown]
# `workbench plan` says the same in a terminal, with the command that trains these models.
#
# ## The next dollar
#
# You have 256 examples, and half of them are wrong. You have 100 dollars. One more example of the same
# kind costs 0.10. You can also pay somebody to mend examples, who is right nine times out of ten. At a
# low price you mend everything. At a high price you buy new examples instead.
#
# The study tries seven prices, from 0.03 to 3 dollars.


# %%
def chances(mending):
    mine, new = (poor, 256), {poor: 0.10}
    prices = wb.Prices(have=mine, budget=100, new=new, clean=mending, right=0.9)
    found = {"new": 0.0, "cleaning": 0.0, "both": 0.0}
    for one in shipped.plan(other=poor, size=32, prices=prices).purchases:
        found["both" if len(one.offers) > 1 else one.name.split()[0]] = one.best
    return found


costs = [0.03, 0.06, 0.14, 0.3, 0.65, 1.4, 3]
best = []
for number, cost in enumerate(costs, 1):
    best.append(chances(cost))
    print(f"price {number} of {len(costs)}")

# %% [markdown]
# Guess: up to which price is it better to mend than only to buy new ones?

# %%
mend = [cost for cost, found in zip(costs, best, strict=True) if found["new"] < 0.5]
wb.lessons.GuessNumber(
    "11-price-of-mending",
    "Up to which price is mending part of the best purchase?",
    max(mend),
    low=0.03,
    high=3,
    unit="dollars",
    logarithmic=True,
    words="One of the seven prices; the next higher one is too much.",
)

# %% [markdown]
# Now look. Each line is the probability that this purchase improves the model most.

# %%
from workbench.lessons.shopping import PURCHASES, chances_to_be_best

chances_to_be_best(costs, best)

# %% [markdown]
# Where two lines cross, the study can't be sure. It knows an interval, not a number. Try prices of your
# own:


# %%
def show(price):
    found = chances(price)
    said = {label: f"{found[name]:.0%}" for name, label in PURCHASES.items()}
    return wb.lessons.Facts("the best purchase, by its probability", said)


prices = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2]
wb.lessons.Dial(show, price=prices, names={"price": "price of mending, in dollars"})

# %% [markdown]
# ## The claim, checked
#
# Cheap mending is bought, and the rest of the money buys more examples, which are mended too. Expensive
# mending is not bought.
#
# Next: scores from a filter cost no money, but time. Is a filter worth it?

# %%
assert best[0]["both"] > 0.95, "cheap mending is bought"
assert best[-1]["new"] > 0.95, "expensive mending is not"
