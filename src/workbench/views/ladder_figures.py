"""Figures of a ladder: loss by training operations, curves of equal arithmetic, what fewer bits cost.

Each takes a table, or what ``workbench.laws`` fitted to one, and gives a figure; none fits anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes

from workbench.errors import InputError
from workbench.laws.fitting import Fit
from workbench.laws.isoflop import Valley
from workbench.laws.thresholds import LEVEL
from workbench.views.palette import COLOURS, FAINT
from workbench.views.style import (
    COLUMN_INCHES,
    HEIGHT_INCHES,
    MARKERS,
    SMALL_POINTS,
    STYLE,
    PaperFigure,
)

LINE_POINTS = 80
LABEL_SHARE = 0.13
"""Share of an axis that the label of a size takes."""


@dataclass(frozen=True, slots=True)
class Forecasted:
    """A rung's prediction as it is drawn: at its operations, with its interval."""

    flops: float
    expected: float
    low: float
    high: float


def _figure() -> tuple[PaperFigure, Axes]:
    figure = PaperFigure(figsize=(COLUMN_INCHES, HEIGHT_INCHES), layout="constrained")
    return figure, figure.subplots()


def _millions(value: float) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k"


def _sizes_axis(axes: Axes, sizes: Iterable[float]) -> None:
    tried = sorted(set(sizes))
    axes.set_xscale("log")
    axes.set_xticks(tried)
    axes.minorticks_off()
    axes.set_xticklabels(_labels_apart(tried, axes.get_xlim()))
    axes.set_xlabel("parameters")


def _labels_apart(sizes: Sequence[float], limits: tuple[float, float]) -> list[str]:
    """Return the labels of sizes on a logarithmic axis, empty where one would touch the one before it."""
    room = (limits[1] / limits[0]) ** LABEL_SHARE
    labels, last = [], 0.0
    for size in sizes:
        shown = size > last * room
        labels.append(_millions(float(f"{size:.2g}")) if shown else "")
        last = size if shown else last
    return labels


def ladder_figure(
    rows: Sequence[Mapping[str, Any]], ratio: float, fit: Fit | None, predictions: Sequence[Forecasted]
) -> PaperFigure:
    """Draw the loss against training operations: the ladder's own runs filled, the others open.

    Args:
        rows: The ladder's table: parameters, tokens, ratio, flops, loss.
        ratio: Tokens a parameter of the ladder's own runs.
        fit: The additive law; its line is that of the ladder's own ratio.
        predictions: Drawn beside what was measured then.

    Raises:
        InputError: If the table is empty.
    """
    if not rows:
        raise InputError("the ladder has no finished run, so nothing can be drawn")
    own = [row for row in rows if row["ratio"] == ratio]
    others = [row for row in rows if row["ratio"] != ratio]
    with style.context(["default", STYLE]):
        figure, axes = _figure()
        for some, colour, face, name in (
            (others, FAINT, "none", "other ratios"),
            (own, COLOURS[0], COLOURS[0], f"{ratio:g} tokens a parameter"),
        ):
            if some:
                flops, losses = [row["flops"] for row in some], [row["loss"] for row in some]
                axes.plot(
                    flops, losses, "o", color=colour, markerfacecolor=face, markersize=3, label=name, zorder=3
                )
        if fit is not None:
            models = np.geomspace(
                min(row["parameters"] for row in rows), max(row["parameters"] for row in rows), LINE_POINTS
            )
            loss = fit.predict({"model": models, "size": ratio * models})
            axes.plot(6 * ratio * models**2, loss, color=COLOURS[0], linewidth=0.9, label="additive law")
        for number, one in enumerate(predictions):
            axes.errorbar(
                one.flops * 1.06,
                one.expected,
                [[one.expected - one.low], [one.high - one.expected]],
                fmt="D",
                color=COLOURS[1],
                markersize=3,
                linewidth=0.9,
                label=None if number else f"predicted before; {LEVEL:.0%}",
                zorder=4,
            )
        axes.set_xscale("log")
        axes.set_xlabel("operations of training (6 N D)")
        axes.set_ylabel("held-out loss (nats a token)")
        axes.legend(frameon=False, fontsize=SMALL_POINTS)
    return figure


def valley_figure(valleys: Sequence[Valley]) -> PaperFigure:
    """Draw each curve of equal arithmetic with its parabola, and a bar for the interval of its least point.

    Raises:
        InputError: If there is none.
    """
    if not valleys:
        raise InputError("there is no curve of equal arithmetic, so nothing can be drawn")
    with style.context(["default", STYLE]):
        figure, axes = _figure()
        for number, one in enumerate(valleys):
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            models, losses = one.fit.problem.x["model"], one.fit.problem.y
            grid = np.geomspace(models.min(), models.max(), LINE_POINTS)
            axes.plot(models, losses, marker, color=colour, label=f"{one.flops:.1e} operations", zorder=3)
            axes.plot(grid, one.fit.predict({"model": grid}), color=colour, linewidth=0.9)
            if one.inside:
                axes.hlines(one.least, one.low, one.high, color=colour, linewidth=2.2, alpha=0.5)
        _sizes_axis(axes, (float(size) for one in valleys for size in one.fit.problem.x["model"]))
        axes.set_ylabel("held-out loss (nats a token)")
        if any(one.inside for one in valleys):
            words = f"bars: {LEVEL:.0%} of the best size, where seen"
            axes.set_title(words, loc="left", fontsize=SMALL_POINTS, color=FAINT)
        axes.legend(frameon=False, fontsize=SMALL_POINTS)
    return figure


def rounding_figure(rows: Sequence[Mapping[str, Any]]) -> PaperFigure:
    """Draw what each kind of numbers costs against model size: the mean over seeds, and their range.

    Args:
        rows: One a model and kind: parameters, kind, seed, kl.

    Raises:
        InputError: If the table is empty.
    """
    if not rows:
        raise InputError("no cost of rounding was measured, so nothing can be drawn")
    with style.context(["default", STYLE]):
        figure, axes = _figure()
        sizes = sorted({float(row["parameters"]) for row in rows})
        for number, kind in enumerate(dict.fromkeys(row["kind"] for row in rows)):
            own = [[r["kl"] for r in rows if (r["kind"], r["parameters"]) == (kind, size)] for size in sizes]
            means = [float(np.mean(values)) for values in own]
            colour = COLOURS[number % len(COLOURS)]
            axes.vlines(sizes, [min(v) for v in own], [max(v) for v in own], color=colour, linewidth=0.9)
            axes.plot(sizes, means, marker=MARKERS[number], color=colour, label=kind)
        axes.set_yscale("log")
        _sizes_axis(axes, sizes)
        axes.set_ylabel("KL from float32 (nats a token)")
        axes.legend(frameon=False, fontsize=SMALL_POINTS, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
