"""Least squares in a box by damped Gauss-Newton steps.

A law has few shape parameters and is fitted thousands of times, for profiles and bootstraps; a general
optimizer's bookkeeping would cost more than the fit.

Source: Levenberg 1944, Quart. Appl. Math. 2, 164-168, with Marquardt's scaling.
"""

from collections.abc import Callable

import numpy as np

Residual = Callable[[np.ndarray], np.ndarray]
DESCENT_STEP = 1e-6
LARGEST_STEP = 2.0
"""Most that a parameter, on its search scale, moves at once."""
ITERATIONS = 200


def descend(residual: Residual, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float]:
    """Minimise half the sum of squared residuals inside a box; return the place and the minimum."""
    r = residual(x)
    cost, damping = 0.5 * float(r @ r), 1e-3
    for _ in range(ITERATIONS):
        slope = _slope(residual, x, r, high)
        gradient, curvature = slope.T @ r, slope.T @ slope
        # a parameter on its bound stays there while the objective falls beyond it
        held = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
        if not gradient[~held].any():
            break  # flat, as where a law's rise is 0: no step would be defined
        scale = np.diag(curvature) + 1e-12 * max(float(np.trace(curvature)), 1e-300)
        while True:
            step = _step(curvature + damping * np.diag(scale), gradient, held)
            trial = np.clip(x + np.clip(step, -LARGEST_STEP, LARGEST_STEP), low, high)
            r_trial = residual(trial)
            cost_trial = 0.5 * float(r_trial @ r_trial)
            if cost_trial <= cost:
                break
            damping *= 10
            if damping > 1e12:
                return x, cost
        fell, moved = cost - cost_trial, float(np.abs(trial - x).max())
        x, r, cost, damping = trial, r_trial, cost_trial, max(damping / 5, 1e-12)
        if fell <= 1e-10 * cost or moved < 1e-9:
            break
    return x, cost


def _step(matrix: np.ndarray, gradient: np.ndarray, held: np.ndarray) -> np.ndarray:
    matrix[held, :] = 0.0
    matrix[:, held] = 0.0
    matrix[held, held] = 1.0
    return np.linalg.solve(matrix, np.where(held, 0.0, -gradient))


def _slope(residual: Residual, x: np.ndarray, r: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the derivative of the residual by differences that stay inside the box."""
    columns = []
    for j in range(len(x)):
        step = DESCENT_STEP if x[j] + DESCENT_STEP <= high[j] else -DESCENT_STEP
        shifted = x.copy()
        shifted[j] += step
        columns.append((residual(shifted) - r) / step)
    return np.stack(columns, axis=1)
