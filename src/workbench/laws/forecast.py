"""Forecast first: hold out the largest sizes, or a whole quality, and see who predicts them.

A law earns its place by predicting what it has not seen better than three rules that need no law: the
last value, a straight line through the last three points on log-log axes, and, for which data set is better,
the order at the largest size seen. Where a rule wins the verdict says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from workbench.errors import InputError
from workbench.laws.baselines import LAST_VALUE, LINE, NEAREST, last_value, line, nearest_quality
from workbench.laws.decisions import pairs_of
from workbench.laws.library import LAWS, Law
from workbench.laws.measurement import Measurement
from workbench.laws.problems import law_named
from workbench.laws.scores import Forecast, ForecastScore
from workbench.laws.scoring import Scorer
from workbench.laws.series import columns_within_cells, courses, series_of
from workbench.laws.table import Table

__all__ = ["Forecast", "ForecastScore", "candidates", "forecast_quality", "forecast_sizes"]


def candidates(table: Table, metric: str) -> tuple[str, ...]:
    """Return the laws whose kind of metric and columns the table has."""
    kind = table.kind_of(metric)
    rows = table.measured(metric)

    def varies(name: str) -> bool:
        values = {row.size if name == "size" else row.values.get(name) for row in rows}
        return None not in values and len(values) > 1

    return tuple(
        law.name
        for law in LAWS.values()
        if law.metric == kind and not law.model_free and all(varies(name) for name in law.inputs)
    )


def forecast_sizes(
    table: Table,
    metric: str,
    *,
    laws: Sequence[str | Law] | None = None,
    hold_out: int | None = None,
    seed: int = 0,
    fixed: Mapping[str, Mapping[str, float]] | None = None,
    delta: float | None = None,
) -> Forecast:
    """Hold out the largest sizes of every quality and score all laws and baselines on them.

    Args:
        table: A checked table.
        metric: The column to predict.
        laws: Laws to try; by default all that suit the table.
        hold_out: How many of the largest sizes; by default one, or a tenth of them where there are many.
        seed: Seed of the resampling behind the errors' intervals.
        fixed: By law, the parameters held at a value.
        delta: Force the robust fit with this threshold on the log residual; infinity forces squares.

    Raises:
        InputError: If fewer than three sizes would be left.
    """
    sizes = sorted({row.size for row in table.measured(metric)})
    hold_out = max(1, len(sizes) // 10) if hold_out is None else hold_out
    if len(sizes) - hold_out < 3:
        lacking = 3 + hold_out - len(sizes)
        raise InputError(
            f"{table.name}: {len(sizes)} size{'s' * (len(sizes) > 1)}; holding out {hold_out} leaves "
            f"{max(len(sizes) - hold_out, 0)}, and a forecast needs at least 3 to fit. "
            + (
                f"Hold out fewer: --hold-out {len(sizes) - 3}."
                if len(sizes) > 3
                else f"Add rows of {lacking} more size{'s' * (lacking > 1)}."
            )
        )
    cut = sizes[-hold_out - 1]
    seen = _part(table, np.array([row.size <= cut for row in table.rows]))
    columns = columns_within_cells(table.measured(metric))
    known = courses(seen, seen.measured(metric), metric, columns)
    later = [row for row in table.measured(metric) if row.size > cut]
    asked = [pair for pair in zip(later, series_of(later, columns), strict=True) if pair[1] in known]
    if not asked:
        raise InputError(
            f"{table.name}: nothing measured above size {cut:g} was measured at a smaller size too, so there "
            "is nothing to forecast it from. Add smaller sizes of the same quality and model."
        )
    scorer = Scorer(table, seen, [row for row, _ in asked], metric, seed)
    if unseen := len(later) - len(asked):
        scorer.skipped.append(
            f"{unseen} row{'s' * (unseen > 1)} above size {cut:g}, for no smaller size of them was measured"
        )
    scorer.pairs = pairs_of(table, metric, scorer.rows)
    scorer.add_baseline(LAST_VALUE, last_value(known, asked))
    scorer.add_baseline(LINE, line(known, asked, falling=scorer.falling))
    for law in map(law_named, laws or candidates(table, metric)):
        scorer.add_law(law, (fixed or {}).get(law.name), delta)
    return scorer.result(f"sizes above {cut:g}")


def forecast_quality(
    table: Table, metric: str, quality: str, *, laws: Sequence[str | Law] | None = None, seed: int = 0
) -> Forecast:
    """Hold out one whole quality and score the joint laws and the nearest quality's curve on it."""
    joint = [law_named(law) for law in laws or candidates(table, metric)]
    joint = [law for law in joint if law.joint]
    seen = _part(table, np.array([row.quality != quality for row in table.rows]))
    later = _part(table, np.array([row.quality == quality for row in table.rows]))
    if not joint or len(seen.qualities) < 2:
        raise InputError(
            f"{table.name}: to forecast a quality that was not seen needs a numeric column 'share' "
            "(name yours with columns={'share': NAME}) and at least two other qualities."
        )
    rows = later.measured(metric)
    scorer = Scorer(table, seen, rows, metric, seed)
    scorer.add_baseline(NEAREST, _nearest(table, seen, rows, metric))
    for law in joint:
        scorer.add_law(law)
    return scorer.result(f"quality {quality!r}")


def _nearest(table: Table, seen: Table, rows: Sequence[Measurement], metric: str) -> np.ndarray:
    """Predict rows from the series of the nearest share that are like them in the rest, such as the model."""
    columns = columns_within_cells(table.measured(metric))
    rest = [name for name in columns if name != "share"]
    known = seen.measured(metric)
    shares = dict(zip(series_of(known, columns), seen.column("share", known).tolist(), strict=True))
    alike: dict[tuple, list[tuple]] = {}
    for row, key in zip(known, series_of(known, columns), strict=True):
        alike.setdefault(tuple(row.values.get(name) for name in rest), []).append(key)
    asked = [
        (row, alike.get(tuple(row.values.get(name) for name in rest), list(shares)), share)
        for row, share in zip(rows, table.column("share", rows).tolist(), strict=True)
    ]
    return nearest_quality(courses(seen, known, metric, columns), shares, asked)


def _part(table: Table, keep: Bool[np.ndarray, " rows"]) -> Table:
    """Return some rows of a table that is checked as a whole."""
    return replace(table.where(keep), checked=True)
