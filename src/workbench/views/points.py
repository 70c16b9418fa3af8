"""What a figure or a table shows of a study: each quality's metric at each size, over its seeds."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeGuard

METRICS = {
    "loss": "held-out loss (nats a token)",
    "exact_match": "exact match",
    "choice_accuracy": "accuracy",
}
"""The metrics that a study measures, with the words for an axis; the first is a loss, the rest shares."""

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
    """Return the metrics of which the table has at least one number, losses first."""
    rows = list(rows)
    return [metric for metric in METRICS if any(is_number(row.get(metric)) for row in rows)]


def is_number(value: Any) -> TypeGuard[float]:  # noqa: ANN401 - whatever a row holds
    """Say whether a row's field is a finite number; what isn't one is missing."""
    return isinstance(value, int | float) and math.isfinite(value)


def digits(value: float) -> str:
    """Return a metric with three decimals, or three digits where those would show nothing or too much."""
    return f"{value:.3f}" if value == 0 or 0.0005 <= abs(value) < 1e6 else f"{value:.3g}"


def readable(label: str) -> str:
    """Return a quality's label as a person would write it."""
    return label.replace("_", " ")
