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
# Two adapters over one frozen base, each trained on 128 examples: one set all right, the other half wrong.
# Their losses differ. Does anybody notice? Ask both, vote without knowing who is who.

# %%
import workbench as wb

from pathlib import Path

from workbench.lessons import BlindTest, Chat, interval, speakers

# %%
shipped = wb.shipped_study()
both = speakers(shipped.folder, shipped.cell("clean", 128), shipped.cell("50% other_form", 128))
test = BlindTest(both, Path("runs/votes.jsonl"))
Chat(test, suggestions=["stop", "carry", "blog", "sing", "untwist"])

# %% [markdown]
# ## A referee who knows the answers
#
# Votes take time. Here a referee asks for forty held-out verbs and prefers whoever is right.

# %%
referee = BlindTest(both, seed=0)
for record in wb.load_dataset("verbs").heldout[::15]:
    said = referee.ask(record.prompt)
    right = [answer == record.response for answer in (said.left, said.right)]
    referee.vote("tie" if right[0] == right[1] else "left" if right[0] else "right")
clean, spoiled, ties = referee.tally()
clean, spoiled, ties

# %% [markdown]
# ## The claim, checked
#
# The referee prefers the one that learnt from clean data, by more than chance. Yet many questions end in a
# tie: what is plain over 600 verbs takes some patience to notice in a talk.

# %%
low, high = interval(clean, clean + spoiled)
assert low > 0.5, "chance alone could have done it"
print(f"share won by clean, ties left out: {low:.0%} to {high:.0%}")
Chat(referee).picture()
