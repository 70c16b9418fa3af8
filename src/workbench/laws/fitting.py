"""Fit a law: many starts, variable projection where the law is a sum of terms, a robust loss on request.

Two objectives, and a fit says which it used:

* ``squares``: squared residuals divided by the noise of each cell (whitened by its covariance when seeds
  are shared). Coefficients are solved for exactly at every step (Golub and Pereyra 1973).
* ``huber``: Huber's loss of the residual of the logarithm, summed and not averaged, as published scaling
  laws are fitted (Hoffmann et al. 2022; Besiroglu et al. 2024 on why the sum).

Shape letters: rows of the problem, terms of the law.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from workbench.errors import InputError
from workbench.laws.library import FREE, LAWS, Inputs, Law, Parameter
from workbench.laws.noise import Noise
from workbench.laws.replicates import Replicates
from workbench.laws.squares import Squares, inward, outward, search_bounds
from workbench.showing import Shown

DELTA = 1e-3
"""Huber's threshold on the log residual, as in the published fits."""
SLOPE_STEP = 1e-5
"""Step of the central differences, in the logarithm of a shape parameter."""
NEXT_TO_NOTHING = 1e-3
"""Share of the metric below which a coefficient's part is next to nothing."""
LEAST_SHARE = 1e-9
"""Share of the metric at which the search of a coefficient in logarithms ends."""
AGREE = 1e-3
"""Two starts agree when their objectives differ by less than this share."""


@dataclass(frozen=True)
class Problem:
    """What is fitted: inputs and a metric by row, and how much each row can be trusted.

    Attributes:
        root: Whitens residuals: a weight per row (one over its standard deviation), or a matrix.
        delta: Huber's threshold on the log residual; None for squares.
        freedom: Degrees of freedom of the noise behind ``root``; None when the noise is unknown and has to be
            read from the residuals.
        bound_only: Rows whose value is only an upper bound of the metric (censored runs).
        quality: The rows' qualities.
        replicates: The measurements by seed behind the first rows, those that are not ``bound_only``; None
            when every row stands alone.
        noise: What the seeds tell about the noise.
    """

    x: Inputs
    y: Float[np.ndarray, " rows"]
    root: np.ndarray
    delta: float | None = None
    freedom: float | None = None
    bound_only: np.ndarray | None = None
    quality: tuple[str, ...] = ()
    replicates: Replicates | None = None
    noise: Noise | None = None

    def whiten(self, values: np.ndarray) -> np.ndarray:
        """Divide rows by their noise."""
        if self.root.ndim == 2:
            return self.root @ values
        return values * (self.root if values.ndim == 1 else self.root[:, None])


@dataclass(frozen=True, repr=False)
class Fit(Shown):
    """A fitted law and what is known about the search.

    Attributes:
        objective: The minimum found: half the sum of squares, or the sum of Huber losses.
        starts: Starts tried.
        agreeing: Share of them that ended at the minimum found, up to ``AGREE``.
        at_bounds: Parameters that ended on a bound: their value is the bound's choice, not the data's.
    """

    law: Law
    values: dict[str, float]
    objective: float
    starts: int
    agreeing: float
    at_bounds: tuple[str, ...]
    problem: Problem
    fixed: Mapping[str, float]

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "formula": self.law.formula,
            "constants": ", ".join(f"{name} = {value:.4g}" for name, value in self.values.items()),
            "search": f"{self.agreeing:.0%} of {self.starts} starts agree, {len(self.problem.y)} cells",
        }
        ends = {"at a bound, which chose the value": ", ".join(self.at_bounds)} if self.at_bounds else {}
        return f"Fit of {self.law.name}", facts | ends

    @property
    def free(self) -> int:
        """Number of parameters that were fitted."""
        return len(self.law.parameters) - len(self.fixed)

    def predict(self, x: Inputs) -> np.ndarray:
        """Return the fitted metric (rows,)."""
        return self.law.predict(self.values, x)

    @property
    def residual(self) -> Float[np.ndarray, " rows"]:
        """Measured minus fitted, in the unit of the objective: whitened, or of the logarithm."""
        return _residual(self.problem, self.predict(self.problem.x))


def fit_law(
    law: Law,
    problem: Problem,
    *,
    fixed: Mapping[str, float] | None = None,
    starts: Sequence[Mapping[str, float]] | None = None,
) -> Fit:
    """Fit a law from many starts.

    Args:
        law: An entry of ``LAWS``, or your own.
        problem: Inputs, metric and noise.
        fixed: Parameters held at a value, for profiles and published constants; ``Fit.fixed`` keeps them.
        starts: Where to start; by default all combinations of the parameters' own starts.

    Raises:
        InputError: With fewer rows than parameters, or values that do not vary.
    """
    fixed = dict(fixed or {})
    law = law.measured_at(problem.x)
    _check(law, problem, fixed)
    begin = starts or _starts(law, fixed)
    if problem.delta is None:
        tried = _squares(law, problem, fixed, begin)
    else:
        tried = [_huber(law, problem, fixed, start) for start in begin]
    objective, values = min(tried, key=lambda pair: pair[0])
    close = [abs(o - objective) <= AGREE * max(abs(objective), 1e-12) for o, _ in tried]
    free = [p for p in law.parameters if p.name not in fixed]
    return Fit(
        law=law,
        values=values,
        objective=objective,
        starts=len(tried),
        agreeing=sum(close) / len(close),
        at_bounds=tuple(p.name for p in free if _on_bound(p, values[p.name])),
        problem=problem,
        fixed=fixed,
    )


def _check(law: Law, problem: Problem, fixed: Mapping[str, float]) -> None:
    needed = len(law.parameters) - len(fixed)
    (quality, *others) = dict.fromkeys(problem.quality) or ("all",)
    of = "" if others or quality == "all" else f" of quality {quality!r}"
    other = _smaller(law, problem)
    instead = f", or take another law: --law {other}" if other else ""
    for name in law.inputs:
        if needed > 1 and len(np.unique(problem.x[name])) < 2:
            several = f", of at least {needed} sizes in all" if name == "size" else ""
            raise InputError(
                f"law {law.name!r} needs column {name!r} to vary; here it is {problem.x[name][0]:g} in every "
                f"row{of}. Add rows in which it differs{several}{instead}."
            )
    if (lacking := needed - len(problem.y)) > 0:
        raise InputError(
            f"law {law.name!r} has {needed} free parameters and needs at least {needed} cells; here are "
            f"{len(problem.y)}{of}. Add rows of {lacking} more size{'s' * (lacking > 1)}{instead}."
        )
    if not law.model_free and np.ptp(problem.y) == 0:
        raise InputError(
            f"the metric is {problem.y[0]:g} in every cell of the fit: no effect of size is visible, so "
            "there is nothing to fit. Larger sizes or a finer measurement, such as the loss, would tell."
        )
    if problem.delta is not None and np.any(problem.y <= 0):
        raise InputError(
            "a fit of the logarithm needs values above 0; give the problem delta=None to fit squares."
        )


def _smaller(law: Law, problem: Problem) -> str | None:
    """Return a law for the columns that do vary, with no more parameters than a quality has cells."""
    varying = {name for name in law.inputs if len(np.unique(problem.x[name])) > 1}
    cells = min(Counter(problem.quality).values(), default=len(problem.y))
    suited = (
        other.name
        for other in LAWS.values()
        if (other.metric, set(other.inputs)) == (law.metric, varying)
        and not (other.model_free or other.name == law.name)
        and len(other.parameters) <= cells
    )
    return next(suited, FREE if varying <= {"size"} else None)


def _starts(law: Law, fixed: Mapping[str, float]) -> list[dict[str, float]]:
    starts = {p.name: p.starts for p in law.shapes if p.name not in fixed}
    return [dict(zip(starts, values, strict=True)) for values in product(*starts.values())]


def _squares(
    law: Law, problem: Problem, fixed: Mapping[str, float], starts: Sequence[Mapping[str, float]]
) -> list[tuple[float, dict[str, float]]]:
    """Fit from every start; return the objectives and all values."""
    squares = Squares(
        law,
        problem.x,
        np.broadcast_to(problem.y, (len(starts), len(problem.y))),
        problem.root,
        dict(fixed),
        problem.bound_only,
    )
    begin = {p.name: np.array([start[p.name] for start in starts]) for p in squares.searched}
    values, objective = squares.fit(begin)
    by_start = ({name: float(column[i]) for name, column in values.items()} for i in range(len(starts)))
    return list(zip(objective.tolist(), by_start, strict=True))


def fit_values(fit: Fit, y: Float[np.ndarray, "problems rows"]) -> dict[str, Float[np.ndarray, " problems"]]:
    """Fit a law again to other values at the same inputs, by squares, from where the fit ended.

    Returns:
        Each parameter's values.
    """
    problem = fit.problem
    squares = Squares(fit.law, problem.x, y, problem.root, dict(fit.fixed), problem.bound_only)
    values, _ = squares.fit({p.name: np.full(len(y), fit.values[p.name]) for p in squares.searched})
    return values


def _huber(
    law: Law, problem: Problem, fixed: dict[str, float], start: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    """Minimise over all free parameters at once, coefficients in logarithms, from those of least squares.

    A coefficient that adds next to nothing is searched on a linear scale: in logarithms the slope vanishes
    towards 0, and a search that begins there, as at a floor of 0 from least squares, would never leave it.
    """
    assert problem.delta is not None
    delta = problem.delta
    relative = replace(problem, root=1 / problem.y, delta=None)
    ((_, values),) = _squares(law, relative, fixed | dict(start), [{}])
    names = [p.name for p in law.shapes + law.coefficients if p.name not in fixed]
    free: list[Parameter] = []
    unit: dict[str, float] = {}

    def values_at(position: np.ndarray) -> dict[str, float]:
        found = zip(names, _inward(free, position), strict=True)
        return fixed | {name: value * unit.get(name, 1.0) for name, value in found}

    if not names:
        residual = _residual(problem, law.predict(fixed, problem.x))
        return float(_huber_loss(residual, delta).sum()), fixed

    def objective(position: np.ndarray) -> tuple[float, np.ndarray]:
        residual = _residual(problem, law.predict(values_at(position), problem.x))
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
        return np.where(_counts(problem, predicted)[:, None], np.stack(columns, axis=1), 0.0)

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


def _residual(problem: Problem, predicted: np.ndarray) -> np.ndarray:
    if problem.delta is None:
        residual = problem.whiten(problem.y - predicted)
    else:
        residual = np.log(np.maximum(predicted, 1e-300)) - np.log(problem.y)
    return residual if problem.bound_only is None else np.where(_counts(problem, predicted), residual, 0.0)


def _counts(problem: Problem, predicted: np.ndarray) -> np.ndarray:
    """Say which rows speak against a prediction: a censored run doesn't where the prediction is lower."""
    if problem.bound_only is None:
        return np.ones(len(predicted), dtype=bool)
    return ~problem.bound_only | (predicted > problem.y)


def _outward(parameters: Sequence[Parameter], values: Mapping[str, float]) -> np.ndarray:
    """Map values to the unbounded scale on which they are searched."""
    return np.array([float(outward(p, np.array([values[p.name]]))[0]) for p in parameters])


def _inward(parameters: Sequence[Parameter], position: np.ndarray) -> list[float]:
    return [float(inward(p, np.array([v]))[0]) for p, v in zip(parameters, position, strict=True)]


def _on_bound(p: Parameter, value: float) -> bool:
    at = np.array([value])
    return bool(p.at_least(at)[0] or p.at_largest(at)[0])
