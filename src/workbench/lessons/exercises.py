"""Exercises that check themselves: a learner's function against the right one, and a score.

Nothing here raises. Whatever a learner's function does (raise, run on and on, return nothing, a wrong shape,
or an object that can't be looked at), the answer is a sentence, and the notebook goes on.
"""

import copy
import ctypes
import html
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from workbench.lessons.exercise_list import EXERCISES, Exercise
from workbench.lessons.hard_exercises import HARD_EXERCISES

SECONDS_PER_CALL = 10.0
"""Seconds that a learner's function gets for one set of arguments."""
EMPTY = "nothing is filled in"
NO_RETURN = "it returns nothing; does the line with the result begin with `return`?"
LONGEST_ERROR = 200
"""Characters of somebody else's error message that are shown."""
BADGES = {True: ("#1a7f37", "\u2713 correct"), False: ("#9a3412", "\u2717 not yet")}
"""What a verdict looks like: the colour under white letters (5 and 7 to 1), a mark and a word."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an exercise went."""

    name: str
    correct: bool
    words: str
    hard: bool = False
    """Whether the exercise is optional, and so doesn't count against the score."""

    def __repr__(self) -> str:
        """Say it in a sentence, for the end of a notebook's cell."""
        return self.words

    def _repr_html_(self) -> str:
        """Say it in a sentence behind a badge."""
        colour, badge = BADGES[self.correct]
        said = html.escape(self.words.removeprefix("not yet: ") if not self.correct else "")
        return (
            '<div role="status" style="display: flex; gap: .7em; align-items: baseline; max-width: 60em; '
            'overflow-wrap: normal; font-family: var(--jp-ui-font-family, sans-serif)">'
            f'<b style="flex: none; background: {colour}; color: #fff; border-radius: .3em; '
            f'padding: .1em .5em">{badge}</b><span>{said}</span></div>'
        )


@dataclass(frozen=True, slots=True)
class ExerciseScore:
    """How all exercises went that were checked since the kernel started."""

    verdicts: tuple[Verdict, ...]

    @property
    def correct(self) -> int:
        """Exercises that are solved, those apart that are hard."""
        return sum(verdict.correct for verdict in self.verdicts if not verdict.hard)

    @property
    def total(self) -> int:
        """Exercises that were checked, those apart that are hard."""
        return sum(not verdict.hard for verdict in self.verdicts)

    def __repr__(self) -> str:
        """Say the score, and a line for each exercise."""
        lines = (f"  {verdict.name}: {verdict.words}" for verdict in self.verdicts)
        hard = [verdict.correct for verdict in self.verdicts if verdict.hard]
        beside = f", and {sum(hard)} of {len(hard)} hard" if hard else ""
        return "\n".join([f"score: {self.correct} of {self.total}{beside}", *lines])


VERDICTS: dict[str, Verdict] = {}
"""The latest verdict on each exercise, by its name."""


def check(
    name: str,
    attempt: object,
    *,
    exercise: Exercise | None = None,
    seconds: float | int = SECONDS_PER_CALL,
) -> Verdict:
    """Compare a learner's function with the right one and remember how it went; never raises.

    Args:
        name: Of the exercise, one of ``EXERCISES`` or ``HARD_EXERCISES``; for the score, too.
        attempt: The learner's function. It gets copies of the arguments and runs in a thread of its own.
        exercise: What to compare it with, for one that is not among ``EXERCISES``.
        seconds: What the function gets for each set of arguments.
    """
    try:
        problem = cell_that_failed() or _problem(
            attempt, exercise or {**EXERCISES, **HARD_EXERCISES}[name], seconds
        )
    except Exception as error:  # a check that ends a lesson has failed, whatever the reason
        problem = f"this check could not be run ({said_of(error)}); restart the kernel and run all cells"
    words = f"not yet: {problem}" if problem else "correct"
    VERDICTS[name] = Verdict(name, not problem, words, hard=exercise is None and name in HARD_EXERCISES)
    return VERDICTS[name]


def score() -> ExerciseScore:
    """Return how the exercises went that were checked; never raises."""
    return ExerciseScore(tuple(VERDICTS.values()))


def cell_that_failed() -> str | None:
    """Say that the cell before this one didn't run to its end: the function is still the earlier one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    result = getattr(shell, "last_execution_result", None)
    error = getattr(result, "error_before_exec", None) or getattr(result, "error_in_exec", None)
    if error is None:
        return None
    return f"the cell that ran last ended in {said_of(error)}; mend it and run it again, then this check"


def _problem(attempt: object, exercise: Exercise, seconds: float | int) -> str | None:
    """Return what is wrong with an attempt, or nothing."""
    if not callable(attempt):
        return "it is not a function any more; run the cell that defines it again"
    cases = exercise.cases()
    for number, arguments in enumerate(cases):
        work = Attempt(attempt, copy.deepcopy(arguments))
        problem = work.problem(seconds)
        if problem is None:
            right = numbers(exercise.truth(*copy.deepcopy(arguments)))
            problem = _difference(work.result, right, exercise.tolerance)
            if problem and (why := _why(work.result, right, arguments, exercise)):
                problem = f"{problem}. {why}"
        if problem:
            return f"right for {number} of {len(cases)} cases, then {problem}" if number else problem
    return None


def _why(got: np.ndarray, right: np.ndarray, arguments: tuple[Any, ...], exercise: Exercise) -> str:
    """Return the likeliest reason of a wrong result, or the exercise's hint."""

    def same(one: np.ndarray, other: np.ndarray) -> bool:
        return _difference(one, other, exercise.tolerance) is None

    for wrong, hint in exercise.mistakes:
        try:
            result = numbers(wrong(*copy.deepcopy(arguments)))
        except Exception:  # a mistake that doesn't work for these arguments isn't the one that was made
            continue
        if same(got, result):
            return hint
    if got.ndim == 2 and same(got.T, right):
        return "The numbers are right, with rows and columns exchanged."
    if same(np.asarray(-got), right):
        return "Only the sign is wrong."
    largest = int(np.abs(right).argmax()) if right.size and got.shape == right.shape else None
    if (
        largest is not None
        and got.flat[largest]
        and np.isfinite([got.flat[largest], right.flat[largest]]).all()
    ):
        factor = float(got.flat[largest] / right.flat[largest]) if right.flat[largest] else 0.0
        if factor and same(np.asarray(got / factor), right):
            return f"Every value is {factor:.3g} times the right one."
    return exercise.hint


class Attempt(threading.Thread):
    """A learner's function at work, and its result as numbers."""

    def __init__(self, attempt: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        super().__init__(daemon=True)
        self.attempt, self.arguments = attempt, arguments
        self.said: str | None = None
        self.result = np.empty(0)

    def run(self) -> None:
        """Call the function and look at what it returns, which may raise or not end, too."""
        try:
            result = self.attempt(*self.arguments)
        except BaseException as error:  # SystemExit, too, is an answer
            self.said = f"it raises {said_of(error)}; call it in a cell of your own to see where"
            return
        if result is None or result is Ellipsis:
            self.said = EMPTY if result is Ellipsis else NO_RETURN
            return
        try:
            self.result = numbers(result)
        except BaseException:
            self.said = f"it returns a {type(result).__name__}, where numbers are expected"

    def problem(self, seconds: float | int) -> str | None:
        """Run for at most so long and return what went wrong, or nothing."""
        self.start()
        self.join(seconds)
        if not self.is_alive():
            return self.said
        # an endless loop would take a processor until the kernel ends; what is blocked outside Python stays
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self.ident or 0), ctypes.py_object(SystemExit)
        )
        return f"it is still running after {seconds:g} seconds; is there a loop that doesn't end?"


def numbers(value: object) -> np.ndarray:
    """Return a tensor, an array, a number or a list of them as an array of float64."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    return np.array(value, dtype=np.float64)


def _difference(got: np.ndarray, right: np.ndarray, tolerance: float) -> str | None:
    """Return in what way two arrays differ, or nothing."""
    if got.shape != right.shape:
        return f"its shape is {shape_of(got)}, expected {shape_of(right)}"
    if unknown := int((np.isnan(got) & ~np.isnan(right)).sum()):
        return f"{unknown:,} of {got.size:,} values are not a number"
    endless = np.isinf(got) | np.isinf(right)
    if wrong := int((got != right)[endless].sum()):
        return f"{wrong:,} of {got.size:,} values are infinite and shouldn't be, or the other way round"
    got, right = got[~endless], right[~endless]
    largest = float(np.abs(right).max(initial=0.0))
    off = float(np.abs(got - right).max(initial=0.0))
    if not off <= tolerance * largest:
        return f"it is off by {off:.3g}, where the largest value is {largest:.3g}"
    return None


def shape_of(array: np.ndarray) -> str:
    """Return a shape in words."""
    return " x ".join(map(str, array.shape)) or "a single number"


def said_of(error: BaseException) -> str:
    """Return an error's kind and the first line of its text, which may raise an error of its own."""
    try:
        text = str(error).strip().split("\n")[0][:LONGEST_ERROR]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
