"""What a cell of a size that wasn't trained would cost: a fixed part and one for each example."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True)
class CellCost:
    """What a cell costs by its size, in any unit."""

    fixed: float
    each: float

    def __call__(self, size: float | int) -> float:
        """Return the cost of a cell of so many examples."""
        return self.fixed + self.each * size

    def times(self, factor: float) -> "CellCost":
        """Return the same in another unit."""
        return CellCost(self.fixed * factor, self.each * factor)


def operations_by_size(rows: Sequence[Mapping[str, Any]]) -> CellCost | None:
    """Return what a cell takes in 10^12 operations; None in studies of versions that didn't record them."""
    known = [(float(row["size"]), row["flops"] / 1e12) for row in rows if row.get("flops")]
    return _line(known) if known else None


def minutes_by_size(rows: Sequence[Mapping[str, Any]]) -> CellCost | None:
    """Return what a cell takes in minutes; None where no time was recorded.

    Seconds tell how fast the machine was, operations how the time depends on the size, for cells that train
    together share their time.
    """
    timed = [(float(row["size"]), row["seconds"] / 60) for row in rows if row.get("seconds")]
    if not timed:
        return None
    operations = operations_by_size(rows)
    if operations is None:
        return _line(timed)
    total = sum(operations(size) for size, _ in timed)
    return operations.times(sum(minutes for _, minutes in timed) / total)


def _line(known: Sequence[tuple[float, float]]) -> CellCost:
    sizes, cost = np.array(known, dtype=float).T
    (fixed, each), _ = nnls(np.column_stack([np.ones(len(sizes)), sizes]), cost)
    return CellCost(float(fixed), float(each))
