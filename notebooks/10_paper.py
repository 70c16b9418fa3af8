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
# # 10. What does one corrected result change in a paper?
#
# *Under a minute on two cores. No network.*
#
# Who types numbers into a paper by hand forgets one of them some day. `workbench paper STUDY` writes
# every figure, every table and every number from the study's record, with the same bytes each time. So
# you can find out what one corrected result changes, and whether anything else has moved.

# %%
import workbench as wb
from workbench.views.manuscript import PaperSource

record = PaperSource.read(wb.shipped_study().folder)

# %% [markdown]
# ## What the paper says now
#
# The study has four qualities. Each model was judged in two ways: by the loss, and by the share of words
# that are exactly right.

# %%
wb.lessons.say(*(part.rates[-1].sentence() for part in record.parts.values()))

# %% [markdown]
# Each number is also a command of LaTeX. The paper's text holds the command, and LaTeX puts the number
# there. So a sentence can't disagree with its table. Three of them:

# %%
import re

from workbench.views.manuscript.numbers import numbers_tex


def numbers(one):
    return dict(re.findall(r"newcommand\{(.\w+)\}\{(.*)\}", numbers_tex(one).decode()))


before = numbers(record)
price = next(name for name in before if re.search("RateExactMatchTwentyFive.*AtTwo", name))
shown = ("\\VerbsCellsDone", "\\VerbsSeeds", price)
wb.lessons.Facts(f"3 of {len(before)} numbers", {name: before[name] for name in shown})

# %% [markdown]
# ## One result is corrected
#
# Somebody finds that one model was judged wrongly. Choose which one: its quality, and which of its two
# measurements was wrong. It goes up by 0.05. Run the cells below again after each choice.

# %%
import ipywidgets as widgets

options = [name for name in dict.fromkeys(row["quality"] for row in record.rows) if name]
quality = widgets.Dropdown(options=options, value="25% other_form", description="quality")
metric = widgets.Dropdown(options=["exact_match", "loss"], description="wrong was")
widgets.HBox([quality, metric])

# %% [markdown]
# ## Guess
#
# The paper has 15 figures. Tick those that you think will change.

# %%
from workbench.views.manuscript.figures import contact_sheet, figures

drawings = list(figures(record))
look = {"indent": False, "layout": {"width": "auto"}}
ticks = {one.name: widgets.Checkbox(description=one.name, **look) for one in drawings}
widgets.VBox(list(ticks.values()))

# %% [markdown]
# Now all of them are drawn again, from the corrected record.

# %%
from dataclasses import replace

from workbench.views.style import to_bytes

rows = list(record.rows)
place = next(i for i, row in enumerate(rows) if row["quality"] == quality.value)
rows[place] = {**rows[place], metric.value: rows[place][metric.value] + 0.05}
corrected = replace(record, rows=rows)
changed, redrawn = set(), []
for old, new in zip(drawings, figures(corrected), strict=True):
    redrawn.append(new)
    if to_bytes(old.figure, "svg") != to_bytes(new.figure, "svg"):
        changed.add(new.name)
    if len(redrawn) % 5 == 0:
        print(f"{len(redrawn)} of {len(drawings)} compared")

# %%
right = sum(tick.value == (name in changed) for name, tick in ticks.items())
after = numbers(corrected)
moved = [name for name in before if before[name] != after[name]]
facts = {
    "figures": f"{len(changed)} of {len(drawings)}",
    "numbers": f"{len(moved)} of {len(before)}",
    "your ticks that were right": f"{right} of {len(drawings)}",
}
wb.lessons.Facts("what has changed", facts)

# %% [markdown]
# One model of one quality moves more than its own point. The interval of a price rests on the noise of
# all models, so every price that is judged by this measurement moves. What is judged by the other one
# keeps its bytes.
#
# How does the workbench know? Each figure is drawn from one part of the record and sees nothing else.
# Each part has a hash, a short number computed from all its bytes. A part with the same hash gives the
# same figure.

# %%
parts = {
    part: "changed" if corrected.hashes()[part] != sha256 else "the same"
    for part, sha256 in record.hashes().items()
}
wb.lessons.Facts("parts of the record", parts)

# %% [markdown]
# ## The claim, checked
#
# A corrected result changes the figures and the numbers that depend on it, and no others. Framed: what
# has changed.
#
# Next: what should the study train in the next hour, and what should you buy with the next dollar?

# %%
word = {"exact_match": "exact-match", "loss": "loss"}[metric.value]
assert [part for part, state in parts.items() if state == "changed"] == [metric.value]
assert changed, "something changes"
assert all(word in name for name in changed), "and nothing of the other measurement"
assert all(word.title().replace("-", "") in name for name in moved)
contact_sheet(redrawn, framed=changed)
