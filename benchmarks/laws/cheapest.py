"""What a growing study would cost, to be as sure as the full grid, if its law were known.

A yardstick for ``planning.py``. Who knows the law, its constants and the noise needs no second look, and no
cells to find out where the rate lies. Added is, one at a time, the cell by which the variance of the
logarithm of the rate falls most for its examples, until that is as small as the full grid makes it. The
update is that of a linear Gaussian model around the truth: constants of each quality's curve, what a seed
does to all its cells, what it does to those of one quality, and the noise of one measurement.

    python benchmarks/laws/cheapest.py
"""

import math
from collections.abc import Sequence
from itertools import count

import numpy as np
from planning import Cell, cost, full_grid, start_grid
from situations import true_rate

from workbench.laws.library import LAWS
from workbench.laws.simulate import QUALITY_SHARE, SEED_SHARE, TRUTHS, Truth

WIDE = 5.0
"""What is known of a constant before anything is measured: its standard deviation as a share of itself."""
SEEDS = 60
"""More than any study takes."""
STEP = 1e-4
"""Relative step of a difference quotient."""


class Knowledge:
    """The covariance of constants and of what seeds do; ``variance`` is that of the logarithm of the rate."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.qualities = (truth.reference, truth.other)
        self.names = [p.name for p in LAWS[truth.law].parameters if p.name != "floor"]
        constants = 2 * len(self.names)
        shares = [SEED_SHARE] * SEEDS + [QUALITY_SHARE] * 2 * SEEDS
        self.covariance = np.diag([WIDE**2] * constants + shares)
        match = true_rate(truth, truth.reachable) * truth.reachable
        near = truth.predict(truth.other, [match * (1 + STEP), match * (1 - STEP)])
        slope = float(near[0] - near[1]) / (2 * STEP)
        lead = self._gradient(truth.reference, truth.reachable) - self._gradient(truth.other, match)
        self.asked = np.concatenate([lead / slope, np.zeros(3 * SEEDS)])

    def _gradient(self, quality: str, size: float) -> np.ndarray:
        """Return the derivatives of a curve by the relative change of every constant of both qualities."""
        truth = self.truth
        values = {**truth.values, **truth.own.get(quality, {})}
        x = {"size": np.array([size])} | {k: np.array([v]) for k, v in truth.settings[quality].items()}
        whole = np.zeros((2, len(self.names)))
        for j, name in enumerate(self.names):
            ends = [
                LAWS[truth.law].predict({**values, name: values[name] * (1 + step)}, x)[0]
                for step in (STEP, -STEP)
            ]
            whole[self.qualities.index(quality), j] = (ends[0] - ends[1]) / (2 * STEP)
        return whole.ravel()

    def _seen(self, cell: Cell) -> tuple[np.ndarray, float]:
        """Return what a cell measures, as a linear function of all that is unknown, and its own variance."""
        quality, size, seed = cell
        spread = self.truth.noise_at(size)
        seeds = np.zeros((3, SEEDS))
        seeds[0, seed] = seeds[1 + self.qualities.index(quality), seed] = spread
        row = np.concatenate([self._gradient(quality, size), seeds.ravel()])
        return row, spread**2 * (1 - SEED_SHARE - QUALITY_SHARE)

    @property
    def variance(self) -> float:
        """Of the logarithm of the rate."""
        return float(self.asked @ self.covariance @ self.asked)

    def after(self, cell: Cell) -> float:
        """Return the variance once a cell is measured."""
        row, own = self._seen(cell)
        column = self.covariance @ row
        return self.variance - float(self.asked @ column) ** 2 / float(row @ column + own)

    def measure(self, cells: Sequence[Cell]) -> "Knowledge":
        """Add cells; returns itself."""
        for cell in cells:
            row, own = self._seen(cell)
            column = self.covariance @ row
            self.covariance = self.covariance - np.outer(column, column) / (row @ column + own)
        return self


def cheapest(truth: Truth) -> tuple[float, int]:
    """Return the least cost found, as a share of the full grid's, and the cells."""
    goal = Knowledge(truth).measure(full_grid(truth)).variance
    cells = start_grid(truth)
    known = Knowledge(truth).measure(cells)
    ends = truth.sizes[0], truth.sizes[-1]
    sizes = np.unique(np.round(np.geomspace(*ends, 2 * round(math.log2(ends[1] / ends[0])) + 1)))
    while known.variance > goal:
        offers = [
            (quality, float(size), next(k for k in count() if (quality, float(size), k) not in cells))
            for quality in known.qualities
            for size in sizes
        ]
        now = known.variance
        best = max(offers, key=lambda cell: math.log(now / known.after(cell)) / cell[1])
        cells = [*cells, best]
        known.measure([best])
    return cost(cells) / cost(full_grid(truth)), len(cells)


def main() -> None:
    """Print a line for each truth of ``planning.py``."""
    for name in ("power", "bounded", "rectified"):
        share, cells = cheapest(TRUTHS[name])
        print(f"{name}: {share:.2f} of the full grid's cost, {cells} cells")


if __name__ == "__main__":
    main()
