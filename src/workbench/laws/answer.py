"""The answer to 'clean or collect?': the exchange rate with its interval, and the one sentence about it.

At ``n`` examples of the reference quality, the rate is ``m / n``, where ``m`` is the fewest examples of
the other quality that reach the same score; ``exchange`` computes it. In arrays 'not reached' is infinity,
so that medians and intervals order it above every rate.
"""

import math
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

from workbench.laws.thresholds import LEVEL, LIKELY, trusted
from workbench.showing import one_line


@dataclass(frozen=True)
class RateCurve:
    """The rate at each reference size, with its interval; infinity means not reached."""

    size: Float[np.ndarray, " sizes"]
    median: Float[np.ndarray, " sizes"]
    low: Float[np.ndarray, " sizes"]
    high: Float[np.ndarray, " sizes"]
    not_reached: Float[np.ndarray, " sizes"]
    """Probability that no amount tried of the other quality is enough."""
    at_most: Float[np.ndarray, " sizes"]
    """Probability that the smallest amount tried is already enough: the rate is then an upper bound."""


@dataclass(frozen=True)
class ExchangeRate:
    """The answer to 'clean or collect?' for one pair of qualities, one metric, one evaluation set."""

    reference: str
    other: str
    metric: str
    evaluation: str
    tried: float
    """The largest size of the other quality that was measured."""
    fitted: RateCurve | None
    """From the fitted curves; None without an interval or with too few sizes for the law."""
    model_free: RateCurve | None
    """From the measurements, made monotone and interpolated; None without an interval."""
    useless: Float[np.ndarray, " sizes"] | None
    """Probability that the reference quality at this size is no better than no training at all."""
    misfit: float | None
    notes: tuple[str, ...]
    silent: str | None = None
    """Why there is no rate at all; see ``Analysis.silent``."""

    @property
    def best(self) -> RateCurve | None:
        """The fitted rate, or the model-free one where the law can't be fitted or misses."""
        return self.fitted if self.fitted is not None and trusted(self.misfit) else self.model_free

    def __repr__(self) -> str:
        return one_line(self.sentence(), 1000)

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.sentence())}</p>"

    def sentence(self, size: float | int | None = None) -> str:
        """Answer in one plain sentence, at ``size`` reference examples or at the most telling size."""
        return _sentence(self, size)


def _sentence(answer: ExchangeRate, size: float | int | None = None) -> str:
    """Answer 'clean or collect?' in one sentence."""
    judged = f"Judged by {answer.metric.replace('_', ' ')}" + (
        f" on {answer.evaluation}" if answer.evaluation else ""
    )
    rates = answer.best
    if rates is None:
        reason = answer.silent or "No interval can be given."
        return f"{judged}, there is no answer yet: {reason[0].lower()}{reason[1:]}"
    known = np.flatnonzero(~np.isnan(rates.not_reached))
    if not len(known):
        return f"{judged}, there is no answer at this size: no {answer.reference!r} was measured around it."
    at = (
        _most_telling(answer, rates, known)
        if size is None
        else int(np.abs(np.log(rates.size / size)).argmin())
    )
    if answer.useless is not None and answer.useless[at] > LIKELY:
        return (
            f"{judged}, there is nothing to exchange: {_count(rates.size[at])} {answer.reference!r} examples "
            f"are no better than no training at all (probability {_percent(answer.useless[at])})."
        )
    return (
        f"{judged}, {_clause(answer, rates, at)}{_beyond(answer, rates, known, at) if size is None else ''}."
    )


def _most_telling(answer: ExchangeRate, rates: RateCurve, known: np.ndarray) -> int:
    """Return the largest size whose rate has two ends, else the largest that is likely reached."""
    useful = [i for i in known if answer.useless is None or answer.useless[i] <= LIKELY]
    closed = [i for i in useful if math.isfinite(rates.high[i])]
    reached = [i for i in useful if rates.not_reached[i] < LIKELY]
    return int((closed or reached or useful[:1] or list(known[:1]))[-1])


def _clause(answer: ExchangeRate, rates: RateCurve, at: int) -> str:
    n, other, reference = _count(rates.size[at]), repr(answer.other), repr(answer.reference)
    if math.isinf(rates.median[at]):
        chance = _percent(rates.not_reached[at])
        least = (
            ""
            if math.isinf(rates.low[at])
            else f"; if it can be reached, it takes at least {rates.low[at]:.2g} times as many"
        )
        return (
            f"no amount of {other} examples tried (up to {_count(answer.tried)}) matches {n} {reference} "
            f"ones (probability {chance}{least}): {_verdict(answer, at, rates)}"
        )
    bound = "at most " if rates.at_most[at] > LIKELY else ""
    return (
        f"matching {n} {reference} examples takes {bound}{rates.median[at]:.2g} times as many {other} ones "
        f"({_interval(rates, at)}): {_verdict(answer, at, rates)}"
    )


def _interval(rates: RateCurve, at: int) -> str:
    low = "not reached" if math.isinf(rates.low[at]) else f"{rates.low[at]:.2g}"
    if math.isinf(rates.high[at]):
        lost = _percent(rates.not_reached[at])
        return f"{LEVEL:.0%} interval {low} to not reached, which has probability {lost}"
    return f"{LEVEL:.0%} interval {low} to {rates.high[at]:.2g}"


def _verdict(answer: ExchangeRate, at: int, rates: RateCurve) -> str:
    low, middle, high = rates.low[at], rates.median[at], rates.high[at]
    if low > 1 and math.isinf(middle):
        return f"turn them into {answer.reference!r} ones, for more of the same does not help"
    if low > 1:
        upper = "no limit" if math.isinf(high) else f"{high - 1:.2g}"
        return (
            f"it pays to turn an example into a {answer.reference!r} one as long as that costs less than "
            f"collecting {middle - 1:.2g} more (interval {low - 1:.2g} to {upper})"
        )
    if high < 1:
        return f"{answer.other!r} examples are worth more each, so {answer.reference!r} ones gain nothing"
    return "the study can't tell the two qualities apart at this size, so collect whichever is cheaper"


def _beyond(answer: ExchangeRate, rates: RateCurve, known: np.ndarray, at: int) -> str:
    lost = [i for i in known if i > at and rates.not_reached[i] >= LIKELY]
    if not lost or math.isinf(rates.median[at]):
        return ""
    i = lost[0]
    return (
        f"; from {_count(rates.size[i])} on, no amount tried (up to {_count(answer.tried)}) was enough "
        f"(probability {_percent(rates.not_reached[i])})"
    )


def _count(size: float) -> str:
    return f"{size:,.0f}"


def _percent(p: float) -> str:
    if p > 0.99:
        return "over 99%"
    return "under 1%" if p < 0.01 else f"{100 * p:.0f}%"
