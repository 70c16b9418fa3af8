"""What a paper is made from: a study's record, in the parts that a figure or a number can depend on.

A part holds no more than its own measurements, so whatever is made from it can't change when another part
does. An interval rests on the noise of every cell, so a metric's part has all qualities.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import InputError
from workbench.laws import Analysis, ExchangeRate, Table, read_table
from workbench.laws.fitting import Fit
from workbench.laws.forecast import Forecast, candidates, forecast_sizes
from workbench.laws.library import LAWS
from workbench.laws.problems import fit_table
from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.store import Store
from workbench.views.answers import (
    ItemOutcomes,
    analysed,
    by_worth,
    check_finished,
    item_outcomes,
    rates_of,
    records_judging,
)
from workbench.views.manuscript.latex import macro_name
from workbench.views.points import TableRow, points
from workbench.views.variants import refuse_several

COORDINATES = (
    *("quality", "share", "raters", "size", "seed", "rank", "steps", "epochs"),
    *("evaluation", "status", "failure"),
)
"""Columns that say which cell a row is and what became of it."""
TOLD_OF_MANIFEST = ("study", "data", "base", "arithmetic", "code_sha256", "versions")
"""What of the manifest a paper tells; the rest, such as how long a run took, differs when it is run again."""
FEWEST_SIZES = 4
"""Sizes from which the largest can be held out for a forecast."""


@dataclass(frozen=True, kw_only=True)
class MetricSource:
    """One metric of a study: its measurements, and what the laws make of them."""

    metric: str
    study_name: str
    rows: Sequence[TableRow]
    """The table with this metric alone."""
    heldout: int | None
    items: ItemOutcomes | None
    notes: list[str] = field(default_factory=list)
    """What could not be made of it and why, filled as it is tried."""

    @cached_property
    def analysis(self) -> Analysis:
        """The curves, as the report has them."""
        return analysed(self.rows, self.metric, self.study_name, self.heldout, self.items)

    @cached_property
    def rates(self) -> list[ExchangeRate]:
        """What each other quality's examples are worth; those without an interval are left out."""
        return [rate for rate in rates_of(self.analysis) if rate.rates is not None]

    @cached_property
    def forecast(self) -> Forecast | None:
        """Who foretells the largest size; None with too few sizes to tell."""
        sizes = {row["size"] for row in self._finished}
        if len(sizes) < FEWEST_SIZES:
            return None
        try:
            return forecast_sizes(self._table, self.metric)
        except InputError as error:
            self.notes.append(f"no forecast: {error}")
            return None

    @cached_property
    def joint_fit(self) -> Fit | None:
        """The joint law of the least BIC; None where no share is told or no noise is known.

        The one nearest to the cells would always be the largest, which has the others inside it.
        """
        if self.analysis.noise is None:
            return None
        joint = [
            law for law in candidates(self._table, self.metric) if set(LAWS[law].inputs) == {"size", "share"}
        ]
        fits = []
        for law in joint:
            try:
                fits.append(fit_table(self._table, self.metric, law))
            except InputError as error:
                self.notes.append(f"no {law} law: {error}")
        return min(
            fits, key=lambda fit: 2 * fit.objective + fit.free * np.log(len(fit.problem.y)), default=None
        )

    @cached_property
    def _table(self) -> Table:
        return read_table(self.rows, name=self.study_name, measured_here=True)

    @property
    def _finished(self) -> list[TableRow]:
        return [row for row in self.rows if row["size"] > 0 and row["status"] == "done"]


@dataclass(frozen=True, kw_only=True)
class PaperSource:
    """A study as it was recorded."""

    manifest: Manifest
    rows: Sequence[TableRow]
    """The table, the zero-shot line first."""
    items: Mapping[str, ItemOutcomes]
    curves: Sequence[tuple[str, int, Sequence[float]]]
    """Quality, seed and training loss by step of the cells at the largest size."""

    @classmethod
    def read(cls, folder: Path | str) -> "PaperSource":
        """Read a study's folder.

        Raises:
            InputError: If it holds no study, one of several variants, or none of its cells is finished yet.
        """
        with Store.open(Path(folder), read_only=True) as store:
            refuse_several(store.manifest, "a paper")
            rows = store.table()
            check_finished(folder, store.manifest, rows)
            done = [row for row in rows if row["size"] > 0 and row["status"] == "done"]
            largest = max((row["size"] for row in done), default=0)
            curves = [
                (row["quality"], row["seed"], store.curves(row["key"]).get("train_loss", []))
                for row in done
                if row["size"] == largest
            ]
            return cls(manifest=store.manifest, rows=rows, items=item_outcomes(store, rows), curves=curves)

    @property
    def name(self) -> str:
        """The study's name in letters alone, with which each number's name begins."""
        return macro_name(self.manifest.study.name or "") or "Study"

    @property
    def settings(self) -> dict[str, Any]:
        """What of the manifest a paper tells."""
        written = self.manifest.to_json()
        return {part: written[part] for part in TOLD_OF_MANIFEST if part in written}

    @cached_property
    def parts(self) -> dict[str, MetricSource]:
        """The metrics that can be analysed, the one that tells most first."""
        return {metric: part for metric, part in self._measured.items() if metric not in self.left_out}

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Why a metric that was measured can't be analysed."""
        found = {}
        for metric, part in self._measured.items():
            try:
                _ = part.analysis
            except InputError as error:
                found[metric] = str(error)
        return found

    @cached_property
    def _measured(self) -> dict[str, MetricSource]:
        data = self.manifest.data
        return {
            metric: MetricSource(
                metric=metric,
                study_name=self.name,
                rows=[_only(row, metric) for row in self.rows],
                heldout=records_judging(data, metric),
                items=self.items.get(metric),
            )
            for metric in by_worth(self.rows)
            if points(self.rows, metric)
        }

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of each part, by its name."""
        metrics = {
            metric: [part.rows, part.items and asdict(part.items), part.heldout]
            for metric, part in self.parts.items()
        }
        everything = {**metrics, "train_loss": self.curves, "settings": self.settings}
        return {name: _sha256(part) for name, part in everything.items()}


def _only(row: TableRow, metric: str) -> dict[str, Any]:
    return {name: row.get(name) for name in (*COORDINATES, metric)}


def _sha256(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
