"""Quality x size as numbers for ``grid_map.js``: what each cell measured, and the runs behind it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from workbench.laws.in_words import readable
from workbench.laws.units import SIZE_UNITS, SizeUnit
from workbench.metrics import is_loss
from workbench.studies.disk.store import Store
from workbench.views.points import TableRow, axis_words, measured

CURVE_POINTS = 60
"""Points of a training curve that travel to the page."""
StepLoss = tuple[int, float | None]
"""A step and its loss; None where that was not a number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellMap:
    """The cells of a study, planned and measured, as a map of quality and size."""

    rows: Sequence[TableRow]
    cells: Mapping[str, tuple[str, int]]
    """Quality and size of each planned cell, by its key."""
    qualities: Sequence[str]
    sizes: Sequence[int]
    unit: SizeUnit

    @classmethod
    def read(cls, store: Store) -> "CellMap":
        """Read a study's map as it is now."""
        rows, manifest = store.rows(), store.manifest
        cells = {key: (cell.quality.label, cell.size) for key, cell in manifest.planned().items()}
        study = manifest.study.parsed()
        new = {size for _, size in cells.values()} - set(study.sizes)
        return cls(
            rows=rows,
            cells=cells,
            qualities=[quality.label for quality in study.qualities],
            sizes=sorted({*study.sizes, *new}) if new else list(study.sizes),
            unit=SIZE_UNITS[study.size_in],
        )

    @property
    def metrics(self) -> list[str]:
        """The metrics that were measured so far."""
        return measured(self.rows)

    def grid(self, metric: str, training: Collection[str] = ()) -> dict[str, Any]:
        """Return the map of one metric; ``training`` has the keys of the cells that train now."""
        at_work = {self.cells[key] for key in training if key in self.cells}
        planned = Counter(self.cells.values())
        return {
            "title": axis_words(metric),
            "better": "low" if is_loss(metric) else "high",
            "qualities": [readable(quality) for quality in self.qualities],
            "sizes": self.sizes,
            "many": self.unit.many,
            "axis": self.unit.axis,
            "cells": [
                self._cell(metric, quality, size, planned[quality, size], (quality, size) in at_work)
                for quality in self.qualities
                for size in self.sizes
            ],
        }

    def detail(self, row: int, column: int, store: Store) -> dict[str, Any]:
        """Return the runs of one cell with their curves; nothing where there is no such cell."""
        if row < 0 or row >= len(self.qualities) or column >= len(self.sizes):
            return {}
        quality, size = self.qualities[row], self.sizes[column]
        runs = self._at(quality, size)
        names = self.metrics
        words = [axis_words(name).replace(" (nats a token)", "") for name in names]
        curves = [_curve(run, store.curves(run["key"])) for run in runs]
        return {
            "title": f"{readable(quality)}, {size:,} {self.unit.many}",
            "columns": ["seed", *words, "status", "seconds"],
            "rows": [_line(run, names) for run in runs],
            "curves": [curve for curve in curves if curve["y"]],
        }

    def _cell(self, metric: str, quality: str, size: int, planned: int, training: bool) -> dict[str, Any]:
        values = [
            row[metric]
            for row in self._at(quality, size)
            if row["status"] == "done" and row.get(metric) is not None
        ]
        return {
            "quality": readable(quality),
            "size": size,
            "mean": fmean(values) if values else None,
            "spread": stdev(values) if len(values) > 1 else None,
            "done": len(values),
            "planned": planned,
            "training": training and len(values) < planned,
        }

    def _at(self, quality: str, size: int) -> list[TableRow]:
        return [row for row in self.rows if (row["quality"], row["size"]) == (quality, size)]


def thinned(points: Sequence[StepLoss], most: int) -> list[StepLoss]:
    """Return at most ``most`` + 1 of the points, evenly spaced, the last one always among them."""
    if len(points) <= most:
        return list(points)
    return [points[index * len(points) // most] for index in range(most)] + [points[-1]]


def _curve(run: TableRow, curves: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    points = thinned(list(enumerate(curves.get("train_loss", ()), start=1)), CURVE_POINTS)
    return {
        "seed": run["seed"],
        "x": [step for step, _ in points],
        "y": [float(f"{loss:.4g}") for _, loss in points if loss is not None],
    }


def _line(run: TableRow, metrics: Sequence[str]) -> list[str]:
    numbers = [_number(run.get(name), 3) for name in metrics]
    return [str(run["seed"]), *numbers, run["status"], _number(run["seconds"], 1)]


def _number(value: float | None, digits: int) -> str:
    return "missing" if value is None else f"{value:.{digits}f}"
