"""What a budget should buy, as a plan shows it."""

import math
from collections.abc import Iterator, Sequence

from workbench.config import Quality
from workbench.errors import InputError
from workbench.laws import Analysis
from workbench.laws.prices import Prices, offers_of
from workbench.laws.purchases import Purchase, TrainingTime, plan_purchases
from workbench.laws.silence import in_words
from workbench.laws.stopping import RateQuestion
from workbench.studies.cell_costs import CellCost
from workbench.studies.disk.manifest import Manifest

PURCHASE_HEADINGS = ("what", "how many", "then in all", "money", "hours", "gain", "best")
ASSUMED = (
    "Mending a share of the examples is taken to move the metric by that share of the way between the curves "
    "of both qualities, at the number of examples that there are then."
)


def purchase_lines(purchases: Sequence[Purchase]) -> list[tuple[str, ...]]:
    """Return the purchases as lines of a table with ``PURCHASE_HEADINGS``."""
    return [
        (
            one.name,
            " and ".join(f"{math.floor(count + 1e-9):,}" for count in one.counts),
            f"{math.floor(one.examples + 1e-9):,}",
            f"{one.money:,.6g}",
            f"{one.hours:.2g}",
            "can't be told" if one.gain is None else f"{one.gain:.3g} ({one.low:.3g} to {one.high:.3g})",
            "" if one.best is None else _percent(one.best),
        )
        for one in purchases
    ]


def purchases_of(
    analysis: Analysis,
    manifest: Manifest,
    question: RateQuestion,
    time: CellCost | None,
    prices: Prices,
) -> tuple[tuple[Purchase, ...], tuple[str, ...]]:
    """Return what a budget would do, best first, and what to know about it.

    Args:
        analysis: The study, analysed.
        manifest: Its record.
        question: Whose rate is asked for; an example that was cleaned is of its reference.
        time: Minutes of a cell by its size; None where none were recorded.
        prices: What is at hand, what may be spent, and what things cost.

    Raises:
        InputError: If a price leads nowhere, or nothing can be said of any purchase.
    """
    own, count = prices.have
    described = {quality.label: quality for one in manifest.study.qualities if (quality := Quality(**one))}
    offers = offers_of(
        prices, {label: described.get(label) for label in analysis.curves}, question.reference, analysis.unit
    )
    if time is None and (prices.per_hour or prices.hours is not None):
        raise InputError(
            "the study did not record how long its cells took, so hours can't be counted; leave out "
            "--price-per-hour and --hours"
        )
    found = plan_purchases(
        analysis,
        offers,
        quality=own,
        size=count,
        budget=prices.purse,
        training=TrainingTime(time.fixed, time.each) if time else None,
    )
    if all(one.gain is None for one in found):
        raise InputError(f"{found[0].unknown}. Nothing can be said of these offers before")
    return found, tuple(_purchase_notes(found, own, count, analysis))


def _purchase_notes(found: Sequence[Purchase], own: str, count: int, analysis: Analysis) -> Iterator[str]:
    first = found[0]
    if first.best is not None:
        if_law = ", if the law goes on as it was measured" if any(one.beyond for one in found) else ""
        yield (
            f"To improve {in_words(analysis.metric)} most, buy {first.name}: with a probability of "
            f"{_percent(first.best)} nothing else in this list gains more{if_law}."
        )
    for why in dict.fromkeys(one.unknown for one in found if one.unknown is not None):
        yield f"Which is best can't be told: {why}."
    for one in found:
        if one.beyond and one.unknown is None:
            yield (
                f"{one.name}: {one.examples:,.0f} {analysis.unit.many} are more than the "
                f"{one.measured:,.0f} measured; there the gain is the law's forecast, with its deviation."
            )
    for offer in dict.fromkeys(offer for one in found for offer in one.offers):
        if offer.score is not None:
            yield (
                f"{offer.name}: each {analysis.unit.one} is looked at for {offer.score:g}, and the "
                f"{offer.wrong:.0%} of them that are wrong are mended for {offer.price:g} each; the "
                "table counts those looked at."
            )
    if any(offer.upgrade for one in found for offer in one.offers):
        yield ASSUMED


def _percent(probability: float) -> str:
    # draws never show that something is certain
    return "over 99%" if probability > 0.99 else "under 1%" if probability < 0.01 else f"{probability:.0%}"
