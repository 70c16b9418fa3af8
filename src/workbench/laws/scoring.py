"""From predictions of the held-out cells to scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError
from workbench.laws.criteria import Criteria, criteria_of
from workbench.laws.decisions import Pairs
from workbench.laws.fitting import Fit
from workbench.laws.law import Law
from workbench.laws.measurement import Measurement
from workbench.laws.nested import gain_by_noise, refused
from workbench.laws.problems import fit_each
from workbench.laws.scores import Forecast, ForecastScore
from workbench.laws.series import columns_within_cells
from workbench.laws.table import Table
from workbench.laws.thresholds import DOUBT, TAILS
from workbench.laws.varying import OtherSettings

TIES = 2000
"""Resamples of the held-out cells behind the interval of an error."""


@dataclass(frozen=True)
class _Prediction:
    """What one law or baseline says of the held-out rows."""

    name: str
    values: Float[np.ndarray, " rows"]
    fits: Mapping[str, Fit] | None = None
    """A law's fits; None for a baseline."""


class Scorer:
    """Collects predictions of the held-out cells and turns them into scores."""

    def __init__(
        self, table: Table, seen: Table, rows: Sequence[Measurement], metric: str, seed: int
    ) -> None:
        self.table, self.seen, self.rows, self.metric, self.seed = table, seen, rows, metric, seed
        self.label = np.array([row.quality for row in rows])
        self.truth = table.column(metric, rows)
        self.falling = table.falling(metric)
        known = [row.values[metric] for row in (*seen.measured(metric), *rows)]
        if self.falling and min(value for value in known if value is not None) <= 0:
            raise InputError(
                f"{table.name}: {metric} is 0 in a cell, and a forecast of a loss is judged by its relative "
                "error. Judge by another metric."
            )
        self.pairs: Pairs | None = None
        self.laws: list[Law] = []
        self.predictions: list[_Prediction] = []
        self.skipped: list[str] = []

    def add_baseline(self, name: str, predicted: Float[np.ndarray, " rows"]) -> None:
        """Add what a rule that needs no law says of the rows."""
        self.predictions.append(_Prediction(name, predicted))

    def add_law(self, law: Law, fixed: Mapping[str, float] | None = None, delta: float | None = None) -> None:
        """Fit a law to what was seen and add its prediction, or the reason why it can't be fitted.

        Args:
            law: The law.
            fixed: Constants held at a value.
            delta: Force the robust fit with this threshold on the log residual; infinity forces squares.
        """
        try:
            fits = fit_each(self.seen, self.metric, law, fixed=fixed, delta=delta)
            # a law may fit what was seen and have no value at what was held out, such as a share of 0
            predicted = self._predict(law, fits)
        except OtherSettings as error:
            mixed = columns_within_cells(self.seen.measured(self.metric), law.inputs) or error.columns
            self.skipped.append(
                f"{law.name}: can't tell rows apart that differ in {', '.join(map(repr, mixed))}"
            )
            return
        except InputError as error:
            mixed = columns_within_cells(self.seen.measured(self.metric), law.inputs)
            apart = f"can't tell rows apart that differ in {', '.join(map(repr, mixed))}"
            self.skipped.append(f"{law.name}: {apart if mixed else error}")
            return
        self.laws.append(law)
        self.predictions.append(_Prediction(law.name, predicted, fits))

    def _predict(self, law: Law, fits: Mapping[str, Fit]) -> Float[np.ndarray, " rows"]:
        predicted = np.empty(len(self.rows))
        for name, fit in fits.items():
            mask = np.ones(len(self.rows), dtype=bool) if name == "all" else self.label == name
            chosen = [row for row, m in zip(self.rows, mask, strict=True) if m]
            predicted[mask] = fit.predict({k: self.table.column(k, chosen) for k in law.inputs})
        return predicted

    def result(self, held_out: str) -> Forecast:
        """Return the scores, best first."""
        fits = {one.name: one.fits for one in self.predictions if one.fits is not None}
        criteria = criteria_of(fits, self.laws, self.seen.measured(self.metric))
        scores = [self._score(one, criteria.get(one.name, Criteria())) for one in self.predictions]
        return Forecast(tuple(sorted(scores, key=lambda s: s.error)), held_out, tuple(self.skipped))

    def _score(self, one: _Prediction, criteria: Criteria) -> ForecastScore:
        error = np.abs(one.values - self.truth) / (self.truth if self.falling else 1.0)
        low, high = self._interval(error)
        fits = tuple((one.fits or {}).values())
        bounds = sorted({p for fit in fits for p in fit.at_bounds})
        agree = min((fit.agreeing for fit in fits), default=1.0)
        is_refused = refused(fits)
        notes = (
            "refused by the sizes seen" if is_refused else "",
            f"at a bound: {', '.join(bounds)}" if bounds else "",
            f"only {agree:.0%} of the starts agree" if agree < 0.5 else "",
            criteria.reason,
        )
        return ForecastScore(
            name=one.name,
            is_baseline=one.fits is None,
            error=float(error.mean()),
            low=low,
            high=high,
            worst=float(error.max()),
            ranking=self._ranking(one.values),
            aicc=criteria.aicc,
            bic=criteria.bic,
            note="; ".join(filter(None, notes)),
            decisions=None if self.pairs is None else self.pairs.decide(one.values),
            is_refused=is_refused,
            enough=self._enough(one),
        )

    def _enough(self, one: _Prediction) -> tuple[str, ...]:
        """Return the laws inside a law of all cells that these cells don't ask to leave."""
        whole = {
            p.name: p.fits["all"] for p in self.predictions if p.fits is not None and set(p.fits) == {"all"}
        }
        if one.name not in whole:
            return ()
        larger = whole[one.name]
        gains = {
            name: gain_by_noise(larger, whole[name].objective, held)
            for name, held in larger.law.nests.items()
            if name in whole
        }
        return tuple(name for name, p in gains.items() if p is not None and p >= DOUBT)

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
