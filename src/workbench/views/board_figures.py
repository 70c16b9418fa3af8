"""Pictures of what the widgets show, for where widgets can't live: numbers in, a figure out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from workbench.views.palette import COLOURS, FAINT, ON_BRIGHT, ON_DARK
from workbench.views.style import (
    COLUMN_INCHES,
    HEIGHT_INCHES,
    LABEL_POINTS,
    SMALL_POINTS,
    STYLE,
    PaperFigure,
)

WIDE_INCHES = 1.6 * COLUMN_INCHES
DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a chart; lines of one group share a colour and a place in the legend."""

    name: str
    group: int
    x: Sequence[float | int]
    y: Sequence[float | int | None]
    width: float = 0.8
    """In points."""


def training_curves(lines: Sequence[Line], *, logarithmic: bool = False) -> PaperFigure:
    """Draw the training loss of each cell against the step, on a logarithmic scale if that is asked for."""
    return one_panel(lambda axes: _draw_curves(axes, lines, logarithmic))


def curves_and_words(lines: Sequence[Line], said: Mapping[str, Any]) -> PaperFigure:
    """Draw the training loss of each cell, and beside it what was said last; ``said`` is the widget's."""
    with style.context(["default", STYLE]):
        figure = PaperFigure(figsize=(1.5 * WIDE_INCHES, HEIGHT_INCHES), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
        _draw_curves(left, lines, logarithmic=False)
        _draw_words(right, said)
    return figure


def _draw_words(axes: Axes, said: Mapping[str, Any]) -> None:
    """Write one line a prompt: what is right, and what each model says, with a mark."""
    frame, prompts = said["frames"][-1], said["prompts"]
    rows = [["prompt", "right answer", *(cell["quality"] for cell in said["cells"])]]
    for (prompt, right), *texts in zip(prompts, *frame["said"], strict=True):
        marked = [f"{'✓' if text == right else '✗'} {text or '(nothing)'}" for text in texts]
        rows.append([prompt, right, *marked])
    _write_table(axes, f"said after step {frame['step']}", rows)


def text_table(title: str, rows: Sequence[Sequence[str]]) -> PaperFigure:
    """Write rows of texts, the first of them the heads of the columns."""
    return one_panel(lambda axes: _write_table(axes, title, rows))


def _write_table(axes: Axes, title: str, rows: Sequence[Sequence[str]]) -> None:
    axes.set_axis_off()
    axes.set_title(title, loc="left", fontsize=SMALL_POINTS, color=FAINT)
    for place, row in enumerate(rows):
        for column, text in enumerate(row):
            axes.text(
                column / len(row),
                1 - (place + 0.5) / len(rows),
                shorten(text.replace("\n", " "), max(12, 80 // len(row)), placeholder=" …"),
                fontsize=SMALL_POINTS,
                fontweight="bold" if place == 0 else "normal",
                va="center",
                parse_math=False,
            )


def _draw_curves(axes: Axes, lines: Sequence[Line], logarithmic: bool) -> None:
    named: set[int] = set()
    for line in lines:
        known = [(x, y) for x, y in zip(line.x, line.y, strict=True) if y is not None]
        label = None if line.group in named else line.name
        named.add(line.group)
        axes.plot(
            [x for x, _ in known],
            [y for _, y in known],
            DASHES[line.group % len(DASHES)],
            color=COLOURS[line.group % len(COLOURS)],
            linewidth=line.width,
            label=label,
        )
    axes.set_xlabel("step")
    axes.set_ylabel("training loss (nats a token)")
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.legend(fontsize=SMALL_POINTS, frameon=False)


def guessed(lines: Sequence[Line], question: Mapping[str, Any]) -> PaperFigure:
    """Draw measured lines and a guess against size; ``question`` is that of ``explore.guess_question``."""

    def draw(axes: Axes) -> None:
        for line in lines:
            axes.plot(
                line.x,
                np.asarray(line.y, dtype=np.float64),
                DASHES[line.group % len(DASHES)],
                color=COLOURS[line.group % len(COLOURS)],
                marker="o",
                markersize=3,
                label=line.name,
            )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        if question["log"]:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(*question["range"])
        axes.set_xlabel(question["unit"]["axis"])
        axes.set_ylabel(question["metric"])
        axes.legend(frameon=False)

    return one_panel(draw)


def heat_map(grid: Mapping[str, Any]) -> PaperFigure:
    """Draw a metric's mean over the seeds for each quality and size; a cell without a result stays empty.

    Args:
        grid: What :class:`GridMap` shows: qualities, sizes, what they count, cells row by row, the metric's
            title, and whether "low" or "high" is better.
    """
    qualities, sizes = grid["qualities"], grid["sizes"]
    means = [float("nan") if cell["mean"] is None else cell["mean"] for cell in grid["cells"]]
    values = np.array(means).reshape(len(qualities), len(sizes))

    def draw(axes: Axes) -> None:
        colours = "cividis_r" if grid["better"] == "low" else "cividis"
        axes.imshow(values, cmap=colours, aspect="auto")
        # two digits and small ones where the cells are narrow
        digits, points = (3, LABEL_POINTS) if len(sizes) <= 5 else (2, min(SMALL_POINTS, 45 / len(sizes)))
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                bright = (value < middle) == (grid["better"] == "low")
                ink = ON_BRIGHT if bright else ON_DARK
                words = f"{value:.{digits}g}"
                axes.text(column, row, words, ha="center", va="center", color=ink, fontsize=points)
        axes.set_yticks(range(len(qualities)), qualities)
        axes.set_xticks(range(len(sizes)), [f"{size}" for size in sizes])
        axes.set_xlabel(grid["axis"])
        axes.set_title(f"{grid['title']}, mean of the seeds", loc="left", fontsize=SMALL_POINTS, color=FAINT)

    return one_panel(draw)


def votes(tally: tuple[int, int, int], names: tuple[str, str]) -> PaperFigure:
    """Draw the votes for the first speaker, for the second, and the ties."""

    def draw(axes: Axes) -> None:
        axes.barh([2, 1, 0], tally, color=(*COLOURS[:2], FAINT))
        axes.set_yticks([2, 1, 0], [*names, "tie"])
        axes.set_xlim(0, max(*tally, 1))
        axes.set_xlabel("votes")

    return one_panel(draw)


def histogram(groups: Mapping[str, Sequence[float]], title: str) -> PaperFigure:
    """Draw how a score is spread within each group; without a score, how many each group has."""

    def draw(axes: Axes) -> None:
        if not title:
            axes.barh(list(groups), [len(group) for group in groups.values()], color=COLOURS[0])
            axes.set_xlabel("examples")
            return
        axes.hist(
            list(groups.values()), bins=24, stacked=True, color=COLOURS[: len(groups)], label=list(groups)
        )
        axes.set_yscale("log")
        axes.set_xlabel(title)
        axes.set_ylabel("examples")
        axes.legend(fontsize=SMALL_POINTS, frameon=False)

    return one_panel(draw)


def regrets(outcomes: Sequence[Mapping[str, Any]], metric: str) -> PaperFigure:
    """Draw each round's score against the share spent on cleaning, with the player's choice and the best."""

    def draw(axes: Axes) -> None:
        for number, outcome in enumerate(outcomes):
            colour = COLOURS[number % len(COLOURS)]
            shares = np.linspace(0, 1, len(outcome["curve"]))
            axes.plot(shares, outcome["curve"], color=colour, label=f"round {number + 1}")
            axes.plot(outcome["share"], outcome["score"], "o", color=colour)
            axes.plot(outcome["best_share"], outcome["best_score"], "*", color=colour, markersize=8)
        axes.set_xlabel("share of the coins for cleaning; circles: you, stars: the best")
        axes.set_ylabel(metric)
        axes.legend(fontsize=SMALL_POINTS, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))

    return one_panel(draw)


def one_panel(draw: Callable[[Axes], None], width: float = WIDE_INCHES) -> PaperFigure:
    """Return a figure with one panel, in the papers' style."""
    with style.context(["default", STYLE]):
        figure = PaperFigure(figsize=(width, HEIGHT_INCHES), layout="constrained")
        draw(figure.subplots())
    return figure


def empty(words: str) -> PaperFigure:
    """Return a figure that says why there is nothing to draw yet."""

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, words, ha="center", va="center", color=FAINT, transform=axes.transAxes)

    return one_panel(draw)
