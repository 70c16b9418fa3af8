"""Cells of a table, and the series that they form: several sizes of what is alike in the rest.

A series is one quality, and within it one model, one number of unique examples or one share where a size of
that quality was measured with several. Seeds of one cell share all of that.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from workbench.laws.library import LAWS
from workbench.laws.measurement import Measurement
from workbench.laws.table import Table

CellKey = tuple[Hashable, ...]
SeriesKey = tuple[Hashable, ...]

TOLD_APART = tuple(dict.fromkeys(name for law in LAWS.values() for name in law.inputs if name != "size"))
"""The columns beside size that some law takes: rows that differ in one are no seeds of one cell."""


def cell_keys(rows: Sequence[Measurement], more: Sequence[str] = ()) -> list[CellKey]:
    """Return each row's cell; ``more`` are columns of a law that is not in the registry."""
    columns = dict.fromkeys((*TOLD_APART, *more))
    return [(row.quality, row.size, *(row.values.get(name) for name in columns)) for row in rows]


def columns_within_cells(rows: Sequence[Measurement], known: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the columns that differ between rows of one quality, one size and one value of those known."""
    found = []
    for name in TOLD_APART:
        values: dict[Hashable, set[float | None]] = {}
        for row in rows:
            key = (row.quality, row.size, *(row.values.get(column) for column in known))
            values.setdefault(key, set()).add(row.values.get(name))
        if name not in known and any(len(different) > 1 for different in values.values()):
            found.append(name)
    return tuple(found)


def series_of(rows: Sequence[Measurement], columns: Sequence[str]) -> list[SeriesKey]:
    """Return each row's series; ``columns`` are those of ``columns_within_cells`` of the whole table."""
    return [(row.quality, *(row.values.get(name) for name in columns)) for row in rows]


def courses(
    table: Table, rows: Sequence[Measurement], metric: str, columns: Sequence[str]
) -> dict[SeriesKey, tuple[np.ndarray, np.ndarray]]:
    """Return each series' sizes, in their order, and the metric's mean at each."""
    found: dict[SeriesKey, dict[float, list[float]]] = {}
    values = table.column(metric, rows)
    for row, key, value in zip(rows, series_of(rows, columns), values, strict=True):
        found.setdefault(key, {}).setdefault(row.size, []).append(value)
    return {
        key: (np.array(sorted(by_size)), np.array([np.mean(by_size[size]) for size in sorted(by_size)]))
        for key, by_size in found.items()
    }
