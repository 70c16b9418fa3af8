"""Huber's loss of the residual of the logarithm, summed, as published scaling laws are fitted.

Hoffmann et al. 2022, arXiv:2203.15556; Besiroglu et al. 2024, arXiv:2404.10102, on the sum, not the mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from workbench.laws.law import Law, Parameter
from workbench.laws.problem import Problem
from workbench.laws.squares import inward, outward, search_bounds

SLOPE_STEP = 1e-5
"""Step of the central differences, in the logarithm of a shape parameter."""
NEXT_TO_NOTHING = 1e-3
"""Share of the metric below which a coefficient's part is next to nothing."""
LEAST_SHARE = 1e-9
"""Share of the metric at which the search of a coefficient in logarithms ends."""


# a step beyond what numbers can hold is tried, found worse and taken back
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def fit_robustly(
    law: Law, problem: Problem, fixed: dict[str, float], values: dict[str, float]
) -> tuple[float, dict[str, float]]:
    """Minimise over all free parameters at once, coefficients in logarithms; return the minimum.

    A coefficient that adds next to nothing is searched on a linear scale: in logarithms the slope vanishes
    towards 0, and a search that begins there, as at a floor of 0 from least squares, would never leave it.

    Args:
        law: What is fitted.
        problem: Values above 0, and Huber's threshold.
        fixed: Parameters held at a value.
        values: Where to start, such as what least squares of the relative residual give.
    """
    assert problem.delta is not None
    delta = problem.delta
    names = [p.name for p in law.shapes + law.coefficients if p.name not in fixed]
    free: list[Parameter] = []
    unit: dict[str, float] = {}

    def values_at(position: np.ndarray) -> dict[str, float]:
        found = zip(names, _inward(free, position), strict=True)
        return fixed | {name: value * unit.get(name, 1.0) for name, value in found}

    if not names:
        residual = problem.residual(law.predict(fixed, problem.x))
        return float(_huber_loss(residual, delta).sum()), fixed

    def objective(position: np.ndarray) -> tuple[float, np.ndarray]:
        residual = problem.residual(law.predict(values_at(position), problem.x))
        loss = _huber_loss(residual, delta)
        slope = np.clip(residual, -delta, delta) @ jacobian(position)
        # scaled so that the stopping rules of the optimizer see numbers of order one
        return float(loss.sum()) / delta, slope / delta

    def jacobian(position: np.ndarray) -> np.ndarray:
        here = values_at(position)
        predicted = law.predict(here, problem.x)
        terms = law.terms(here, problem.x)
        place = {p.name: j for j, p in enumerate(law.coefficients)}
        columns = []
        for j, name in enumerate(names):
            if name in place:
                columns.append(unit.get(name, here[name]) * terms[:, place[name]] / predicted)
                continue
            shift = np.zeros(len(position))
            shift[j] = SLOPE_STEP
            above, below = (law.predict(values_at(position + d), problem.x) for d in (shift, -shift))
            columns.append((above - below) / (2 * SLOPE_STEP * predicted))
        return np.where(problem.counted(predicted)[:, None], np.stack(columns, axis=1), 0.0)

    for _ in range(3):
        # a restart forgets the curvature of the kinks passed on the way; three are enough in practice
        units = _units(law, problem, values)
        unit = {name: whole for name, whole in units.items() if values[name] < NEXT_TO_NOTHING * whole}
        scaled = [
            replace(p, scale="linear")
            if p.name in unit
            else replace(p, scale="log", low=max(p.low, units[p.name] * LEAST_SHARE))
            for p in law.coefficients
        ]
        free = [p for p in (*law.shapes, *scaled) if p.name not in fixed]
        low, high = search_bounds(free)
        begin = {name: values[name] / unit.get(name, 1.0) for name in names}
        position = np.clip(_outward(free, begin), low, high)
        best, _ = objective(position)
        found = minimize(
            objective,
            position,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-13, "gtol": 1e-8, "maxcor": 30},
        )
        if found.fun >= best:  # also where the line search gives up at a kink, above its start
            break
        best, values = found.fun, values_at(found.x)
        if np.abs(found.x - position).max() < 1e-7:
            break
    return float(best) * delta, values


def _units(law: Law, problem: Problem, values: Mapping[str, float]) -> dict[str, float]:
    """Return the value of each coefficient that would alone make as much as the metric somewhere."""
    share = np.abs(law.terms(values, problem.x)) / problem.y[:, None]
    largest = np.maximum(share.max(axis=0), np.finfo(float).tiny)
    return dict(zip((p.name for p in law.coefficients), (1 / largest).tolist(), strict=False))


def _huber_loss(residual: np.ndarray, delta: float) -> np.ndarray:
    size = np.abs(residual)
    return np.where(size <= delta, 0.5 * residual**2, delta * (size - 0.5 * delta))


def _outward(parameters: Sequence[Parameter], values: Mapping[str, float]) -> np.ndarray:
    """Map values to the unbounded scale on which they are searched."""
    return np.array([float(outward(p, np.array([values[p.name]]))[0]) for p in parameters])


def _inward(parameters: Sequence[Parameter], position: np.ndarray) -> list[float]:
    return [float(inward(p, np.array([v]))[0]) for p, v in zip(parameters, position, strict=True)]
