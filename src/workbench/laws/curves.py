"""One curve per quality: a law of size alone fitted to it, for thousands of resampled studies at once.

A resample of a study changes the measured means and nothing else, so every one is fitted with the same
arithmetic: for each value on a grid of the law's shape parameters the best linear coefficients follow in
closed form (variable projection, Golub and Pereyra 1973), and the grid is refined around the best.

Shape letters in signatures: resamples, sizes, grid (trial values of the shape parameters), shapes (how many
such parameters).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from workbench.errors import InputError
from workbench.laws.library import LAWS, Law

REFINEMENTS = 4
MOST_VALUES = 20_000_000
"""Numbers held at once."""
ACCURACY_FLOOR = "the zero-shot score, or 0"
"""Where the curve of an accuracy starts; it is given and not fitted."""

Solve = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Shape, values and weights to the best offset, slope and misfit of every resample and trial."""


def curve_laws() -> dict[str, Law]:
    """Return the laws that can be fitted to one quality here, by name."""
    return {name: law for name, law in LAWS.items() if law.fits_curves}


def constants_of(law: Law) -> int:
    """Return how many constants a fit finds: all, but for the floor of an accuracy, which is given."""
    return len(law.parameters) - (law.metric == "accuracy")


def falling_term(
    law: Law, theta: Float[np.ndarray, "*some shapes"], size: Float[np.ndarray, " sizes"]
) -> Float[np.ndarray, "*some sizes"]:
    """Return the law's term that falls with size, for each value of its shape parameters.

    A loss is a floor plus what falls; an accuracy is what is left of its floor plus what is gained of its
    ceiling.
    """
    shapes = {p.name: theta[..., j : j + 1] for j, p in enumerate(law.shapes)}
    return np.ascontiguousarray(law.terms(shapes, {"size": size})[..., 1 if law.metric == "loss" else 0])


@dataclass(frozen=True)
class FittedCurve:
    """A law fitted to each resampled study: ``offset + slope * falling_term``, each with its constants."""

    law: Law
    theta: Float[np.ndarray, "resamples shapes"]
    offset: Float[np.ndarray, " resamples"]
    slope: Float[np.ndarray, " resamples"]
    misfit: Float[np.ndarray, " resamples"]
    """Weighted sum of squared residuals."""

    def predict(self, size: Float[np.ndarray, " sizes"]) -> Float[np.ndarray, "resamples sizes"]:
        """Return the metric of every resample at the given sizes, all above 0."""
        return self.offset[:, None] + self.slope[:, None] * falling_term(self.law, self.theta, size)

    def constants(self) -> dict[str, float]:
        """Return the law's constants, as fitted to the study as measured, by their names in the formula."""
        shapes = {p.name: float(value) for p, value in zip(self.law.shapes, self.theta[0], strict=True)}
        offset, slope = float(self.offset[0]), float(self.slope[0])
        ends = (offset, slope) if self.law.metric == "loss" else (offset + slope, offset)
        return {**shapes, **dict(zip([p.name for p in self.law.coefficients], ends, strict=True))}


def fit_curve(
    law: Law,
    size: Float[np.ndarray, " sizes"],
    value: Float[np.ndarray, "resamples sizes"],
    weight: Float[np.ndarray, " sizes"],
    *,
    floor: float = 0.0,
) -> FittedCurve:
    """Fit one law to every resample by weighted least squares.

    Args:
        law: One of ``curve_laws``.
        size: Sizes, above 0.
        value: The metric's means.
        weight: One over the variance of each mean.
        floor: For an accuracy, the score without training: the curve starts there.

    Raises:
        InputError: With fewer sizes than the law has constants to be found.
    """
    needed = constants_of(law)
    if len(size) < needed:
        raise InputError(
            f"the {law.name} curve has {needed} parameters and needs at least {needed} sizes per quality; "
            f"here are {len(size)}. Measure {needed} sizes or more."
        )
    solve = _solve_loss if law.metric == "loss" else _solve_accuracy(floor)
    # every resample tries its own grid at every size: many sizes are fitted a few resamples at a time
    blocks = max(1, value.size * 9 ** len(law.shapes) // MOST_VALUES)
    parts = [_fit_block(law, solve, size, v, weight) for v in np.array_split(value, min(blocks, len(value)))]
    theta, offset, slope, misfit = (np.concatenate(column) for column in zip(*parts, strict=True))
    return FittedCurve(law, theta, offset, slope, misfit)


def _fit_block(
    law: Law, solve: Solve, size: np.ndarray, value: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    theta, width = _coarse_grid(law)
    best = _best_of(law, solve, size, value, weight, np.broadcast_to(theta, (1, *theta.shape)))
    for _ in range(REFINEMENTS):
        trial, width = _around(law, best, width)
        best = _best_of(law, solve, size, value, weight, trial)
    offset, slope, misfit = solve(falling_term(law, best[:, None, :], size), value, weight)
    return best, offset[:, 0], slope[:, 0], misfit[:, 0]


def _limits(law: Law) -> list[tuple[float, float]]:
    return [p.grid for p in law.shapes if p.grid is not None]


def _coarse_grid(law: Law) -> tuple[Float[np.ndarray, "grid shapes"], Float[np.ndarray, " shapes"]]:
    """Return all combinations of logarithmic grids, and each grid's step in the logarithm."""
    limits = _limits(law)
    points = 48 if len(limits) == 1 else 24
    axes = [np.linspace(np.log(low), np.log(high), points) for low, high in limits]
    mesh = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=-1)
    return np.exp(mesh), np.array([axis[1] - axis[0] for axis in axes])


def _around(
    law: Law, best: Float[np.ndarray, "resamples shapes"], width: Float[np.ndarray, " shapes"]
) -> tuple[Float[np.ndarray, "resamples grid shapes"], Float[np.ndarray, " shapes"]]:
    """Return a finer grid of one old step to each side of every resample's best, inside the limits."""
    steps = np.linspace(-1, 1, 9)
    mesh = np.stack([s.ravel() for s in np.meshgrid(*[steps] * len(width), indexing="ij")], axis=-1)
    low, high = np.log(np.array(_limits(law))).T
    trial = np.clip(np.log(best)[:, None, :] + mesh * width, low, high)
    return np.exp(trial), width / 4


def _best_of(
    law: Law,
    solve: Solve,
    size: np.ndarray,
    value: np.ndarray,
    weight: np.ndarray,
    theta: Float[np.ndarray, "some grid shapes"],
) -> Float[np.ndarray, "resamples shapes"]:
    _, _, misfit = solve(falling_term(law, theta, size), value, weight)
    chosen = misfit.argmin(axis=1)
    return theta[chosen * 0 if len(theta) == 1 else np.arange(len(chosen)), chosen]


def _solve_loss(
    shape: Float[np.ndarray, "some grid sizes"], value: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares for offset >= 0 and slope >= 0: a loss neither falls below 0 nor rises with data."""
    w = weight / weight.sum()
    mean_x, mean_y = shape @ w, (value @ w)[:, None]
    xx = (shape**2) @ w
    xy = _cross(shape, value, w)
    variance = np.maximum(xx - mean_x**2, 1e-300)
    slope = np.maximum((xy - mean_x * mean_y) / variance, 0)
    offset = mean_y - slope * mean_x
    through_zero = xy / xx
    slope = np.where(offset < 0, through_zero, slope)
    offset = np.maximum(offset, 0)
    yy = ((value**2) @ w)[:, None]
    misfit = (
        yy - 2 * offset * mean_y - 2 * slope * xy + offset**2 + 2 * offset * slope * mean_x + slope**2 * xx
    )
    return offset, slope, misfit * weight.sum()


def _solve_accuracy(floor: float) -> Solve:
    """Least squares for a curve from ``floor`` to a ceiling inside [0, 1]."""

    def solve(
        shape: np.ndarray, value: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        w = weight / weight.sum()
        gain, above = 1 - shape, value - floor
        xx, xy = (gain**2) @ w, _cross(gain, above, w)
        rise = np.clip(xy / np.maximum(xx, 1e-300), -floor, 1 - floor)
        misfit = ((above**2) @ w)[:, None] - 2 * rise * xy + rise**2 * xx
        return floor + rise, -rise, misfit * weight.sum()

    return solve


def _cross(shape: np.ndarray, value: np.ndarray, w: np.ndarray) -> Float[np.ndarray, "resamples grid"]:
    """Return the weighted products of every resample's values with its trial shapes."""
    if len(shape) == 1:
        return (value * w) @ shape[0].T
    return np.einsum("dgn,dn->dg", shape, value * w)


def monotone(
    value: Float[np.ndarray, "resamples sizes"], weight: Float[np.ndarray, " sizes"], *, falling: bool
) -> Float[np.ndarray, "resamples sizes"]:
    """Return the closest curve that never gets worse with size (isotonic regression, Barlow et al. 1972)."""
    rows = [isotonic_regression(row, weights=weight, increasing=not falling).x for row in value]
    return np.array(rows)


def interpolate(
    size: Float[np.ndarray, " sizes"],
    value: Float[np.ndarray, "resamples sizes"],
    at: Sequence[float | int] | np.ndarray,
) -> Float[np.ndarray, "resamples points"]:
    """Interpolate every resample in log size; NaN outside the sizes that were measured.

    The interpolant is cubic and keeps the data's monotony (Fritsch and Carlson 1980): straight lines cut the
    corners of a convex learning curve and shift its rates by several percent.
    """
    x, wanted = np.log(size), np.log(np.asarray(at, dtype=float))
    wanted = np.where(np.isclose(wanted, x[0]), x[0], np.where(np.isclose(wanted, x[-1]), x[-1], wanted))
    if len(x) == 1:
        return np.where(wanted == x[0], value, np.nan)
    return PchipInterpolator(x, value, axis=1, extrapolate=False)(wanted)
