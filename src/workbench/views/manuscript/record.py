"""What a paper is made from: a study's record, in the parts that a figure or a number can depend on.

A part holds no more than its own measurements, so whatever is made from it can't change when another part
does. An interval rests on the noise of every cell, so a metric's part has all qualities.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.laws import ExchangeRate, Study, read_table
from workbench.laws.fitting import Fit
from workbench.laws.forecast import Forecast, candidates, forecast_sizes
from workbench.laws.forms import LAWS
from workbench.laws.problems import fit_table
from workbench.studies.listing import planned_cells
from workbench.studies.store import Store
from workbench.views.answers import ItemOutcomes, analysed, by_worth, item_outcomes, rates_of
from workbench.views.manuscript.latex import macro_name
from workbench.views.points import Row, points

COORDINATES = (
    *("quality", "share", "raters", "size", "seed", "rank", "steps", "epochs"),
    *("evaluation", "status", "failure"),
)
"""Columns that say which cell a row is and what became of it."""
SETTINGS = ("study", "data", "base", "arithmetic", "code_sha256", "versions")
"""What of the manifest a paper tells; the rest, such as how long a run took, differs when it is run again."""
FEWEST_SIZES = 4
"""Sizes from which the largest can be held out for a forecast."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One metric of a study: its measurements, and what the laws make of them."""

    metric: str
    study_name: str
    rows: Sequence[Row]
    """The table with this metric alone."""
    heldout: int | None
    items: ItemOutcomes | None

    @cached_property
    def study(self) -> Study:
        """The curves, as the report has them."""
        return analysed(self.rows, self.metric, self.study_name, self.heldout, self.items)

    @cached_property
    def rates(self) -> list[ExchangeRate]:
        """What each other quality's examples are worth; those without an interval are left out."""
        return [rate for rate in rates_of(self.study) if rate.best is not None]

    @cached_property
    def forecast(self) -> Forecast | None:
        """Who foretells the largest size; None with too few sizes to tell."""
        sizes = {row["size"] for row in self._finished}
        if len(sizes) < FEWEST_SIZES:
            return None
        return forecast_sizes(read_table(self.rows, name=self.study_name), self.metric)

    @cached_property
    def joint_fit(self) -> Fit | None:
        """The joint law that is nearest to the cells; None where no share is told or no noise is known."""
        if self.study.noise is None:
            return None
        table = read_table(self.rows, name=self.study_name)
        joint = [law for law in candidates(table, self.metric) if set(LAWS[law].inputs) == {"size", "share"}]
        fits = [fit_table(table, self.metric, law) for law in joint]
        return min(fits, key=lambda fit: fit.objective, default=None)

    @property
    def _finished(self) -> list[Row]:
        return [row for row in self.rows if row["size"] > 0 and row["status"] == "done"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A study as it was recorded."""

    manifest: Mapping[str, Any]
    rows: Sequence[Row]
    """The table, the zero-shot line first."""
    items: Mapping[str, ItemOutcomes]
    curves: Sequence[tuple[str, int, Sequence[float]]]
    """Quality, seed and training loss by step of the cells at the largest size."""

    @classmethod
    def read(cls, folder: Path | str) -> "Record":
        """Read a study's folder.

        Raises:
            InputError: If it holds no study, or none of its cells is finished.
        """
        with Store.open(Path(folder), read_only=True) as store:
            rows = store.table()
            done = [row for row in rows if row["size"] > 0 and row["status"] == "done"]
            if not done:
                raise _nothing_to_write(folder, store)
            largest = max(row["size"] for row in done)
            curves = [
                (row["quality"], row["seed"], store.curves(row["key"]).get("train_loss", []))
                for row in done
                if row["size"] == largest
            ]
            return cls(manifest=store.manifest, rows=rows, items=item_outcomes(store, rows), curves=curves)

    @property
    def name(self) -> str:
        """The study's name in letters alone, with which each number's name begins."""
        return macro_name(str(self.manifest.get("study", {}).get("name", ""))) or "Study"

    @property
    def settings(self) -> dict[str, Any]:
        """What of the manifest a paper tells."""
        return {part: self.manifest[part] for part in SETTINGS if part in self.manifest}

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The metrics, the one that tells most first."""
        heldout = self.manifest.get("data", {}).get("heldout_records")
        return {
            metric: Part(
                metric=metric,
                study_name=self.name,
                rows=[_only(row, metric) for row in self.rows],
                heldout=heldout,
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


def _only(row: Row, metric: str) -> dict[str, Any]:
    return {name: row.get(name) for name in (*COORDINATES, metric)}


def _sha256(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _nothing_to_write(folder: Path | str, store: Store) -> InputError:
    failed = [row for row in store.rows() if row["status"] != "done"]
    if failed and len(failed) >= planned_cells(store.manifest):
        return InputError(
            f"no cell of {folder} could be trained ({failed[0]['failure']}); run the study in another folder "
            "with another --learning-rate"
        )
    return InputError(f"{folder} has no finished cell yet; the command that began the study goes on with it")
