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
# You have a pile of half-spoiled examples and a purse. A new example, spoiled as often, costs one coin;
# cleaning one at hand costs what the round says. The truth is what 112 trained models measured, and it shows
# itself only after you have spent.

# %%
import workbench as wb

from pathlib import Path

from workbench.lessons import BudgetGame, Game, GameRound

# %%
measured = wb.shipped_study().analysis("exact_match")
game = Game(measured, worse="50% other_form", seed=0)
BudgetGame(game, Path("runs/scoreboard.csv"))

# %% [markdown]
# Regret is what you gave away: the best score that the purse could buy, less yours. A class that plays the
# same seed can compare.
#
# ## The claim, checked
#
# With 64 examples and 64 coins: what is best at each price of cleaning? The picture is a player who always
# spends half on each.

# %%
prices = (0.5, 1, 2, 4, 8, 16)
rounds = [GameRound(examples=64, coins=64, clean_price=float(price)) for price in prices]
best = {one.clean_price: game.play(one, 1).best_share for one in rounds}
best

# %%
assert best[0.5] > 0.4, "cheap cleaning is bought"
assert best[16] < best[0.5], "dear cleaning is not"
undecided = BudgetGame(game)
for number in range(len(game.rounds)):
    undecided.decision = {"round": number, "share": 0.5}
undecided.picture()
