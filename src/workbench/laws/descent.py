"""Least squares for many problems of one law at once, in a box, by damped Gauss-Newton steps.

The problems share the law and its inputs and differ in their values, their weights or where they start: the
starts of one fit, or the resamples of a study. Coefficients are solved for exactly at every step (variable
projection, Golub and Pereyra 1973), so only the law's shapes are searched. Few parameters, thousands of
problems: a general optimizer's bookkeeping for each would cost more than the fits.

Source of the steps: Levenberg 1944, Quart. Appl. Math. 2, 164-168, with Marquardt's scaling.

Shape letters: problems, rows, terms (of the law), shapes (searched parameters).
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from jaxtyping import Bool, Float

Project = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Places (some, shapes) and the numbers of their problems to residuals (some, rows)."""
DESCENT_STEP = 1e-6
LARGEST_STEP = 2.0
"""Most that a parameter, on its search scale, moves at once."""
ITERATIONS = 200
SMALLEST_FALL = 1e-10
"""Share of the objective below which a fall ends the search."""
SMALLEST_MOVE = 1e-9
MOST_DAMPING = 1e12
SAME_DIRECTION = 1e-13
"""Share of a column's length below which it is a combination of the others: it gets no coefficient."""


def descend(
    project: Project,
    start: Float[np.ndarray, "problems shapes"],
    low: Float[np.ndarray, " shapes"],
    high: Float[np.ndarray, " shapes"],
    *,
    enough: float = SMALLEST_FALL,
) -> tuple[Float[np.ndarray, "problems shapes"], Float[np.ndarray, " problems"]]:
    """Minimise half the sum of squared residuals of every problem inside a box.

    A search ends when the objective falls by less than the share ``enough`` of it.

    Returns:
        The places and the minima.
    """
    x = start.copy()
    problems = np.arange(len(x))
    r = project(x, problems)
    cost, damping = 0.5 * np.einsum("pn,pn->p", r, r), np.full(len(x), 1e-3)
    active = problems
    for _ in range(ITERATIONS):
        active, slope, gradient, held = _directions(project, x, r, active, low, high)
        if not len(active):
            break
        step = _step(slope, gradient, held, damping[active])
        trial = np.clip(x[active] + np.clip(step, -LARGEST_STEP, LARGEST_STEP), low, high)
        r_trial = project(trial, active)
        cost_trial = 0.5 * np.einsum("pn,pn->p", r_trial, r_trial)
        better = cost_trial <= cost[active]
        fell, moved = cost[active] - cost_trial, np.abs(trial - x[active]).max(axis=1)
        kept = active[better]
        x[kept], r[kept] = trial[better], r_trial[better]
        ended = better & ((fell <= enough * cost[active]) | (moved < SMALLEST_MOVE))
        cost[kept] = cost_trial[better]
        damping[active] = np.where(better, np.maximum(damping[active] / 5, 1e-12), damping[active] * 10)
        active = active[~ended & (damping[active] <= MOST_DAMPING)]
    return x, cost


def _directions(
    project: Project, x: np.ndarray, r: np.ndarray, active: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, Float[np.ndarray, "some rows shapes"], Float[np.ndarray, "some shapes"], np.ndarray]:
    """Return the problems that can still move, their slopes and gradients, and what their bounds hold."""
    here, shapes = x[active], x.shape[1]
    # differences that stay inside the box, all in one call: a call costs more than its sums
    step = np.where(here + DESCENT_STEP <= high, DESCENT_STEP, -DESCENT_STEP)
    shifted = here[None] + np.eye(shapes)[:, None, :] * step
    moved = project(shifted.reshape(-1, shapes), np.tile(active, shapes))
    slope = np.moveaxis(moved.reshape(shapes, *r[active].shape) - r[active], 0, 2) / step[:, None, :]
    gradient = np.einsum("pns,pn->ps", slope, r[active])
    # a parameter on its bound stays there while the objective falls beyond it
    held = ((here <= low) & (gradient > 0)) | ((here >= high) & (gradient < 0))
    # flat, as where a law's rise is 0: no step would be defined
    moving = np.where(held, 0.0, gradient).any(axis=1)
    return active[moving], slope[moving], gradient[moving], held[moving]


def _step(slope: np.ndarray, gradient: np.ndarray, held: np.ndarray, damping: np.ndarray) -> np.ndarray:
    curvature = np.einsum("pns,pnt->pst", slope, slope)
    diagonal = np.einsum("pss->ps", curvature)
    scale = diagonal + 1e-12 * np.maximum(diagonal.sum(axis=1, keepdims=True), 1e-300)
    unit = np.eye(slope.shape[2])
    matrix = curvature + (damping[:, None] * scale)[:, :, None] * unit
    matrix = np.where(held[:, :, None] | held[:, None, :], unit, matrix)
    return np.linalg.solve(matrix, np.where(held, 0.0, -gradient)[..., None])[..., 0]


def solve_in_box(
    a: Float[np.ndarray, "problems rows terms"],
    b: Float[np.ndarray, "problems rows"],
    low: Float[np.ndarray, " terms"],
    high: Float[np.ndarray, " terms"],
) -> Float[np.ndarray, "problems terms"]:
    """Return the coefficients inside their bounds with the least squares, exactly.

    Where the free solution leaves the box, every way of holding coefficients at their bounds is tried: there
    are few coefficients, and the problem is convex, so the best of those inside the box is the answer.
    """
    solution = _least_squares(a, b)
    outside = np.flatnonzero(((solution < low) | (solution > high)).any(axis=1))
    if not len(outside):
        return solution
    a, b = a[outside], b[outside]
    best = np.full(len(outside), np.inf)
    found = np.zeros((len(outside), a.shape[2]))
    ends = [(np.nan, *(v for v in (lo, hi) if np.isfinite(v))) for lo, hi in zip(low, high, strict=True)]
    for at in product(*ends):
        free = np.isnan(at)
        if free.all():
            continue
        trial = np.broadcast_to(np.where(free, 0.0, at), found.shape).copy()
        left = b - a @ np.where(free, 0.0, at)
        if free.any():
            trial[:, free] = _least_squares(a[:, :, free], left)
        inside = ((trial >= low) & (trial <= high)).all(axis=1)
        rest = b - np.einsum("pnt,pt->pn", a, trial)
        cost = np.where(inside, np.einsum("pn,pn->p", rest, rest), np.inf)
        better = cost < best
        best[better], found[better] = cost[better], trial[better]
    solution[outside] = found
    return solution


def _least_squares(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "problems terms"]:
    """Solve by Gram and Schmidt's orthogonalisation, done twice so that it loses no digits.

    A loop over the few columns, for all problems at once: thousands of small problems are solved here.
    """
    count = a.shape[2]
    basis: list[np.ndarray] = []
    upper = [[np.zeros(len(a))] * count for _ in range(count)]
    independent: list[Bool[np.ndarray, " problems"]] = []
    for j in range(count):
        column = np.ascontiguousarray(a[:, :, j])
        length = np.sqrt(np.vecdot(column, column))
        for _ in range(2 if j else 0):
            for i, other in enumerate(basis):
                along = np.vecdot(other, column)
                column = column - along[:, None] * other
                upper[i][j] = upper[i][j] + along
        left = np.sqrt(np.vecdot(column, column)) if j else length
        known = left > SAME_DIRECTION * length
        upper[j][j] = np.where(known, left, 1.0)
        basis.append(np.where(known, 1 / upper[j][j], 0.0)[:, None] * column)
        independent.append(known)
    solution = np.zeros((len(a), count))
    for j in range(count - 1, -1, -1):
        rest = np.vecdot(basis[j], b)
        for i in range(j + 1, count):
            rest = rest - upper[j][i] * solution[:, i]
        solution[:, j] = np.where(independent[j], rest / upper[j][j], 0.0)
    return solution
