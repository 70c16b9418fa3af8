"""How far a curve may stray from its law: a smooth random curve, whose size and length the data tell.

A law is right only so far. Between the sizes that were measured the truth is the law plus a deviation, a
Gaussian process in the logarithms of the inputs with a Matern 5/2 covariance (Rasmussen and Williams 2006,
"Gaussian Processes for Machine Learning", section 4.2; Kennedy and O'Hagan 2001, doi:10.1111/1467-9868.00294,
for a law with such a discrepancy). Where the law fits, the deviation is small; where every law is rejected,
it is the interpolation, with its own error.

How large and how long it is, and which law it strays from, are weighed by their marginal likelihood: the
law's constants are integrated out to first order around the fit (restricted likelihood, Patterson and
Thompson 1971, doi:10.1093/biomet/58.3.545), and laws pay for their constants as in BIC.

Shape letters: cells, grid (sizes at which a deviation is kept), draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from workbench.laws.candidates import Candidate, Cells
from workbench.laws.fitting import Fit
from workbench.laws.noise import covariance

DEVIATION_SHARES = (0.01, 0.04, 0.15, 0.4)
"""Standard deviations that are tried, as shares of the range over which the metric moves."""
LENGTHS = (0.2, 0.5, 1.0)
"""Lengths that are tried, as shares of the logarithmic range of an input."""
NO_DEVIATION = 0.5
"""Probability, before the data are seen, that a law holds without any deviation."""
NOISE_LEVELS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Noise levels that are tried where only residuals tell the noise, in units of theirs."""
JITTER = 1e-9
LINEAR_STEP = 1e-5
"""Relative step of the differences by which a fit is made linear."""


@dataclass(frozen=True)
class Way:
    """One way in which the data may have come about, and its probability.

    Attributes:
        share: Standard deviation of the deviation, as a share of the metric's range; 0 for the law itself.
        length: Its length, as a share of each input's logarithmic range.
        level: Factor on the noise.
    """

    candidate: Candidate
    share: float
    length: float
    level: float
    weight: float


@dataclass(frozen=True)
class Space:
    """Where deviations live: the inputs' logarithms in units of their ranges, and the metric's range."""

    low: Mapping[str, float]
    width: Mapping[str, float]
    rise: float

    def place(self, x: Mapping[str, np.ndarray]) -> Float[np.ndarray, "cells inputs"]:
        """Return inputs as places."""
        return np.stack([(np.log(x[n]) - self.low[n]) / self.width[n] for n in self.low], axis=1)


def space_of(cells: Cells, inputs: Sequence[str]) -> Space:
    """Return the space of a study's deviations."""
    log = {name: np.log(cells.x[name]) for name in inputs}
    spans = [float(np.ptp(cells.data.mean[cells.of(quality)])) for quality in cells.qualities]
    return Space(
        {name: float(column.min()) for name, column in log.items()},
        {name: float(np.ptp(column)) or 1.0 for name, column in log.items()},
        float(np.sqrt(np.mean(np.square(spans)))),
    )


def matern(one: np.ndarray, two: np.ndarray, length: float) -> Float[np.ndarray, "some others"]:
    """Return the correlation of the deviation at two sets of places, (some, inputs) and (others, inputs)."""
    apart = np.sqrt(5) * np.abs(one[:, None, :] - two[None, :, :]) / length
    return np.prod((1 + apart + apart**2 / 3) * np.exp(-apart), axis=2)


def weigh(candidates: Sequence[Candidate], cells: Cells, space: Space) -> list[Way]:
    """Return the ways, with the probabilities that the data give them.

    A law without deviation takes part where the data don't reject it; with one, every law of one quality's
    own curve does.
    """
    levels = NOISE_LEVELS if cells.from_residuals else (1.0,)
    ways, logs = [], []
    for candidate in candidates:
        linear = [_made_linear(fit, space) for fit in candidate.distinct]
        shares = (0.0,) if candidate.law.joint else (0.0, *DEVIATION_SHARES)
        for share in shares:
            if share == 0 and not candidate.trusted:
                continue
            lengths = LENGTHS if share else (1.0,)
            prior = NO_DEVIATION if share == 0 else (1 - NO_DEVIATION) / len(DEVIATION_SHARES) / len(lengths)
            prior *= candidate.share
            for length in lengths:
                spread = (share * space.rise) ** 2
                likelihood = _log_likelihoods(candidate, cells, linear, spread, length, levels)
                ways += [Way(candidate, share, length, level, 0.0) for level in levels]
                logs += [value + np.log(prior) for value in likelihood]
    weight = np.exp(np.array(logs) - max(logs, default=0.0))
    return [
        Way(w.candidate, w.share, w.length, w.level, float(p))
        for w, p in zip(ways, weight / weight.sum() if len(weight) else weight, strict=True)
    ]


@dataclass(frozen=True)
class _Linear:
    """A fit made linear: what it leaves, how it moves with each constant that no bound holds, its noise.

    ``base`` is the logarithm of the determinant of the slopes' squares in units of the noise alone, with
    which that of a deviation is compared, so that no constant's unit counts.
    """

    place: Float[np.ndarray, "cells inputs"]
    both: Float[np.ndarray, "cells columns"]
    """The slopes, and last the residual."""
    noise: Float[np.ndarray, "cells cells"]
    base: float


def _log_likelihoods(
    candidate: Candidate,
    cells: Cells,
    linear: Sequence[_Linear],
    spread: float,
    length: float,
    levels: Sequence[float],
) -> list[float]:
    """Return the log restricted likelihood at each noise level, up to what all ways share."""
    squares = np.zeros(len(levels))
    log = np.zeros(len(levels))
    for one in linear:
        stray = spread * matern(one.place, one.place, length) if spread else 0.0
        for j, level in enumerate(levels):
            lower = np.linalg.cholesky(level**2 * one.noise + stray)
            whitened = solve_triangular(lower, one.both, lower=True, check_finite=False)
            kept, determinant = _slopes(whitened[:, :-1])
            left = whitened[:, -1] - kept @ (kept.T @ whitened[:, -1])
            squares[j] += float(left @ left)
            log[j] -= np.log(np.diag(lower)).sum() + 0.5 * (determinant - one.base)
    counted = sum(len(one.both) for one in linear)
    pays = 0.5 * candidate.free * np.log(len(cells.data.size))
    if cells.from_residuals:
        return [float(v) for v in log - 0.5 * squares - pays]
    freedom = cells.noise.freedom
    left_over = freedom + counted - candidate.free
    return [float(v) for v in log - 0.5 * left_over * np.log1p(squares / freedom) - pays]


def _slopes(whitened: Float[np.ndarray, "cells constants"]) -> tuple[np.ndarray, float]:
    """Return a basis of the slopes, and the logarithm of the determinant of their squares."""
    basis, size, _ = np.linalg.svd(whitened, full_matrices=False)
    known = size > 1e-9 * size.max() if size.size else np.zeros(0, dtype=bool)
    return basis[:, known], float(2 * np.log(size[known]).sum())


def noise_of(fit: Fit) -> Float[np.ndarray, "cells cells"]:
    """Return the covariance of the noise of a fit's cell means."""
    problem = fit.problem
    assert problem.replicates is not None
    assert problem.noise is not None
    if problem.root.ndim == 1:
        return np.diag(problem.root**-2.0)
    return covariance(problem.replicates, problem.noise)


def _made_linear(fit: Fit, space: Space) -> _Linear:
    x, values = fit.problem.x, fit.values
    columns = []
    for p in fit.law.parameters:
        if p.name in fit.fixed or p.name in fit.at_bounds:
            continue
        step = LINEAR_STEP * max(abs(values[p.name]), LINEAR_STEP)
        up, down = (fit.law.predict({**values, p.name: values[p.name] + d}, x) for d in (step, -step))
        column = (up - down) / (2 * step)
        length = float(np.linalg.norm(column))
        if length > 0:
            columns.append(column / length)
    both = np.stack([*columns, fit.problem.y - fit.predict(x)], axis=1)
    noise = noise_of(fit)
    whitened = solve_triangular(np.linalg.cholesky(noise), both[:, :-1], lower=True, check_finite=False)
    return _Linear(space.place(x), both, noise, _slopes(whitened)[1])
