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
# Who has typed a number into a paper has also forgotten to change it. `workbench paper STUDY` makes every
# figure, every table and every number of a study from its record, byte for byte the same each time. So what
# does one corrected result cost, and how do you know that nothing else has moved?

# %%
import workbench as wb

from dataclasses import replace

from workbench.views.manuscript import PaperSource
from workbench.views.manuscript.figures import contact_sheet, figures
from workbench.views.manuscript.numbers import numbers_tex
from workbench.views.style import to_bytes

# %% [markdown]
# ## The record and its parts
#
# A figure is drawn from one part of the record and gets nothing else to see. Each part has a hash.

# %%
record = PaperSource.read(wb.shipped_study().folder)
for part, sha256 in record.hashes().items():
    print(f"{part:12} {sha256[:16]}")

# %% [markdown]
# The laws come first: curves, exchange rates, and who foretells the largest size.

# %%
for part in record.parts.values():
    print(part.rates[-1].sentence(), part.forecast.verdict(), sep="\n", end="\n\n")


# %%
def drawn(record):
    return {drawing.name: to_bytes(drawing.figure, "svg") for drawing in figures(record)}


before = drawn(record)
list(before)

# %% [markdown]
# Numbers too: each is a macro for LaTeX, so that a sentence can't disagree with its table.

# %%
numbers = numbers_tex(record).decode().splitlines()
[line for line in numbers if "TwentyFivePercentOtherFormAtTwoHundred" in line and "Rate" in line]

# %% [markdown]
# ## One result changes
#
# Somebody finds that one cell was evaluated wrongly: its exact match was higher. Its loss stays as it was.

# %%
place = next(i for i, row in enumerate(record.rows) if row["quality"] == "25% other_form")
rows = list(record.rows)
rows[place] = {**rows[place], "exact_match": rows[place]["exact_match"] + 0.05}
corrected = replace(record, rows=rows)
moved = [part for part, sha256 in record.hashes().items() if corrected.hashes()[part] != sha256]
moved

# %%
for part in corrected.parts.values():
    print(part.metric, part.forecast.chosen.name)

# %%
after = drawn(corrected)
changed = {name for name in before if before[name] != after[name]}
changed

# %% [markdown]
# A rate's interval rests on the noise of all cells, so one cell of one quality moves every rate that is
# judged by exact match. What is judged by the loss keeps its bytes.
#
# ## The claim, checked
#
# A changed result changes the figures that depend on it, and no others. Framed: what has changed.

# %%
assert moved == ["exact_match"]
assert changed == {name for name in before if "exact-match" in name}
assert len(changed) < len(before)
lines = numbers_tex(corrected).decode().splitlines()
assert all("ExactMatch" in new for old, new in zip(numbers, lines, strict=True) if old != new)
contact_sheet(list(figures(corrected)), framed=changed)
