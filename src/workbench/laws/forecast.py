"""Forecast first: hold out the largest sizes, or a whole quality, and see who predicts them.

A law earns its place by predicting what it has not seen better than three rules that need no law: the
last value, a straight line through the last three points on log-log axes, and, for which quality is better,
the order at the largest size seen. Where a rule wins the verdict says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from workbench.errors import InputError
from workbench.laws.fitting import Fit
from workbench.laws.library import LAWS, Law
from workbench.laws.measurement import INPUTS, Measurement
from workbench.laws.noise import replicates
from workbench.laws.problems import fit_each, law_named
from workbench.laws.table import Table
from workbench.laws.thresholds import TAILS
from workbench.laws.varying import OtherSettings

LAST_VALUE, LINE, NEAREST = "last value", "line through last three", "nearest quality"
TIES = 2000
"""Resamples of the held-out cells behind the interval of an error."""


@dataclass(frozen=True)
class ForecastScore:
    """How one law or baseline predicted the cells that were held out.

    Errors are relative for a loss and absolute for an accuracy; ``low`` and ``high`` are the 95% interval of
    the mean error, from resampling whole qualities (cells, with fewer than three qualities), and None where a
    single cell was held out. ``ranking`` is the share of
    pairs of qualities put in the right order; None with one quality. The criteria compare the fits to the
    cells seen, for laws whose noise is known.
    """

    name: str
    is_baseline: bool
    error: float
    low: float | None
    high: float | None
    worst: float
    ranking: float | None
    aicc: float | None
    bic: float | None
    note: str = ""

    @property
    def interval(self) -> str:
        """The interval in words."""
        return "one cell: none" if self.low is None else f"{self.low:.1%} to {self.high:.1%}"


@dataclass(frozen=True)
class Forecast:
    """Scores, best first, and what was held out."""

    scores: tuple[ForecastScore, ...]
    held_out: str
    skipped: tuple[str, ...]

    @property
    def chosen(self) -> ForecastScore:
        """The smallest error."""
        return self.scores[0]

    @property
    def chosen_law(self) -> ForecastScore | None:
        """The best law, whether or not a baseline beats it."""
        return next((score for score in self.scores if not score.is_baseline), None)

    def verdict(self) -> str:
        """Say who forecasts best, and whether the lead is more than chance."""
        best, law = self.chosen, self.chosen_law
        if law is None:
            return f"No law fits the rest; {best.name!r} is {best.error:.1%} off ({best.interval})."
        rival = next(s for s in self.scores if s.is_baseline)
        if law.low is None or law.high is None or rival.low is None:
            return (
                f"On {self.held_out}, a single cell, {best.name!r} is nearest; one cell gives no interval, "
                "so it may be chance. Hold out more."
            )
        mine = f"{law.name!r} is {law.error:.1%} off on average ({law.interval})"
        theirs = f"{rival.name!r} {rival.error:.1%} ({rival.interval})"
        if best.is_baseline:
            return f"No law beats the baseline on {self.held_out}: {theirs}, the best law {mine}."
        sure = law.high < rival.low
        return f"On {self.held_out}, {mine}, the best baseline {theirs}" + (
            "." if sure else "; the intervals overlap, so the law's lead may be chance."
        )


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
    hold_out: int = 1,
    seed: int = 0,
    fixed: Mapping[str, Mapping[str, float]] | None = None,
    delta: float | None = None,
) -> Forecast:
    """Hold out the largest sizes of every quality and score all laws and baselines on them.

    Args:
        table: A checked table.
        metric: The column to predict.
        laws: Laws to try; by default all that suit the table.
        hold_out: How many of the largest sizes.
        seed: Seed of the resampling behind the errors' intervals.
        fixed: By law, the parameters held at a value.
        delta: Force the robust fit with this threshold on the log residual; infinity forces squares.

    Raises:
        InputError: If fewer than three sizes would be left.
    """
    sizes = sorted({row.size for row in table.measured(metric)})
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
    known = {row.quality for row in seen.measured(metric)}
    later = _part(table, np.array([row.size > cut and row.quality in known for row in table.rows]))
    scorer = _Scorer(table, seen, later, metric, seed)
    scorer.add_baseline(LAST_VALUE, _last_value)
    scorer.add_baseline(LINE, _line)
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
    scorer = _Scorer(table, seen, later, metric, seed)
    scorer.add_baseline(NEAREST, _nearest)
    for law in joint:
        scorer.add_law(law)
    return scorer.result(f"quality {quality!r}")


def _part(table: Table, keep: Bool[np.ndarray, " rows"]) -> Table:
    """Return some rows of a table that is checked as a whole."""
    return replace(table.where(keep), checked=True)


class _Scorer:
    """Collects predictions of the held-out cells and turns them into scores."""

    def __init__(self, table: Table, seen: Table, later: Table, metric: str, seed: int) -> None:
        self.seen, self.metric, self.seed = seen, metric, seed
        self.rows = later.measured(metric)
        self.later = later
        self.label = np.array([row.quality for row in self.rows])
        self.truth = later.column(metric, self.rows)
        self.falling = table.falling(metric)
        known = [row.values[metric] for row in (*seen.measured(metric), *self.rows)]
        if self.falling and min(value for value in known if value is not None) <= 0:
            raise InputError(
                f"{table.name}: {metric} is 0 in a cell, and a forecast of a loss is judged by its relative "
                "error. Judge by another metric."
            )
        self.scores: list[ForecastScore] = []
        self.skipped: list[str] = []

    def add_baseline(self, name: str, rule: Callable[["_Scorer"], np.ndarray]) -> None:
        self._score(name, rule(self), is_baseline=True, fits=())

    def add_law(self, law: Law, fixed: Mapping[str, float] | None = None, delta: float | None = None) -> None:
        try:
            fits = fit_each(self.seen, self.metric, law, fixed=fixed, delta=delta)
        except OtherSettings as error:
            names = ", ".join(map(repr, error.columns))
            self.skipped.append(f"{law.name}: it doesn't know {names}, in which rows of one size differ")
            return
        except InputError as error:
            self.skipped.append(f"{law.name}: {error}")
            return
        predicted = np.empty(len(self.rows))
        for name, fit in fits.items():
            mask = np.ones(len(self.rows), dtype=bool) if name == "all" else self.label == name
            chosen = [row for row, m in zip(self.rows, mask, strict=True) if m]
            predicted[mask] = fit.predict({k: self.later.column(k, chosen) for k in law.inputs})
        self._score(law.name, predicted, is_baseline=False, fits=tuple(fits.values()))

    def _score(self, name: str, predicted: np.ndarray, *, is_baseline: bool, fits: tuple[Fit, ...]) -> None:
        error = np.abs(predicted - self.truth) / (self.truth if self.falling else 1.0)
        low, high = self._interval(error)
        aicc, bic = _criteria(fits)
        bounds = sorted({p for fit in fits for p in fit.at_bounds})
        agree = min((fit.agreeing for fit in fits), default=1.0)
        note = f"at a bound: {', '.join(bounds)}" if bounds else ""
        if agree < 0.5:
            note += f"{'; ' if note else ''}only {agree:.0%} of the starts agree"
        self.scores.append(
            ForecastScore(
                name=name,
                is_baseline=is_baseline,
                error=float(error.mean()),
                low=low,
                high=high,
                worst=float(error.max()),
                ranking=self._ranking(predicted),
                aicc=aicc,
                bic=bic,
                note=note,
            )
        )

    def _interval(self, error: Float[np.ndarray, " rows"]) -> tuple[float | None, float | None]:
        if len(error) < 2:
            return None, None
        labels = list(dict.fromkeys(self.label))
        groups = (
            [error[self.label == q] for q in labels]
            if len(labels) > 2
            else [error[i : i + 1] for i in range(len(error))]
        )
        total = np.array([group.sum() for group in groups])
        count = np.array([len(group) for group in groups])
        pick = np.random.default_rng(self.seed).integers(len(groups), size=(TIES, len(groups)))
        means = total[pick].sum(axis=1) / count[pick].sum(axis=1)
        low, high = np.quantile(means, TAILS)
        return float(low), float(high)

    def _ranking(self, predicted: np.ndarray) -> float | None:
        """Return the share of pairs of qualities, at each held-out size, that are put in the right order."""
        right = []
        for size in {row.size for row in self.rows}:
            here = np.array([row.size == size for row in self.rows])
            labels = list(dict.fromkeys(self.label[here]))
            for i, one in enumerate(labels):
                for two in labels[:i]:
                    a, b = here & (self.label == one), here & (self.label == two)
                    guess = np.sign(predicted[a].mean() - predicted[b].mean())
                    right.append(guess == np.sign(self.truth[a].mean() - self.truth[b].mean()))
        return float(np.mean(right)) if right else None

    def result(self, held_out: str) -> Forecast:
        ordered = sorted(self.scores, key=lambda score: score.error)
        return Forecast(tuple(ordered), held_out, tuple(self.skipped))


def _criteria(fits: tuple[Fit, ...]) -> tuple[float | None, float | None]:
    """Return AICc and BIC of the fits together, or None where the noise is unknown or the cells too few."""
    if not fits or any(fit.problem.freedom is None for fit in fits):
        return None, None
    rows = sum(len(fit.problem.y) for fit in fits)
    k = sum(fit.free for fit in fits)
    misfit = 2 * sum(fit.objective for fit in fits)
    bic = misfit + k * np.log(rows)
    return (misfit + 2 * k * rows / (rows - k - 1) if rows > k + 1 else None), float(bic)


_Series = tuple[tuple[object, ...], np.ndarray, np.ndarray]
"""What tells a line of cells from others, its sizes, and the mean at each."""


def _series(scorer: _Scorer) -> tuple[tuple[str, ...], list[_Series]]:
    """Return the seen cells as lines over size, one a quality and model (or whatever else tells cells apart).

    The first part names the columns, besides the quality, that tell the lines apart.
    """
    rows = scorer.seen.measured(scorer.metric)
    names = _telling_apart(rows)
    keys = [(_label(row, names), row.size) for row in rows]
    cells = sorted(dict.fromkeys(keys), key=lambda key: key[1])
    mean = replicates(scorer.seen, scorer.metric, rows, keys, cells).mean
    lines = []
    for label in dict.fromkeys(label for label, _ in cells):
        own = [i for i, (other, _) in enumerate(cells) if other == label]
        lines.append((label, np.array([cells[i][1] for i in own]), mean[own]))
    return names, lines


def _telling_apart(rows: Sequence[Measurement]) -> tuple[str, ...]:
    """Return the columns in which rows of one quality and size differ."""
    found = []
    for name in INPUTS:
        values: dict[tuple[str, float], set[float | None]] = {}
        for row in rows:
            values.setdefault((row.quality, row.size), set()).add(row.values.get(name))
        if any(len(own) > 1 for own in values.values()):
            found.append(name)
    return tuple(found)


def _label(row: Measurement, names: Sequence[str]) -> tuple[object, ...]:
    return row.quality, *(row.values.get(name) for name in names)


def _line_of(row: Measurement, quality: str, names: Sequence[str], lines: Sequence[_Series]) -> _Series:
    """Return the line of a quality that is nearest to a row in the columns that tell lines apart."""
    wanted = [row.values.get(name) for name in names]

    def distance(line: _Series) -> float:
        pairs = zip(wanted, line[0][1:], strict=True)
        return sum(abs(np.log1p(float(a or 0)) - np.log1p(float(b or 0))) for a, b in pairs)  # type: ignore[arg-type]

    return min((line for line in lines if line[0][0] == quality), key=distance)


def _last_value(scorer: _Scorer) -> np.ndarray:
    names, lines = _series(scorer)
    return np.array([_line_of(row, row.quality, names, lines)[2][-1] for row in scorer.rows])


def _line(scorer: _Scorer) -> np.ndarray:
    """Extend the line through the last three sizes: on log-log axes, for an accuracy on log-linear."""
    names, lines = _series(scorer)
    predicted = []
    for row in scorer.rows:
        _, *columns = _line_of(row, row.quality, names, lines)
        size, value = (column[-3:] for column in columns)
        y = np.log(value) if scorer.falling else value
        if len(size) < 2:
            predicted.append(value[-1])
            continue
        slope, level = np.polyfit(np.log(size), y, 1)
        at = level + slope * np.log(row.size)
        predicted.append(float(np.exp(at)) if scorer.falling else float(np.clip(at, 0, 1)))
    return np.array(predicted)


def _nearest(scorer: _Scorer) -> np.ndarray:
    """Take the value, at the same size, of the quality whose share is nearest."""
    shares = {row.quality: row.values.get("share") or 0.0 for row in scorer.seen.rows if row.size > 0}
    own = scorer.rows[0].values.get("share") or 0.0
    nearest = min(shares, key=lambda q: abs(shares[q] - own))
    names, lines = _series(scorer)
    predicted = []
    for row in scorer.rows:
        _, size, value = _line_of(row, nearest, names, lines)
        predicted.append(float(np.interp(np.log(row.size), np.log(size), value)))
    return np.array(predicted)
