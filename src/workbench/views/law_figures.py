"""Figures of laws: curves, residuals, contours, the exchange rate, profiles, forecast scores.

Each takes what ``workbench.laws`` returns and gives a figure in the style of ``figures``; none fits anything.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import (
    Formatter,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    PercentFormatter,
    ScalarFormatter,
)

from workbench.errors import InputError
from workbench.laws.bootstrap import Resamples
from workbench.laws.claims import never_enough
from workbench.laws.exchange import ExchangeRate, RateCurve
from workbench.laws.fitting import Fit
from workbench.laws.forecast import Forecast
from workbench.laws.in_words import readable
from workbench.laws.profiles import Profile
from workbench.laws.silence import in_words
from workbench.laws.surface import RateSurface
from workbench.laws.thresholds import LEVEL
from workbench.views.figures import (
    BAND_OPACITY,
    COLUMN_INCHES,
    HEIGHT_INCHES,
    MARKERS,
    SMALL_POINTS,
    STYLE,
    PaperFigure,
)
from workbench.views.palette import COLOURS, FAINT, PAPER

P = ParamSpec("P")
PLACES_DRAWN = 80


def _one_panel(draw: Callable[Concatenate[Axes, P], None]) -> Callable[P, PaperFigure]:
    """Turn a function that draws into axes into one that returns a figure one column wide."""

    @wraps(draw)
    def figure_of(*args: P.args, **options: P.kwargs) -> PaperFigure:
        with style.context(["default", STYLE]):
            figure = PaperFigure(figsize=(COLUMN_INCHES, HEIGHT_INCHES), layout="constrained")
            draw(figure.subplots(), *args, **options)
        return figure

    return figure_of


@_one_panel
def exchange_rate_curve(axes: Axes, answer: ExchangeRate) -> None:
    """Draw the rate over the reference sizes with its interval; sizes never reached are hatched.

    An interval without an upper end runs to the top of the panel, one without a lower end to what the
    smallest size tried would mean.

    Raises:
        InputError: If the table gave no interval and so no rate.
    """
    rates = answer.rates
    if rates is None:
        raise InputError(f"nothing to draw: {answer.sentence()}")
    top = _top(rates)
    _rate_band(axes, rates, answer.smallest, top)
    _never(axes, answer)
    axes.axhline(1, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_ylim(None, top)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    _plain_logarithm(axes.yaxis)
    axes.set_xlabel(f"{readable(answer.reference)} {answer.unit.many}")
    axes.set_ylabel(f"{readable(answer.other)} {answer.unit.many} for one")
    axes.set_title(
        f"by {in_words(answer.metric)}; {LEVEL:.0%} interval",
        loc="left",
        fontsize=SMALL_POINTS,
        color=FAINT,
    )


def _plain_logarithm(axis: Axis, formatter: Formatter | None = None) -> None:
    """Label a logarithmic axis at 1, 2 and 5 in plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(formatter or FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _top(rates: RateCurve) -> float:
    """Return a height above every finite end of an interval."""
    ends = np.concatenate([rates.low, rates.median, rates.high])
    finite = ends[np.isfinite(ends)]
    return 2 * float(finite.max()) if len(finite) else 10.0


def _rate_band(axes: Axes, rates: RateCurve, smallest: float, top: float) -> None:
    least = smallest / rates.size
    axes.fill_between(
        rates.size,
        np.clip(rates.low, least, top),
        np.minimum(rates.high, top),
        color=COLOURS[0],
        alpha=BAND_OPACITY,
        linewidth=0,
    )
    shown = np.where(np.isfinite(rates.median), np.maximum(rates.median, least), np.nan)
    # a marker too, for a single size that is reached makes no line
    axes.plot(rates.size, shown, MARKERS[1], linestyle="-", markersize=3, color=COLOURS[0])


def _never(axes: Axes, answer: ExchangeRate) -> None:
    """Hatch from the first size at which no amount tried is surely enough, halfway to the one before."""
    rates = answer.rates
    if rates is None or not (lost := never_enough(answer)).any():
        return
    first = int(lost.argmax())
    start = rates.size[first] if first == 0 else np.sqrt(rates.size[first] * rates.size[first - 1])
    end = rates.size[-1] * 1.2
    axes.axvspan(start, end, facecolor="none", edgecolor=FAINT, hatch="////", linewidth=0, alpha=0.5)
    axes.text(
        np.sqrt(start * end),
        0.93,
        "not reached",
        transform=axes.get_xaxis_transform(),
        ha="center",
        va="top",
        fontsize=SMALL_POINTS,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
    )


@_one_panel
def law_curve(axes: Axes, resamples: Resamples, *, name: str = "") -> None:
    """Draw a law of size alone through its measurements, with the bootstrap's band.

    Raises:
        InputError: If the law has other inputs; draw those with ``contours``.
    """
    law, problem = resamples.fit.law, resamples.fit.problem
    if law.inputs != ("size",):
        raise InputError(f"law {law.name!r} has inputs {', '.join(law.inputs)}; draw it with contours().")
    size = problem.x["size"]
    grid = np.geomspace(size.min(), size.max(), PLACES_DRAWN)
    low, high = resamples.band({"size": grid})
    axes.fill_between(grid, low, high, color=COLOURS[0], alpha=BAND_OPACITY, linewidth=0)
    axes.plot(grid, resamples.fit.predict({"size": grid}), color=COLOURS[0])
    axes.plot(size, problem.y, MARKERS[0], color=COLOURS[0])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("size")
    axes.set_ylabel(name or law.metric)
    axes.set_title(law.formula, loc="left", fontsize=SMALL_POINTS, color=FAINT)


@_one_panel
def residuals(axes: Axes, fit: Fit) -> None:
    """Draw what the law leaves over, against size: whitened by the noise, or of the logarithm."""
    axes.axhline(0, color=FAINT, linewidth=0.8)
    if fit.problem.freedom is not None:
        axes.axhspan(-2, 2, color=FAINT, alpha=0.1, linewidth=0)
    labels = list(dict.fromkeys(fit.problem.quality)) or [""]
    for j, label in enumerate(labels):
        own = np.array([quality == label for quality in fit.problem.quality] or [True] * len(fit.problem.y))
        axes.plot(
            fit.problem.x["size"][own],
            fit.residual[own],
            MARKERS[j % len(MARKERS)],
            color=COLOURS[j % len(COLOURS)],
            label=readable(label),
        )
    if 1 < len(labels) <= len(COLOURS):
        axes.legend(fontsize=SMALL_POINTS, frameon=False)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("size")
    known = fit.problem.freedom is not None
    axes.set_ylabel("residual / noise" if known else "relative residual")
    note = "; grey: two standard deviations" if known else ""
    axes.set_title(f"{readable(fit.law.name)}{note}", loc="left", fontsize=SMALL_POINTS, color=FAINT)


@_one_panel
def contours(axes: Axes, fit: Fit, across: str, *, others: Mapping[str, float] | None = None) -> None:
    """Draw lines of equal metric over size and one more input, with the cells that were measured.

    Raises:
        InputError: If the law has no such input, or another one is left without a value.
    """
    missing = set(fit.law.inputs) - {"size", across} - set(others or {})
    if across not in fit.law.inputs or missing:
        raise InputError(
            f"law {fit.law.name!r} has inputs {', '.join(fit.law.inputs)}: name one besides size as 'across' "
            "and give the rest a value in 'others'."
        )
    x = fit.problem.x
    size = np.geomspace(x["size"].min(), x["size"].max(), PLACES_DRAWN)
    values = x[across]
    spread_out = values.min() > 0 and values.max() > 20 * values.min()
    other = (np.geomspace if spread_out else np.linspace)(values.min(), values.max(), PLACES_DRAWN)
    mesh_size, mesh_other = np.meshgrid(size, other)
    inputs = {"size": mesh_size.ravel(), across: mesh_other.ravel()}
    inputs |= {name: np.full(mesh_size.size, value) for name, value in (others or {}).items()}
    lines = axes.contour(mesh_size, mesh_other, fit.predict(inputs).reshape(mesh_size.shape), 10)
    axes.clabel(lines, fontsize=SMALL_POINTS - 1)
    axes.plot(x["size"], values, "+", color=FAINT, markersize=5, clip_on=False)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_yscale("log" if spread_out else "linear")
    axes.set_title(
        f"lines of equal {fit.law.metric}; crosses: measured", loc="left", fontsize=SMALL_POINTS, color=FAINT
    )
    axes.set_xlabel("size")
    axes.set_ylabel(across)


@_one_panel
def profile_curve(axes: Axes, profile: Profile) -> None:
    """Draw how the fit worsens as one constant is moved, and the line that ends its interval."""
    axes.plot(profile.trial, profile.statistic, marker=MARKERS[0], color=COLOURS[0])
    axes.axhline(profile.threshold, color=COLOURS[1], linewidth=0.9)
    axes.annotate(
        f"{LEVEL:.0%}",
        (0.5, profile.threshold),
        xycoords=("axes fraction", "data"),
        ha="center",
        va="bottom",
        fontsize=SMALL_POINTS,
    )
    axes.set_ylim(0, 3 * profile.threshold)
    if profile.trial.min() > 0 and profile.trial.max() > 5 * profile.trial.min():
        axes.set_xscale("log")
    axes.set_xlabel(profile.name)
    axes.set_ylabel("rise of the misfit")
    axes.set_title(profile.verdict, loc="left", fontsize=SMALL_POINTS, color=FAINT)


@_one_panel
def forecast_scores(axes: Axes, forecast: Forecast) -> None:
    """Draw the mean error of every law and baseline on what was held out, best on top."""
    for place, score in enumerate(reversed(forecast.scores)):
        colour = FAINT if score.is_baseline else COLOURS[0]
        if score.low is not None and score.high is not None:
            axes.hlines(place, score.low, score.high, color=colour)
        axes.plot(score.error, place, MARKERS[1 if score.is_baseline else 0], color=colour)
    names = [f"({s.name})" if s.is_baseline else readable(s.name) for s in reversed(forecast.scores)]
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    _plain_logarithm(axes.xaxis, PercentFormatter(1, decimals=None))
    axes.set_xlabel(f"mean error on {forecast.held_out}")
    title = f"{LEVEL:.0%} intervals; baselines in brackets"
    axes.set_title(title, loc="left", fontsize=SMALL_POINTS, color=FAINT)


@_one_panel
def rate_over_qualities(axes: Axes, surface: RateSurface) -> None:
    """Draw the rate against an input such as the share left clean, one line per reference size."""
    sizes = surface.curves[0].size
    ends = np.concatenate([np.concatenate([curve.median, curve.high]) for curve in surface.curves])
    top = 2 * float(ends[np.isfinite(ends)].max(initial=1.0))
    for j, size in enumerate(sizes):
        colour = COLOURS[j % len(COLOURS)]
        low, middle, high = (
            np.array([getattr(curve, end)[j] for curve in surface.curves])
            for end in ("low", "median", "high")
        )
        known = np.isfinite(low)
        axes.fill_between(
            surface.value[known],
            low[known],
            np.minimum(high[known], top),
            color=colour,
            alpha=BAND_OPACITY,
            linewidth=0,
        )
        shown = np.isfinite(middle)
        axes.plot(surface.value[shown], middle[shown], color=colour, label=f"{size:,.0f}")
    axes.set_yscale("log")
    axes.set_ylim(None, top)
    _plain_logarithm(axes.yaxis)
    axes.set_xlabel(surface.axis)
    axes.set_ylabel("examples for one")
    axes.legend(
        loc="lower left",
        title="reference size",
        fontsize=SMALL_POINTS,
        title_fontsize=SMALL_POINTS,
        frameon=False,
    )
    axes.set_title(
        "lines end where no amount tried is enough", loc="left", fontsize=SMALL_POINTS, color=FAINT
    )
