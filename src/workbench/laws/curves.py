"""One curve per quality: a metric against the size of the data, for thousands of draws at once.

A draw of a study changes the measured means and nothing else, so every draw is fitted with the same
arithmetic: for each value on a grid of the curve's shape parameters the best linear coefficients follow in
closed form (variable projection, Golub and Pereyra 1973), and the grid is refined twice around the best.

Shape letters in signatures: draws, sizes, grid (trial values of the shape parameters), shapes (how many
such parameters), terms (linear coefficients).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from workbench.errors import InputError

REFINEMENTS = 4
MOST_VALUES = 20_000_000
"""Numbers held at once."""

Solve = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Shape, values and weights to the best offset, slope and misfit of every draw and trial."""


@dataclass(frozen=True)
class CurveForm:
    """A curve ``offset + slope * shape(n)`` whose shape falls from 1 towards 0 as n grows.

    ``shape`` takes the shape parameters, last axis, and the sizes; ``limits`` their lower and upper ends,
    searched on a logarithmic grid. ``parameters`` counts everything that is fitted.
    """

    name: str
    formula: str
    source: str
    metric: str
    """"loss" or "accuracy"."""
    shape: Callable[[np.ndarray, np.ndarray], np.ndarray]
    limits: tuple[tuple[float, float], ...]
    parameters: int


def _power(theta: np.ndarray, size: np.ndarray) -> np.ndarray:
    return size ** -theta[..., 0:1]


def _rectified(theta: np.ndarray, size: np.ndarray) -> np.ndarray:
    learned, beta = theta[..., 0:1], theta[..., 1:2]
    return learned / (learned + size**beta)


def _bounded(theta: np.ndarray, size: np.ndarray) -> np.ndarray:
    half, steepness = theta[..., 0:1], theta[..., 1:2]
    return 1 / (1 + (size / half) ** steepness)


CURVES: dict[str, CurveForm] = {
    "power": CurveForm(
        "power", "E + B n^-beta", "Hestness et al. 2017, arXiv:1712.00409", "loss", _power, ((0.02, 3.0),), 3
    ),
    "rectified": CurveForm(
        "rectified",
        "E + B / (D_l + n^beta)",
        "Lin et al. 2024, arXiv:2402.02314",
        "loss",
        _rectified,
        ((1.0, 1e6), (0.05, 3.0)),
        4,
    ),
    "bounded": CurveForm(
        "bounded",
        "ceiling - (ceiling - floor) / (1 + (n / half)^steepness)",
        "Hill 1910, J. Physiol. 40, iv-vii; floor: the zero-shot score, or 0",
        "accuracy",
        _bounded,
        ((1.0, 1e6), (0.2, 6.0)),
        3,
    ),
}
"""Curves of one quality. Add one: write its shape, falling from 1 to 0, and add a line here."""


@dataclass(frozen=True)
class FittedCurve:
    """A curve fitted to each draw: ``offset + slope * shape(n)``, coefficients by draw."""

    form: CurveForm
    theta: Float[np.ndarray, "draws shapes"]
    offset: Float[np.ndarray, " draws"]
    slope: Float[np.ndarray, " draws"]
    misfit: Float[np.ndarray, " draws"]
    """Weighted sum of squared residuals."""

    def predict(self, size: Float[np.ndarray, " sizes"]) -> Float[np.ndarray, "draws sizes"]:
        """Return each draw's metric at the given sizes, all above 0."""
        return self.offset[:, None] + self.slope[:, None] * self.form.shape(self.theta, size)


def fit_curve(
    form: CurveForm,
    size: Float[np.ndarray, " sizes"],
    value: Float[np.ndarray, "draws sizes"],
    weight: Float[np.ndarray, " sizes"],
    *,
    floor: float = 0.0,
) -> FittedCurve:
    """Fit one form to every draw by weighted least squares.

    Args:
        form: An entry of ``CURVES``.
        size: Sizes, above 0.
        value: The metric's means.
        weight: One over the variance of each mean.
        floor: For an accuracy, the score without training: the curve starts there.

    Raises:
        InputError: With fewer sizes than the form has parameters.
    """
    needed = form.parameters
    if len(size) < needed:
        raise InputError(
            f"the {form.name} curve has {needed} parameters and needs at least {needed} sizes per quality; "
            f"here are {len(size)}. Measure {needed} sizes or more."
        )
    solve = _solve_loss if form.metric == "loss" else _solve_accuracy(floor)
    # every draw tries its own grid at every size: many sizes are fitted a few draws at a time
    blocks = max(1, value.size * 9 ** len(form.limits) // MOST_VALUES)
    parts = [_fit_block(form, solve, size, v, weight) for v in np.array_split(value, min(blocks, len(value)))]
    theta, offset, slope, misfit = (np.concatenate(column) for column in zip(*parts, strict=True))
    return FittedCurve(form, theta, offset, slope, misfit)


def _fit_block(
    form: CurveForm, solve: Solve, size: np.ndarray, value: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    theta, width = _coarse_grid(form)
    best = _best_of(form, solve, size, value, weight, np.broadcast_to(theta, (1, *theta.shape)))
    for _ in range(REFINEMENTS):
        trial, width = _around(form, best, width)
        best = _best_of(form, solve, size, value, weight, trial)
    offset, slope, misfit = solve(form.shape(best[:, None, :], size), value, weight)
    return best, offset[:, 0], slope[:, 0], misfit[:, 0]


def _coarse_grid(form: CurveForm) -> tuple[Float[np.ndarray, "grid shapes"], Float[np.ndarray, " shapes"]]:
    """Return all combinations of logarithmic grids, and each grid's step in the logarithm."""
    points = 48 if len(form.limits) == 1 else 24
    axes = [np.linspace(np.log(low), np.log(high), points) for low, high in form.limits]
    mesh = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=-1)
    return np.exp(mesh), np.array([axis[1] - axis[0] for axis in axes])


def _around(
    form: CurveForm, best: Float[np.ndarray, "draws shapes"], width: Float[np.ndarray, " shapes"]
) -> tuple[Float[np.ndarray, "draws grid shapes"], Float[np.ndarray, " shapes"]]:
    """Return a finer grid of one old step to each side of every draw's best, inside the limits."""
    steps = np.linspace(-1, 1, 9)
    mesh = np.stack([s.ravel() for s in np.meshgrid(*[steps] * len(width), indexing="ij")], axis=-1)
    low, high = np.log(np.array(form.limits)).T
    trial = np.clip(np.log(best)[:, None, :] + mesh * width, low, high)
    return np.exp(trial), width / 4


def _best_of(
    form: CurveForm,
    solve: Solve,
    size: np.ndarray,
    value: np.ndarray,
    weight: np.ndarray,
    theta: Float[np.ndarray, "some grid shapes"],
) -> Float[np.ndarray, "draws shapes"]:
    _, _, misfit = solve(form.shape(theta, size), value, weight)
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


def _cross(shape: np.ndarray, value: np.ndarray, w: np.ndarray) -> Float[np.ndarray, "draws grid"]:
    """Return the weighted products of every draw's values with its trial shapes."""
    if len(shape) == 1:
        return (value * w) @ shape[0].T
    return np.einsum("dgn,dn->dg", shape, value * w)


def monotone(
    value: Float[np.ndarray, "draws sizes"], weight: Float[np.ndarray, " sizes"], *, falling: bool
) -> Float[np.ndarray, "draws sizes"]:
    """Return the closest curve that never gets worse with size (isotonic regression, Barlow et al. 1972)."""
    rows = [isotonic_regression(row, weights=weight, increasing=not falling).x for row in value]
    return np.array(rows)


def interpolate(
    size: Float[np.ndarray, " sizes"],
    value: Float[np.ndarray, "draws sizes"],
    at: Sequence[float | int] | np.ndarray,
) -> Float[np.ndarray, "draws points"]:
    """Interpolate every draw in log size; NaN outside the sizes that were measured.

    The interpolant is cubic and keeps the data's monotony (Fritsch and Carlson 1980): straight lines cut the
    corners of a convex learning curve and shift its rates by several percent.
    """
    x, wanted = np.log(size), np.log(np.asarray(at, dtype=float))
    wanted = np.where(np.isclose(wanted, x[0]), x[0], np.where(np.isclose(wanted, x[-1]), x[-1], wanted))
    if len(x) == 1:
        return np.where(wanted == x[0], value, np.nan)
    return PchipInterpolator(x, value, axis=1, extrapolate=False)(wanted)
