"""Sort by hand before the values are told."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import traitlets

from workbench.classmates import KeptGuess
from workbench.errors import InputError
from workbench.lessons.guess_figures import sorted_bars
from workbench.views.style import PaperFigure
from workbench.views.widgets.guessing import Guessing
from workbench.views.widgets.view import module

MOST_ITEMS = 12
"""More than that nobody sorts by hand."""


class GuessOrder(Guessing):
    """Rows to sort, the most at the top.

    Args:
        name: The key under which a class's guesses are collected, such as "05-hardest"; "" collects none.
        question: What is asked.
        truth: Each item with its value.
        unit: Of the values, such as "%".
        words: What is said beside the truth.

    Raises:
        InputError: If there are not 2 to 12 items, or all values are equal.
    """

    _esm = module("guess_order", Path(__file__).parent, helpers=["guessing"])
    question: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    guess: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """The items, the one that is thought to have most first; it begins in an order by chance."""
    touched = traitlets.Bool(False).tag(sync=True)
    """Whether anything was moved."""

    def __init__(
        self, name: str, question: str, truth: Mapping[str, float | int], *, unit: str = "", words: str = ""
    ) -> None:
        values = {str(item): float(value) for item, value in truth.items()}
        if not 2 <= len(values) <= MOST_ITEMS or len(set(values.values())) < 2:
            raise InputError(
                f"{len(values)} items with {len(set(values.values()))} different values can't be sorted: "
                f"give 2 to {MOST_ITEMS} that differ"
            )
        asked = {"asked": question, "values": values, "unit": unit, "words": words}
        super().__init__(name, question=asked, guess=_mixed(values, name + question))

    def guessed(self) -> KeptGuess | None:
        """Return the order; None if nothing was moved."""
        if not self.touched:
            return None
        asked = self.question
        return KeptGuess(
            person="",
            name=self.name,
            question=asked["asked"],
            guess=list(self.guess),
            truth=asked["values"],
            unit=asked["unit"],
        )

    def picture(self) -> PaperFigure:
        """Draw the order that was guessed, and the values once they were told."""
        return sorted_bars(self.question, self.guess, self.told)

    def words(self) -> str:
        """Say what is asked, or what was guessed and what is so."""
        guessed = f"sorted {', '.join(self.guess)}" if self.touched else "not sorted"
        if not self.told:
            return f"{self.question['asked']} {guessed}; not told yet"
        values = self.question["values"]
        order = ", ".join(
            f"{item} {values[item]:.3g}" for item in sorted(values, key=lambda one: -values[one])
        )
        return f"{self.question['asked']} {guessed}; in order: {order}"


def _mixed(values: Mapping[str, float], seed: str) -> list[str]:
    """Return the items in an order by chance, the same each time, that isn't the right one."""
    chance, items = Random(seed), list(values)
    while True:
        chance.shuffle(items)
        if any(values[one] < values[after] for one, after in pairwise(items)):
            return items
