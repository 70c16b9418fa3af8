"""Two studies that differ in a setting, such as the kind of adapter, compared where both have a cell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t

CONFIDENCE = 0.95
"""Of the interval."""

CellRow = Mapping[str, Any]
"""A cell's line in a study's table."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """What one metric is in two studies, over the cells that have the same quality, size and seed."""

    metric: str
    pairs: int
    seeds: int
    first: float
    second: float
    """Means over these cells."""
    low: float | None
    high: float | None
    """Ends of the interval of second - first; None with one seed, which shows no noise."""

    def __str__(self) -> str:
        """Describe it in a line."""
        difference = self.second - self.first
        seeds = f"{self.seeds} seed" + ("s" if self.seeds > 1 else "")
        between = "no interval" if self.low is None else f"{self.low:+.3g} to {self.high:+.3g}"
        return (
            f"{self.metric}: {self.first:.4g} against {self.second:.4g}, {difference:+.3g} ({between}), "
            f"{self.pairs} pairs over {seeds}"
        )


def paired_differences(
    first: Sequence[CellRow], second: Sequence[CellRow], metrics: Sequence[str]
) -> list[PairedDifference]:
    """Compare two tables at the places that both have, metric by metric.

    Cells of one seed share their draw of the data, and neighbours in size most of it, so the seeds are what
    is independent: the interval is Student's t of the seeds' mean differences.

    Args:
        first: Rows of a study, as ``Store.rows`` gives them.
        second: Those of another one.
        metrics: Columns with the metrics; one that isn't measured in both at a place is left out there.
    """
    theirs = {_place(row): row for row in second}
    found = []
    for metric in metrics:
        values = [
            (row["seed"], row[metric], theirs[_place(row)][metric])
            for row in first
            if _place(row) in theirs and _measured(row, metric) and _measured(theirs[_place(row)], metric)
        ]
        if values:
            found.append(_difference(metric, values))
    return found


def _place(row: CellRow) -> tuple[Any, ...]:
    return row.get("vary"), row["quality"], row["size"], row["seed"]


def _measured(row: CellRow, metric: str) -> bool:
    value = row.get(metric)
    return isinstance(value, int | float) and math.isfinite(value)


def _difference(metric: str, values: Sequence[tuple[int, float, float]]) -> PairedDifference:
    by_seed: dict[int, list[float]] = {}
    for seed, one, two in values:
        by_seed.setdefault(seed, []).append(two - one)
    means = [fmean(own) for own in by_seed.values()]
    first, second = fmean(one for _, one, _ in values), fmean(two for _, _, two in values)
    low = high = None
    if len(means) > 1:
        quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(means) - 1))
        middle, half = fmean(means), quantile * stdev(means) / math.sqrt(len(means))
        low, high = middle - half, middle + half
    return PairedDifference(metric, len(values), len(means), first, second, low, high)
