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

from workbench.laws.analysis import Analysis, Curve, analyse
from workbench.laws.answer import ExchangeRate, RateCurve
from workbench.laws.table import Table
from workbench.laws.thresholds import TAILS

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
    bootstraps: int = 400,
    seed: int = 0,
    law: str | None = None,
    items: int | None = None,
) -> ExchangeRate:
    """Compute the exchange rate of two qualities over the reference sizes, with intervals.

    Args:
        table: A checked table of one evaluation set.
        metric: The column to judge by.
        reference: The quality whose examples are replaced, such as "clean".
        other: The quality whose examples replace them.
        sizes: Reference sizes; by default those that were measured.
        bootstraps: Resamples behind each interval.
        seed: Seed of the resamples.
        law: A law of size alone; by default the one for the metric, see ``analyse``.
        items: Held-out items behind an accuracy, see ``analyse``.

    Raises:
        InputError: If a quality is not in the table, or nothing was measured.
    """
    analysis = analyse(table, metric, law=law, bootstraps=bootstraps, seed=seed, items=items)
    return rate_of(analysis, reference=reference, other=other, sizes=sizes)


def rate_of(
    analysis: Analysis, *, reference: str, other: str, sizes: Sequence[float | int] | np.ndarray | None = None
) -> ExchangeRate:
    """Compute the exchange rate from a study that is already analysed."""
    one, two = analysis.curve(reference), analysis.curve(other)
    at = _asked(one.size) if sizes is None else np.asarray(sizes, dtype=float)
    fitted = model_free = useless = None
    if analysis.noise is not None:
        model_free = _rates(analysis, one, two, at, model_free=True)
        if one.fitted is not None and two.fitted is not None:
            fitted = _rates(analysis, one, two, at, model_free=False)
        useless = _useless(analysis, one, at)
    return ExchangeRate(
        reference=reference,
        other=other,
        metric=analysis.metric,
        evaluation=analysis.evaluation,
        tried=float(two.size[-1]),
        fitted=fitted,
        model_free=model_free,
        useless=useless,
        misfit=analysis.misfit,
        notes=analysis.notes,
        silent=analysis.silent,
    )


def _asked(size: Float[np.ndarray, " sizes"]) -> Float[np.ndarray, " some"]:
    """Return the sizes measured, or where there are very many a dozen of them, ends included."""
    if len(size) <= MOST_SIZES:
        return size
    return size[np.unique(np.linspace(0, len(size) - 1, MOST_SIZES).round().astype(int))]


def _rates(
    analysis: Analysis, one: Curve, two: Curve, at: Float[np.ndarray, " sizes"], *, model_free: bool
) -> RateCurve:
    target = one.predict(at, model_free=model_free)
    grid = np.unique(np.concatenate([np.geomspace(two.size[0], two.size[-1], SIZES_READ), two.size]))
    curve = two.predict(grid, model_free=model_free)
    enough = np.stack(
        [fewest(grid, curve, target[:, j], falling=analysis.falling) for j in range(len(at))], axis=1
    )
    # a target outside the reference's own measurements is unknown, which is not the same as not reached
    return summarise(at, np.where(np.isnan(target), np.nan, enough)[1:], float(grid[0]))


def summarise(
    at: Float[np.ndarray, " sizes"], enough: Float[np.ndarray, "resamples sizes"], smallest: float
) -> RateCurve:
    """Return median, interval and probabilities of the rates that resamples of ``enough`` examples give."""
    drawn = enough / at
    known = ~np.isnan(drawn).any(axis=0)
    low, median, high = (_quantile(drawn, p) for p in (TAILS[0], 0.5, TAILS[1]))
    return RateCurve(
        size=at,
        median=median,
        low=low,
        high=high,
        not_reached=np.where(known, np.isinf(drawn).mean(axis=0), np.nan),
        at_most=np.where(known, (enough <= smallest).mean(axis=0), np.nan),
    )


def fewest(
    grid: Float[np.ndarray, " grid"],
    curve: Float[np.ndarray, "resamples grid"],
    target: Float[np.ndarray, " resamples"],
    *,
    falling: bool,
) -> Float[np.ndarray, " resamples"]:
    """Return each resample's smallest size whose score is as good as its target, else infinity."""
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
    return np.where(good.any(axis=1), reached, np.inf)


def _quantile(drawn: Float[np.ndarray, "resamples sizes"], p: float) -> Float[np.ndarray, " sizes"]:
    """Return quantiles that may be infinite: order statistics, never an average with infinity."""
    ordered = np.sort(drawn, axis=0)
    last = len(ordered) - 1
    place = math.floor(p * last) if p < 0.5 else math.ceil(p * last)
    picked = ordered[place]
    return np.where(np.isnan(drawn).any(axis=0), np.nan, picked)


def _useless(analysis: Analysis, one: Curve, at: Float[np.ndarray, " sizes"]) -> Float[np.ndarray, " sizes"]:
    if analysis.zero_shot is None:
        return np.zeros(len(at))
    reached = one.predict(at, model_free=True)[1:]
    worse = reached >= analysis.zero_shot if analysis.falling else reached <= analysis.zero_shot
    return worse.mean(axis=0)
