"""Prices as people know them, and what can be bought for them."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.config import Quality
from workbench.errors import InputError, unknown_name
from workbench.laws.purchases import Offer, Purse
from workbench.laws.units import EXAMPLES, SizeUnit


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What is at hand, what may be spent, and what things cost, in one currency; None is not for sale.

    Raises:
        InputError: If a number can't be, or one is given without what it needs.
    """

    have: tuple[str, int]
    """The quality at hand, and how many examples of it."""
    budget: float | int
    hours: float | int | None = None
    """Most hours that training on the result may take."""
    new: Mapping[str, float | int] = field(default_factory=dict)
    """Of one new example, by its quality."""
    clean: float | int | None = None
    """Of an annotator's mending one example."""
    score: float | int | None = None
    """Of a scorer's looking at one example to see whether it has to be mended."""
    right: float | int = 1.0
    """Probability that a mended example really is as good as it should be."""
    rater: float | int | None = None
    """Of one more rater for one example."""
    per_hour: float | int = 0
    """Of an hour of training."""

    def __post_init__(self) -> None:
        """Refuse numbers that can't be, by the options that give them."""
        named = {
            "--budget": self.budget,
            "--price-clean": self.clean,
            "--price-score": self.score,
            "--price-rater": self.rater,
            "--price-per-hour": self.per_hour,
            "--have": self.have[1],
            **{f"--price-new {quality}": price for quality, price in self.new.items()},
        }
        for option, value in named.items():
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"{option} is {value:g}; it has to be 0 or more")
        if self.have[1] < 1:
            raise InputError(f"--have is {self.have[1]}; a plan needs at least 1 example at hand")
        if self.hours is not None and not 0 < self.hours < math.inf:
            raise InputError(f"--hours is {self.hours:g}; it has to be above 0")
        if not 0 <= self.right <= 1:
            raise InputError(f"--cleaner-right is {self.right:g}; it is a probability, from 0 to 1")
        for option, given in (
            ("--price-score", self.score is not None),
            ("--cleaner-right", self.right != 1),
        ):
            if given and self.clean is None:
                raise InputError(
                    f"{option} is for cleaning, and no price of that is given; add --price-clean 0.4"
                )
        if not self.new and self.clean is None and self.rater is None:
            raise InputError(
                f"--budget {self.budget:g} buys nothing without a price; give at least one, such as "
                f"--price-new {shlex.quote(f'{self.have[0]}=0.05')}"
            )

    @property
    def purse(self) -> Purse:
        """What may be spent."""
        return Purse(money=self.budget, price_per_hour=self.per_hour, hours=self.hours)


def offers_of(
    prices: Prices, qualities: Mapping[str, Quality | None], reference: str, unit: SizeUnit = EXAMPLES
) -> tuple[Offer, ...]:
    """Return what can be bought for these prices.

    Where a scorer looks first, only the examples that are wrong are mended: as many as the study spoiled on
    purpose, beyond those of the reference; all of them where the study doesn't know.

    Args:
        prices: The prices.
        qualities: The study's qualities by label; None for one of which no more than the label is known.
        reference: The quality of an example that was cleaned.
        unit: What sizes count.

    Raises:
        InputError: If a quality isn't in the study, or has no raters to add to.
    """
    own = prices.have[0]
    for label in (own, *prices.new):
        if label not in qualities:
            raise unknown_name("quality", label, qualities, "the study's grid")
    offers = [
        Offer(name=f"new {label} {unit.many}", quality=label, price=price)
        for label, price in prices.new.items()
    ]
    if prices.clean is not None:
        if own == reference:
            raise InputError(
                f"--price-clean turns {unit.many} at hand into {reference!r} ones, and those at hand are; "
                "leave it out"
            )
        offers.append(
            Offer(
                name=f"cleaning {own} {unit.many}",
                quality=reference,
                price=prices.clean,
                upgrade=True,
                score=prices.score,
                wrong=_wrong(qualities[own], qualities[reference]),
                right=prices.right,
            )
        )
    if prices.rater is not None:
        offers.append(_more_raters(own, qualities, prices.rater, unit))
    return tuple(offers)


def _wrong(own: Quality | None, reference: Quality | None) -> float:
    """Return the share of examples at hand that are wrong and aren't in the reference; 1 if not known."""
    if own is None or reference is None or own.corruption == "none":
        return 1.0
    if reference.corruption not in ("none", own.corruption) or reference.share <= own.share:
        return 1.0
    return reference.share - own.share


def _more_raters(
    own: str, qualities: Mapping[str, Quality | None], price: float | int, unit: SizeUnit
) -> Offer:
    """Return the offer of the next larger number of raters that the study has."""
    mine = qualities[own]
    known = {q.raters: label for label, q in qualities.items() if q is not None and q.raters is not None}
    have = None if mine is None else mine.raters
    above = [raters for raters in known if have is not None and raters > have]
    if have is None or not above:
        rated = ", ".join(map(repr, known.values())) or "none"
        raise InputError(
            f"--price-rater needs a study that measured more raters than {own!r} has; of its qualities these "
            f"say how many they have: {rated}. Leave it out"
        )
    more = min(above) - have
    name = f"{more} more rater{'s' * (more > 1)} for {own} {unit.many}"
    return Offer(name=name, quality=known[min(above)], price=more * price, upgrade=True)
