"""Curves of equal arithmetic: of all models that cost the same to train, which one has the least loss.

A larger model sees fewer tokens for the same arithmetic. On a logarithmic axis of model size the loss is a
parabola near its least value, whose place is the fit's one shape.

Source: Hoffmann et al. 2022, arXiv:2203.15556, approach 2 ("IsoFLOP profiles").
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.laws.bootstrap import Resamples, bootstrap
from workbench.laws.fitting import Fit
from workbench.laws.law import Inputs, Law, Parameter, Shapes
from workbench.laws.problems import fit_each
from workbench.laws.table import Table
from workbench.laws.terms import columns

OPTIMUM = "N_opt"
FEWEST_ON_A_CURVE = 4
"""Models on a curve from which something is left over to disagree with a parabola."""
BEYOND_MODELS = 4.0
"""Factor beyond the models tried up to which the least loss is looked for."""
VALLEY_STARTS = 5


def _parabola(s: Shapes, x: Inputs) -> np.ndarray:
    """Return 1 and (ln(N / N_opt))^2."""
    return columns(1.0, np.log(x["model"] / s[OPTIMUM]) ** 2)


def isoflop_law(models: np.ndarray) -> Law:
    """Return the parabola for models of these sizes."""
    low, high = float(np.min(models)), float(np.max(models))
    return Law(
        name="isoflop",
        formula="E + A (ln(N / N_opt))^2",
        source="Hoffmann et al. 2022, arXiv:2203.15556, approach 2",
        inputs=("model",),
        metric="loss",
        shapes=(
            Parameter(
                OPTIMUM,
                "model size",
                low / BEYOND_MODELS,
                high * BEYOND_MODELS,
                tuple(np.geomspace(low, high, VALLEY_STARTS).tolist()),
            ),
        ),
        coefficients=(
            Parameter("E", "metric", 0.0, np.inf, scale="linear"),
            Parameter("A", "metric", 0.0, np.inf, scale="linear"),
        ),
        terms=_parabola,
    )


@dataclass(frozen=True)
class Valley:
    """One curve of equal arithmetic and its least point.

    Attributes:
        flops: Operations of each of its models.
        optimum: Model size of the least loss.
        low, high: Its interval, as resamples have it.
        least: The loss there.
        inside: Whether optimum and interval lie within the models tried: only then was a least point seen.
    """

    flops: float
    fit: Fit
    optimum: float
    low: float
    high: float
    least: float
    inside: bool

    @property
    def ratio(self) -> float:
        """Tokens a parameter at the least point."""
        return self.flops / (6 * self.optimum**2)

    def sentence(self) -> str:
        """Say where the least point is, or that none was seen."""
        tried = self.fit.problem.x["model"]
        if not self.inside:
            return (
                f"at {self.flops:.2g} operations no least loss is seen among models of {tried.min():,.0f} to "
                f"{tried.max():,.0f} parameters: the interval of the best size, {self.low:,.0f} to "
                f"{self.high:,.0f}, goes beyond them"
            )
        ends = sorted(self.flops / (6 * end**2) for end in (self.low, self.high))
        return (
            f"at {self.flops:.2g} operations the best model has {self.optimum:,.0f} parameters "
            f"({self.low:,.0f} to {self.high:,.0f}), {self.ratio:.3g} tokens for each ({ends[0]:.3g} to "
            f"{ends[1]:.3g})"
        )


def valleys(table: Table, metric: str, flops: Mapping[str, float], resamples: int = 400) -> list[Valley]:
    """Fit a parabola to each curve of equal arithmetic.

    Args:
        table: Its qualities are the curves; ``model`` varies within each. The noise is the whole table's.
        metric: The loss.
        flops: Operations of each curve's models, by quality.
        resamples: Behind each interval.

    Raises:
        InputError: If a curve has fewer than three models.
    """
    rows = table.measured(metric)
    law = isoflop_law(table.column("model", rows))
    return [_valley(fit, flops[curve], resamples) for curve, fit in _fits(table, metric, law).items()]


def _fits(table: Table, metric: str, law: Law) -> dict[str, Fit]:
    fits = fit_each(table, metric, law)
    return {table.qualities[0]: fits["all"]} if set(fits) == {"all"} else fits


def _valley(fit: Fit, flops: float, resamples: int) -> Valley:
    draws: Resamples = bootstrap(fit, resamples, workers=1)
    low, high = draws.interval(OPTIMUM)
    optimum, tried = fit.values[OPTIMUM], fit.problem.x["model"]
    inside = bool(tried.min() < low and high < tried.max() and fit.values["A"] > 0)
    return Valley(flops, fit, optimum, low, high, fit.values["E"], inside)
