"""Quality x size as a map that fills in while a study trains and opens a cell on a click."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import traitlets

from workbench.laws.units import SIZE_UNITS
from workbench.metrics import HELDOUT, is_loss, set_and_metric
from workbench.studies.background import RunState
from workbench.studies.disk.store import Store
from workbench.views.board_figures import empty, heat_map
from workbench.views.points import TableRow, axis_words, measured, readable
from workbench.views.style import PaperFigure
from workbench.views.widgets.job_view import JobView
from workbench.views.widgets.live import thinned
from workbench.views.widgets.view import module

CURVE_POINTS = 60
NOTHING = {"qualities": [], "sizes": [], "cells": [], "title": "", "better": "low"}
"""The map of a study that has only been started."""


class GridMap(JobView):
    """The cells of a study's folder, finished or in training.

    Args:
        folder: The study's folder; it need not have a finished cell yet.
        metric: The metric to begin with; by default the last one measured.
    """

    _esm = module("grid_map", helpers=("kernel", "job_bar"))
    grid: "traitlets.Dict[str, Any]" = traitlets.Dict(NOTHING).tag(sync=True)
    metrics: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    metric = traitlets.Unicode("loss").tag(sync=True)
    chosen: "traitlets.List[Any]" = traitlets.List([-1, -1]).tag(sync=True)
    """TableRow and column of the open cell."""
    detail: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)

    def __init__(self, folder: Path | str, metric: str | None = None) -> None:
        self.folder = Path(folder)
        self._wanted = metric
        self._forget()
        super().__init__(self.folder)
        self.observe(self._redraw, ["metric", "chosen"])

    def _forget(self) -> None:
        self.rows: Sequence[TableRow] = []
        self._seen: tuple[float, int] | None = None
        self._begun = False
        self._training: frozenset[str] = frozenset()

    def show(self, events: list[dict[str, Any]], state: RunState) -> None:
        """Draw the map if a cell has ended or another stack trains."""
        training = self._training
        for event in events:
            training = frozenset(event["keys"]) if "keys" in event else training
        training = training if state.active else frozenset()
        if self._read() or training != self._training:
            self._training = training
            self._draw()

    def forget(self) -> None:
        """Forget the cells."""
        self._forget()
        self.grid, self.metrics, self.detail = NOTHING, [], {}

    def picture(self) -> PaperFigure:
        """Draw the map as it is now."""
        if not any(cell["done"] for cell in self.grid["cells"]):
            return empty("no finished cell yet")
        return heat_map(self.grid)

    def _read(self) -> bool:
        """Read the study again if its files have changed; say whether they have."""
        file = self.folder / "cells.sqlite"
        if not (file.is_file() and Store.exists(self.folder)):
            return False
        stat = file.stat()
        if self._seen == (stat.st_mtime, stat.st_size):
            return False
        with Store.open(self.folder, read_only=True) as store:
            self.rows, manifest = store.rows(), store.manifest
        self._seen = (stat.st_mtime, stat.st_size)
        self._cells = {key: (cell.quality.label, cell.size) for key, cell in manifest.planned().items()}
        study = manifest.study.parsed()
        self._unit = SIZE_UNITS[study.size_in]
        self._qualities = [quality.label for quality in study.qualities]
        self._planned = Counter(self._cells.values())
        new = {size for _, size in self._planned} - set(study.sizes)
        self._sizes = sorted({*study.sizes, *new}) if new else list(study.sizes)
        found = measured(self.rows)
        self.metrics = [[name, axis_words(name)] for name in found]
        if not self._begun and found:
            self._begun = True
            own = [name for name in found if set_and_metric(name)[0] == HELDOUT] or found
            self.metric = self._wanted or own[-1]
        return True

    def _redraw(self, _: object) -> None:
        with self._guard:
            self._draw()

    def _draw(self) -> None:
        if self._seen is None:
            return
        training = {self._cells[key] for key in self._training if key in self._cells}
        self.grid = {
            "title": axis_words(self.metric),
            "better": "low" if is_loss(self.metric) else "high",
            "qualities": [readable(quality) for quality in self._qualities],
            "sizes": self._sizes,
            "many": self._unit.many,
            "axis": self._unit.axis,
            "cells": [
                self._cell(quality, size, training) for quality in self._qualities for size in self._sizes
            ],
        }
        self.detail = self._detail()

    def _cell(self, quality: str, size: int, training: set[tuple[str, int]]) -> dict[str, Any]:
        values = [
            row[self.metric]
            for row in self._at(quality, size)
            if row["status"] == "done" and row.get(self.metric) is not None
        ]
        return {
            "quality": readable(quality),
            "size": size,
            "mean": fmean(values) if values else None,
            "spread": stdev(values) if len(values) > 1 else None,
            "done": len(values),
            "planned": self._planned[quality, size],
            "training": (quality, size) in training and len(values) < self._planned[quality, size],
        }

    def _at(self, quality: str, size: int) -> list[TableRow]:
        return [row for row in self.rows if (row["quality"], row["size"]) == (quality, size)]

    def _detail(self) -> dict[str, Any]:
        row, column = self.chosen
        if row < 0 or row >= len(self._qualities) or column >= len(self._sizes):
            return {}
        quality, size = self._qualities[row], self._sizes[column]
        runs = self._at(quality, size)
        names = [name for name, _ in self.metrics]
        words = [axis_words(name).replace(" (nats a token)", "") for name in names]
        with Store.open(self.folder, read_only=True) as store:
            curves = [_curve(run, store.curves(run["key"])) for run in runs]
        return {
            "title": f"{readable(quality)}, {size:,} {self._unit.many}",
            "columns": ["seed", *words, "status", "seconds"],
            "rows": [_line(run, names) for run in runs],
            "curves": [curve for curve in curves if curve["y"]],
        }


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
