"""A metric of one table arranged by cell and seed, with every evaluation item's outcome where it is known.

Shape letters: cells (quality x size, and what else varies), seeds, items.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError
from workbench.laws.measurement import Measurement, second_row
from workbench.laws.table import Table
from workbench.laws.varying import refuse_other_settings


@dataclass(frozen=True)
class ItemMeans:
    """Every item's outcome in each cell, averaged over seeds, and what the item weighs in the metric."""

    value: Float[np.ndarray, "cells items"]
    weight: Float[np.ndarray, " items"]

    def resample(self, times: int, generator: np.random.Generator) -> Float[np.ndarray, "resamples cells"]:
        """Return how the cell means move when the items are drawn again, the same ones for all cells."""
        count = len(self.weight)
        taken = generator.multinomial(count, np.full(count, 1 / count), size=times) * self.weight
        again = taken @ self.value.T / taken.sum(axis=1, keepdims=True)
        return again - self.value @ self.weight / self.weight.sum()


@dataclass(frozen=True)
class Replicates:
    """A metric of one table, arranged by cell and seed; NaN where that seed has no value.

    ``paired`` says whether a column is one and the same seed in every cell; rows without a seed are not.
    """

    quality: tuple[str, ...]
    size: Float[np.ndarray, " cells"]
    value: Float[np.ndarray, "cells seeds"]
    paired: bool = True
    items: ItemMeans | None = None

    @property
    def count(self) -> Float[np.ndarray, " cells"]:
        """Seeds that finished, per cell."""
        return np.isfinite(self.value).sum(axis=1).astype(float)

    @property
    def mean(self) -> Float[np.ndarray, " cells"]:
        """Mean over the seeds that finished, per cell."""
        return np.nanmean(self.value, axis=1)

    def of(self, quality: str) -> np.ndarray:
        """Return the positions of one quality's cells."""
        return np.array([i for i, label in enumerate(self.quality) if label == quality], dtype=int)

    def part(self, cells: np.ndarray) -> "Replicates":
        """Return the cells at some positions."""
        items = None if self.items is None else ItemMeans(self.items.value[cells], self.items.weight)
        label = tuple(self.quality[i] for i in cells)
        return Replicates(label, self.size[cells], self.value[cells], self.paired, items)


def arrange(table: Table, metric: str) -> Replicates:
    """Arrange a metric by cell and seed, cells sorted by size within each quality.

    Raises:
        InputError: If two rows of one quality, size and seed differ in something else, such as the model.
    """
    rows = table.measured(metric)
    order = {quality: i for i, quality in enumerate(table.qualities)}
    keys = [(order[row.quality], row.size) for row in rows]
    return replicates(table, metric, rows, keys, sorted(set(keys)))


def arrange_by(
    table: Table, metric: str, inputs: Sequence[str]
) -> tuple[Replicates, dict[str, Float[np.ndarray, " cells"]]]:
    """Arrange a metric by quality, inputs and seed, cells sorted by their inputs, the size last.

    Args:
        table: A checked table.
        metric: The measured column.
        inputs: "size", and the other columns that vary within a quality.

    Returns:
        The measurements, and each input's value in every cell.

    Raises:
        InputError: If two rows of one cell and seed differ in something else.
    """
    rows = table.measured(metric)
    order = {quality: i for i, quality in enumerate(table.qualities)}
    names = [*(name for name in inputs if name != "size"), "size"]
    shares = {row.values.get("share") for row in rows}
    columns = {name: table.column(name, rows) for name in names}
    keys = [(order[row.quality], *(float(columns[n][i]) for n in names)) for i, row in enumerate(rows)]
    cells = sorted(set(keys))
    x = {name: np.array([cell[1 + j] for cell in cells]) for j, name in enumerate(names)}
    if None not in shares:
        share = dict(zip(keys, table.column("share", rows), strict=True))
        x["share"] = np.array([share[cell] for cell in cells])
    return replicates(table, metric, rows, keys, cells), x


def replicates(
    table: Table,
    metric: str,
    rows: Sequence[Measurement],
    keys: Sequence[Hashable],
    cells: Sequence[Any],
) -> Replicates:
    """Arrange rows by cell and seed.

    Rows without a seed, or whose seeds hardly recur, are replicates in the order in which they stand.

    Args:
        table: The table that the rows are of.
        metric: Column to arrange.
        rows: The rows.
        keys: The cell of each row.
        cells: The cells in the order wanted.

    Raises:
        InputError: If two rows fall on one cell and seed, or differ in a setting and are no replicates.
    """
    if not table.measured_here:
        refuse_other_settings(table.name, rows, keys, metric=metric, falling=table.falling(metric))
    distinct = {row.seed for row in rows}
    paired = None not in distinct and 2 * len(distinct) <= len(rows)
    seen: dict[Hashable, int] = {}
    numbers = []
    for key, row in zip(keys, rows, strict=True):
        seen[key] = seen.get(key, -1) + 1
        numbers.append(row.seed if paired and row.seed is not None else seen[key])
    column = {seed: j for j, seed in enumerate(sorted(set(numbers)))}
    place = {cell: i for i, cell in enumerate(cells)}
    value = np.full((len(cells), len(column)), np.nan)
    first: dict[Hashable, Measurement] = {}
    held: dict[Hashable, Measurement] = {}
    for key, number, row in zip(keys, numbers, rows, strict=True):
        if (other := held.setdefault((key, number), row)) is not row:
            raise InputError(second_row(table.name, other, row, measured_here=table.measured_here))
        value[place[key], column[number]] = row.values[metric]
        first.setdefault(key, row)
    return Replicates(
        quality=tuple(first[cell].quality for cell in cells),
        size=np.array([first[cell].size for cell in cells], dtype=float),
        value=value,
        paired=paired,
        items=_item_means(table, metric, rows, [place[key] for key in keys]),
    )


def _item_means(
    table: Table, metric: str, rows: Sequence[Measurement], place: Sequence[int]
) -> ItemMeans | None:
    """Average every item's outcome over the seeds of a cell."""
    if metric not in table.items:
        return None
    outcomes = table.items[metric]
    total = np.zeros((max(place) + 1, len(outcomes.weight)))
    count = np.zeros(len(total))
    for row, i in zip(rows, place, strict=True):
        total[i] += outcomes.value[row.line]
        count[i] += 1
    return ItemMeans(total / count[:, None], outcomes.weight)
