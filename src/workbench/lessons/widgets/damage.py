"""Ways to spoil examples, to turn by hand: which kind of damage, and which share stays right."""

from collections.abc import Sequence
from typing import Any

import traitlets

from workbench.config import Quality
from workbench.data.corruptions import CORRUPTIONS
from workbench.data.records import Dataset
from workbench.data.subsets import draw
from workbench.lessons.figures import spoiled_pairs
from workbench.lessons.widgets.hands import HANDS_STYLE, own_module
from workbench.views.points import readable
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import View

TENTHS = 9
"""The dial has the tenths from one to nine."""


class Damage(View):
    """Examples under each kind of damage; what was changed is told only when people ask.

    Args:
        dataset: Where the examples come from.
        kinds: The kinds of damage, of ``CORRUPTIONS``.
        size: How many examples are drawn.

    Raises:
        InputError: If the data has fewer examples, or can't be damaged in one of these ways.
    """

    _esm = own_module("damage")
    _css = HANDS_STYLE
    kinds: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """Each kind's name, what it is, and its rows: prompt and answer as they were, and what they become: from
    how many right tenths down, and as what. What is spoiled at a low rate is so at every higher one; a copy
    of an example that is spoiled later changes with it."""
    kind = traitlets.Int(0).tag(sync=True)
    tenths = traitlets.Int(7).tag(sync=True)
    """How many tenths of the examples are right, on average."""
    told = traitlets.Bool(False).tag(sync=True)

    def __init__(self, dataset: Dataset, kinds: Sequence[str], size: int = 96) -> None:
        clean = draw(dataset, Quality(), size, 0)
        shown = []
        for kind in kinds:
            rows: list[list[Any]] = [[one.prompt, one.response, []] for one in clean]
            for right in range(TENTHS, 0, -1):
                spoiled = draw(dataset, Quality(corruption=kind, share=right / 10), size, 0)
                for row, one in zip(rows, spoiled, strict=True):
                    before = row[2][-1][1:] if row[2] else None
                    if one.spoiled and before != [one.prompt, one.response]:
                        row[2].append([right, one.prompt, one.response])
            shown.append({"name": readable(kind), "about": CORRUPTIONS[kind].about, "rows": rows})
        super().__init__(kinds=shown)

    def picture(self) -> PaperFigure:
        """Draw a few spoiled examples of each kind."""
        return spoiled_pairs(
            {
                kind["name"]: [f"{row[2][-1][1]} → {row[2][-1][2]}" for row in kind["rows"] if row[2]]
                for kind in self.kinds
            }
        )

    def words(self) -> str:
        """Say which damage is shown, and how much of it."""
        return f"{self.kinds[self.kind]['name']}, {10 * self.tenths}% right on average"
