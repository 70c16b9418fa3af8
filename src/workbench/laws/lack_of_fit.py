"""Whether a law fits where every cell was run once, so that no seeds tell the noise.

Where a law is right its residuals are noise, and neighbours know nothing of each other. Where it bends
otherwise than the data do, neighbouring residuals lie on one side: their differences are small beside
themselves. That is the ratio of von Neumann 1941 (doi:10.1214/aoms/1177731677), here over the nearest
neighbour among all inputs of a law, as in Geary's c (1954, doi:10.2307/2986645).

A fit takes its constants out of the residuals, which correlates them, so no table has the ratio of noise: it
is drawn. Noise of equal size is drawn for all rows, what the fit would have taken of it is removed
(its projection on the law's derivatives), and the ratio of the rest is compared. For the robust loss the
residuals themselves are dealt out anew, which keeps their heavy tails.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from workbench.laws.fitting import Fit

RATIOS_DRAWN = (199, 999)
"""Fewest and most draws of the ratio under the law."""
ENOUGH = 500_000
"""Numbers drawn in all; of a large table they give fewer draws."""
ROWS_LEFT = 2
"""Rows beyond the fitted constants; with one the ratio is a constant."""
DERIVATIVE_STEP = 1e-5
"""Step of the central differences, as a share of the constant."""
MOST_DRAWN = 4_000_000
"""Numbers drawn at once."""
CLIP = 3.0
"""Robust standard deviations beyond which a residual of the robust loss counts no more."""


def lack_of_fit(fit: Fit, *, draws: int | None = None, seed: int = 0) -> float | None:
    """Return the probability of neighbouring residuals as alike as these, if the law were right.

    Args:
        fit: A fit whose rows stand alone.
        draws: Ratios drawn under the law; by default as many as the size of the table allows.
        seed: Seed of the draws.

    Returns:
        The probability; None where seeds tell the noise, the law is no law, or too few rows are left over.
    """
    problem = fit.problem
    counted = np.ones(len(problem.y), bool) if problem.bound_only is None else ~problem.bound_only
    one, two = _neighbours(fit, counted)
    residual = _residual(fit)[counted]
    left = len(residual) - fit.free
    if problem.freedom is not None or fit.law.model_free or left < ROWS_LEFT or not residual.any():
        return None
    taken = _taken(fit)[counted]
    robust = problem.delta is not None
    measured = float(_ratio(_clipped(residual[None], robust), one, two)[0])
    generator = np.random.default_rng(seed)
    draws = draws or int(np.clip(ENOUGH // len(residual), *RATIOS_DRAWN))
    block = max(1, MOST_DRAWN // len(residual))
    below = 0
    for start in range(0, draws, block):
        shape = (min(block, draws - start), len(residual))
        noise = generator.standard_normal(shape)
        if robust:
            noise = (residual - np.median(residual))[np.argsort(noise, axis=1)]
        rest = noise - _pull(noise, residual, problem.delta) @ taken @ taken.T
        below += int(np.sum(_ratio(_clipped(rest, robust), one, two) <= measured))
    return (1 + below) / (1 + draws)


def _residual(fit: Fit) -> Float[np.ndarray, " rows"]:
    problem, predicted = fit.problem, fit.predict(fit.problem.x)
    return problem.whiten(problem.y - predicted) if problem.delta is None else np.log(problem.y / predicted)


def _pull(
    noise: Float[np.ndarray, "draws rows"], residual: Float[np.ndarray, " rows"], delta: float | None
) -> Float[np.ndarray, "draws rows"]:
    """Return how strongly each row pulls at the constants: as it is for squares, cut off for the robust loss.

    The mean slope of the cut is taken over half a standard deviation, for within ``delta`` lie few rows.
    """
    if delta is None:
        return noise
    near = max(delta, 0.5 * _spread(residual[None]).item())
    slope = float(np.mean(np.abs(residual) <= near)) * delta / near
    return np.clip(noise, -delta, delta) / slope


def _spread(residual: Float[np.ndarray, "draws rows"]) -> Float[np.ndarray, "draws 1"]:
    """Return the robust standard deviation of every draw."""
    return 1.4826 * np.median(np.abs(residual), axis=1, keepdims=True)


def _neighbours(fit: Fit, counted: np.ndarray) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Return pairs of rows of one quality that are nearest to each other in what the law knows.

    Along a single input the rows are a line, each beside the next. Of more inputs each counts as much as the
    others, on the scale of its logarithm.
    """
    inputs = [column[counted] for column in fit.problem.x.values()]
    label = np.array(fit.problem.quality or ("all",) * len(counted))[counted]
    one: list[np.ndarray] = []
    two: list[np.ndarray] = []
    for quality in dict.fromkeys(label):
        own = np.flatnonzero(label == quality)
        columns = [_scaled(column[own]) for column in inputs if len(np.unique(column[own])) > 1]
        if len(own) < 2 or not columns:
            continue
        if len(columns) == 1:
            order = own[np.argsort(columns[0], kind="stable")]
            one.append(order[:-1])
            two.append(order[1:])
            continue
        _, nearest = KDTree(np.stack(columns, axis=1)).query(np.stack(columns, axis=1), k=2)
        itself = nearest[:, 0] == np.arange(len(own))
        one.append(own)
        two.append(own[np.where(itself, nearest[:, 1], nearest[:, 0])])
    empty = np.zeros(0, dtype=int)
    return np.concatenate([empty, *one]), np.concatenate([empty, *two])


def _scaled(column: np.ndarray) -> np.ndarray:
    values = np.log(column) if np.all(column > 0) else column
    return values / np.std(values)


def _ratio(residual: Float[np.ndarray, "draws rows"], one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return the squared differences of neighbours over the squares, of every draw."""
    return ((residual[:, one] - residual[:, two]) ** 2).sum(axis=1) / (residual**2).sum(axis=1)


def _clipped(residual: Float[np.ndarray, "draws rows"], robust: bool) -> Float[np.ndarray, "draws rows"]:
    if not robust:
        return residual
    edge = CLIP * _spread(residual)
    return np.clip(residual, -edge, edge)


def _taken(fit: Fit) -> Float[np.ndarray, "rows constants"]:
    """Return an orthonormal basis of what small moves of the free constants do to the residuals."""
    problem = fit.problem
    columns = []
    for p in fit.law.parameters:
        if p.name in fit.fixed or p.name in fit.at_bounds:
            continue
        value = fit.values[p.name]
        step = DERIVATIVE_STEP * (abs(value) or 1.0)
        above, below = (fit.law.predict({**fit.values, p.name: value + d}, problem.x) for d in (step, -step))
        columns.append((above - below) / (2 * step))
    slopes = np.stack(columns, axis=1) if columns else np.zeros((len(problem.y), 0))
    slopes = problem.whiten(slopes) if problem.delta is None else slopes / fit.predict(problem.x)[:, None]
    size = np.linalg.norm(slopes, axis=0)
    return np.linalg.qr(slopes[:, size > 0] / size[size > 0])[0]
