"""Least squares of one law for many sets of values at once: the starts of a fit, or the resamples of a study.

Only the law's shapes are searched; the coefficients are solved for at each step (``descent``).

Shape letters: problems, rows, terms, shapes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import lsq_linear

from workbench.laws.descent import SMALLEST_FALL, descend, solve_in_box
from workbench.laws.library import Inputs, Law, Parameter

LARGEST_LOG = 60.0
"""Logarithm above which no coefficient is searched; keeps the exponential finite."""
FEW_TERMS = 6
"""Coefficients up to which all ways of holding them at bounds are tried; a free curve has more."""


@dataclass(frozen=True)
class Squares:
    """What is fitted: values of a metric at the same inputs, and how much each row of them can be trusted.

    Attributes:
        root: Whitens residuals: a weight per row, a matrix, or a matrix for each problem.
        fixed: Parameters held at a value.
        bound_only: Rows whose value is only an upper bound: they count where a prediction lies above.
    """

    law: Law
    x: Inputs
    y: Float[np.ndarray, "problems rows"]
    root: np.ndarray
    fixed: Mapping[str, float] = field(default_factory=dict)
    bound_only: Bool[np.ndarray, " rows"] | None = None

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The shapes that are not held fixed."""
        return tuple(p for p in self.law.shapes if p.name not in self.fixed)

    @property
    def solved(self) -> tuple[Parameter, ...]:
        """The coefficients that are not held fixed."""
        return tuple(p for p in self.law.coefficients if p.name not in self.fixed)

    # a step beyond what numbers can hold is tried, found worse and taken back
    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def fit(
        self, start: Mapping[str, Float[np.ndarray, " problems"]], *, enough: float = SMALLEST_FALL
    ) -> tuple[dict[str, Float[np.ndarray, " problems"]], Float[np.ndarray, " problems"]]:
        """Fit every problem from its start.

        Args:
            start: Each searched shape's values.
            enough: Share of the objective below which a fall ends the search.

        Returns:
            All parameters' values, and half the sums of squares.
        """
        low, high = search_bounds(self.searched)
        position = np.zeros((len(self.y), len(self.searched)))
        for j, p in enumerate(self.searched):
            position[:, j] = outward(p, np.asarray(start[p.name], dtype=float))
        every = np.arange(len(self.y))
        if not self.searched:
            rest = self.residual(position, every)
            return self._values(position, every), 0.5 * np.einsum("pn,pn->p", rest, rest)
        place, objective = descend(self.residual, np.clip(position, low, high), low, high, enough=enough)
        return self._values(place, every), objective

    def residual(
        self, position: Float[np.ndarray, "some shapes"], problems: np.ndarray
    ) -> Float[np.ndarray, "some rows"]:
        """Return the whitened residuals at places of the search, coefficients solved for."""
        terms, known = self._terms(position)
        found, counted = self._solve(terms, known, problems)
        predicted = known + self._weighted(terms, found)
        rest = self._whiten((self.y[problems] - predicted)[..., None], problems)[..., 0]
        return rest if counted is None else np.where(counted, rest, 0.0)

    def _values(self, position: np.ndarray, problems: np.ndarray) -> dict[str, np.ndarray]:
        terms, known = self._terms(position)
        found, _ = self._solve(terms, known, problems)
        columns = {p.name: found[:, j] for j, p in enumerate(self.solved)}
        shapes = {p.name: inward(p, position[:, j]) for j, p in enumerate(self.searched)}
        held = {name: np.full(len(problems), float(value)) for name, value in self.fixed.items()}
        whole = held | shapes | columns
        return {p.name: whole[p.name] for p in self.law.parameters}

    def _terms(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the terms of the coefficients sought, and what the fixed ones give together."""
        shapes = dict(self.fixed) | {
            p.name: inward(p, position[:, j : j + 1]) for j, p in enumerate(self.searched)
        }
        terms = np.asarray(self.law.terms(shapes, self.x))
        if terms.ndim < 3:
            terms = np.broadcast_to(terms, (len(position), *terms.shape))
        if not self.law.coefficients:
            return terms[..., :0], terms.sum(axis=-1)
        held = [p.name in self.fixed for p in self.law.coefficients]
        known = np.zeros(terms.shape[:2])
        for j, p in enumerate(self.law.coefficients):
            if held[j]:
                known = known + self.fixed[p.name] * terms[..., j]
        return terms[..., [j for j, h in enumerate(held) if not h]], known

    def _weighted(self, terms: np.ndarray, found: np.ndarray) -> np.ndarray:
        return np.einsum("pnt,pt->pn", terms, found)

    def _whiten(self, columns: np.ndarray, problems: np.ndarray) -> np.ndarray:
        """Divide the rows of some problems' columns by their noise."""
        if self.root.ndim == 1:
            return columns * self.root[:, None]
        if self.root.ndim == 3:
            return self.root[problems] @ columns
        # one product for all problems: a large matrix is read once
        flat = np.moveaxis(columns, 1, 0)
        return np.moveaxis((self.root @ flat.reshape(len(flat), -1)).reshape(flat.shape), 0, 1)

    def _solve(
        self, terms: np.ndarray, known: np.ndarray, problems: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the coefficients inside their bounds, and which rows speak for or against them."""
        goal = (self.y[problems] - known)[..., None]
        # together: reading the root takes longer than multiplying by it
        whitened = self._whiten(np.concatenate([terms, goal], axis=-1), problems)
        a, b = whitened[..., :-1], whitened[..., -1]
        if self.bound_only is None:
            return self._in_bounds(a, b), None
        counted = np.broadcast_to(~self.bound_only, b.shape)
        for _ in range(5):
            found = self._in_bounds(a * counted[..., None], b * counted)
            above = known + self._weighted(terms, found) > self.y[problems]
            now = ~self.bound_only | above
            if np.array_equal(now, counted):
                break
            counted = now
        return found, counted

    def _in_bounds(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        low = np.array([p.low for p in self.solved])
        high = np.array([p.high for p in self.solved])
        if len(low) <= FEW_TERMS:
            return solve_in_box(a, b, low, high)
        return np.stack([_one_in_bounds(*one, low, high) for one in zip(a, b, strict=True)])


def _one_in_bounds(a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    scale = np.linalg.norm(a, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    free = np.linalg.lstsq(a / scale, b, rcond=None)[0] / scale
    if np.all(free >= low) and np.all(free <= high):
        return free
    return lsq_linear(a / scale, b, bounds=(low * scale, high * scale), method="bvls").x / scale


def outward(p: Parameter, value: np.ndarray) -> np.ndarray:
    """Map a parameter's values to the unbounded scale on which they are searched."""
    return np.log(np.maximum(value, max(p.low, 1e-300))) if p.scale == "log" else value


def inward(p: Parameter, position: np.ndarray) -> np.ndarray:
    """Map places of the search to a parameter's values."""
    return np.exp(position) if p.scale == "log" else position


def search_bounds(parameters: Sequence[Parameter]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the search, on its own scale."""

    def edge(p: Parameter, value: float) -> float:
        if p.scale != "log":
            return value
        return float(np.log(value)) if np.isfinite(value) else LARGEST_LOG

    return np.array([edge(p, p.low) for p in parameters]), np.array([edge(p, p.high) for p in parameters])
