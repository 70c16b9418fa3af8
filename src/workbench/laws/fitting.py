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

from workbench.errors import InputError
from workbench.laws.library import FREE, LAWS, Inputs, Law, Parameter
from workbench.laws.problem import Problem
from workbench.laws.robust import fit_robustly
from workbench.laws.squares import Squares
from workbench.showing import Shown

DELTA = 1e-3
"""Huber's threshold on the log residual, as in the published fits."""
MOST_TOGETHER = 32
"""Rows up to which several problems are searched together, each with its own matrix of noise."""
AGREE = 1e-3
"""Two starts agree when their objectives differ by less than this share."""


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
        return self.problem.residual(self.predict(self.problem.x))


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
    (fit,) = fit_alike(law, [problem], fixed=fixed, starts=starts)
    return fit


def fit_alike(
    law: Law,
    problems: Sequence[Problem],
    *,
    fixed: Mapping[str, float] | None = None,
    starts: Sequence[Mapping[str, float]] | None = None,
) -> list[Fit]:
    """Fit a law to each problem, such as a quality of a study; those of equal inputs are searched together.

    A search of many small problems takes hardly longer than that of one.

    Raises:
        InputError: As ``fit_law`` does.
    """
    fixed = dict(fixed or {})
    begin = starts or _starts(law, fixed)
    fits: dict[int, Fit] = {}
    for group in _of_same_inputs(problems):
        together = [problems[i] for i in group]
        measured = law.measured_at(together[0].x)
        for problem in together:
            _check(measured, problem, fixed)
        for i, problem, tried in zip(group, together, _tried(measured, together, fixed, begin), strict=True):
            fits[i] = _best(measured, problem, fixed, tried)
    return [fits[i] for i in range(len(problems))]


def _of_same_inputs(problems: Sequence[Problem]) -> list[list[int]]:
    """Return the positions of problems that one search can hold: few rows, the same inputs, squares."""
    groups: dict[object, list[int]] = {}
    for i, problem in enumerate(problems):
        alone = len(problem.y) > MOST_TOGETHER or problem.delta is not None or problem.bound_only is not None
        inputs = tuple((name, np.asarray(problem.x[name]).tobytes()) for name in sorted(problem.x))
        groups.setdefault(i if alone else inputs, []).append(i)
    return list(groups.values())


def _tried(
    law: Law, problems: Sequence[Problem], fixed: dict[str, float], starts: Sequence[Mapping[str, float]]
) -> list[list[tuple[float, dict[str, float]]]]:
    """Return each problem's objective and values from every start."""
    (first, *others) = problems
    if first.delta is not None:
        relative = replace(first, root=1 / first.y, delta=None)
        least = [_squares(law, relative, fixed | dict(start), [{}])[0][1] for start in starts]
        return [[fit_robustly(law, first, fixed, values) for values in least]]
    if not others:
        return [_squares(law, first, fixed, starts)]
    root = np.stack([np.diag(p.root) if p.root.ndim == 1 else p.root for p in problems])
    y = np.repeat(np.stack([p.y for p in problems]), len(starts), axis=0)
    found = _from_starts(
        Squares(law, first.x, y, np.repeat(root, len(starts), axis=0), fixed), list(starts) * len(problems)
    )
    return [found[i : i + len(starts)] for i in range(0, len(found), len(starts))]


def _best(
    law: Law, problem: Problem, fixed: Mapping[str, float], tried: Sequence[tuple[float, dict[str, float]]]
) -> Fit:
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
    y = np.broadcast_to(problem.y, (len(starts), len(problem.y)))
    return _from_starts(Squares(law, problem.x, y, problem.root, dict(fixed), problem.bound_only), starts)


def _from_starts(
    squares: Squares, starts: Sequence[Mapping[str, float]]
) -> list[tuple[float, dict[str, float]]]:
    """Fit every problem from its start; return the objectives and all values."""
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


def _on_bound(p: Parameter, value: float) -> bool:
    at = np.array([value])
    return bool(p.at_least(at)[0] or p.at_largest(at)[0])
