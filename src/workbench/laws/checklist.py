"""What has to be said of a fitted law so that somebody else can judge it, or fit it again.

The points are those of Li et al. 2025, "(Mis)Fitting: A Survey of Scaling Laws", arXiv:2502.18969: most
published laws leave out some of them, and different choices give different laws.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from workbench.laws.bootstrap import Resamples
from workbench.laws.bounds import of_resamples
from workbench.laws.fitting import Fit
from workbench.laws.forecast import Forecast
from workbench.laws.table import Table
from workbench.laws.thresholds import LEVEL

NOT_SAID = "not said"
"""What stands where the table doesn't tell and the user didn't."""
COUNTS = ("with-embeddings", "without-embeddings")
"""How the parameters of a model can be counted."""


@dataclass(frozen=True)
class Checklist:
    """The points of one fit, each a sentence or the end of one."""

    law: str
    """Its form, and the source of it."""
    parameters: str
    """Which were fitted and which were held, and at what."""
    objective: str
    optimizer: str
    starts: str
    """How many, and how many of them agree."""
    bounds: str
    """Which constants ended at a limit of the search, and at which, in the fit or in many bootstraps."""
    points: str
    """How many measurements were fitted."""
    left_out: str
    """How many were not, and why."""
    replicates: str
    """How many runs a cell has, and how the noise was known."""
    model_size: str | None
    """How parameters were counted; None for a law that doesn't know the model."""
    learning_rate: str
    """How the settings of training were chosen."""
    interval: str
    held_out: str
    """How far off the law was on the largest sizes, when it had not seen them."""

    def lines(self) -> Iterator[str]:
        """Yield one line a point."""
        for name, words in POINT_NAMES.items():
            if (said := getattr(self, name)) is not None:
                yield f"{words}: {said}"


POINT_NAMES = {
    "law": "form",
    "parameters": "constants",
    "objective": "objective",
    "optimizer": "optimizer",
    "starts": "starts",
    "bounds": "bounds hit",
    "points": "points",
    "left_out": "left out",
    "replicates": "replicates",
    "model_size": "parameters counted",
    "learning_rate": "learning rate",
    "interval": "intervals",
    "held_out": "held-out error",
}
"""The points in their order, each with the word that stands before it."""


def checklist(
    table: Table,
    metric: str,
    fit: Fit,
    resamples: Resamples,
    *,
    forecast: Forecast | None = None,
    model_counts: str | None = None,
) -> Checklist:
    """Say how a law was fitted.

    Args:
        table: The table, as it was fitted.
        metric: The column that was predicted.
        fit: The fit, of all qualities or of one.
        resamples: Its bootstrap.
        forecast: What the law predicted of sizes held out; None where none could be.
        model_counts: How the parameters of a model were counted, one of ``COUNTS``.
    """
    free = [p.name for p in fit.law.parameters if p.name not in fit.fixed]
    held = ", ".join(f"{name} = {value:.6g}" for name, value in fit.fixed.items())
    counted = NOT_SAID if model_counts is None else f"{model_counts.replace('-', ' ')}"
    return Checklist(
        law=f"{fit.law.formula} ({fit.law.source})",
        parameters=f"{', '.join(free) or 'none'} fitted; " + (f"{held} held" if held else "none held"),
        objective=_objective(fit),
        optimizer=_optimizer(fit),
        starts=f"{fit.starts}, of which {fit.agreeing:.0%} end at the same minimum",
        bounds=_bounds(resamples),
        points=_points(fit),
        left_out=_left_out(table, metric),
        replicates=_replicates(fit),
        model_size=counted if "model" in fit.law.inputs else None,
        learning_rate=f"the best of each sweep over {' and '.join(table.swept)}" if table.swept else NOT_SAID,
        interval=_interval(fit, resamples),
        held_out=_held_out(fit, forecast),
    )


def _objective(fit: Fit) -> str:
    problem = fit.problem
    if problem.delta is not None:
        return f"Huber's loss of the log residual, threshold {problem.delta:g}, summed over points"
    if problem.freedom is not None:
        return "squares of the cell means' residuals, each divided by the noise that seeds show"
    return "squares of the residuals" + (", each relative to its value" if fit.law.metric == "loss" else "")


def _optimizer(fit: Fit) -> str:
    if fit.problem.delta is not None:
        return "L-BFGS-B on the logarithms of all constants, from the least-squares coefficients"
    if not fit.law.coefficients:
        return "damped Gauss-Newton steps on all constants"
    return "damped Gauss-Newton steps on the exponents, coefficients solved for at each (variable projection)"


def _bounds(resamples: Resamples) -> str:
    parts = []
    for hit in of_resamples(resamples):
        cut = f"{hit.resamples:.0%} of the bootstraps" if hit.cuts else ""
        parts.append(hit.where + (f", and {cut}" if hit.fitted and cut else f" in {cut}" if cut else ""))
    return "; ".join(parts) or "none"


def _points(fit: Fit) -> str:
    problem = fit.problem
    only = 0 if problem.bound_only is None else int(problem.bound_only.sum())
    runs = len(problem.y) - only
    cells = (
        "" if problem.replicates is None else f" cells, means of {int(problem.replicates.count.sum())} runs"
    )
    bounds = f", and {only} stopped runs that bound the loss from above" if only else ""
    return f"{runs}{cells}{bounds}"


def _left_out(table: Table, metric: str) -> str:
    rows = [row for row in table.rows if row.size > 0]
    reasons: Mapping[str, int] = {
        **table.left_out,
        "failed": sum(row.status == "failed" for row in rows),
        f"censored without {metric}": sum(
            row.status == "censored" and row.values.get(metric) is None for row in rows
        ),
        f"done without {metric}": sum(
            row.status == "done" and row.values.get(metric) is None for row in rows
        ),
        "before any training": len(table.rows) - len(rows),
    }
    if table.kind_of(metric) == "accuracy":
        stopped = sum(row.status == "censored" and row.values.get(metric) is not None for row in rows)
        reasons = {**reasons, "censored, which bound no accuracy": stopped}
    return "; ".join(f"{count} {reason}" for reason, count in reasons.items() if count) or "none"


def _replicates(fit: Fit) -> str:
    if (data := fit.problem.replicates) is not None:
        return (
            f"{int(data.count.min())} to {int(data.count.max())} runs a cell; the noise is that between them"
        )
    return "every run stands alone; the noise is read from the residuals, so it holds only if the law does"


def _interval(fit: Fit, resamples: Resamples) -> str:
    count = len(next(iter(resamples.values.values()), ()))
    if fit.problem.delta is not None:
        drawn = "points drawn with replacement"
    elif fit.problem.noise is not None:
        drawn = "noise between seeds drawn around the law"
    else:
        drawn = "noise of the residuals' size drawn around the law"
    return f"{LEVEL:.0%}, profiles of the objective, and {count} bootstraps with {drawn}"


def _held_out(fit: Fit, forecast: Forecast | None) -> str:
    own = None if forecast is None else next((s for s in forecast.scores if s.name == fit.law.name), None)
    if forecast is None or own is None or math.isnan(own.error):
        return "none: no size could be held out"
    return f"{own.error:.2%} on average on {forecast.held_out}, all qualities together"
