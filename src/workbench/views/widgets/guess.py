"""Predict, then reveal: people draw where they think a quality lies before they see what was measured."""

from collections.abc import Iterable, Mapping
from typing import Any

import traitlets

from workbench.classmates import KeptGuess
from workbench.laws.analysis import Analysis
from workbench.views.board_figures import Line, guessed
from workbench.views.explore import guess_question
from workbench.views.points import TableRow
from workbench.views.style import PaperFigure
from workbench.views.widgets.guessing import Guessing
from workbench.views.widgets.view import module


class Guess(Guessing):
    """A line to drag, of a quality that isn't shown yet, against one that is.

    Args:
        rows: The study's table.
        study: The analysis of the metric to guess; its first quality is shown.
        other: The quality to guess; by default the last.
        name: The key under which a class's guesses are collected.

    Raises:
        InputError: If the study has no such quality, or the two have fewer than two sizes in common.
    """

    _esm = module("guess", helpers=["guessing"])
    question: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    guess: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    """The guess at each size, which begins on the line that is shown."""

    def __init__(
        self, rows: Iterable[TableRow], study: Analysis, other: str | None = None, *, name: str = ""
    ) -> None:
        question = guess_question(rows, study, other)
        super().__init__(name, question=question, guess=list(question["reference"]))

    def guessed(self) -> KeptGuess | None:
        """Return the line as it was drawn; None if it was left where it began."""
        question: Mapping[str, Any] = self.question
        if self.guess == question["reference"]:
            return None
        return KeptGuess(
            person="",
            name=self.name,
            question=f"{question['metric']} of {question['names'][1]}, beside {question['names'][0]}",
            guess=list(self.guess),
            truth=list(question["truth"]),
            sizes=tuple(question["sizes"]),
            log=question["log"],
        )

    def picture(self) -> PaperFigure:
        """Draw the line that is shown, the guess if there is one, and the truth once it was told."""
        question: Mapping[str, Any] = self.question
        lines = [(question["names"][0], question["reference"])]
        lines += [(question["names"][1], question["truth"])] if self.told else []
        lines += [("the guess", self.guess)] if self.guess != question["reference"] else []
        drawn = [
            Line(name=name, group=group, x=question["sizes"], y=values)
            for group, (name, values) in enumerate(lines)
        ]
        return guessed(drawn, question)

    def words(self) -> str:
        """Say what is asked, or what was guessed and measured."""
        reference, other = self.question["names"]
        if not self.told:
            return f"where does {other} lie, beside {reference}? {self.question['metric']}, not told yet"
        said = ", ".join(f"{value:.3g}" for value in self.guess)
        return f"{other}: guessed {said}; measured {', '.join(f'{v:.3g}' for v in self.question['truth'])}"
