"""The exchange rate: how many examples of one quality do what one example of another does.

At ``n`` examples of the reference quality, the rate is ``m / n``, where ``m`` is the fewest examples of the
other quality that reach the same score on the same evaluation set. Where no size that was tried reaches
it, the answer is 'not reached' and not a number: the fit is never asked about sizes nobody measured.
In arrays 'not reached' is infinity, so that medians and intervals order it above every rate.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError
from workbench.laws.analysis import DRAWS, Analysis, analyse
from workbench.laws.answer import ExchangeRate
from workbench.laws.claims import Crossing, RateCurve
from workbench.laws.curves import Curve
from workbench.laws.silence import too_few_sizes
from workbench.laws.table import Table
from workbench.laws.thresholds import LEVEL, TAILS

MOST_SIZES = 12
"""Reference sizes at which the rate is given when none are asked for."""
SIZES_READ = 400
"""Sizes at which the other quality's curve is read; between them it is interpolated in log size."""


def exchange_rate(
    table: Table,
    metric: str,
    *,
    reference: str,
    other: str,
    sizes: Sequence[float | int] | np.ndarray | None = None,
    bootstraps: int = DRAWS,
    seed: int = 0,
    law: str | None = None,
    items: int | None = None,
    model: float | None = None,
) -> ExchangeRate:
    """Compute the exchange rate of two qualities over the reference sizes, with intervals.

    Args:
        table: A checked table of one evaluation set.
        metric: The column to judge by.
        reference: The quality whose examples are replaced, such as "clean".
        other: The quality whose examples replace them.
        sizes: Reference sizes; by default those that were measured.
        bootstraps: Draws behind each interval.
        seed: Seed of the draws.
        law: A law; by default all that suit, weighed by what the data say, see ``analyse``.
        items: Held-out items behind an accuracy, see ``analyse``.
        model: Model size, where the table has several; by default the largest.

    Raises:
        InputError: If a quality is not in the table, or nothing was measured.
    """
    analysis = analyse(table, metric, law=law, bootstraps=bootstraps, seed=seed, items=items)
    return rate_of(analysis, reference=reference, other=other, sizes=sizes, model=model)


def rate_of(
    analysis: Analysis,
    *,
    reference: str,
    other: str,
    sizes: Sequence[float | int] | np.ndarray | None = None,
    model: float | None = None,
) -> ExchangeRate:
    """Compute the exchange rate from a study that is already analysed.

    Args:
        analysis: The study.
        reference: The quality whose examples are replaced.
        other: The quality whose examples replace them.
        sizes: Reference sizes; by default those that were measured.
        model: Model size, where the study has several; by default the largest that both were measured with.

    Raises:
        InputError: If a quality or the model was not measured.
    """
    one, two = analysis.curve(reference), analysis.curve(other)
    model = _model(analysis, one, two, model)
    mine, theirs = _sizes(one, model), _sizes(two, model)
    at = _asked(mine) if sizes is None else np.asarray(sizes, dtype=float)
    rates = useless = crossing = None
    silent = analysis.silent
    comparisons = max(len(analysis.curves) - 1, 1)
    if analysis.noise is not None and not silent:
        drawn = _drawn_rates(analysis, one, two, at, model)
        if two.parts:
            rates = summarise(at, drawn, comparisons)
            crossing = _crossing(one, two, model, at, drawn, comparisons, falling=analysis.falling)
            useless = _useless(analysis, one, at, model)
        else:
            silent = too_few_sizes(other, len(theirs))
    return ExchangeRate(
        reference=reference,
        other=other,
        metric=analysis.metric,
        evaluation=analysis.evaluation,
        smallest=float(theirs[0]),
        tried=float(theirs[-1]),
        rates=rates,
        useless=useless,
        misfit=analysis.misfit,
        notes=analysis.notes,
        crossing=crossing,
        comparisons=comparisons,
        model=model,
        from_residuals=analysis.from_residuals,
        unit=analysis.unit,
        silent=silent,
        under=analysis.under,
    )


def _model(analysis: Analysis, one: Curve, two: Curve, wanted: float | None) -> float | None:
    if one.model is None or two.model is None:
        return None
    shared = np.intersect1d(one.model, two.model)
    if not len(shared):
        raise InputError(
            f"{one.quality!r} and {two.quality!r} were measured with different models, so nothing compares "
            "them. Measure both with one model."
        )
    if wanted is None:
        return float(shared.max())
    if not np.isclose(shared, wanted, rtol=1e-9).any():
        raise InputError(
            f"no model of {wanted:g} was measured for both qualities; choose one of "
            f"{', '.join(f'{m:g}' for m in shared)}."
        )
    return float(wanted)


def _sizes(curve: Curve, model: float | None) -> Float[np.ndarray, " sizes"]:
    """Return the sizes of a curve that were measured with a model."""
    if curve.model is None or model is None:
        return np.unique(curve.size)
    return np.unique(curve.size[np.isclose(curve.model, model, rtol=1e-9)])


def _asked(size: Float[np.ndarray, " sizes"]) -> Float[np.ndarray, " some"]:
    """Return the sizes measured, or where there are very many a dozen of them, ends included."""
    if len(size) <= MOST_SIZES:
        return size
    return size[np.unique(np.linspace(0, len(size) - 1, MOST_SIZES).round().astype(int))]


def _drawn_rates(
    analysis: Analysis, one: Curve, two: Curve, at: Float[np.ndarray, " sizes"], model: float | None
) -> Float[np.ndarray, "draws sizes"]:
    """Return the rate of every draw; NaN where the reference is not known."""
    tried = _sizes(two, model)
    target = one.predict(at, model=model)[1:]
    known = (at >= 0.999 * _sizes(one, model)[0]) & (at <= 1.001 * _sizes(one, model)[-1])
    grid = np.unique(np.concatenate([np.geomspace(tried[0], tried[-1], SIZES_READ), tried]))
    curve = two.predict(grid, model=model)[1:]
    enough = np.stack(
        [fewest(grid, curve, target[:, j], falling=analysis.falling) for j in range(len(at))], axis=1
    )
    # a target outside the reference's own measurements is unknown, which is not the same as not reached
    return np.where(np.isnan(target) | ~known, np.nan, enough / at)


def summarise(
    at: Float[np.ndarray, " sizes"], drawn: Float[np.ndarray, "draws sizes"], comparisons: int = 1
) -> RateCurve:
    """Return median, intervals and probabilities of drawn rates.

    Args:
        at: Reference sizes.
        drawn: The rate of every draw: 0 where the smallest amount tried is already enough, infinity where
            no amount tried is.
        comparisons: How many qualities the reference is compared with at once.
    """
    known = ~np.isnan(drawn).any(axis=0)
    tail = (1 - LEVEL) / 2 / comparisons
    ends = (TAILS[0], 0.5, TAILS[1], tail, 1 - tail)
    low, median, high, sure_low, sure_high = (_quantile(drawn, p) for p in ends)
    return RateCurve(
        size=at,
        median=median,
        low=low,
        high=high,
        sure_low=sure_low,
        sure_high=sure_high,
        not_reached=np.where(known, np.isinf(drawn).mean(axis=0), np.nan),
        at_most=np.where(known, (drawn == 0).mean(axis=0), np.nan),
    )


def _crossing(
    one: Curve,
    two: Curve,
    model: float | None,
    at: Float[np.ndarray, " sizes"],
    drawn: Float[np.ndarray, "draws sizes"],
    comparisons: int,
    *,
    falling: bool,
) -> Crossing | None:
    """Return where the better quality changes, if each is surely better at some size.

    A rate of 1 is where the two curves meet. Each side is looked for at every size, so that sure means for
    all of them at once: of many sizes at which two qualities are alike, one looks better by chance.
    """
    doubt = (1 - LEVEL) / 2 / comparisons / len(at)
    better, worse = ((beyond.mean(axis=0) >= 1 - doubt) for beyond in (drawn > 1, drawn < 1))
    if not (better.any() and worse.any()):
        return None
    first, second = float(at[better.argmax()]), float(at[worse.argmax()])
    grid = np.geomspace(min(first, second), max(first, second), SIZES_READ)
    lead = two.predict(grid, model=model)[1:] - one.predict(grid, model=model)[1:]
    if not falling:
        lead = -lead
    changed = np.sign(lead) != np.sign(lead[:, :1])
    place = np.where(changed.any(axis=1), grid[changed.argmax(axis=1)], np.inf)[:, None]
    low, middle, high = (float(_quantile(place, p)[0]) for p in (TAILS[0], 0.5, TAILS[1]))
    return Crossing(middle, low, high, reference_below=first < second)


def fewest(
    grid: Float[np.ndarray, " grid"],
    curve: Float[np.ndarray, "resamples grid"],
    target: Float[np.ndarray, " resamples"],
    *,
    falling: bool,
) -> Float[np.ndarray, " resamples"]:
    """Return each draw's smallest size whose score is as good as its target.

    It is 0 where the first size already is, for fewer may be enough, and infinity where none is.
    """
    sign = -1.0 if falling else 1.0
    lead = sign * (curve - target[:, None])
    good = lead >= 0
    first = good.argmax(axis=1)
    row = np.arange(len(lead))
    before = np.maximum(first - 1, 0)
    rise = lead[row, first] - lead[row, before]
    share = np.where(rise > 0, -lead[row, before] / np.where(rise > 0, rise, 1), 1.0)
    x = np.log(grid)
    reached = np.exp(x[before] + np.where(first > 0, share, 0) * (x[first] - x[before]))
    # below the smallest size tried nothing is known: there it is enough, and fewer may be
    reached = np.where(first > 0, reached, 0.0)
    return np.where(good.any(axis=1), reached, np.inf)


def _quantile(drawn: Float[np.ndarray, "resamples sizes"], p: float) -> Float[np.ndarray, " sizes"]:
    """Return quantiles that may be infinite: order statistics, never an average with infinity."""
    ordered = np.sort(drawn, axis=0)
    last = len(ordered) - 1
    place = math.floor(p * last) if p < 0.5 else math.ceil(p * last)
    picked = ordered[place]
    return np.where(np.isnan(drawn).any(axis=0), np.nan, picked)


def _useless(
    analysis: Analysis, one: Curve, at: Float[np.ndarray, " sizes"], model: float | None
) -> Float[np.ndarray, " sizes"]:
    if analysis.zero_shot is None:
        return np.zeros(len(at))
    reached = one.predict(at, model=model)[1:]
    worse = reached >= analysis.zero_shot if analysis.falling else reached <= analysis.zero_shot
    return worse.mean(axis=0)
