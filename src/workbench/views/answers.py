"""The answer of a study in words and numbers, as a report shows it: laws applied to the study's table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.laws import Band, ExchangeRate, RateCurve, Study, analyse, bands, rate_of, read_table
from workbench.studies.store import ZERO_SHOT, Store
from workbench.views.points import METRICS, Row, measured, readable

ITEMS = {"loss": "item_loss", "exact_match": "item_exact", "choice_accuracy": "item_chosen"}
"""The curve that holds each held-out record's outcome, by metric."""
NOT_KEPT = (
    "the study is of an earlier version, which did not keep what each held-out record weighs, so the "
    "intervals leave out the choice of those records; run it again in a new folder to have it"
)
FEW_RIGHT = 0.1
"""A share of right answers that no cell reaches says little: the loss comes first then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateTable:
    """Exchange rates judged by one metric: a row a size of the reference, a column a quality."""

    metric: str
    reference: str
    others: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Each size with what every other quality's examples are worth there, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a study says: sentences, exchange rates, curves for the figure, and what to know about them."""

    sentences: tuple[str, ...]
    """One a quality, the most damaged first, judged by the metric that users care most about."""
    tables: tuple[RateTable, ...]
    fits: Mapping[str, Mapping[str, Band]]
    studies: Mapping[str, Study]
    """Each metric's analysis, the one that tells most first."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemOutcomes:
    """Each held-out record's outcome for each row of the table, and what the record weighs in the metric."""

    rows: tuple[Sequence[float] | None, ...]
    weight: Sequence[float] | None = None


def item_outcomes(store: Store, rows: Sequence[Row]) -> dict[str, ItemOutcomes]:
    """Read from a study's store what a bootstrap over its held-out records needs, by metric.

    A metric is left out where a row that has it lacks the outcomes, as in the shipped study. A loss weighs
    records by their tokens; without those, in studies of earlier versions, it is left out too.
    """
    zero = store.curves(ZERO_SHOT)
    curves = [store.curves(row["key"]) if row.get("key") else zero for row in rows]
    found = {}
    for metric, name in ITEMS.items():
        weight = zero.get("item_tokens") if metric == "loss" else None
        needed = [own for row, own in zip(rows, curves, strict=True) if row.get(metric) is not None]
        whole = bool(needed) and all(name in own for own in needed)
        if whole and not (metric == "loss" and weight is None):
            found[metric] = ItemOutcomes(rows=tuple(own.get(name) for own in curves), weight=weight)
    return found


def answers(
    rows: Sequence[Row],
    name: str,
    heldout: int | None,
    items: Mapping[str, ItemOutcomes] | None = None,
) -> Answers:
    """Compare every quality of the table with the first one, the best.

    Args:
        rows: The study's table, with its zero-shot row.
        name: What messages call the table.
        heldout: Records behind each accuracy, None if not known.
        items: Outcomes of those records by metric, so that the intervals cover their choice.
    """
    studies = {
        metric: analysed(rows, metric, name, heldout, (items or {}).get(metric)) for metric in by_worth(rows)
    }
    tables = []
    notes: dict[str, None] = {}
    sentences: tuple[str, ...] = ()
    for metric, study in studies.items():
        rates = rates_of(study)
        if rates:
            tables.append(_rate_table(metric, rates))
            sentences = sentences or tuple(rate.sentence() for rate in reversed(rates))
        notes |= dict.fromkeys(f"{METRICS[metric]}: {note}" for note in study.notes)
        if items and metric not in items:
            notes[f"{METRICS[metric]}: {NOT_KEPT}"] = None
    if not sentences:
        sentences = (
            "The study has one quality, so there is nothing to exchange: add a second with --quality.",
        )
    return Answers(
        sentences=sentences,
        tables=tuple(tables),
        fits={metric: bands(study) for metric, study in studies.items()},
        studies=studies,
        notes=tuple(notes),
    )


def analysed(
    rows: Sequence[Row], metric: str, name: str, heldout: int | None, items: ItemOutcomes | None
) -> Study:
    """Analyse one metric of a study's table; the arguments are those of :func:`answers`."""
    judged = f"{heldout:,} held-out records" if heldout else "held-out records"
    table = read_table([{**row, "evaluation": judged} for row in rows], name=name)
    if items is not None:
        table = table.with_items(metric, items.rows, items.weight)
    return analyse(table, metric, items=None if items or _is_loss(metric) else heldout)


def rates_of(study: Study) -> list[ExchangeRate]:
    """Return what every other quality's examples are worth against the first one's, in the study's order."""
    reference, *others = study.curves
    return [rate_of(study, reference=reference, other=other) for other in others]


def by_worth(rows: Sequence[Row]) -> list[str]:
    """Return the metrics that were measured, the one that tells most first.

    That is the last share of right answers; then the loss, and behind it what doesn't tell.
    """
    metrics = measured([row for row in rows if row["size"] > 0])[::-1]
    return sorted(metrics, key=lambda metric: not _tells(metric, rows))


def _tells(metric: str, rows: Sequence[Row]) -> bool:
    """Say whether a metric can carry the headline: long free answers are never matched to the letter."""
    values = [row[metric] for row in rows if row["size"] > 0 and row[metric] is not None]
    return _is_loss(metric) or max(values) >= FEW_RIGHT


def _is_loss(metric: str) -> bool:
    """Say whether a metric is a loss, whose noise doesn't come from counting items."""
    return metric.endswith("loss")


def _rate_table(metric: str, rates: Sequence[ExchangeRate]) -> RateTable:
    best = [(readable(rate.other), rate.best) for rate in rates]
    curves = [curve for _, curve in best if curve is not None]
    sizes = [] if not curves else [int(size) for size in curves[0].size]
    return RateTable(
        metric=METRICS[metric],
        reference=readable(rates[0].reference),
        others=tuple(other for other, _ in best),
        rows=tuple(
            (size, tuple(rate_in_words(curve, at) for _, curve in best)) for at, size in enumerate(sizes)
        ),
    )


def rate_in_words(curve: RateCurve | None, at: int) -> str:
    """Return the rate at one size with its interval, such as "3.1 (2.4 to 4.0)"."""
    if curve is None or math.isnan(curve.median[at]):
        return "no interval: one seed" if curve is None else "not measured"
    low, high = number_in_words(curve.low[at]), number_in_words(curve.high[at])
    interval = (
        f"({low} to {high})" if low != high else f"(probability {percent_in_words(curve.not_reached[at])})"
    )
    if math.isinf(curve.median[at]):
        return f"not reached {interval}"
    bound = "at most " if curve.at_most[at] > 0.5 else ""
    return f"{bound}{number_in_words(curve.median[at])} {interval}"


def number_in_words(value: Any) -> str:  # noqa: ANN401 - NumPy's and Python's numbers
    """Return a rate or an end of its interval; infinity is "not reached"."""
    return "not reached" if math.isinf(value) else f"{float(value):.2g}"


def percent_in_words(probability: Any) -> str:  # noqa: ANN401 - NumPy's and Python's numbers
    """Return a probability that draws have shown, in percent."""
    # draws never show that something is certain
    return "over 99%" if probability > 0.99 else f"{float(probability):.0%}"
