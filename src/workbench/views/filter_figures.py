"""The figure about filters: a metric against the time that scoring and training take, one line a filter."""

from collections.abc import Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from workbench.data.matching import CHANCE
from workbench.errors import InputError
from workbench.views.filters import Filters
from workbench.views.palette import COLOURS, FAINT
from workbench.views.points import Point, TableRow, axis_words, points
from workbench.views.style import (
    BAND_OPACITY,
    HEIGHT_INCHES,
    MARKERS,
    PAGE_INCHES,
    SMALL_POINTS,
    STYLE,
    PaperFigure,
)


def by_seconds(rows: Sequence[TableRow], filters: Filters, unit: str = "seconds") -> PaperFigure:
    """Draw the filters' metric against seconds of scoring and training; dashed where scoring counts nothing.

    Evaluating a cell is left out, as it costs the same for all.

    Args:
        rows: The study's table.
        filters: What ``filters_of`` said of it.
        unit: What its times are counted in.

    Raises:
        InputError: If no time was recorded.
    """
    lines = points(rows, filters.metric)
    answers = [one for one in filters.answers if one.training and one.scoring is not None]
    if not answers:
        raise InputError("the study recorded no time, so nothing can be drawn against it")
    training = answers[0].training or 0.0
    with style.context(["default", STYLE]):
        figure = PaperFigure(figsize=(PAGE_INCHES, HEIGHT_INCHES), layout="constrained")
        axes = figure.subplots()
        _line(axes, lines[CHANCE], training, 0, CHANCE)
        for number, one in enumerate(answers, start=1):
            _line(axes, lines[one.name], training, number, None)
            _line(axes, lines[one.name], training + (one.scoring or 0.0), number, one.name)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"{unit} of scoring and training")
        axes.set_ylabel(axis_words(filters.metric))
        axes.set_title(
            "lines: mean over the seeds; bands: their range; dashed: as if scoring took no time",
            loc="left",
            fontsize=SMALL_POINTS,
            color=FAINT,
        )
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _line(axes: Axes, line: Sequence[Point], each: float, number: int, name: str | None) -> None:
    """Draw a quality's points at what ``each`` of its examples takes; without a name, dashed and faint."""
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    seconds = [point.size * each for point in line]
    means = [point.mean for point in line]
    if name is None:
        axes.plot(seconds, means, "--", color=colour, linewidth=0.7, zorder=2)
        return
    low, high = [point.low for point in line], [point.high for point in line]
    axes.fill_between(seconds, low, high, color=colour, alpha=BAND_OPACITY, linewidth=0)
    axes.plot(seconds, means, color=colour, marker=marker, zorder=3, label=name)
