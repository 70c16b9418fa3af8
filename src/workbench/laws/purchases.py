"""What a budget of money and hours should buy: new examples, cleaner ones, more raters, or some of each.

A set of examples of several qualities is taken to score, at its size, as the curves of its qualities do
there, each weighed by its share of the examples. So mending a share of the examples moves the metric by that
share of the way between two curves, read at the size of the whole set. Where the first examples that are
mended do more than the later ones, this understates mending.

Beyond the largest size measured, the draws of the curves are read on by their law, with its deviation, where
the analysis trusts a law: a purchase then has a probability of being the best, and no cap. Where none is
trusted, and beyond ``BEYOND`` times that size, nothing is said but what would tell.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError
from workbench.laws.analysis import Analysis
from workbench.laws.curves import BEYOND
from workbench.laws.exchange import rate_of
from workbench.laws.thresholds import TAILS

DIVISIONS = 21
"""Ways to divide a budget between two offers, both ends included."""
MORE = 0.05
"""Share by which a divided budget has to gain more than an undivided one to be worth its trouble."""
CLOSE_TO = 0.001
"""A size is taken to be measured where it is off by this share."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Something that money buys: new examples of a quality, or examples at hand turned into it.

    Raises:
        InputError: If a price is negative or a share isn't from 0 to 1.
    """

    name: str
    quality: str
    """What a bought or mended example is of."""
    price: float | int
    """Of a new example; of one that is mended."""
    upgrade: bool = False
    """Whether it turns examples at hand into that quality: cleaning, or more raters."""
    score: float | int | None = None
    """Of looking whether one example is wrong; None where nobody does, and every one is mended."""
    wrong: float | int = 1.0
    """Share of the examples looked at that turn out to be wrong. Only those are mended."""
    right: float | int = 1.0
    """Probability that what was mended is really of the quality; else it stays as it was."""

    def __post_init__(self) -> None:
        """Refuse what nothing can cost."""
        for what, price in (("price", self.price), ("score", self.score)):
            if price is not None and not 0 <= price < math.inf:
                raise InputError(f"{self.name}: the {what} is {price:g}; a cost has to be 0 or more")
        if self.price == 0 and not self.upgrade:
            raise InputError(
                f"{self.name}: the price is 0, and a budget buys any number of them; give a price above 0"
            )
        for what, share in (("wrong", self.wrong), ("right", self.right)):
            if not 0 <= share <= 1:
                raise InputError(f"{self.name}: {what} is {share:g}; it is a share, from 0 to 1")

    @property
    def each(self) -> float:
        """Money for one more example of the quality: where someone looks first, few of those are mended."""
        return float(self.price if self.score is None else self.score + self.wrong * self.price)


@dataclass(frozen=True, kw_only=True)
class Purse:
    """What may be spent; training on the result is paid out of it too."""

    money: float | int
    price_per_hour: float | int = 0
    """Of training."""
    hours: float | int | None = None
    """Most that training may take; None sets no limit."""

    def __post_init__(self) -> None:
        """Refuse what can't be spent."""
        for what, amount in (("budget", self.money), ("price of an hour", self.price_per_hour)):
            if not 0 <= amount < math.inf:
                raise InputError(f"the {what} is {amount:g}; it has to be 0 or more")
        if self.hours is not None and not 0 < self.hours < math.inf:
            raise InputError(f"the limit of training is {self.hours:g} hours; it has to be above 0")


@dataclass(frozen=True)
class TrainingTime:
    """Minutes that training on a number of examples takes: a fixed part and one for each example."""

    fixed: float | int = 0.0
    each: float | int = 0.0

    def hours(self, examples: float | int) -> float:
        """Return the hours of training on so many examples."""
        return float(self.fixed + self.each * examples) / 60


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """What a way to spend the budget would do.

    ``gain`` is how much the metric is expected to improve (a loss falls, an accuracy rises), with its 95%
    interval; all three are None where nothing can be said, and ``unknown`` says why and what would tell.
    """

    offers: tuple[Offer, ...]
    counts: tuple[float, ...]
    """Examples bought or looked after, by offer."""
    examples: float
    """How many there are in all after it."""
    money: float
    """Spent, training included; what is left buys nothing more."""
    hours: float
    """Of training on the result."""
    gain: float | None
    low: float | None
    high: float | None
    best: float | None
    """Probability that no other purchase of the list gains more; None where one of them is unknown."""
    measured: float
    """The largest size measured of every quality in the result; above it the curves are the law's."""
    unknown: str | None = None

    @property
    def beyond(self) -> bool:
        """Whether the gain is read beyond what was measured."""
        return bool(self.examples > self.measured * (1 + CLOSE_TO))

    @property
    def name(self) -> str:
        """What is bought."""
        return " and ".join(offer.name for offer in self.offers)


@dataclass(frozen=True)
class _Basket:
    offers: tuple[Offer, ...]
    bought: tuple[float, ...]
    held: Mapping[str, float]
    """Examples of each quality after the purchase."""
    money: float
    hours: float

    @property
    def examples(self) -> float:
        return sum(self.held.values())


def plan_purchases(
    analysis: Analysis,
    offers: Sequence[Offer],
    *,
    quality: str,
    size: float | int,
    budget: Purse,
    training: TrainingTime | None = None,
) -> tuple[Purchase, ...]:
    """Say what each offer would do with the whole budget, and the best division between two; best first.

    The division stands in the list where it is expected to gain clearly more than every offer by itself, by
    ``MORE``. What can't be judged comes last.

    Args:
        analysis: An analysed study, with at least two seeds.
        offers: What can be bought.
        quality: The quality of the examples at hand.
        size: How many there are.
        budget: What may be spent.
        training: How long training takes; by default no time.

    Raises:
        InputError: Without an interval, without an offer, for fewer examples than were measured, or for a
            budget that doesn't pay for training on those at hand.
    """
    if analysis.noise is None:
        raise InputError(
            "one seed per cell: no interval can be given, so no purchase is advised. Run 3 seeds: "
            "--seeds 0 1 2."
        )
    if not offers:
        raise InputError("nothing is for sale: give what at least one new or one cleaned example costs.")
    least = float(analysis.curve(quality).sizes[0])
    if not size >= least * (1 - CLOSE_TO):
        raise InputError(
            f"{size:g} {analysis.unit.many} are fewer than were measured of {quality!r}, and a plan would be "
            f"a guess. Give at least {least:,.0f}, or measure that size too."
        )
    training = training or TrainingTime()
    _refuse_too_little(budget, training, f"{quality!r} {analysis.unit.many}", size)
    alone = [_basket([offer], [1.0], quality, size, budget, training) for offer in offers]
    shares = np.linspace(0, 1, DIVISIONS)[1:-1]
    divided = [
        _basket(pair, [share, 1 - share], quality, size, budget, training)
        for pair in combinations(offers, 2)
        for share in shares
    ]
    baskets = [*alone, *divided]
    gains = _gains(analysis, quality, size, baskets)
    # a gain that isn't known takes no part in what is the best
    expected = np.array([-math.inf if np.isnan(one).any() else float(one.mean()) for one in gains[1:].T])
    chosen = list(range(len(alone)))
    best = int(expected.argmax())
    undivided = float(expected[: len(alone)].max())
    least_more = MORE * abs(undivided) if math.isfinite(undivided) else 0.0
    if best >= len(alone) and expected[best] > undivided + least_more:
        chosen.append(best)
    first = _first(gains[1:, chosen])
    purchases = [
        _purchase(analysis, baskets[j], gains[1:, j], None if first is None else float(first[k]))
        for k, j in enumerate(chosen)
    ]
    return tuple(sorted(purchases, key=lambda one: -math.inf if one.gain is None else one.gain, reverse=True))


def metric_of_set(analysis: Analysis, held: Mapping[str, float | int]) -> Float[np.ndarray, " draws"]:
    """Return the metric of examples of several qualities, by how many there are of each.

    It is what the module's first lines say, in the best single curves (row 0) and every draw.

    Raises:
        InputError: If a quality is not in the study.
    """
    total = sum(held.values())
    parts = [
        count / total * analysis.curve(quality).predict([total])[:, 0]
        for quality, count in held.items()
        if count
    ]
    return np.sum(parts, axis=0)


def why_unknown(analysis: Analysis, quality: str, size: float | int) -> str | None:
    """Say why nothing is known of a quality at a size, and what would tell; None where its curve is read."""
    sizes = analysis.curve(quality).sizes
    largest = float(sizes[-1])
    if size < sizes[0] * (1 - CLOSE_TO):
        return (
            f"nothing can be said of {size:,.0f} {quality!r} {analysis.unit.many}, for at least "
            f"{sizes[0]:,.0f} were measured; cells of {size:,.0f} would tell"
        )
    if size <= largest * (1 + CLOSE_TO):
        if np.isnan(analysis.curve(quality).predict([size])).any():
            return f"{quality!r} was measured at {len(sizes)} sizes, and a curve needs 3; one more would tell"
        return None
    told = (
        f"nothing can be said of {size:,.0f} {quality!r} {analysis.unit.many}, for up to {largest:,.0f} were "
        "measured"
    )
    if not (analysis.trusted and analysis.curve(quality).parts):
        return f"{told} and no law is trusted beyond; cells of {size:,.0f} would tell"
    if size > BEYOND * largest * (1 + CLOSE_TO):
        return (
            f"{told}, and a law is read up to {BEYOND:g} times as many; cells of at least "
            f"{math.ceil(size / BEYOND):,} would tell"
        )
    return None


@dataclass(frozen=True)
class BreakEven:
    """New examples for whose price one example may be mended, with its interval; infinity where none do."""

    low: float
    middle: float
    high: float


def break_even(analysis: Analysis, *, reference: str, other: str, size: float | int) -> BreakEven | None:
    """Return how many new examples one mended example may cost before it no longer pays; None if unknown.

    ``size`` mended examples do the work of rate x ``size`` that are not, of which ``size`` are at hand. So
    mending one pays while it costs less than collecting rate - 1 more.

    Raises:
        InputError: If a quality is not in the study.
    """
    rates = rate_of(analysis, reference=reference, other=other, sizes=[size]).rates
    if rates is None or np.isnan(rates.not_reached[0]):
        return None
    low, middle, high = (max(float(end[0]) - 1, 0.0) for end in (rates.low, rates.median, rates.high))
    return BreakEven(low, middle, high)


def _refuse_too_little(budget: Purse, training: TrainingTime, what: str, size: float | int) -> None:
    hours = training.hours(size)
    at_hand = f"training on the {size:,.0f} {what} at hand takes {hours:.2g} hours"
    if budget.money < budget.price_per_hour * hours:
        raise InputError(
            f"{at_hand}, which costs more than the budget of {budget.money:g}; give at least "
            f"{_rounded_up(budget.price_per_hour * hours)}"
        )
    if budget.hours is not None and budget.hours < hours:
        raise InputError(f"{at_hand}, and the limit is {budget.hours:g}; give at least {_rounded_up(hours)}")


def _rounded_up(amount: float) -> str:
    digits = 2 - math.floor(math.log10(amount))
    return f"{math.ceil(amount * 10**digits) / 10**digits:g}"


def _basket(
    offers: Sequence[Offer],
    shares: Sequence[float],
    quality: str,
    size: float | int,
    budget: Purse,
    training: TrainingTime,
) -> _Basket:
    """Spend the budget: what training on the result costs first, the rest by the shares."""
    each_hour = budget.price_per_hour
    new = [0.0 if offer.upgrade else share / offer.each for offer, share in zip(offers, shares, strict=True)]
    # each new example makes training longer, which the same money pays
    left = budget.money - each_hour * training.hours(size)
    spent = left / (1 + each_hour * training.each / 60 * sum(new))
    bought = [count * spent for count in new]
    if budget.hours is not None and training.each:
        most = max((60 * budget.hours - training.fixed) / training.each - size, 0.0)
        bought = [count * min(1.0, most / sum(bought)) if count else 0.0 for count in bought]
    held = {quality: float(size)}
    for offer, count in zip(offers, bought, strict=True):
        held[offer.quality] = held.get(offer.quality, 0.0) + count
    own = held[quality]
    mended = [
        min(_amount(share * spent, offer.each), own) if offer.upgrade else 0.0
        for offer, share in zip(offers, shares, strict=True)
    ]
    fit = min(1.0, own / sum(mended)) if sum(mended) else 1.0
    for j, offer in enumerate(offers):
        if offer.upgrade:
            bought[j] = mended[j] * fit
            held[quality] -= offer.right * bought[j]
            held[offer.quality] = held.get(offer.quality, 0.0) + offer.right * bought[j]
    hours = training.hours(sum(held.values()))
    money = each_hour * hours + sum(o.each * count for o, count in zip(offers, bought, strict=True))
    return _Basket(tuple(offers), tuple(bought), held, money, hours)


def _amount(money: float, each: float) -> float:
    return money / each if each else math.inf


def _gains(
    analysis: Analysis, quality: str, size: float | int, baskets: Sequence[_Basket]
) -> Float[np.ndarray, "draws baskets"]:
    """Return how much each basket improves the metric, in every draw; NaN where that isn't known."""
    sizes = np.array([basket.examples for basket in baskets])
    after = np.zeros((len(analysis.curve(quality).predict([size])), len(baskets)))
    for label in dict.fromkeys(label for basket in baskets for label in basket.held):
        share = np.array([basket.held.get(label, 0.0) for basket in baskets]) / sizes
        here = np.flatnonzero(share > 0)
        after[:, here] += share[here] * analysis.curve(label).predict(sizes[here])
    unknown = [j for j, basket in enumerate(baskets) if next(_unknown(analysis, basket), None)]
    after[:, unknown] = np.nan
    sign = 1.0 if analysis.falling else -1.0
    now = metric_of_set(analysis, {quality: size})
    now = np.full_like(now, np.nan) if why_unknown(analysis, quality, size) else now
    return sign * (now[:, None] - after)


def _unknown(analysis: Analysis, basket: _Basket) -> Iterator[str]:
    """Yield why a basket can't be judged."""
    for quality, count in basket.held.items():
        if count and (why := why_unknown(analysis, quality, basket.examples)):
            yield why


def _first(gains: Float[np.ndarray, "draws purchases"]) -> Float[np.ndarray, " purchases"] | None:
    """Return the share of draws in which each gains most; those that gain alike share a draw."""
    if np.isnan(gains).any():
        return None
    top = gains == gains.max(axis=1, keepdims=True)
    return (top / top.sum(axis=1, keepdims=True)).mean(axis=0)


def _purchase(analysis: Analysis, basket: _Basket, gain: np.ndarray, best: float | None) -> Purchase:
    known = not np.isnan(gain).any()
    low, high = np.quantile(gain, TAILS) if known else (None, None)
    used = [quality for quality, count in basket.held.items() if count]
    return Purchase(
        offers=basket.offers,
        counts=basket.bought,
        examples=basket.examples,
        money=basket.money,
        hours=basket.hours,
        gain=float(gain.mean()) if known else None,
        low=float(low) if low is not None else None,
        high=float(high) if high is not None else None,
        best=best,
        measured=min(float(analysis.curve(quality).sizes[-1]) for quality in used),
        unknown=next(_unknown(analysis, basket), None),
    )
