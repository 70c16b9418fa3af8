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
# # 8. Do you notice which model learnt from spoiled data?
#
# *Under a minute on two cores. No network.*
#
# Two adapters over one frozen base. Each was trained on 128 examples: one set is all right, half of the
# other is wrong. Ask both for the past tense of a verb, and vote without knowing who is who.

# %%
import workbench as wb

# %% [markdown]
# ## Ask and vote
#
# Ask for a verb that you like, also for one that nobody ever wrote. Five votes tell you something, twenty
# more.

# %%
from pathlib import Path

shipped = wb.shipped_study()
cells = [shipped.cell(quality, 128) for quality in ("clean", "50% other_form")]
both = wb.lessons.speakers(shipped.folder, *cells)
test = wb.lessons.BlindTest(both, Path("runs/votes.jsonl"))
wb.lessons.Chat(test, suggestions=["stop", "carry", "blog", "sing", "untwist"])

# %% [markdown]
# ## A referee who knows the answers
#
# Votes take time. Here a referee asks for forty verbs that neither has seen, and prefers whoever is right.
# Where both are right, or both wrong, it is a tie. Guess before you look.

# %%
referee = wb.lessons.BlindTest(both, seed=0)
for record in wb.load_dataset("verbs").heldout[::15]:
    said = referee.ask(record.prompt)
    right = [answer == record.response for answer in (said.left, said.right)]
    referee.vote("tie" if right[0] == right[1] else "left" if right[0] else "right")
clean, spoiled, ties = referee.tally()
asked = "Of forty verbs, how many end in a tie?"
wb.lessons.GuessNumber("08-ties", asked, ties, low=0, high=40, unit="verbs")

# %%
tally = {"clean alone was right": clean, "spoiled alone was right": spoiled, "a tie": ties}
wb.lessons.Facts("forty verbs", tally)

# %% [markdown]
# ## The claim, checked
#
# The referee prefers the one that learnt from clean data, by more than chance. Yet many questions end in a
# tie. So what is plain over 600 verbs takes patience to notice in a talk.

# %%
low, high = wb.lessons.interval(clean, clean + spoiled)
assert low > 0.5, "chance alone could have done it"
wb.lessons.say(f"Ties left out, the one from clean data wins {low:.0%} to {high:.0%} of such questions.")
wb.lessons.Chat(referee).picture()

# %% [markdown]
# Next: you have a purse. Do you clean what you have, or collect more?
