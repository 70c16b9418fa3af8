"""How much a measurement moves when only the seed changes, and resamples of a study that respect it.

A study is coupled on purpose: one seed orders the data of every size and quality. Its noise therefore has
three parts, estimated apart because they act differently on a comparison of two qualities:

    measurement = cell mean + seed (shared by all cells) + seed x quality (shared by all sizes) + the rest

The first cancels when two qualities are compared, the second does not, and the third averages out along a
curve. Three seeds say little about the first, however many cells share it, so each part has its own mean
square and its own degrees of freedom, as in the analysis of a split-plot experiment, and each is drawn anew
from what those degrees allow (generalized confidence intervals, Weerahandi 1993, doi:10.2307/2290779).

Each cell's own spread is shrunk towards a trend in size, for three seeds say little about a spread (the
moderated variance of Smyth 2004, doi:10.2202/1544-6115.1027, with a trend as in the limma package).

All cells are judged on the same evaluation items, whose choice is a noise of its own. Where the items'
outcomes are known they are resampled once per study, for all cells together.

Shape letters: resamples, cells (quality x size), seeds, items.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular
from scipy.special import polygamma
from scipy.stats import chi2

from workbench.errors import InputError
from workbench.laws.replicates import Replicates

FEWEST_SEEDS = 2
LEAST_OWN = 0.05
"""Least share of the noise that is taken to be each measurement's own."""
LEAST_SPREAD = 1e-6
"""Least spread of a cell, as a share of the largest."""
FEWEST_FOR_TREND = 6
"""Cells from which the spread may depend on size."""
ROUNDING = 4 * np.finfo(float).eps  # of a mean, as a share of it
SURE = 1.645
"""Standard errors by which the cells' spreads have to differ before they are told apart (one-sided 5%)."""


@dataclass(frozen=True)
class Stratum:
    """One part of the noise, as an analysis of variance sees it.

    ``square`` is the mean square in units of the cells' own variances, ``freedom`` its degrees of freedom (0
    where the design has no such part), ``cells`` how many cells share one value of the part.
    """

    square: float
    freedom: float
    cells: float

    @cached_property
    def median(self) -> float:
        """The median of the mean squares that could as well be the true one."""
        return self.square * self.freedom / float(chi2.median(self.freedom)) if self.freedom else 0.0

    def resample(self, times: int, generator: np.random.Generator) -> Float[np.ndarray, " resamples"]:
        """Draw the mean square that could as well be the true one."""
        drawn = generator.chisquare(self.freedom, times) if self.freedom else np.ones(times)
        return self.square * self.freedom / drawn


KNOWN = 1e6
"""Degrees of freedom of a spread that is taken as known."""
NO_PART = Stratum(0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Noise:
    """The estimated noise of a study's cells.

    Attributes:
        spread: Standard deviation of one measurement, per cell, in the metric's unit.
        freedom: Degrees of freedom behind the common spread.
        strata: Seeds, seeds within a quality, and the rest.
    """

    spread: Float[np.ndarray, " cells"]
    freedom: float
    strata: tuple[Stratum, Stratum, Stratum]

    @cached_property
    def variances(self) -> tuple[float, float, float]:
        """The variance that seeds, seeds within a quality and the rest add, in units of ``spread`` squared.

        Taken from medians: few degrees of freedom show a variance too small more often than too large.
        """
        squares = (np.array([stratum.median]) for stratum in self.strata)
        seed, quality, rest = (float(part[0]) for part in self.parts(*squares))
        return seed, quality, rest

    def parts(
        self, seed: np.ndarray, quality: np.ndarray, rest: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Turn mean squares into the variances they stand for; none is below 0."""
        seeds, qualities, _ = self.strata
        of_quality = np.maximum(quality - rest, 0) / qualities.cells
        of_seed = np.maximum(seed - rest - qualities.cells * of_quality, 0) / seeds.cells
        return of_seed, of_quality, rest

    def resample(
        self, times: int, generator: np.random.Generator, *, joint: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw the three variances that could as well be the true ones.

        A law of several qualities stands on what seeds do to all of them and on what they do to each, apart.
        The curve of one quality bears the sum of both, which has the degrees of freedom of the sum
        (Satterthwaite 1946); drawn apart, the two are known to give too wide intervals (Behrens and Fisher).
        """
        seeds, within, _ = self.strata
        one, two, three = (stratum.resample(times, generator) for stratum in self.strata)
        others = seeds.cells / within.cells - 1
        part = np.array([seeds.square, others * within.square])
        # seeds whose effects cancel to the last digit leave nothing to scale
        if seeds.freedom and within.freedom and part.sum() > 0 and not joint:
            freedom = part.sum() ** 2 / (part[0] ** 2 / seeds.freedom + part[1] ** 2 / within.freedom)
            level = part.sum() * freedom / generator.chisquare(freedom, times)
            scale = level / (one + others * two)
            one, two = one * scale, two * scale
        return self.parts(one, two, three)

    def part(self, cells: np.ndarray) -> "Noise":
        """Return the noise of the cells at some positions."""
        return replace(self, spread=self.spread[cells])


def level_noise(spread: Float[np.ndarray, " cells"], *, shared: float = 0.0, cells: float = 1.0) -> Noise:
    """Return the noise of cells of a spread taken as known.

    Args:
        spread: Standard deviation of what is each measurement's own.
        shared: Variance that the cells of one quality share, as a share of that.
        cells: Cells of a quality.
    """
    own = Stratum(1.0, KNOWN, 1.0)
    quality = Stratum(1.0 + cells * shared, KNOWN, cells) if shared else NO_PART
    return Noise(spread, KNOWN, (NO_PART, quality, own))


def estimate_noise(data: Replicates, *, floor: float = 0.0) -> Noise:
    """Estimate the spread and its parts from the seeds of a study.

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
            f"{FEWEST_SEEDS} seeds, better 3: --seeds 0 1 2."
        )
    residual = data.value - data.mean[:, None]
    # seeds that agree differ from their mean by its rounding alone
    residual[np.abs(residual) <= ROUNDING * np.abs(data.mean[:, None])] = 0.0
    variance = np.nansum(residual**2, axis=1) / np.maximum(freedom, 1)
    spread = np.sqrt(_moderated(variance, freedom, data.size))
    strata = _strata(data, residual, spread)
    # no cell is known without any noise beside others that have some
    least = max(floor, LEAST_SPREAD * float(spread.max()))
    return Noise(np.maximum(spread, least), float(freedom.sum()), strata)


def _moderated(
    variance: Float[np.ndarray, " cells"], freedom: Float[np.ndarray, " cells"], size: np.ndarray
) -> Float[np.ndarray, " cells"]:
    """Shrink each cell's variance towards a trend in size, the more the less they surely differ from it."""
    common = float((freedom * variance).sum() / freedom.sum())
    known = (freedom > 0) & (variance > 0)
    if known.sum() < FEWEST_FOR_TREND:
        return np.full(variance.shape, common)
    d = freedom[known]
    # the logarithm of a variance of few degrees of freedom lies below that of what it estimates
    log = np.log(variance[known]) - polygamma(0, d / 2) + np.log(d / 2)
    trend = _trend(np.log(size), known, log)
    trend *= (freedom * variance / trend).sum() / freedom.sum()
    left = log - np.log(trend[known])
    chance = float(np.mean(polygamma(1, d / 2)))
    # weights that follow differences made by chance make every interval of a law too short
    error = np.sqrt(float(np.mean(polygamma(3, d / 2))) / len(d) + 2 * chance**2 / (len(d) - 1))
    excess = np.var(left, ddof=1) - chance - SURE * error
    if excess <= 0:
        return trend
    prior = 2 * _inverse_trigamma(excess)
    return (prior * trend + freedom * variance) / (prior + freedom)


def _trend(log_size: np.ndarray, known: np.ndarray, log: np.ndarray) -> Float[np.ndarray, " cells"]:
    """Return the variance that a parabola in the logarithms of size and variance gives each cell."""
    at = np.clip(log_size, log_size[known].min(), log_size[known].max())
    degree = min(2, len(np.unique(at[known])) - 1)
    return np.exp(np.polyval(np.polyfit(at[known], log, degree), at))


def _inverse_trigamma(y: float) -> float:
    """Solve trigamma(x) = y by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(50):
        step = polygamma(1, x) * (1 - polygamma(1, x) / y) / polygamma(2, x)
        x += float(step)
        if -step / x < 1e-8:
            break
    return float(x)


def _strata(
    data: Replicates, residual: Float[np.ndarray, "cells seeds"], spread: Float[np.ndarray, " cells"]
) -> tuple[Stratum, Stratum, Stratum]:
    """Split the squared residuals among seeds, seeds within a quality, and the rest."""
    finished = np.isfinite(residual)
    z = np.where(finished, residual, 0.0) / np.where(spread > 0, spread, 1.0)[:, None]
    own = np.array(data.quality) == np.array(list(dict.fromkeys(data.quality)))[:, None]
    nothing = _Sum(0.0, 0.0, 1.0)
    total = _Sum(float((z**2).sum()), float(np.maximum(data.count - 1, 0).sum()), 1.0)
    if total.squares == 0:
        # seeds that all agree show no part; what counting few items adds is each measurement's own
        return NO_PART, NO_PART, Stratum(1.0, total.freedom, 1.0)
    by_seed = _between(np.ones((1, len(z))), z, finished)
    # cells that failed may leave too few to tell a seed's own effect from the rest
    if not data.paired or len(z) < 2 or total.freedom - by_seed.freedom < 1:
        return NO_PART, NO_PART, total.beyond(nothing)
    by_quality = _between(own.astype(float), z, finished)
    if total.freedom - by_quality.freedom < 1:
        # one size per quality: what a seed does to a quality can't be told from the rest
        by_quality = by_seed
    crossed = by_quality.freedom - by_seed.freedom >= 1
    rest = total.beyond(by_quality if crossed else by_seed)
    # a law can't be fitted to cells that have nothing of their own
    rest = replace(rest, square=max(rest.square, LEAST_OWN * total.squares / total.freedom))
    return by_seed.beyond(nothing), by_quality.beyond(by_seed) if crossed else NO_PART, rest


@dataclass(frozen=True)
class _Sum:
    """A sum of squares between groups, its degrees of freedom, and the cells in a group."""

    squares: float
    freedom: float
    cells: float

    def beyond(self, coarser: "_Sum") -> Stratum:
        """Return the mean square that a coarser grouping leaves."""
        freedom = self.freedom - coarser.freedom
        return Stratum(max(self.squares - coarser.squares, 0.0) / freedom, freedom, self.cells)


def _between(groups: Float[np.ndarray, "groups cells"], z: np.ndarray, finished: np.ndarray) -> _Sum:
    """Return the squares of the sums that each group of cells has in each seed."""
    sums, counts = groups @ z, groups @ finished
    there = counts > 0
    freedom = float(np.maximum(there.sum(axis=1) - 1, 0).sum())
    return _Sum(float((sums[there] ** 2 / counts[there]).sum()), freedom, float(counts[there].mean()))


def part_patterns(data: Replicates, noise: Noise) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the covariances of the cell means, (cells, cells), that a unit of each part gives."""
    finished = np.isfinite(data.value).astype(float)
    common = (finished @ finished.T) / np.outer(data.count, data.count)
    label = np.array(data.quality)
    same = label[:, None] == label[None, :]
    spread = np.outer(noise.spread, noise.spread)
    return common * spread, common * same * spread, np.diag(1 / data.count) * spread


def covariance(data: Replicates, noise: Noise) -> Float[np.ndarray, "cells cells"]:
    """Return the covariance of the cell means."""
    parts = zip(noise.variances, part_patterns(data, noise), strict=True)
    return sum((variance * pattern for variance, pattern in parts), np.zeros((len(data.size),) * 2))


def whitening(data: Replicates, noise: Noise) -> np.ndarray:
    """Return what whitens the cell means: a weight each, or a matrix where seeds are shared."""
    if not data.paired or data.value.shape[1] == 1:
        return np.sqrt(data.count) / (noise.spread * np.sqrt(noise.variances[2]))
    return inverse_root(covariance(data, noise))


def inverse_root(matrix: Float[np.ndarray, "cells cells"]) -> Float[np.ndarray, "cells cells"]:
    """Return the inverse of a covariance's lower Cholesky factor."""
    lower = np.linalg.cholesky(matrix)
    return solve_triangular(lower, np.eye(len(lower)), lower=True, check_finite=False)


def resample_means(
    data: Replicates, noise: Noise, times: int, generator: np.random.Generator, *, joint: bool = False
) -> Float[np.ndarray, "resamples cells"]:
    """Draw the cell means of studies that could as well have been measured.

    They are Gaussian in the estimated parts, and for each the parts' variances themselves are drawn anew from
    what their degrees of freedom allow, so that few seeds widen the intervals as Student's t does. ``joint``
    says that one law will be fitted to all qualities at once.
    """
    qualities = list(dict.fromkeys(data.quality))
    column = np.array([qualities.index(label) for label in data.quality])
    variances = noise.resample(times, generator, joint=joint)
    seeds = data.value.shape[1]
    seed, quality, rest = (
        np.sqrt(variance)[:, None, None] * generator.standard_normal((times, groups, seeds))
        for variance, groups in zip(variances, (1, len(qualities), len(data.size)), strict=True)
    )
    moved = (seed + quality[:, column] + rest) * noise.spread[None, :, None]
    means = data.mean + np.where(np.isfinite(data.value), moved, 0).sum(axis=2) / data.count
    return means if data.items is None else means + data.items.resample(times, generator)
