"""From a table to a fitting problem: which rows, which inputs, and how much each one can be trusted.

Where cells were trained with several seeds, a law is fitted to the cell means, whitened by the covariance
that seeds, qualities and the rest give them. Where every row stands alone, nothing but the residuals tells
the noise: many rows are fitted robustly on the logarithm, few by squares of the relative residual.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from workbench.errors import InputError, unknown_name
from workbench.laws.fitting import DELTA, Fit, Problem, fit_alike, fit_law
from workbench.laws.library import LAWS, Law
from workbench.laws.measurement import Measurement
from workbench.laws.noise import Noise, estimate_noise, whitening
from workbench.laws.replicates import Replicates, replicates
from workbench.laws.table import Table
from workbench.laws.thresholds import misfit_probability

REPEATED = 0.1
"""Replicates per cell below which they are chance, as in a large table of single runs, and tell no noise."""
ENOUGH_FOR_ROBUST = 50
"""Rows in a fit from which the robust loss is used: with few points it runs through some of them exactly."""


def law_named(law: str | Law) -> Law:
    """Return a law by name, or the law itself."""
    if isinstance(law, Law):
        return law
    if law not in LAWS:
        raise unknown_name("law", law, LAWS, "src/workbench/laws/library.py")
    return LAWS[law]


def problem_of(table: Table, metric: str, law: str | Law, *, delta: float | None = None) -> Problem:
    """Build the problem of fitting a law to a table.

    Args:
        table: A checked table.
        metric: The column to predict.
        law: Key of ``LAWS``, or a law.
        delta: Force the robust fit with this threshold, whatever the seeds; infinity forces squares.

    Raises:
        InputError: If the law is for the other kind of metric, or a column it needs is missing.
    """
    (problem,) = _problems(table, metric, law_named(law), delta, [None]).values()
    return problem


def _problems(
    table: Table, metric: str, law: Law, delta: float | None, wanted: Sequence[str | None]
) -> dict[str | None, Problem]:
    """Build the problem of each wanted quality, None for that of all; the noise is the whole table's."""
    kind = table.kind_of(metric)
    if not law.suits(kind):
        other = next(name for name, own in LAWS.items() if own.metric == kind)
        raise InputError(
            f"law {law.name!r} is for {law.metric}, and {metric!r} is not. Choose another law, such as "
            f"--law {other}."
        )
    robust = delta is not None and math.isfinite(delta)
    if robust and kind != "loss":
        raise InputError(
            f"{table.name}: Huber's loss is of the logarithm, as losses are fitted, and {metric!r} is an "
            "accuracy. Fit it by squares: --objective squares."
        )
    rows = table.measured(metric)
    data, inputs = _by_cell(table, metric, rows, law)
    repeated = float(np.sum(data.count - 1))
    if robust or repeated < 1 or repeated < REPEATED * len(data.size):
        alone = len(rows) / len(table.qualities) if fitted_apart(table, metric, law) else len(rows)
        robust = robust or (kind == "loss" and delta is None and alone >= ENOUGH_FOR_ROBUST)
        whole = _by_row(table, metric, rows, law, delta or DELTA, robust=robust)
        return {quality: _rows_of(whole, quality) for quality in wanted}
    noise = estimate_noise(data)
    if not noise.spread.all():
        raise InputError(
            f"{table.name}: all seeds agree to the last digit in {metric!r}: the noise can't be estimated. "
            "Keep the rows of one seed to fit a law without it."
        )
    # cell by cell of each quality: a table of thousands of cells has too large a covariance to be taken whole
    label = np.array(data.quality)
    cells = {quality: np.flatnonzero((label == quality) | (quality is None)) for quality in wanted}
    return {
        quality: _with_bounds(
            table,
            metric,
            quality,
            _of_means({k: column[own] for k, column in inputs.items()}, data.part(own), noise.part(own)),
            noise,
        )
        for quality, own in cells.items()
    }


def _by_cell(
    table: Table, metric: str, rows: tuple[Measurement, ...], law: Law
) -> tuple[Replicates, dict[str, np.ndarray]]:
    columns = {name: table.column(name, rows) for name in dict.fromkeys(("size", *law.inputs))}
    keys = [(r.quality, *(float(columns[name][i]) for name in columns)) for i, r in enumerate(rows)]
    cells = list(dict.fromkeys(keys))
    inputs = {name: np.array([key[1 + j] for key in cells]) for j, name in enumerate(columns)}
    return replicates(table, metric, rows, keys, cells), inputs


def _of_means(inputs: dict[str, np.ndarray], data: Replicates, noise: Noise) -> Problem:
    return Problem(
        inputs,
        data.mean,
        whitening(data, noise),
        freedom=noise.freedom,
        quality=data.quality,
        replicates=data,
        noise=noise,
    )


def _with_bounds(table: Table, metric: str, quality: str | None, problem: Problem, noise: Noise) -> Problem:
    """Add the cells of which no seed finished: each bounds the loss from above, with the others' noise."""
    cells = set(zip(problem.quality, *problem.x.values(), strict=True))
    bounds = [
        row
        for row in _censored(table, metric)
        if quality in (None, row.quality)
        and (row.quality, *(float(table.column(name, [row])[0]) for name in problem.x)) not in cells
    ]
    if not bounds:
        return problem
    rows, extra = len(problem.y), len(bounds)
    return replace(
        problem,
        x={name: np.append(column, table.column(name, bounds)) for name, column in problem.x.items()},
        y=np.append(problem.y, table.column(metric, bounds)),
        root=_bordered(problem.root, extra, noise),
        bound_only=np.arange(rows + extra) >= rows,
        quality=(*problem.quality, *(row.quality for row in bounds)),
    )


def _censored(table: Table, metric: str) -> tuple[Measurement, ...]:
    """Return the stopped runs whose last value says that the final one is no higher."""
    if not table.falling(metric):
        return ()
    return tuple(
        r for r in table.rows if r.status == "censored" and r.size > 0 and r.values.get(metric) is not None
    )


def _by_row(
    table: Table, metric: str, rows: tuple[Measurement, ...], law: Law, delta: float, *, robust: bool
) -> Problem:
    """Build the problem of single rows; censored ones count only where a prediction lies above them."""
    every = rows + _censored(table, metric)
    inputs = {name: table.column(name, every) for name in dict.fromkeys(("size", *law.inputs))}
    y = table.column(metric, every)
    falling = table.falling(metric)
    if falling and np.any(y <= 0):
        raise InputError(
            f"{table.name}: {metric} is 0 in a cell, and cells of one seed are fitted by their relative "
            "error. Judge by another metric, or train every cell with 2 seeds or more."
        )
    relative = 1 / y if falling else np.ones(len(y))
    only = np.arange(len(every)) >= len(rows)
    return Problem(
        inputs,
        y,
        relative,
        delta if robust else None,
        bound_only=only if only.any() else None,
        quality=tuple(row.quality for row in every),
    )


def _rows_of(whole: Problem, quality: str | None) -> Problem:
    """Return the problem of one quality's rows; None stands for all."""
    if quality is None:
        return whole
    keep = np.array(whole.quality) == quality
    return replace(
        whole,
        x={name: column[keep] for name, column in whole.x.items()},
        y=whole.y[keep],
        root=whole.root[keep],
        bound_only=None if whole.bound_only is None else whole.bound_only[keep],
        quality=(quality,) * int(keep.sum()),
    )


def _bordered(root: np.ndarray, extra: int, noise: Noise) -> np.ndarray:
    """Add rows that stand alone, at the mean noise of the others."""
    own = np.full(extra, 1 / np.sqrt(np.mean(noise.spread**2)))
    if root.ndim == 1:
        return np.concatenate([root, own])
    whole = np.diag(np.concatenate([np.zeros(len(root)), own]))
    whole[: len(root), : len(root)] = root
    return whole


def fit_table(
    table: Table,
    metric: str,
    law: str | Law,
    *,
    fixed: Mapping[str, float] | None = None,
    delta: float | None = None,
) -> Fit:
    """Fit one law to a whole table.

    Args:
        table: A checked table.
        metric: The column to predict.
        law: Key of ``LAWS``, or a law.
        fixed: Parameters held at a value.
        delta: Force the robust fit with this threshold on the log residual; infinity forces squares.

    Raises:
        InputError: If the law is for the other kind of metric, a column that it needs is missing, or there
            are fewer cells than constants.
    """
    law = law_named(law)
    return fit_law(law, problem_of(table, metric, law, delta=delta), fixed=fixed)


def fitted_apart(table: Table, metric: str, law: Law) -> bool:
    """Say whether each quality gets its own fit.

    It does where the law does not know qualities apart and each has all that the law needs: sizes, and, for
    a law of size and model, several models. Where a model or a number of unique examples is what tells the
    qualities apart, one fit covers them all.
    """
    if law.joint or len(table.qualities) < 2:
        return False
    if law.inputs == ("size",):
        return True
    rows = table.measured(metric)
    for quality in table.qualities:
        own = [row for row in rows if row.quality == quality]
        if any(len(set(table.column(name, own))) < 2 for name in law.inputs):
            return False
    return True


def fit_each(
    table: Table,
    metric: str,
    law: str | Law,
    *,
    fixed: Mapping[str, float] | None = None,
    delta: float | None = None,
) -> dict[str, Fit]:
    """Fit a law to every quality on its own; a joint law gives one fit under the name of all.

    The noise is estimated from the whole table, so that each quality's own few seeds need not carry it.

    Args:
        table: A checked table.
        metric: The column to predict.
        law: Key of ``LAWS``, or a law.
        fixed: Parameters held at a value.
        delta: Force the robust fit with this threshold on the log residual; infinity forces squares.

    Raises:
        InputError: As ``fit_table`` does.
    """
    law = law_named(law)
    if not fitted_apart(table, metric, law):
        return {"all": fit_table(table, metric, law, fixed=fixed, delta=delta)}
    qualities = tuple(dict.fromkeys(row.quality for row in table.measured(metric)))
    problems = _problems(table, metric, law, delta, qualities)
    fits = fit_alike(law, [problems[quality] for quality in qualities], fixed=fixed)
    return dict(zip(qualities, fits, strict=True))


def misfit(fit: Fit) -> float | None:
    """Return the probability of such a misfit under the seeds' noise, if the law were right.

    None where the noise is unknown or no cell is left over to disagree.
    """
    left = len(fit.problem.y) - fit.free
    if fit.problem.freedom is None or fit.problem.delta is not None or left < 1:
        return None
    return misfit_probability(2 * fit.objective, left, fit.problem.freedom)
