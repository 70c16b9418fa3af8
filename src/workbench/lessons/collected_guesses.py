"""What a class guessed: a table of every guess, and a picture of each question with the truth over them."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from textwrap import fill
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter, StrMethodFormatter

from workbench.classmates import (
    KeptGuess,
    first_guesses,
    read_guesses,
    spread_in_words,
    with_unit,
)
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.lessons.guess_figures import QUESTION_CHARACTERS
from workbench.showing import Shown
from workbench.views.board_figures import one_panel
from workbench.views.palette import COLOURS, FAINT
from workbench.views.style import LABEL_POINTS, PaperFigure, to_bytes

GUESS_COLUMNS = ("name", "question", "person", "guess", "truth", "unit", "off", "first", "time")
COLUMNS_OF_DOTS = 40
"""In a picture: guesses that fall into one stand above each other."""
PICTURE_DOTS = 200
"""An inch of a picture that is written."""


@dataclass(frozen=True, slots=True, repr=False)
class ClassGuesses(Shown):
    """The guesses of a class.

    Attributes:
        guesses: All of them, in the order of the persons' files.
        problems: A sentence for each file that couldn't be read in whole.
    """

    guesses: tuple[KeptGuess, ...]
    problems: tuple[str, ...]

    def questions(self) -> dict[str, list[KeptGuess]]:
        """Return each question's first guesses, one a person."""
        return first_guesses(self.guesses)

    def sentences(self) -> dict[str, str]:
        """Return for each question what was guessed and what is so."""
        return {name: _sentence(guesses) for name, guesses in self.questions().items()}

    def figure(self, name: str) -> PaperFigure:
        """Draw the first guesses at a question, and the truth over them.

        Raises:
            InputError: If nobody guessed at it.
        """
        found = self.questions()
        if name not in found:
            known = ", ".join(found) or "none"
            raise InputError(f"nobody guessed at {name!r}; the questions of this class are: {known}")
        return one_panel(lambda axes: _draw(axes, found[name]))

    def to_csv(self) -> str:
        """Return every guess as a line of CSV; lists and orders are in JSON."""
        first = {id(guess) for guesses in self.questions().values() for guess in guesses}
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(GUESS_COLUMNS)
        for one in self.guesses:
            is_first = "yes" if id(one) in first else "no"
            numbers = (_cell(one.guess), _cell(one.truth), one.unit, f"{one.distance:.4g}")
            writer.writerow(
                (_text(one.name), _text(one.question), _text(one.person), *numbers, is_first, one.time)
            )
        return text.getvalue()

    def write(self, folder: Path) -> list[Path]:
        """Write ``guesses.csv`` and a picture of each question into a folder, and return their paths.

        Raises:
            InputError: If a file can't be written.
        """
        paths = [folder / "guesses.csv"]
        write_atomically(paths[0], self.to_csv().encode())
        for number, name in enumerate(self.questions(), start=1):
            safe = "".join(letter if letter.isalnum() or letter == "-" else "_" for letter in name)[:60]
            paths.append(folder / f"guess-{number:02}-{safe}.png")
            write_atomically(paths[-1], to_bytes(self.figure(name), "png", dots=PICTURE_DOTS))
        return paths

    def _shown(self) -> tuple[str, dict[str, str]]:
        people = len({one.person for one in self.guesses})
        title = f"Guesses of {people} people" if people != 1 else "Guesses of 1 person"
        lines = {f"{name}: {own[0].question}": _sentence(own) for name, own in self.questions().items()}
        return title, {**lines, **({"not read": "; ".join(self.problems)} if self.problems else {})}


def class_guesses(folder: Path | str) -> ClassGuesses:
    """Collect what a class guessed.

    Args:
        folder: The folder that the class shares.

    Raises:
        InputError: If there is no such folder.
    """
    guesses, problems = read_guesses(Path(folder))
    return ClassGuesses(tuple(guesses), tuple(problems))


def _sentence(guesses: Sequence[KeptGuess]) -> str:
    truth, unit = guesses[0].truth, guesses[0].unit
    people = "1 person" if len(guesses) == 1 else f"{len(guesses)} people"
    said = f"{people} guessed; {spread_in_words(guesses)}"
    if isinstance(truth, dict):
        order = sorted(truth, key=lambda item: -truth[item])
        return f"{said}; the order is {', '.join(f'{item} {with_unit(truth[item], unit)}' for item in order)}"
    if isinstance(truth, list):
        ends = (with_unit(truth[place], unit) for place in (0, -1))
        sizes = (f"{guesses[0].sizes[place]:,.6g}" for place in (0, -1))
        return f"{said}; it is " + ", ".join(
            f"{value} at {size}" for value, size in zip(ends, sizes, strict=True)
        )
    return f"{said}; it is {with_unit(truth, unit)}"


def _draw(axes: Axes, guesses: Sequence[KeptGuess]) -> None:
    axes.set_title(fill(guesses[0].question, QUESTION_CHARACTERS), loc="left", fontsize=LABEL_POINTS)
    truth = guesses[0].truth
    draw = (
        _draw_orders if isinstance(truth, dict) else _draw_lines if isinstance(truth, list) else _draw_numbers
    )
    draw(axes, guesses)


def _draw_numbers(axes: Axes, guesses: Sequence[KeptGuess]) -> None:
    numbers = sorted(float(one.guess) for one in guesses)
    truth, unit = float(guesses[0].truth), guesses[0].unit
    if guesses[0].log and min(*numbers, truth) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    heights = _stacked(np.log(numbers) if axes.get_xscale() == "log" else np.array(numbers))
    axes.plot(numbers, heights, "o", color=COLOURS[0], alpha=0.6, label="a guess each")
    middle = median(numbers)
    if len(numbers) > 1:
        low, _, high = quantiles(numbers, n=4, method="inclusive")
        axes.plot([low, high], [0, 0], color=COLOURS[0], linewidth=5, alpha=0.4, label="half of them")
        axes.plot([middle], [0], "^", color=COLOURS[0], label=f"their middle: {with_unit(middle, unit)}")
    axes.axvline(truth, color=COLOURS[1], label=f"truth: {with_unit(truth, unit)}")
    axes.set_ylim(-1, max(heights) + 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(unit)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _draw_lines(axes: Axes, guesses: Sequence[KeptGuess]) -> None:
    sizes = list(guesses[0].sizes)
    same = [one for one in guesses if list(one.sizes) == sizes]
    for number, one in enumerate(same):
        label = "a guess each" if number == 0 else None
        axes.plot(sizes, one.guess, color=FAINT, alpha=0.5, linewidth=0.8, label=label)
    axes.plot(
        sizes, np.median([one.guess for one in same], axis=0), "--", color=COLOURS[0], label="their middle"
    )
    axes.plot(sizes, guesses[0].truth, "s-", color=COLOURS[1], label="truth")
    if min(sizes) > 0:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
    if guesses[0].log and min(min(one.guess) for one in same) > 0:
        axes.set_yscale("log")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _draw_orders(axes: Axes, guesses: Sequence[KeptGuess]) -> None:
    truth: dict[str, float] = guesses[0].truth
    order = sorted(truth, key=lambda item: -truth[item])
    places = range(len(order) - 1, -1, -1)
    counts = np.array([[one.guess.index(item) for item in order] for one in guesses])
    for row, height in enumerate(places):
        for place in range(len(order)):
            share = float(np.mean(counts[:, row] == place))
            axes.scatter([place + 1], [height], s=260 * share, color=COLOURS[0], alpha=0.7, linewidths=0)
        axes.plot(
            [row + 1], [height], "s", color=COLOURS[1], markersize=4, label="truth" if row == 0 else None
        )
    axes.set_yticks(list(places), [f"{item} ({with_unit(truth[item], guesses[0].unit)})" for item in order])
    axes.set_xticks(range(1, len(order) + 1))
    axes.set_xlim(0.5, len(order) + 0.5)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_xlabel("place that it was given; a larger circle: by more people")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _stacked(places: Float[np.ndarray, " guess"]) -> list[int]:
    """Return how high each of some sorted guesses stands, one above the other where they are near."""
    width = max(float(places[-1] - places[0]), 1e-9) / COLUMNS_OF_DOTS
    columns = [int((place - places[0]) / width) for place in places]
    return [1 + columns[:number].count(column) for number, column in enumerate(columns)]


def _cell(value: Any) -> str:  # noqa: ANN401 - a number, a list or an order
    return f"{value:.6g}" if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)


def _text(text: str) -> str:
    """Return a text as a spreadsheet shows it: one that begins like a formula would be computed."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
