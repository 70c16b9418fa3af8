"""A study that trains, live: its loss curves, how far it is, and a button that stops it."""

from pathlib import Path
from typing import Any

import traitlets
from matplotlib.figure import Figure

from workbench.config import CellConfig
from workbench.laws.in_words import readable
from workbench.laws.units import SIZE_UNITS
from workbench.studies.background import BackgroundRun, RunState
from workbench.studies.disk.manifest import read_manifest
from workbench.views.board_figures import Line, empty, training_curves
from workbench.views.cell_map import thinned
from workbench.views.widgets.job_view import JobView
from workbench.views.widgets.view import module

MOST_POINTS = 120
"""Points of a curve that travel to the page: as many as its pixels can show."""


class LiveStudy(JobView):
    """The loss curves of a study that trains.

    Args:
        job: The job, or its study's folder.
    """

    _esm = module("live", helpers=("kernel", "job_bar"))
    curves: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    smoothing = traitlets.Float(0.0).tag(sync=True)
    logarithmic = traitlets.Bool(False).tag(sync=True)

    def __init__(self, job: BackgroundRun | Path | str) -> None:
        self.points: dict[str, dict[int, float | None]] = {}
        """Every step's loss that was recorded, by cell."""
        self._cells: dict[str, CellConfig] = {}
        self._stack: tuple[str, ...] = ()
        super().__init__(job)

    @property
    def recorded(self) -> int:
        """How many losses the job has recorded so far, over all cells and steps."""
        return sum(len(curve) for curve in self.points.values())

    def show(self, events: list[dict[str, Any]], state: RunState) -> None:
        """Draw the curves of the stack at work."""
        for event in events:
            self._stack = tuple(event.get("keys", ())) or self._stack
            if event["step"]:
                for key, loss in zip(self._stack, event["losses"], strict=False):
                    self.points.setdefault(key, {})[event["step"]] = loss
        if events:
            self._name_cells()
            self.curves = [self._curve(key) for key in self._stack if key in self._cells]

    def forget(self) -> None:
        """Forget every point."""
        self.points, self._cells, self._stack, self.curves = {}, {}, (), []

    def extra_words(self) -> str:
        """Return how many points there are."""
        return f"; {self.recorded:,} points recorded"

    def picture(self) -> Figure:
        """Draw the curves shown now."""
        lines = [
            Line(name=curve["quality"], group=curve["index"], x=curve["x"], y=curve["y"])
            for curve in self.curves
        ]
        return training_curves(lines) if lines else empty("no step yet")

    def _name_cells(self) -> None:
        if not self._stack or all(key in self._cells for key in self._stack):
            return
        if (self.job.study_folder / "manifest.json").is_file():
            self._cells = read_manifest(self.job.study_folder).planned()

    def _curve(self, key: str) -> dict[str, Any]:
        cell = self._cells[key]
        qualities = list(dict.fromkeys(one.quality.label for one in self._cells.values()))
        sizes = sorted({one.size for one in self._cells.values()})
        points = thinned(sorted(self.points.get(key, {}).items()), MOST_POINTS)
        return {
            "quality": readable(cell.quality.label),
            "index": qualities.index(cell.quality.label),
            "size": cell.size,
            "unit": SIZE_UNITS[cell.size_in].many,
            "seed": cell.seed,
            "width": 1 + 1.5 * sizes.index(cell.size) / max(1, len(sizes) - 1),
            "x": [step for step, _ in points],
            "y": [None if loss is None else float(f"{loss:.4g}") for _, loss in points],
        }
