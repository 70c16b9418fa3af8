"""The figure of a study: how each metric changes with size, one line a quality. A table in, a figure out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
    ScalarFormatter,
)

from workbench.errors import InputError
from workbench.laws import Band
from workbench.laws.in_words import readable
from workbench.laws.thresholds import LEVEL
from workbench.metrics import is_loss, set_and_metric
from workbench.views.palette import COLOURS, FAINT, TEXT_COLOURS
from workbench.views.points import Point, TableRow, axis_words, measured, points, unit_in
from workbench.views.style import (
    BAND_OPACITY,
    COLUMN_INCHES,
    HEIGHT_INCHES,
    LABEL_POINTS,
    MARKERS,
    PAGE_INCHES,
    SMALL_POINTS,
    STYLE,
    PaperFigure,
)

FAR = 10.0
"""A zero-shot loss so many times the others is told by an arrow: its line would squeeze them together."""
WIDE = 1000.0
"""Factor between the ends of a logarithmic axis from which only the powers of ten are written."""
BAND_WORDS = {"fitted": "fitted law", "interpolated": "smooth interpolation"}
"""What a band of each kind is, in words."""


Fits = Mapping[str, Mapping[str, Band]]
"""Curves by metric, then by quality, as ``workbench.laws.fit_curves`` returns them."""


@dataclass(frozen=True, slots=True)
class _Panel:
    """One metric's part of a figure."""

    axes: Axes
    metric: str
    lines: Mapping[str, Sequence[Point]]
    fits: Mapping[str, Band]
    zero: float | None
    axis: str
    """The title of the axis of sizes."""
    variant: str = ""
    """Of a study of several bases or settings, the label of the one that is drawn."""


def quality_by_size(
    rows: Iterable[TableRow],
    metric: str | None = None,
    *,
    fits: Fits | None = None,
    zero_shot: Mapping[str, float | None] | None = None,
    facets: Mapping[str, Fits] | None = None,
) -> PaperFigure:
    """Draw how a metric changes with size, one line a quality, with the range over the seeds.

    Args:
        rows: The study's table.
        metric: A column of the table, drawn one paper column wide; None draws the loss and the
            accuracy side by side, a page wide, and a row of both for each evaluation set.
        fits: Curves by metric and quality, each drawn with its interval instead of a line from mean to
            mean; dashed beyond the largest size measured.
        zero_shot: The metrics of the base without an adapter, a dotted line; by default the table's
            row of size 0.
        facets: Of a table with variants, the curves of each by its label; the figure then has a row for each.

    Raises:
        InputError: If the table has no number of that metric.
    """
    rows = list(rows)
    if any("vary" in row for row in rows):
        return _by_variant(rows, metric, facets or {})
    lines = {name: points(rows, name) for name in ([metric] if metric else _loss_and_accuracy(rows))}
    if metric and not lines[metric]:
        raise InputError(f"the table has no {metric}; it has {', '.join(measured(rows)) or 'no metric'}")
    zero_shot = next((row for row in rows if row["size"] == 0), {}) if zero_shot is None else zero_shot
    fits = fits or {}
    with style.context(["default", STYLE]):
        width = COLUMN_INCHES if metric else PAGE_INCHES
        sets: dict[str, list[str]] = {}
        for name in lines:
            sets.setdefault(set_and_metric(name)[0], []).append(name)
        height = HEIGHT_INCHES * len(sets)
        figure = PaperFigure(figsize=(width, height), layout="constrained")
        grid = figure.add_gridspec(len(sets), max(map(len, sets.values())))
        panels = [
            _Panel(
                figure.add_subplot(grid[row, column]),
                name,
                lines[name],
                fits.get(name, {}),
                zero_shot.get(name),
                unit_in(rows).axis,
            )
            for row, own in enumerate(sets.values())
            for column, name in enumerate(own)
        ]
        for panel in panels:
            _draw(panel)
        key = ("\n" if metric else "; ").join(_key(panels))
        panels[0].axes.set_title(key, loc="left", fontsize=SMALL_POINTS, color=FAINT)
        figure.draw_without_rendering()  # lays the panels out, so that labels know their height
        for panel in panels:
            _direct_labels(panel)
    return figure


def _by_variant(rows: Sequence[TableRow], metric: str | None, facets: Mapping[str, Fits]) -> PaperFigure:
    """Draw the same with a row of panels for each variant, whose axes are the same in every row."""
    by_label: dict[str, list[TableRow]] = {}
    for row in rows:
        by_label.setdefault(row["vary"], []).append(row)
    by_label = {label: own for label, own in by_label.items() if any(map(_is_finished, own))}
    names = [metric] if metric else _loss_and_accuracy(list(rows))
    with style.context(["default", STYLE]):
        width = COLUMN_INCHES if metric else PAGE_INCHES
        figure = PaperFigure(figsize=(width, HEIGHT_INCHES * max(1, len(by_label))), layout="constrained")
        grid = figure.add_gridspec(max(1, len(by_label)), len(names))
        panels = [
            _Panel(
                figure.add_subplot(grid[place, column]),
                name,
                lines,
                facets.get(label, {}).get(name, {}),
                next((row for row in own if row["size"] == 0), {}).get(name),
                unit_in(rows).axis,
                label,
            )
            for place, (label, own) in enumerate(by_label.items())
            for column, name in enumerate(names)
            if (lines := points(own, name))
        ]
        if not panels:
            raise InputError(f"the table has no {metric}; it has {', '.join(measured(rows)) or 'no metric'}")
        for panel in panels:
            _draw(panel)
        for name in names:
            _same_axes([panel.axes for panel in panels if panel.metric == name])
        for panel in panels:
            panel.axes.set_title(panel.variant, loc="left", fontsize=SMALL_POINTS)
        key = ("\n" if metric else "; ").join(_key(panels))
        figure.suptitle(key, x=0.01, ha="left", fontsize=SMALL_POINTS, color=FAINT)
        figure.draw_without_rendering()  # lays the panels out, so that labels know their height
        for panel in panels:
            _direct_labels(panel)
    return figure


def _same_axes(several: Sequence[Axes]) -> None:
    """Give panels of one metric the same range and scale, so that heights can be compared between them."""
    if any(axes.get_yscale() == "log" for axes in several):
        for axes in several:
            axes.set_yscale("log")
    lows, highs = zip(*(axes.get_ylim() for axes in several), strict=True) if several else ((), ())
    for axes in several:
        axes.set_ylim(min(lows), max(highs))


def _is_finished(row: TableRow) -> bool:
    return bool(row["size"] > 0 and row["status"] == "done")


def _loss_and_accuracy(rows: list[TableRow]) -> list[str]:
    found = [metric for metric in measured(rows) if points(rows, metric)]
    if not found:
        raise InputError("the table has no finished cell with a metric; nothing can be drawn")
    sets: dict[str, list[str]] = {}
    for metric in found:
        sets.setdefault(set_and_metric(metric)[0], []).append(metric)
    return list(dict.fromkeys(metric for own in sets.values() for metric in (own[0], own[-1])))


def _draw(panel: _Panel) -> None:
    for index, (quality, line) in enumerate(panel.lines.items()):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        if quality in panel.fits:
            _points_and_law(panel.axes, line, panel.fits[quality], colour, marker)
        else:
            _line_and_band(panel.axes, line, colour, marker)
    _sizes(panel)
    _values(panel)
    if panel.zero is not None:
        _zero_shot(panel, panel.zero)


def _line_and_band(axes: Axes, line: Sequence[Point], colour: str, marker: str) -> None:
    sizes = [point.size for point in line]
    low, high = [point.low for point in line], [point.high for point in line]
    axes.fill_between(sizes, low, high, color=colour, alpha=BAND_OPACITY, linewidth=0)
    axes.plot(sizes, [point.mean for point in line], color=colour, marker=marker, zorder=3)


def _points_and_law(axes: Axes, line: Sequence[Point], law: Band, colour: str, marker: str) -> None:
    """Draw the seeds as bars and the law as a line, dashed beyond the largest size that was measured."""
    sizes, means = [point.size for point in line], [point.mean for point in line]
    axes.vlines(sizes, [p.low for p in line], [p.high for p in line], color=colour, linewidth=0.9, zorder=3)
    axes.plot(sizes, means, linestyle="none", color=colour, marker=marker, zorder=4)
    if law.low is not None and law.high is not None:
        axes.fill_between(law.size, law.low, law.high, color=colour, alpha=BAND_OPACITY, linewidth=0)
    inside = int((law.size <= sizes[-1] * 1.001).sum())  # the grid's last size is rounded
    axes.plot(law.size[:inside], law.middle[:inside], color=colour, zorder=2)
    axes.plot(law.size[inside - 1 :], law.middle[inside - 1 :], "--", color=colour, zorder=2)


def _sizes(panel: _Panel) -> None:
    measured_sizes = {point.size for line in panel.lines.values() for point in line}
    forecast = {round(max(law.size)) for law in panel.fits.values()}
    ticks = measured_sizes | {size for size in forecast if size > max(measured_sizes)}
    panel.axes.set_xscale("log", base=2)
    panel.axes.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    panel.axes.xaxis.set_minor_locator(NullLocator())
    panel.axes.xaxis.set_major_formatter(ScalarFormatter())
    panel.axes.set_xlabel(panel.axis)


def _values(panel: _Panel) -> None:
    panel.axes.set_ylabel(axis_words(panel.metric))
    everything = [point for line in panel.lines.values() for point in line]
    low, high = min(point.low for point in everything), max(point.high for point in everything)
    if panel.zero is not None and _drawn(panel, panel.zero):
        low, high = min(low, panel.zero), max(high, panel.zero)
    if is_loss(panel.metric) and high > 4 * low > 0:
        axis = panel.axes.yaxis
        panel.axes.set_yscale("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high <= WIDE * low else (1,)))
        # the scalar formatter writes what is below 0.001 as 0.000
        plain = low >= 0.001 and high < 1e6
        axis.set_major_formatter(ScalarFormatter() if plain else FuncFormatter(lambda y, _: f"{y:g}"))
        axis.set_minor_formatter(NullFormatter())


def _drawn(panel: _Panel, zero: float) -> bool:
    """Say whether the zero-shot line has its place in the panel: all but a loss far from the others."""
    values = [point.mean for line in panel.lines.values() for point in line]
    return not is_loss(panel.metric) or min(values) / FAR <= zero <= max(values) * FAR


def _zero_shot(panel: _Panel, zero: float) -> None:
    """Draw the zero-shot line, or an arrow to it when it would squeeze the rest together."""
    axes, lines = panel.axes, panel.lines.values()
    low, high = axes.get_ylim()
    text, place, right, above = f"zero-shot {zero:.2f}", zero, True, zero < low
    if _drawn(panel, zero):
        axes.axhline(zero, linestyle=":", color=FAINT, linewidth=0.9, zorder=1)
        first, last = ([line[end].mean for line in lines] for end in (0, -1))
        # where the other lines are further away, on the side where fewer of them are
        right = min(abs(value - zero) for value in last) >= min(abs(value - zero) for value in first)
        ends = last if right else first
        above = 2 * sum(value < zero for value in ends) >= len(ends) if low < zero < high else zero <= low
    else:
        text += " ↑" if zero > high else " ↓"
        place = min(max(zero, low), high)
    axes.annotate(
        text,
        (1.0 if right else 0.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(-2 if right else 2, 2 if above else -2),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom" if above else "top",
        color=FAINT,
        fontsize=SMALL_POINTS,
    )


def _direct_labels(panel: _Panel) -> None:
    """Write each quality beside the end of its line, moved apart where two would overlap."""
    axes, lines, fits = panel.axes, panel.lines, panel.fits
    ends = [
        (fits[quality].size[-1], fits[quality].middle[-1])
        if quality in fits
        else (line[-1].size, line[-1].mean)
        for quality, line in lines.items()
    ]
    right = max(size for size, _ in ends)
    height = axes.get_window_extent().height * 72 / axes.figure.dpi
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = [float(to_axes.transform(end)[1]) * height for end in ends]
    places = below(height, spread(wanted, 1.2 * LABEL_POINTS), 1.2 * LABEL_POINTS)
    for index, (quality, place) in enumerate(zip(lines, places, strict=True)):
        axes.annotate(
            readable(quality),
            (right, place / height),
            xycoords=("data", "axes fraction"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=TEXT_COLOURS[index % len(TEXT_COLOURS)],
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Return the places moved as little as possible (least squares) for each two to be ``gap`` apart.

    Neighbours that would come too close form a block, which is centred on its members' own places.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    blocks: list[list[int]] = []
    for index in order:
        blocks.append([index])
        while len(blocks) > 1 and _top(blocks[-2], places, gap) + gap > _bottom(blocks[-1], places, gap):
            last = blocks.pop()
            blocks[-1] += last
    moved = list(places)
    for block in blocks:
        for rank, index in enumerate(block):
            moved[index] = _bottom(block, places, gap) + rank * gap
    return moved


def below(top: float, places: Sequence[float], gap: float) -> list[float]:
    """Return the places moved down where that is needed for each to be below ``top``, two ``gap`` apart."""
    moved = list(places)
    for index in sorted(range(len(places)), key=lambda index: -places[index]):
        moved[index] = min(places[index], top)
        top = moved[index] - gap
    return moved


def _bottom(block: Sequence[int], places: Sequence[float], gap: float) -> float:
    return sum(places[index] for index in block) / len(block) - gap * (len(block) - 1) / 2


def _top(block: Sequence[int], places: Sequence[float], gap: float) -> float:
    return _bottom(block, places, gap) + gap * (len(block) - 1)


def _key(panels: Sequence[_Panel]) -> tuple[str, ...]:
    """Say in a few words what lines, points and bands are."""
    seeds = sorted({point.seeds for panel in panels for line in panel.lines.values() for point in line})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    over = f"{count} seed" + ("s" if seeds[-1] > 1 else "")
    kinds = sorted({BAND_WORDS[band.kind] for panel in panels for band in panel.fits.values()})
    if kinds:
        curves = " or ".join(kinds)
        return f"points: mean and range of {over}", f"curves: {curves}, with its {LEVEL:.0%} interval"
    return (f"lines: mean of {over}", "bands: their range") if seeds[-1] > 1 else (f"lines: {over}",)
