"""How much a measurement moves when only the seed changes, and draws of a study that respect it.

A study is coupled on purpose: one seed orders the data of every size and quality. Its noise therefore has
three parts, estimated apart because they act differently on a comparison of two qualities:

    measurement = cell mean + seed (shared by all cells) + seed x quality (shared by all sizes) + the rest

The first cancels when two qualities are compared, the second does not, and the third averages out along a
curve. Each cell's own spread is shrunk towards the common one, for three seeds say little about a spread
(the moderated variance of Smyth 2004, doi:10.2202/1544-6115.1027).

Shape letters in signatures: draws, cells (quality x size), seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import polygamma

from workbench.errors import InputError
from workbench.laws.table import Measurement, Table

FEWEST_SEEDS = 2


@dataclass(frozen=True)
class Replicates:
    """A metric of one table, arranged by cell and seed; NaN where that seed has no value."""

    quality: tuple[str, ...]
    size: Float[np.ndarray, " cells"]
    value: Float[np.ndarray, "cells seeds"]

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


@dataclass(frozen=True)
class Noise:
    """The estimated noise of a study's cells.

    Attributes:
        spread: Standard deviation of one measurement, per cell, in the metric's unit.
        freedom: Degrees of freedom behind the common spread.
        seed_share: Share of the variance that all cells of a seed have in common.
        quality_share: Share that the cells of one seed and quality have in common besides.
    """

    spread: Float[np.ndarray, " cells"]
    freedom: float
    seed_share: float
    quality_share: float
    seeds: int


def arrange(table: Table, metric: str) -> Replicates:
    """Arrange a metric by cell and seed, cells sorted by size within each quality.

    Rows without a seed are taken as replicates in the order in which they stand.
    """
    rows = table.measured(metric)
    cells = sorted({(table.qualities.index(r.quality), r.size) for r in rows})
    seeds = _seed_numbers(rows)
    columns = {seed: j for j, seed in enumerate(sorted(set(seeds)))}
    place = {cell: i for i, cell in enumerate(cells)}
    value = np.full((len(cells), len(columns)), np.nan)
    for row, seed in zip(rows, seeds, strict=True):
        value[place[table.qualities.index(row.quality), row.size], columns[seed]] = row.values[metric]
    return Replicates(
        quality=tuple(table.qualities[q] for q, _ in cells),
        size=np.array([size for _, size in cells], dtype=float),
        value=value,
    )


def _seed_numbers(rows: Sequence[Measurement]) -> list[int]:
    seen: dict[tuple[str, float], int] = {}
    numbers = []
    for row in rows:
        cell = (row.quality, row.size)
        seen[cell] = seen.get(cell, -1) + 1
        numbers.append(seen[cell] if row.seed is None else row.seed)
    return numbers


def estimate_noise(data: Replicates, *, floor: float = 0.0) -> Noise:
    """Estimate spread and shared parts from the seeds of a study.

    Args:
        data: The measurements by cell and seed.
        floor: Least standard deviation of a cell, for a metric counted on few evaluation items.

    Raises:
        InputError: With one seed per cell: nothing tells noise from effect, so no interval can be given.
    """
    freedom = np.maximum(data.count - 1, 0)
    if freedom.sum() < 1:
        raise InputError(
            "one seed per cell: no interval can be given, so no rate is. Train the same cells with at least "
            f"{FEWEST_SEEDS} seeds, better 3."
        )
    residual = data.value - data.mean[:, None]
    variance = np.nansum(residual**2, axis=1) / np.maximum(freedom, 1)
    common = float((freedom * variance).sum() / freedom.sum())
    spread = np.sqrt(np.maximum(_moderated(variance, freedom, common), floor**2))
    seed_share, quality_share = _shared(data, residual, spread)
    return Noise(spread, float(freedom.sum()), seed_share, quality_share, data.value.shape[1])


def _moderated(
    variance: Float[np.ndarray, " cells"], freedom: Float[np.ndarray, " cells"], common: float
) -> Float[np.ndarray, " cells"]:
    """Shrink each cell's variance towards the common one, the more the less they seem to differ."""
    known = (freedom > 0) & (variance > 0)
    if known.sum() < 3:
        return np.full(variance.shape, common)
    d, v = freedom[known], variance[known]
    excess = np.var(np.log(v), ddof=1) - float(np.mean(polygamma(1, d / 2)))
    prior = 2 * _inverse_trigamma(excess) if excess > 0 else np.inf
    if not np.isfinite(prior):
        return np.full(variance.shape, common)
    return (prior * common + freedom * variance) / (prior + freedom)


def _inverse_trigamma(y: float) -> float:
    """Solve trigamma(x) = y by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(50):
        step = polygamma(1, x) * (1 - polygamma(1, x) / y) / polygamma(2, x)
        x += float(step)
        if -step / x < 1e-8:
            break
    return float(x)


def _shared(
    data: Replicates, residual: Float[np.ndarray, "cells seeds"], spread: Float[np.ndarray, " cells"]
) -> tuple[float, float]:
    """Estimate the two shared parts from products of residuals of one seed in two cells."""
    positive = spread > 0
    if not positive.any():
        return 0.0, 0.0
    z = residual[positive] / spread[positive, None]
    label = np.array(data.quality)[positive]
    # two residuals around means of S seeds correlate (S - 1) / S as strongly as the noise does
    loss = 1 - 1 / max(float(data.count.max()), 2.0)
    both = np.isfinite(z)
    product = np.where(both, z, 0) @ np.where(both, z, 0).T / loss
    pairs = both.astype(float) @ both.T.astype(float)
    same = label[:, None] == label[None, :]
    apart = ~np.eye(len(label), dtype=bool)
    within = _ratio(product, pairs, same & apart)
    across = _ratio(product, pairs, ~same)
    within = min(max(within, 0.0), 0.95)
    # the part that cancels must not be overrated: shrunk as a variance with S - 1 degrees of freedom
    seeds = float(data.count.max())
    across = min(max(across, 0.0) * (seeds - 1) / (seeds + 1), within)
    return across, within - across


def _ratio(product: np.ndarray, pairs: np.ndarray, where: np.ndarray) -> float:
    total = pairs[where].sum()
    return float(product[where].sum() / total) if total else 0.0


def draw_means(
    data: Replicates, noise: Noise, draws: int, generator: np.random.Generator
) -> Float[np.ndarray, "draws cells"]:
    """Draw the cell means of studies that could as well have been measured.

    The draws are Gaussian with the estimated parts. Each draw also redraws the spreads themselves from
    what their degrees of freedom allow, so that few seeds widen the intervals as Student's t does.
    """
    qualities = list(dict.fromkeys(data.quality))
    column = np.array([qualities.index(label) for label in data.quality])
    own = 1 - noise.seed_share - noise.quality_share

    def part(share: float, groups: int, freedom: float) -> np.ndarray:
        redrawn = share * freedom / generator.chisquare(freedom, draws)
        return np.sqrt(redrawn)[:, None, None] * generator.standard_normal((draws, groups, noise.seeds))

    seed = part(noise.seed_share, 1, float(noise.seeds - 1))
    quality = part(noise.quality_share, len(qualities), float((noise.seeds - 1) * len(qualities)))
    rest = part(own, len(data.size), noise.freedom)
    moved = (seed + quality[:, column] + rest) * noise.spread[None, :, None]
    finished = np.isfinite(data.value)[None]
    return data.mean + np.where(finished, moved, 0).sum(axis=2) / data.count
