"""Cross out the examples that look wrong: by hand, or with a line through the list sorted by the loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from workbench.data.records import Record
from workbench.errors import InputError
from workbench.lessons.exercises import numbers
from workbench.lessons.figures import crossed_out, spoiled_pairs
from workbench.lessons.widgets.hands import HANDS_STYLE, own_module
from workbench.views.style import PaperFigure
from workbench.views.widgets.view import View

LINES_A_COLUMN = 9
"""Rows of a column in the picture of a list that isn't sorted."""


class CrossOut(View):
    """A list of examples with a line to drag: all above it is crossed out.

    Args:
        records: Some of them spoiled; which ones is told only when people ask.
        losses: The loss of each in nats a token, by which the list is sorted, largest first; None leaves it
            in its order, to be crossed out by hand alone.
        moment: Whose loss that is, for the heading, such as "loss after two passes".

    Raises:
        InputError: If there are no records, or not as many losses.
    """

    _esm = own_module("cross_out")
    _css = HANDS_STYLE
    rows: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """The examples as they are shown, from the top."""
    moment = traitlets.Unicode("").tag(sync=True)
    """What the list is sorted by; empty where it isn't, and then there is no line."""
    line = traitlets.Int(0).tag(sync=True)
    """How many examples lie above the line."""
    by_hand: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """Rows that were turned by hand: crossed out below the line, or put back above it."""
    told = traitlets.Bool(False).tag(sync=True)
    best = traitlets.Int(0).tag(sync=True)
    """Where a line makes the fewest mistakes."""

    def __init__(self, records: Sequence[Record], losses: object = None, moment: str = "loss") -> None:
        values = None if losses is None else numbers(losses)
        if not records or (values is not None and values.shape != (len(records),)):
            given = "none" if values is None else " x ".join(map(str, values.shape))
            raise InputError(
                f"{len(records)} examples with losses of shape {given}: give at least one example, and one "
                "loss for each, such as evaluate(frozen, HeldOut(examples), stack).losses[0]"
            )
        order = range(len(records)) if values is None else np.argsort(-values, kind="stable").tolist()
        self.order = list(order)
        rows = [
            {
                "prompt": records[place].prompt,
                "response": records[place].response,
                "loss": None if values is None else float(f"{values[place]:.3g}"),
                "spoiled": records[place].spoiled is not None,
            }
            for place in self.order
        ]
        wrong = [row["spoiled"] for row in rows]
        mistakes = [mistakes_of(set(range(line)), wrong) for line in range(len(rows) + 1)]
        super().__init__(
            rows=rows, moment="" if values is None else moment, best=mistakes.index(min(mistakes))
        )

    @property
    def crossed(self) -> set[int]:
        """The rows that are crossed out, from the top."""
        return set(range(self.line)) ^ set(self.by_hand)

    @property
    def kept(self) -> list[int]:
        """The examples that are left, as places in the records that were given.

        Raises:
            InputError: If none is.
        """
        crossed = self.crossed
        if len(crossed) == len(self.order):
            raise InputError(
                f"all {len(self.order)} examples are crossed out, and nothing is left to learn from: move "
                "the line up, and run this cell again"
            )
        return sorted(place for row, place in enumerate(self.order) if row not in crossed)

    def picture(self) -> PaperFigure:
        """Draw the losses with the line, or write the examples; who was spoiled only once it was told."""
        if not self.moment:
            return spoiled_pairs(self._columns())
        return crossed_out(
            [row["loss"] for row in self.rows],
            self.crossed,
            self.line,
            self.moment,
            spoiled=[row["spoiled"] for row in self.rows] if self.told else None,
            best=self.best if self.told else None,
        )

    def _columns(self) -> dict[str, list[str]]:
        """Return the first examples as three columns of text."""
        said = []
        for place, row in enumerate(self.rows[: 3 * LINES_A_COLUMN]):
            mark = "✗ " if place in self.crossed else ""
            end = ", spoiled" if self.told and row["spoiled"] else ""
            said.append(f"{mark}{row['prompt']} → {row['response']}{end}")
        return {" " * part: said[LINES_A_COLUMN * part : LINES_A_COLUMN * (part + 1)] for part in range(3)}

    def words(self) -> str:
        """Say how many are crossed out, and once it was told how well."""
        crossed = self.crossed
        said = f"{len(crossed)} of {len(self.rows)} examples crossed out"
        if not self.told:
            return said
        wrong = [row["spoiled"] for row in self.rows]
        return (
            f"{said}: {sum(wrong[row] for row in crossed)} of {sum(wrong)} that were spoiled, "
            f"{mistakes_of(crossed, wrong)} mistakes"
        )


def mistakes_of(crossed: set[int], spoiled: Sequence[bool]) -> int:
    """Return how many rows are treated wrongly: good ones crossed out, and spoiled ones left in."""
    return sum((row in crossed) != wrong for row, wrong in enumerate(spoiled))
