"""Pictures of what the widgets show, for where widgets can't live: numbers in, a figure out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes

from workbench.views.paper import (
    COLOURS,
    COLUMN_INCHES,
    FAINT,
    HEIGHT_INCHES,
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


def training_curves(lines: Sequence[Line]) -> PaperFigure:
    """Draw the training loss of each cell against the step."""

    def draw(axes: Axes) -> None:
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
                linewidth=0.8,
                label=label,
            )
        axes.set_xlabel("step")
        axes.set_ylabel("training loss (nats a token)")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=SMALL_POINTS, frameon=False)

    return one_panel(draw)


def heat_map(grid: Mapping[str, Any]) -> PaperFigure:
    """Draw a metric's mean over the seeds for each quality and size; a cell without a result stays empty.

    Args:
        grid: What :class:`GridMap` shows: qualities, sizes, cells row by row, the metric's title, and
            whether "low" or "high" is better.
    """
    qualities, sizes = grid["qualities"], grid["sizes"]
    means = [float("nan") if cell["mean"] is None else cell["mean"] for cell in grid["cells"]]
    values = np.array(means).reshape(len(qualities), len(sizes))

    def draw(axes: Axes) -> None:
        colours = "cividis_r" if grid["better"] == "low" else "cividis"
        image = axes.imshow(values, cmap=colours, aspect="auto")
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                bright = (value < middle) == (grid["better"] == "low")
                ink = "black" if bright else "white"
                axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=ink)
        axes.set_yticks(range(len(qualities)), qualities)
        axes.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
        axes.set_xlabel("training examples")
        axes.figure.colorbar(image, ax=axes, label=grid["title"])

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
