"""What to do next: what a study could see, which purchase pays, which cell to run.

Everything is read from resamples of the study's curves, so every answer carries the measurements' noise.
Nothing is read beyond the sizes measured; an offer that would need more is priced up to there and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from workbench.config import CellConfig, Quality
from workbench.errors import InputError, unknown_name
from workbench.laws.analysis import Analysis
from workbench.laws.exchange import fewest
from workbench.laws.thresholds import TAILS

ALPHA = 0.05
"""Chance of a false alarm in the two-sided test by which a planned study would tell two qualities apart."""


def smallest_difference(
    spread: float,
    *,
    seeds: int,
    sizes: int = 1,
    qualities: int = 2,
    seed_share: float = 0.0,
    quality_share: float = 0.0,
    power: float = 0.8,
) -> float:
    """Return the smallest difference between two qualities that a planned study would detect.

    Detecting means a two-sided 5% test of the difference, averaged over ``sizes``, succeeding with
    probability ``power``. What all cells of a seed share cancels; what a quality's cells share does not.

    Args:
        spread: Standard deviation of one measurement over seeds, in the metric's unit.
        seeds: Seeds per cell.
        sizes: Sizes over which the two qualities are compared; 1 for a comparison at one size.
        qualities: Qualities in the study, whose cells all help to estimate the spread.
        seed_share: Share of the variance common to all cells of a seed.
        quality_share: Share common to the cells of one seed and quality.
        power: Probability of detection.

    Raises:
        InputError: With fewer than two seeds: then no difference of any size could be told from noise.
    """
    if seeds < 2:
        raise InputError(
            f"{seeds} seed per cell can't tell a difference from noise; plan at least 2, better 3: seeds=3."
        )
    rest = 1 - seed_share - quality_share
    error = spread * np.sqrt(2 / seeds * (quality_share + rest / sizes))
    freedom = (seeds - 1) * (sizes * qualities if quality_share == 0 else qualities)
    needed = student.ppf(1 - ALPHA / 2, freedom) + student.ppf(power, freedom)
    return float(needed * error)


def detectable(
    analysis: Analysis,
    *,
    seeds: int | None = None,
    sizes: int = 1,
    qualities: int | None = None,
    power: float = 0.8,
) -> float:
    """Return the smallest difference that a study planned after this one would detect, before it is run.

    Its noise is taken to be this study's. Without any study, give ``smallest_difference`` a spread.

    Args:
        analysis: An analysed study, such as a coffee-sized one.
        seeds: Seeds planned; by default as many as this study has.
        sizes: Sizes over which the two qualities are compared.
        qualities: Qualities planned; by default as many as here.
        power: Probability of detection.

    Raises:
        InputError: With one seed per cell, for then the noise is unknown.
    """
    if analysis.noise is None:
        raise InputError(
            "one seed per cell: the noise floor is unknown. Run a few cells with 3 seeds first: "
            "--seeds 0 1 2."
        )
    seed, quality, rest = analysis.noise.variances
    total = seed + quality + rest
    return smallest_difference(
        float(np.sqrt(np.mean(analysis.noise.spread**2) * total)),
        seeds=seeds or int(max(curve.count.max() for curve in analysis.curves.values())),
        sizes=sizes,
        qualities=qualities or len(analysis.curves),
        seed_share=seed / total,
        quality_share=quality / total,
        power=power,
    )


@dataclass(frozen=True)
class Offer:
    """Something that money buys.

    ``price`` is per example. An offer of the quality at hand, ``quality`` equal to yours, buys new examples;
    any other turns examples at hand into that quality: cleaning, or one more rater. ``hours`` of compute are
    needed to train on the result, and are paid out of the same budget.
    """

    name: str
    quality: str
    price: float | int
    hours: float | int = 0


@dataclass(frozen=True)
class Prices:
    """What things cost, in one currency; None is not for sale.

    Attributes:
        new_example: One more example of the quality at hand.
        cleaned_example: Turning one example at hand into a clean one.
        rater: One more rater for one example at hand.
        hour: An hour of compute; 0 when nobody counts it.
        hours: Hours that training on the result of a purchase takes, by "new", "cleaned" or "rater".
    """

    new_example: float | int | None = None
    cleaned_example: float | int | None = None
    rater: float | int | None = None
    hour: float | int = 0
    hours: Mapping[str, float | int] = field(default_factory=dict)

    def offers(
        self, *, own: str, cleaned: str | None = None, more_raters: str | None = None
    ) -> tuple[Offer, ...]:
        """Return what can be bought.

        Args:
            own: The quality at hand.
            cleaned: The quality of an example that was cleaned.
            more_raters: The quality of an example with one more rater.

        Raises:
            InputError: If nothing has both a price and a quality.
        """
        sold = (
            ("new", own, self.new_example),
            ("cleaned", cleaned, self.cleaned_example),
            ("rater", more_raters, self.rater),
        )
        found = tuple(
            Offer(name, quality, price, self.hours.get(name, 0))
            for name, quality, price in sold
            if quality is not None and price is not None
        )
        if not found:
            raise InputError(
                "no price: give what one new example, one cleaned example or one more rater costs, such as "
                "Prices(new_example=1), and the quality that it leads to."
            )
        return found


@dataclass(frozen=True)
class Purchase:
    """What an offer would do with the whole budget.

    ``gain`` is how much the metric improves (a loss falls, an accuracy rises) with its 95% interval;
    ``best`` is the probability that no other offer improves it more.
    """

    offer: Offer
    examples: float
    gain: float
    low: float
    high: float
    best: float
    note: str


def plan_purchase(
    analysis: Analysis,
    offers: Sequence[Offer],
    *,
    quality: str,
    size: float | int,
    budget: float | int,
    price_per_hour: float | int = 0,
) -> tuple[Purchase, ...]:
    """Say which offer improves the metric most for a budget, best first.

    An upgrade of a share of the examples is taken to move the metric by that share of the way between the
    two qualities' curves at the same size; where early upgrades do more, this understates it.

    Args:
        analysis: An analysed study, with at least two seeds.
        offers: What can be bought.
        quality: The quality of the examples at hand.
        size: How many there are.
        budget: Money, in the unit of the prices.
        price_per_hour: Price of an hour of compute.

    Raises:
        InputError: Without an interval, with a price of 0 or less, or a size that was not measured around.
    """
    if analysis.noise is None:
        raise InputError(
            "one seed per cell: no interval can be given, so no purchase is advised. Run 3 seeds: "
            "--seeds 0 1 2."
        )
    for offer in offers:
        if offer.price <= 0:
            raise InputError(f"offer {offer.name!r}: the price is {offer.price:g}; it has to be above 0.")
    mine = analysis.curve(quality)
    if not mine.size[0] <= size <= mine.size[-1]:
        raise InputError(
            f"{size:g} examples lie outside the sizes measured for {quality!r} ({mine.size[0]:g} to "
            f"{mine.size[-1]:g}); a plan would be a guess. Give a size between these, or measure "
            "that one too."
        )
    sign = 1.0 if analysis.falling else -1.0
    gains, notes, bought = [], [], []
    now = _at(analysis, quality, float(size))
    for offer in offers:
        count = max(budget - offer.hours * price_per_hour, 0.0) / offer.price
        after, note = _after(analysis, offer, quality, float(size), count)
        gains.append(sign * (now - after))
        notes.append(note)
        bought.append(count)
    table = np.stack(gains, axis=1)
    first = table[1:].argmax(axis=1)
    low, high = np.quantile(table[1:], TAILS, axis=0)
    purchases = [
        Purchase(
            offer=offer,
            examples=bought[j],
            gain=float(np.median(table[1:, j])),
            low=float(low[j]),
            high=float(high[j]),
            best=float((first == j).mean()),
            note=notes[j],
        )
        for j, offer in enumerate(offers)
    ]
    return tuple(sorted(purchases, key=lambda purchase: -purchase.gain))


def _at(analysis: Analysis, quality: str, size: float) -> Float[np.ndarray, " resamples"]:
    return analysis.curve(quality).predict([size])[:, 0]


def _after(
    analysis: Analysis, offer: Offer, quality: str, size: float, count: float
) -> tuple[Float[np.ndarray, " resamples"], str]:
    if offer.quality == quality:
        largest = float(analysis.curve(quality).size[-1])
        note = f"only up to {largest:,.0f}, the largest size measured" if size + count > largest else ""
        return _at(analysis, quality, min(size + count, largest)), note
    share = min(count / size, 1.0)
    note = "the budget exceeds what there is to upgrade" if count > size else f"{share:.0%} of the examples"
    return (1 - share) * _at(analysis, quality, size) + share * _at(analysis, offer.quality, size), note


@dataclass(frozen=True)
class NextCell:
    """A cell that a study could run next and what it is expected to do to the rate's interval.

    ``narrowing`` is the expected share by which the interval of the logarithm of the rate shrinks.
    """

    quality: str
    size: float
    seed: int
    narrowing: float
    minutes: float

    def config(self, like: CellConfig, qualities: Mapping[str, Quality]) -> CellConfig:
        """Return the cell as a study runs it.

        Args:
            like: Any cell of the study: data, base, adapter and training are taken from it.
            qualities: The study's qualities by label.

        Raises:
            InputError: If the label is none of them.
        """
        if self.quality not in qualities:
            raise unknown_name("quality", self.quality, qualities, "the study's grid")
        return replace(like, quality=qualities[self.quality], size=round(self.size), seed=self.seed)

    @property
    def per_minute(self) -> float:
        """Expected narrowing bought by a minute of training."""
        return self.narrowing / self.minutes


def next_cells(
    analysis: Analysis,
    *,
    reference: str,
    other: str,
    size: float | int,
    minutes: Sequence[float | int] | np.ndarray | float | int = 1.0,
    count: int = 5,
) -> tuple[NextCell, ...]:
    """Return the cells that would narrow the rate's interval most per minute, best first.

    One more measurement of a cell is worth what it is correlated with the rate: over the resamples, the
    variance of the log rate falls by the square of its covariance with the cell, over the cell's variance and
    the noise of one measurement (a linear Bayesian update). No cell is trained to find out.

    Args:
        analysis: An analysed study.
        reference: The quality replaced.
        other: The quality that replaces it.
        size: The reference size at which the rate matters.
        minutes: Training minutes of a cell; one number, or one per measured size of both qualities.
        count: How many cells to return.

    Raises:
        InputError: Without an interval there is nothing to narrow, or if the minutes do not fit the sizes.
    """
    if analysis.noise is None:
        raise InputError(
            "one seed per cell: there is no interval to narrow yet. Run every cell with 3 seeds first: "
            "--seeds 0 1 2."
        )
    rate = _log_rate(analysis, reference, other, float(size))
    spread = float(np.sqrt(np.mean(analysis.noise.spread**2)))
    cells = []
    for quality in (reference, other):
        curve = analysis.curve(quality)
        told = np.asarray(minutes, dtype=float)
        if told.ndim and told.shape != curve.size.shape:
            raise InputError(
                f"minutes has {len(told)} numbers and {quality!r} was measured at {len(curve.size)} sizes. "
                "Give one number per size, or one for every cell."
            )
        cost = np.broadcast_to(told, curve.size.shape)
        value = curve.predict(curve.size)[1:]
        for j, at in enumerate(curve.size):
            move = value[:, j] - value[:, j].mean()
            covariance = float(np.mean(move * (rate - rate.mean())))
            gain = covariance**2 / (float(np.var(move)) + spread**2) / max(float(np.var(rate)), 1e-300)
            narrowing = 1 - np.sqrt(max(1 - gain, 0.0))
            cells.append(NextCell(quality, float(at), analysis.next_seed, float(narrowing), float(cost[j])))
    return tuple(sorted(cells, key=lambda cell: -cell.per_minute)[:count])


def _log_rate(analysis: Analysis, reference: str, other: str, size: float) -> Float[np.ndarray, " resamples"]:
    """Return every resample's log rate; 'not reached' counts as twice the largest rate in sight."""
    two = analysis.curve(other)
    grid = np.geomspace(two.size[0], two.size[-1], 200)
    target = analysis.curve(reference).predict([size])[1:, 0]
    enough = fewest(grid, two.predict(grid)[1:], target, falling=analysis.falling)
    return np.log(np.clip(enough, two.size[0], 2 * two.size[-1]) / size)
