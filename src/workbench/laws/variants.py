"""Answers of one study under several bases or settings, side by side, and whether they differ.

Each variant is analysed by itself, as a study of its own: its rate has its own interval, which covers the
noise of its seeds and the choice of items. Two rates are said to differ where their intervals of 95% don't
overlap. Of two that are equal, with intervals alike and independent, that happens once in about 200
comparisons; the items, which variants share, make it rarer. What overlaps may differ too: that can't be told,
and is said so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workbench.laws.answer import ExchangeRate
from workbench.laws.claims import quality_in_words, rate_in_words
from workbench.laws.in_words import size_in_words
from workbench.laws.thresholds import TWICE


def under_in_words(
    settings: Sequence[str], base: str | None = None, parameters: float | int | None = None
) -> str:
    """Return under what an answer was found, such as "on the base tiny (61,824 parameters) with rank 8".

    Args:
        settings: Each varied setting with its value, such as "rank 8".
        base: The base's name, where there are several.
        parameters: Number of its weights; None if not known.
    """
    words = []
    if base is not None:
        size = "" if parameters is None else f" ({size_in_words(parameters)} parameters)"
        words.append(f"on the base {base}{size}")
    if settings:
        words.append(f"with {' and '.join(settings)}")
    return " ".join(words)


@dataclass(frozen=True)
class RatesApart:
    """The rates of one pair of qualities under several variants, at one size.

    Attributes:
        rates: By the variant's label.
        at: Place of the size among those of the rates.
        apart: Labels of the pairs whose intervals don't overlap, the larger rate first.
    """

    rates: Mapping[str, ExchangeRate]
    at: int
    apart: tuple[tuple[str, str], ...]

    def sentence(self) -> str:
        """Say what each rate is, and whether any two differ."""
        first = next(iter(self.rates.values()))
        assert first.rates is not None, "rates are compared where there are some"
        n = size_in_words(float(first.rates.size[self.at]))
        reference, other = quality_in_words(first.reference), quality_in_words(first.other)
        told = _listed([f"{label}: {rate_in_words(rate, self.at)}" for label, rate in self.rates.items()])
        unit = first.unit
        return (
            f"How many {other} {unit.many} do the work of one {reference} one, at {n} {reference} "
            f"{unit.many}, by variant: {told}. {self._verdict()} Judged by {first.judged_by()}."
        )

    def _verdict(self) -> str:
        if self.apart:
            pairs = _listed([f"{larger} than {smaller}" for larger, smaller in self.apart])
            return f"It is larger for {pairs}: those intervals of 95% don't overlap."
        if all(np.isinf(_ends(rate, self.at)[0]) for rate in self.rates.values()):
            return (
                "Under none of them does any amount do that work, so there are no two rates to compare: "
                "whether the rate depends on the variant can't be told."
            )
        return (
            "All of these intervals of 95% overlap, so whether the rate depends on the variant can't be "
            "told; more seeds would narrow them."
        )


def rates_apart(rates: Mapping[str, ExchangeRate]) -> RatesApart | None:
    """Compare the rates of one pair of qualities under several variants; None where fewer than two are known.

    They are compared at the largest size at which most of them have an interval with two ends, and of which
    twice as much was tried.

    Args:
        rates: By the variant's label; over the same sizes.
    """
    known = {label: rate for label, rate in rates.items() if rate.rates is not None and not rate.silent}
    sizes = [rate.rates.size for rate in known.values() if rate.rates is not None]
    if len(known) < 2 or any(not np.array_equal(size, sizes[0]) for size in sizes):
        return None
    closed = np.zeros(len(sizes[0]))
    given = np.zeros(len(sizes[0]), dtype=int)
    for rate in known.values():
        assert rate.rates is not None
        closed += (rate.rates.low > 0) & np.isfinite(rate.rates.high)
        given += ~np.isnan(rate.rates.median)
    if not (given >= 2).any():
        return None
    # where less than twice as much was tried, that it was not enough says little
    tried = min(rate.tried for rate in known.values()) >= TWICE * sizes[0]
    asked = (given >= 2) & tried if ((given >= 2) & tried).any() else given >= 2
    best = closed + 0.5 * given
    at = int(np.flatnonzero((best == best[asked].max()) & asked)[-1])
    there = {label: rate for label, rate in known.items() if not np.isnan(_ends(rate, at)[0])}
    apart = []
    for one, two in combinations(there, 2):
        (low, high), (other_low, other_high) = _ends(there[one], at), _ends(there[two], at)
        if low > other_high:
            apart.append((one, two))
        elif other_low > high:
            apart.append((two, one))
    return RatesApart(there, at, tuple(apart))


def _ends(rate: ExchangeRate, at: int) -> tuple[float, float]:
    """Return the ends of a rate's interval; the upper one is what was tried where that is enough."""
    curve = rate.rates
    assert curve is not None
    return float(curve.low[at]), float(curve.high[at]) or rate.smallest / float(curve.size[at])


def _listed(texts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
