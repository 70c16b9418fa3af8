"""What a law is: a sum of terms, each a coefficient times a function of inputs and shape parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Inputs = Mapping[str, np.ndarray]
Shapes = Mapping[str, Any]
"""Each shape parameter's value: a number, or trial values with a last axis of length 1 for the rows."""


@dataclass(frozen=True)
class Parameter:
    """One fitted constant.

    Attributes:
        low: Least value; the search of ``fitting`` and every profile end there.
        high: Largest value.
        starts: Where a search starts; those of several parameters are tried in all combinations.
        scale: On which scale it is searched and profiled.
    """

    name: str
    unit: str
    low: float
    high: float
    starts: tuple[float, ...] = ()
    scale: Literal["log", "linear"] = "log"

    def at_least(self, values: np.ndarray) -> np.ndarray:
        """Say which values lie at the least one."""
        return values <= (self.low * 1.001 if self.scale == "log" else self.low + self._slack)

    def at_largest(self, values: np.ndarray) -> np.ndarray:
        """Say which values lie at the largest one."""
        return values >= (self.high * 0.999 if self.scale == "log" else self.high - self._slack)

    @property
    def _slack(self) -> float:
        # what has no largest value is a coefficient, in the unit of the data, and is put on its bound exactly
        return 1e-9 * (self.high - self.low) if np.isfinite(self.high) else 0.0


@dataclass(frozen=True, kw_only=True)
class Law:
    """A prediction of a metric from columns of a table.

    Attributes:
        formula: The law in the names of its parameters, n or D for the size, X or N for the model; a space
            multiplies. For a law of size and share the page of the law explorer computes what stands here.
        inputs: Columns it needs. "size" counts examples or tokens, "model" parameters, "share" the share of
            examples left as they were, "unique" the distinct examples among "size" seen.
        metric: What it predicts: a loss that falls, or an accuracy that rises.
        shapes: Parameters inside the terms.
        coefficients: One per term, or none.
        terms: Shapes and inputs to an array (rows, terms).
        made_for: For a law whose terms depend on the inputs that were measured: makes the law for those.
        nests: Simpler laws that it contains: by their names, the constants that make it the simpler one.
        model_free: Whether it is no law but the values measured: it suits either kind of metric, fits any
            values, and is no candidate of a forecast.
    """

    name: str
    formula: str
    source: str
    inputs: tuple[str, ...]
    metric: Literal["loss", "accuracy"]
    shapes: tuple[Parameter, ...]
    coefficients: tuple[Parameter, ...]
    terms: Callable[[Shapes, Inputs], np.ndarray]
    made_for: Callable[[Inputs], "Law"] | None = None
    nests: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    model_free: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Shapes, then coefficients."""
        return self.shapes + self.coefficients

    @property
    def joint(self) -> bool:
        """Whether the law itself tells qualities apart, so that one fit covers them all."""
        return "share" in self.inputs

    def suits(self, kind: str) -> bool:
        """Say whether it predicts this kind of metric, "loss" or "accuracy"."""
        return self.model_free or self.metric == kind

    def measured_at(self, x: Inputs) -> "Law":
        """Return the law with its terms for the inputs that were measured."""
        return self.made_for(x) if self.made_for else self

    def predict(self, values: Mapping[str, float], x: Inputs) -> np.ndarray:
        """Return the metric (rows,) for parameter values by name."""
        terms = self.terms(values, x)
        if not self.coefficients:
            return terms.sum(axis=1)
        return terms @ np.array([values[p.name] for p in self.coefficients])
