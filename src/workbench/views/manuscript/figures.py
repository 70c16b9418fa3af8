"""The figures of a paper, each drawn from one part of the record, so that it changes with that part alone."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from statistics import fmean
from textwrap import fill

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.image import imread

from workbench.laws.analysis import bands
from workbench.laws.in_words import readable
from workbench.views.board_figures import Line, heat_map, training_curves
from workbench.views.figures import quality_by_size
from workbench.views.law_figures import contours, exchange_rate_curve, forecast_scores, residuals
from workbench.views.manuscript.source import MetricSource, PaperSource
from workbench.views.palette import COLOURS
from workbench.views.points import axis_words, points
from workbench.views.style import (
    COLUMN_INCHES,
    PAGE_INCHES,
    SMALL_POINTS,
    STYLE,
    PaperFigure,
    resize,
    to_bytes,
)

WIDTHS = {"column": COLUMN_INCHES, "text": PAGE_INCHES}
"""Inches of each width that figures are made in, by the folder that holds them."""
FILE_KINDS = ("pdf", "svg", "png")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure, its name and the parts of the record that it was drawn from."""

    name: str
    reads: tuple[str, ...]
    figure: Figure

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield each file of the figure, in both widths, with its path in the paper's folder."""
        for width, inches in WIDTHS.items():
            resize(self.figure, inches)
            for kind in FILE_KINDS:
                yield f"figures/{width}/{self.name}.{kind}", to_bytes(self.figure, kind)


def _quality_by_size(part: MetricSource) -> Iterator[tuple[str, Figure]]:
    yield "", quality_by_size(part.rows, part.metric, fits={part.metric: bands(part.analysis)})


def _heat_map(part: MetricSource) -> Iterator[tuple[str, Figure]]:
    lines = points(part.rows, part.metric)
    sizes = sorted({point.size for line in lines.values() for point in line})
    means = [{point.size: point.mean for point in line} for line in lines.values()]
    yield (
        "",
        heat_map(
            {
                "qualities": [readable(quality) for quality in lines],
                "sizes": sizes,
                "axis": part.analysis.unit.axis,
                "cells": [{"mean": line.get(size)} for line in means for size in sizes],
                "title": axis_words(part.metric),
                "better": "low" if part.analysis.falling else "high",
            }
        ),
    )


def _exchange_rate(part: MetricSource) -> Iterator[tuple[str, Figure]]:
    for rate in part.rates:
        yield slug(rate.other), exchange_rate_curve(rate)


def _forecast(part: MetricSource) -> Iterator[tuple[str, Figure]]:
    if part.forecast is not None:
        yield "", forecast_scores(part.forecast)


def _joint_law(part: MetricSource) -> Iterator[tuple[str, Figure]]:
    if part.joint_fit is not None:
        yield "contours", contours(part.joint_fit, "share")
        yield "residuals", residuals(part.joint_fit)


FIGURES: dict[str, Callable[[MetricSource], Iterator[tuple[str, Figure]]]] = {
    "quality-by-size": _quality_by_size,
    "heat-map": _heat_map,
    "exchange-rate": _exchange_rate,
    "forecast": _forecast,
    "joint-law": _joint_law,
}
"""What is drawn of each metric, by the beginning of its name; add one: a function here and a line."""


def figures(record: PaperSource) -> Iterator[Drawing]:
    """Yield every figure of a study."""
    for part in record.parts.values():
        for kind, draw in FIGURES.items():
            for name, figure in draw(part):
                yield Drawing("-".join(filter(None, (kind, slug(part.metric), name))), (part.metric,), figure)
    lines = _training_lines(record)
    if lines:
        yield Drawing("training-curves", ("train_loss",), training_curves(lines, logarithmic=True))


def contact_sheet(drawings: Sequence[Drawing], *, framed: Collection[str] = ()) -> PaperFigure:
    """Return all figures in small, those in ``framed`` with a frame."""
    across = 4
    down = -(-len(drawings) // across)
    with style.context(["default", STYLE]):
        sheet = PaperFigure(figsize=(PAGE_INCHES, 1.4 * down), layout="constrained")
        for place, drawing in enumerate(drawings, start=1):
            resize(drawing.figure, COLUMN_INCHES)
            axes = sheet.add_subplot(down, across, place)
            axes.imshow(imread(BytesIO(to_bytes(drawing.figure, "png", dots=100))))
            axes.set_title(fill(drawing.name, 24), fontsize=SMALL_POINTS)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=drawing.name in framed, color=COLOURS[1], linewidth=1.5)
    return sheet


def slug(text: str) -> str:
    """Return text as a part of a file's name that LaTeX takes as it is."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("%", " percent")).strip("-")


def _training_lines(record: PaperSource) -> list[Line]:
    """Return each quality's training loss at the largest size, the mean of its seeds."""
    seeds: dict[str, list[Sequence[float]]] = {}
    for quality, _, losses in record.curves:
        if losses:
            seeds.setdefault(quality, []).append(losses)
    return [
        Line(
            name=readable(quality),
            group=group,
            x=range(1, len(of_seeds[0]) + 1),
            y=list(map(fmean, zip(*of_seeds, strict=True))),
        )
        for group, (quality, of_seeds) in enumerate(seeds.items())
    ]
