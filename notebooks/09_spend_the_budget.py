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
# # 9. Clean or collect?
#
# *Under a minute on two cores. No network.*
#
# You have a pile of half-spoiled examples and a purse. A new example, spoiled as often, costs one coin.
# Cleaning one of yours costs what the round says. What your decision is worth was measured with 112 trained
# models, and it shows itself only after you have spent.

# %%
import workbench as wb

# %% [markdown]
# ## Play
#
# *Regret* is what you gave away: the best score that the purse could buy, less yours. The less, the better.
#
# A class that shares a folder has one scoreboard: put `wb.lessons.join_class("the folder", "your name")`
# before the next line, or start with `workbench lab --class FOLDER --name NAME`.

# %%
from pathlib import Path

measured = wb.shipped_study().analysis("exact_match")
game = wb.lessons.Game(measured, worse="50% other_form", seed=0)
wb.lessons.BudgetGame(game, Path("runs/scoreboard.csv"))

# %% [markdown]
# ## Where does it tip?
#
# Take one purse: 64 half-spoiled examples and 64 coins. If cleaning is cheap, you clean. If it costs much,
# you collect. At some price both are worth the same. Guess where.

# %%
tip = game.tipping_price(examples=64, coins=64)
asked = "64 examples, 64 coins: at which price of cleaning one example are both worth the same?"
line = {"low": 0.5, "high": 32, "unit": "coins", "logarithmic": True}
wb.lessons.GuessNumber("09-tip", asked, round(tip, 1), **line)

# %% [markdown]
# ## The claim, checked
#
# Below that price the best purchase is to spend all on cleaning, above it to spend all on new examples. The
# falling line is what cleaning gives at each price; new examples cost one coin at any price.

# %%
from workbench.lessons.guess_figures import prices_of_cleaning

prices = [1 + step / 4 for step in range(45)]
rounds = [wb.lessons.GameRound(examples=64, coins=64, clean_price=price) for price in prices]
cleaned = [game.score(one, 1) for one in rounds]
cheap, dear = (game.play(one, 1).best_share for one in (rounds[0], rounds[-1]))
assert (cheap, dear) == (1, 0)
assert prices[0] < tip < prices[-1]
prices_of_cleaning(prices, cleaned, game.score(rounds[0], 0), "exact match")

# %% [markdown]
# Next: how does such a number get into a paper, and what changes when one result is corrected?
