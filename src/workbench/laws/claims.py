"""What an answer claims, and each claim in words: the same ones in terminal, report, notebook and paper.

A claim is made where its probability reaches 95% for all qualities compared at once; else the sentence says
that it can't be told yet, and what would tell. 'No amount was enough' is only said of sizes of which at
least twice as many were tried.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from workbench.laws.in_words import number_in_words, percent_in_words, readable, size_in_words
from workbench.laws.thresholds import LEVEL, LIKELY, TWICE
from workbench.laws.units import EXAMPLES, SizeUnit


@dataclass(frozen=True)
class RateCurve:
    """The rate at each reference size, with its interval; infinity means not reached, 0 below what was tried.

    Attributes:
        low: Lower end of the 95% interval; 0 where the smallest amount tried may already be enough.
        high: Upper end; infinity where no amount tried may be enough.
        sure_low: Lower end that holds for all qualities compared at once; verdicts rest on it.
        sure_high: Its upper end.
        not_reached: Probability that no amount tried of the other quality is enough.
        at_most: Probability that the smallest amount tried is already enough.
    """

    size: Float[np.ndarray, " sizes"]
    median: Float[np.ndarray, " sizes"]
    low: Float[np.ndarray, " sizes"]
    high: Float[np.ndarray, " sizes"]
    sure_low: Float[np.ndarray, " sizes"]
    sure_high: Float[np.ndarray, " sizes"]
    not_reached: Float[np.ndarray, " sizes"]
    at_most: Float[np.ndarray, " sizes"]


@dataclass(frozen=True)
class Crossing:
    """The reference size at which the better quality changes, with its interval; infinity is beyond."""

    size: float
    low: float
    high: float
    reference_below: bool
    """Whether the reference's examples are the better ones below; else they are above."""


@dataclass(frozen=True, kw_only=True)
class Rated:
    """What is known about two qualities, from which the claims follow.

    Attributes:
        smallest: The smallest size of the other quality that was measured.
        tried: The largest.
        rates: The rate over reference sizes; None where no interval can be given.
        useless: Probability that the reference quality at this size is no better than no training at all.
        crossing: Where the better quality changes; None where no change is sure.
        comparisons: How many qualities the reference is compared with at once.
        unit: What sizes count.
    """

    reference: str
    other: str
    smallest: float
    tried: float
    rates: RateCurve | None
    useless: Float[np.ndarray, " sizes"] | None
    crossing: Crossing | None = None
    comparisons: int = 1
    unit: SizeUnit = EXAMPLES


Kind = Literal[
    "better", "worse", "alike", "never", "unsure", "useless", "open", "beyond", "doubtful", "crossing"
]


@dataclass(frozen=True)
class Claim:
    """One thing that an answer says.

    Attributes:
        kind: "better": the reference's examples are worth more; "worse": the other's are; "alike": can't be
            told apart; "never": no amount tried matches ``size`` reference examples; "unsure": whether any
            does can't be told; "useless": ``size`` reference examples are no better than no training;
            "open": only of more is anything sure; "beyond": from ``size`` on, no amount tried was enough;
            "doubtful": from ``size`` on that can't be told; "crossing": which is better changes at ``size``.
        size: Reference examples.
        low: Lower end of what is claimed: of the rate at ``size``, or of a crossing.
        middle: Its median.
        high: Its upper end.
    """

    kind: Kind
    size: float
    low: float = math.nan
    middle: float = math.nan
    high: float = math.nan


def claims_of(answer: Rated, size: float | int | None) -> tuple[Claim, ...]:
    """Return what an answer claims at one size, or at its most telling one and beyond, what is sure first."""
    rates = answer.rates
    if rates is None:
        return ()
    known = np.flatnonzero(~np.isnan(rates.not_reached))
    if not len(known):
        return ()
    if size is not None:
        at = int(np.abs(np.log(rates.size / size)).argmin())
        return () if at not in known else (_at(answer, rates, at),)
    at = _most_telling(answer, rates, known)
    first = _at(answer, rates, at)
    if first.kind in ("alike", "unsure"):
        for sure in (_at(answer, rates, int(i)) for i in known[(known > at) & never_enough(answer)[known]]):
            if sure.kind == "never":
                return (sure, replace(first, kind="open"), *_crossing(answer))
    return (first, *_crossing(answer), *_beyond(answer, rates, known, at, first))


def _sure(answer: Rated) -> float:
    """Return the probability from which something is said for sure, corrected for the comparisons."""
    return 1 - (1 - LEVEL) / answer.comparisons


def _most_telling(answer: Rated, rates: RateCurve, known: np.ndarray) -> int:
    """Return the largest size whose rate has two ends and of which twice as many were tried.

    Where none has, it is the largest that is likelier reached than not, else the smallest.
    """
    useful = [i for i in known if answer.useless is None or answer.useless[i] <= LIKELY] or list(known)
    tried = [i for i in useful if answer.tried >= TWICE * rates.size[i]] or useful
    closed = [i for i in tried if rates.low[i] > 0 and math.isfinite(rates.high[i])]
    reached = [i for i in tried if rates.not_reached[i] < LIKELY]
    return int((closed or reached or tried[:1])[-1])


def _at(answer: Rated, rates: RateCurve, at: int) -> Claim:
    n = float(rates.size[at])
    # where the smallest size tried is surely enough, it is the bound
    high = float(rates.high[at]) or answer.smallest / n
    # nearly sure that nothing is enough, but not for all comparisons at once: their end is the one to tell
    low = float(rates.low[at] if math.isfinite(rates.low[at]) else rates.sure_low[at])
    ends = (low, float(rates.median[at]), high)
    if answer.useless is not None and answer.useless[at] >= _sure(answer):
        return Claim("useless", n)
    if rates.not_reached[at] >= _sure(answer) or math.isinf(low):
        return Claim("never" if answer.tried >= TWICE * n else "unsure", n, *ends)
    if rates.sure_low[at] > 1:
        return Claim("better", n, *ends)
    if rates.sure_high[at] < 1:
        return Claim("worse", n, *ends)
    return Claim("alike" if rates.not_reached[at] < LIKELY else "unsure", n, *ends)


def _crossing(answer: Rated) -> tuple[Claim, ...]:
    found = answer.crossing
    return () if found is None else (Claim("crossing", found.size, found.low, found.size, found.high),)


def _beyond(answer: Rated, rates: RateCurve, known: np.ndarray, at: int, first: Claim) -> tuple[Claim, ...]:
    if first.kind in ("never", "unsure", "useless"):
        return ()
    later = known[known > at]
    if lost := [i for i in later if never_enough(answer)[i]]:
        return (Claim("beyond", float(rates.size[lost[0]])),)
    doubtful = [i for i in later if rates.not_reached[i] > 1 - LEVEL]
    return (Claim("doubtful", float(rates.size[doubtful[0]])),) if doubtful else ()


def never_enough(answer: Rated) -> Bool[np.ndarray, " sizes"]:
    """Say at which sizes no amount tried is surely enough, at least twice the size among them."""
    assert answer.rates is not None, "an answer without rates says nothing of a size"
    return (answer.rates.not_reached >= _sure(answer)) & (answer.tried >= TWICE * answer.rates.size)


def rate_in_words(answer: Rated, at: int) -> str:
    """Return the rate at one of its sizes with its interval, such as "3.1 (2.4 to 4.0)"."""
    curve = answer.rates
    if curve is None or math.isnan(curve.median[at]):
        return "no interval" if curve is None else "not measured"
    low, middle, high = (float(end[at]) for end in (curve.low, curve.median, curve.high))
    if math.isinf(low):
        low = float(curve.sure_low[at])
    if never_enough(answer)[at]:
        return f"not reached (probability {percent_in_words(curve.not_reached[at])})"
    if curve.not_reached[at] >= _sure(answer):
        return f"at least {number_in_words(answer.tried / curve.size[at])}; more was not tried"
    if math.isinf(middle):
        return f"at least {number_in_words(low)}" if low > 0 else "can't tell"
    if middle == 0:
        # where the smallest size tried is surely enough, it is the bound
        most = high or answer.smallest / curve.size[at]
        return f"at most {number_in_words(most)}" if math.isfinite(high) else "can't tell"
    if low == 0 or math.isinf(high):
        ends = [f"at least {number_in_words(low)}"] if low > 0 else []
        ends += [f"at most {number_in_words(high)}"] if math.isfinite(high) else []
        return f"{number_in_words(middle)} ({' '.join(ends) or 'no interval'})"
    return f"{number_in_words(middle)} ({number_in_words(low)} to {number_in_words(high)})"


def claim_in_words(answer: Rated, claim: Claim) -> str:
    """Return a claim in full: its sentence, then what follows from it."""
    return " ".join(filter(None, claim_parts(answer, claim)))


def claim_parts(answer: Rated, claim: Claim) -> tuple[str, str]:
    """Return a claim as one sentence that can be said aloud, and what follows from it, which may be empty."""
    unit = answer.unit
    reference, other = quality_in_words(answer.reference), quality_in_words(answer.other)
    n = size_in_words(claim.size)
    match claim.kind:
        case "better":
            return (
                f"{_start(reference)}: one {reference} {unit.one} does the work of {_amount(claim)} {other} "
                f"ones at {n} {reference} {unit.many}{_interval(claim)}.",
                _price(answer, claim),
            )
        case "worse":
            back = _inverse(claim)
            return (
                f"{_start(other)}: one {other} {unit.one} does the work of {_amount(back)} {reference} "
                f"ones at {n} {reference} {unit.many}{_interval(back)}.",
                f"Turning {other} {unit.many} into {reference} ones gains nothing there.",
            )
        case "alike" if claim.low == 0 and math.isinf(claim.high):
            return (
                f"Can't tell yet how many {other} {unit.many} do the work of one {reference} one at {n} "
                f"{reference} {unit.many}.",
                "Add seeds, or held-out items, which narrow this.",
            )
        case "alike":
            return (
                f"Can't tell yet: at {n} {reference} {unit.many}, one does the work of {_range(claim)} "
                f"{other} ones.",
                "Collect whichever is cheaper, or add seeds, which narrow this.",
            )
        case "never":
            return (
                f"{_start(reference)}: at {n} {reference} {unit.many}, no amount of {other} ones we tried, "
                f"up to {_times(answer, claim)} as many, was enough.",
                "",
            )
        case "unsure":
            return _unsure(answer, claim, reference, other)
        case "useless":
            said = f"Nothing to exchange: {n} {reference} {unit.many} are no better than no training at all."
            return said, ""
        case "open":
            bounded = 0 < claim.low < math.inf or claim.high < math.inf
            amount = f": one does the work of {_range(claim)} {other} ones" if bounded else ""
            return f"At {n}, that can't be told yet{amount}; more seeds would tell.", ""
        case "beyond":
            return (
                f"From {n} on, no amount of {other} ones we tried, up to {_times(answer, claim)} as many, "
                "was enough.",
                "",
            )
        case "doubtful":
            more = TWICE * claim.size
            tell = (
                f"{size_in_words(more)} {other} ones were not tried; they would tell"
                if answer.tried < more
                else "more seeds would tell"
            )
            said = f"From {n} on, whether any amount of {other} ones is enough can't be told yet: {tell}."
            return said, ""
        case "crossing":
            return _changes(answer, claim), ""


def _changes(answer: Rated, claim: Claim) -> str:
    """Say at which size which quality becomes the worse one."""
    unit = answer.unit
    reference, other = quality_in_words(answer.reference), quality_in_words(answer.other)
    assert answer.crossing is not None, "a claim of a crossing rests on one"
    first, second = (reference, other) if answer.crossing.reference_below else (other, reference)
    at, low, high = (size_in_words(float(f"{size:.2g}")) for size in (claim.size, claim.low, claim.high))
    ends = f"{low} or more" if math.isinf(claim.high) else f"{low} to {high}"
    return (
        f"Which is better changes at about {at} {reference} {unit.many} ({ends}): with "
        f"fewer, one {first} {unit.one} is worth more than one {second} one."
    )


def _unsure(answer: Rated, claim: Claim, reference: str, other: str) -> tuple[str, str]:
    unit = answer.unit
    n = size_in_words(claim.size)
    least = claim.low
    known = f"It takes at least {number_in_words(least)} times as many. " if 1 < least < math.inf else ""
    more = TWICE * claim.size
    tell = (
        f"At least {size_in_words(more)} {other} ones would tell; up to {size_in_words(answer.tried)} were "
        "tried."
        if answer.tried < more
        else f"Up to {size_in_words(answer.tried)} were tried; more seeds would tell."
    )
    return (
        f"Can't tell yet whether any amount of {other} {unit.many} matches {n} {reference} ones.",
        known + tell,
    )


def break_even_in_words(answer: Rated, size: float | int) -> str:
    """Say up to what price turning examples of the other quality into reference ones pays, at one size."""
    unit = answer.unit
    found = claims_of(answer, size)
    kind = found[0].kind if found else "unsure"
    reference, other = quality_in_words(answer.reference), quality_in_words(answer.other)
    n = f"At {size_in_words(size)} {reference} {unit.many}"
    if kind == "better":
        return f"{n}: {_price(answer, found[0])[0].lower()}{_price(answer, found[0])[1:]}"
    if kind == "never":
        return (
            f"{n}: it pays to turn {_article(other)} {other} {unit.one} into {_article(reference)} "
            f"{reference} one at least while that costs less than collecting "
            f"{number_in_words(answer.tried / size - 1)} more: so many were tried, and were not enough."
        )
    if kind == "worse":
        return f"{n}: turning {other} {unit.many} into {reference} ones gains nothing, whatever it costs."
    return (
        f"{n}: up to what price it pays to turn {other} {unit.many} into {reference} ones can't be told yet."
    )


def _price(answer: Rated, claim: Claim) -> str:
    unit = answer.unit
    reference, other = quality_in_words(answer.reference), quality_in_words(answer.other)
    least = number_in_words(claim.low - 1) if claim.low > 1 else "0"
    most = "no limit" if math.isinf(claim.high) else number_in_words(claim.high - 1)
    more = (
        f"at least {least} more"
        if math.isinf(claim.middle)
        else f"{number_in_words(claim.middle - 1)} more ({least} to {most})"
    )
    return (
        f"It pays to turn {_article(other)} {other} {unit.one} into {_article(reference)} {reference} one "
        f"while that costs less than collecting {more}."
    )


def _inverse(claim: Claim) -> Claim:
    def back(value: float) -> float:
        if value == 0:
            return math.inf
        return 0.0 if math.isinf(value) else 1 / value

    return Claim(claim.kind, claim.size, back(claim.high), back(claim.middle), back(claim.low))


def _amount(claim: Claim) -> str:
    if claim.middle == 0:
        return f"at most {number_in_words(claim.high)}"
    if math.isinf(claim.middle):
        return f"at least {number_in_words(claim.low)}"
    return f"about {number_in_words(claim.middle)}"


def _interval(claim: Claim) -> str:
    """Return the interval in brackets; nothing where the amount itself is one end."""
    if claim.middle == 0 or math.isinf(claim.middle):
        return ""
    if claim.low == 0:
        return f" (at most {number_in_words(claim.high)})"
    if math.isinf(claim.high):
        return f" (at least {number_in_words(claim.low)})"
    return f" ({number_in_words(claim.low)} to {number_in_words(claim.high)})"


def _range(claim: Claim) -> str:
    if claim.low == 0:
        return f"at most {number_in_words(claim.high)}"
    if math.isinf(claim.high):
        return f"at least {number_in_words(claim.low)}"
    return f"{number_in_words(claim.low)} to {number_in_words(claim.high)}"


def _times(answer: Rated, claim: Claim) -> str:
    return f"{number_in_words(answer.tried / claim.size)} times"


def quality_in_words(quality: str) -> str:
    """Return a quality's label as it stands in a sentence; in quotes where it isn't a plain word or two."""
    words = readable(quality)
    plain = words[:1].isalpha() and all(letter.isalnum() or letter in " %-" for letter in words)
    return words if plain else repr(words)


def _start(words: str) -> str:
    return words[:1].upper() + words[1:]


def _article(words: str) -> str:
    return "an" if words[:1].lower() in "aeio8" else "a"
