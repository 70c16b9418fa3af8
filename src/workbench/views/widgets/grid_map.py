"""Quality x size as a map that fills in while a study trains and opens a cell on a click."""

from pathlib import Path
from typing import Any

import traitlets

from workbench.metrics import HELDOUT, set_and_metric
from workbench.studies.background import RunState
from workbench.studies.disk.store import Store
from workbench.views.board_figures import empty, heat_map
from workbench.views.cell_map import CellMap
from workbench.views.points import axis_words
from workbench.views.style import PaperFigure
from workbench.views.widgets.job_view import JobView
from workbench.views.widgets.view import module

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
        self.cells: CellMap | None = None
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

    def words(self) -> str:
        """Return the status line; of a study that no job trains here, how many of its cells are done."""
        if self.status["state"] != "new" or not self.grid["cells"]:
            return super().words()
        done, planned = (sum(cell[name] for cell in self.grid["cells"]) for name in ("done", "planned"))
        return f"{self.grid['title']}; {done} of {planned} cells done"

    def _read(self) -> bool:
        """Read the study again if its files have changed; say whether they have."""
        file = self.folder / "cells.sqlite"
        if not (file.is_file() and Store.exists(self.folder)):
            return False
        stat = file.stat()
        if self._seen == (stat.st_mtime, stat.st_size):
            return False
        with Store.open(self.folder, read_only=True) as store:
            self.cells = CellMap.read(store)
        self._seen = (stat.st_mtime, stat.st_size)
        found = self.cells.metrics
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
        if self.cells is None:
            return
        self.grid = self.cells.grid(self.metric, self._training)
        row, column = self.chosen
        if row < 0:
            self.detail = {}
            return
        with Store.open(self.folder, read_only=True) as store:
            self.detail = self.cells.detail(row, column, store)
