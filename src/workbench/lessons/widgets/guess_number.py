"""Guess a number before it is told."""

import math
from pathlib import Path
from typing import Any

import traitlets

from workbench.classmates import KeptGuess, with_unit
from workbench.errors import InputError
from workbench.lessons.guess_figures import number_line
from workbench.views.style import PaperFigure
from workbench.views.widgets.guessing import Guessing
from workbench.views.widgets.view import module

LEAST_STEPS = 100
"""Steps of a line that isn't logarithmic: from 100 to 1,000."""


class GuessNumber(Guessing):
    """A line with a mark to move, and a field to type in.

    Args:
        name: The key under which a class's guesses are collected, such as "02-rank"; "" collects none.
        question: What is asked.
        truth: The answer.
        low: The line's lower end.
        high: The line's upper end.
        unit: What the number counts, such as "%" or "examples".
        logarithmic: Whether equal ways on the line are equal factors.
        words: What is said beside the truth.

    Raises:
        InputError: If the ends make no line, or the truth isn't on it.
    """

    _esm = module("guess_number", Path(__file__).parent, helpers=["guessing"])
    question: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    guess = traitlets.Float(None, allow_none=True).tag(sync=True)
    """None before there is a guess."""

    def __init__(
        self,
        name: str,
        question: str,
        truth: float | int,
        *,
        low: float | int,
        high: float | int,
        unit: str = "",
        logarithmic: bool = False,
        words: str = "",
    ) -> None:
        ends = [float(low), float(high)]
        if not ends[0] < ends[1] or not all(map(math.isfinite, ends)) or (logarithmic and ends[0] <= 0):
            above = ", above 0," if logarithmic else ""
            raise InputError(
                f"a line from {low} to {high} can't be drawn: give two numbers{above} the lower one as low"
            )
        if not ends[0] <= float(truth) <= ends[1]:
            raise InputError(
                f"the truth {truth} isn't on the line from {low} to {high}: choose low and high around it"
            )
        whole = all(value.is_integer() for value in (*ends, float(truth)))
        step = 10.0 ** math.floor(math.log10((ends[1] - ends[0]) / LEAST_STEPS))
        asked = {
            "asked": question,
            "truth": float(truth),
            "low": ends[0],
            "high": ends[1],
            "unit": unit,
            # a logarithm's step is two digits, so here it says only whether there are fractions
            "step": max(1.0, 1.0 if logarithmic else step)
            if whole
            else min(step, 0.1)
            if logarithmic
            else step,
            "log": logarithmic,
            "words": words,
        }
        super().__init__(name, question=asked)

    def guessed(self) -> KeptGuess | None:
        """Return the number; None before there is one."""
        if self.guess is None:
            return None
        asked = self.question
        return KeptGuess(
            person="",
            name=self.name,
            question=asked["asked"],
            guess=self.guess,
            truth=asked["truth"],
            unit=asked["unit"],
            log=asked["log"],
        )

    def picture(self) -> PaperFigure:
        """Draw the line with the guess, and with the truth once it was told."""
        return number_line(self.question, self.guess, self.told, self.others.get("guesses", ()))

    def words(self) -> str:
        """Say what is asked, or what was guessed and what is so."""
        unit = self.question["unit"]
        guessed = "no guess" if self.guess is None else f"guessed {with_unit(self.guess, unit)}"
        told = f"it is {with_unit(self.question['truth'], unit)}" if self.told else "not told yet"
        return f"{self.question['asked']} {guessed}; {told}"
