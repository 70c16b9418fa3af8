"""What a figure or a table shows of a study: each quality's metric at each size, over its seeds."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeGuard

from workbench.laws.in_words import readable
from workbench.laws.units import EXAMPLES, SIZE_UNITS, SizeUnit
from workbench.metrics import HELDOUT, OWN, set_and_metric
from workbench.training.generated import metrics_in
from workbench.training.text_metrics import BUILT_IN, TEXT_METRICS, own_words

METRICS = {
    "loss": "held-out loss (nats a token)",
    "exact_match": "exact match",
    "choice_accuracy": "accuracy",
    **{name: TEXT_METRICS[name].words for name in BUILT_IN},
}
"""The metrics of a study's held-out records, with the words for an axis; the first is a loss, the rest lie
between 0 and 1. A user's own metrics and those of further sets go by :func:`axis_words`."""

TableRow = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One quality at one size: the mean over its seeds and the range that they span."""

    size: int
    mean: float
    low: float
    high: float
    seeds: int


def points(rows: Iterable[TableRow], metric: str) -> dict[str, list[Point]]:
    """Return each quality's points, in the table's order of qualities and by rising size.

    Rows that failed or lack the metric are left out, and so is the zero-shot row, whose size is 0.
    """
    values: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        value = row.get(metric)
        if row["status"] == "done" and row["size"] > 0 and is_number(value):
            values.setdefault(row["quality"], {}).setdefault(row["size"], []).append(value)
    return {
        quality: [
            Point(size=size, mean=fmean(seeds), low=min(seeds), high=max(seeds), seeds=len(seeds))
            for size, seeds in sorted(sizes.items())
        ]
        for quality, sizes in values.items()
    }


def measured(rows: Iterable[TableRow]) -> list[str]:
    """Return the metrics of which the table has at least one number: set by set, losses first."""
    rows = list(rows)
    columns = dict.fromkeys(name for row in rows for name in row)
    return [metric for metric in metrics_in(list(columns)) if any(is_number(row.get(metric)) for row in rows)]


def unit_in(rows: Iterable[TableRow]) -> SizeUnit:
    """Return what the sizes of a study's table count."""
    return next((SIZE_UNITS[said] for row in rows if (said := row.get("size_in"))), EXAMPLES)


def axis_words(metric: str) -> str:
    """Return a metric's words for an axis, with the evaluation set unless it is the study's own."""
    name, bare = set_and_metric(metric)
    words = METRICS.get(bare) or (own_words(bare) if bare.startswith(OWN) else readable(bare))
    if name == HELDOUT:
        return words
    words, bracket, unit = words.removeprefix("held-out ").partition(" (")
    return f"{words} on {name}{bracket}{unit}"


def is_number(value: Any) -> TypeGuard[float]:  # noqa: ANN401 - whatever a row holds
    """Say whether a row's field is a finite number; what isn't one is missing."""
    return isinstance(value, int | float) and math.isfinite(value)


def digits(value: float) -> str:
    """Return a metric with three decimals, or three digits where those would show nothing or too much."""
    return f"{value:.3f}" if value == 0 or 0.0005 <= abs(value) < 1e6 else f"{value:.3g}"
