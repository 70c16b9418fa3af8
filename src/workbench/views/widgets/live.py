"""A study that trains, live: its loss curves, how far it is, and a button that stops it."""

import threading
from pathlib import Path
from typing import Any

import traitlets
from matplotlib.figure import Figure

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.laws.units import SIZE_UNITS
from workbench.studies.background import BackgroundRun, RunState
from workbench.studies.disk.manifest import read_manifest
from workbench.studies.grid import Study
from workbench.studies.states import JobName
from workbench.views.board_figures import Line, empty, training_curves
from workbench.views.cell_map import thinned
from workbench.views.points import readable
from workbench.views.widgets.ticker import Ticker
from workbench.views.widgets.view import View, module
from workbench.views.words import seconds_in_words

MOST_POINTS = 120
"""Points of a curve that travel to the page: as many as its pixels can show."""
STATE_WORDS: dict[JobName, str] = {
    "new": "not started",
    "starting": "starting: loading the base and the data",
    "finished": "finished",
    "stopped": "stopped; what is done is kept",
    "incomplete": "ended with cells that failed",
    "failed": "failed",
    "lost": "the process has gone; what is done is kept",
}


class LiveStudy(View):
    """The job of a study, read from its folder: make it again after a reload or a restart, nothing is lost.

    Args:
        job: The job, or its study's folder.
    """

    _esm = module("live")
    curves: "traitlets.List[Any]" = traitlets.List().tag(sync=True)
    status: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    smoothing = traitlets.Float(0.0).tag(sync=True)
    logarithmic = traitlets.Bool(False).tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    """How often the button was pressed."""

    def __init__(self, job: BackgroundRun | Path | str) -> None:
        self.job = job if isinstance(job, BackgroundRun) else BackgroundRun(job)
        self.points: dict[str, dict[int, float | None]] = {}
        """Every step's loss that was recorded, by cell."""
        self._cells: dict[str, CellConfig] = {}
        self._stack: tuple[str, ...] = ()
        self._at: dict[str, Any] = {}
        self._offset = 0
        self._asked_to_stop = False
        self._guard = threading.RLock()  # setting a trait calls us back
        super().__init__()
        self.observe(self._pressed, "asked")
        if self.tick():
            Ticker.watch(self)

    @property
    def recorded(self) -> int:
        """How many losses the job has recorded so far, over all cells and steps."""
        return sum(len(curve) for curve in self.points.values())

    def tick(self) -> bool:
        """Read what is new and show it; return whether there may be more."""
        with self._guard:  # the ticker and wait() may both call
            state = self.job.state()
            events, self._offset = self.job.events(self._offset)
            for event in events:
                self._take(event)
            if not state.active:
                self._asked_to_stop = False
            if events:
                self._name_cells()
                self.curves = [self._curve(key) for key in self._stack if key in self._cells]
            status = self._status(state)
            if status != self.status:
                self.status = status
            return state.active

    def wait(self, seconds: float | int = float("inf")) -> RunState:
        """Block until the job has ended, then show its last points."""
        state = self.job.wait(seconds)
        self.tick()
        return state

    def picture(self) -> Figure:
        """Draw the curves shown now."""
        lines = [
            Line(name=curve["quality"], group=curve["index"], x=curve["x"], y=curve["y"])
            for curve in self.curves
        ]
        return training_curves(lines) if lines else empty("no step yet")

    def words(self) -> str:
        """Return the status line."""
        return str(self.status["words"])

    def _take(self, event: dict[str, Any]) -> None:
        self._at = {**self._at, **event}
        self._stack = tuple(event.get("keys", ())) or self._stack
        if event["step"]:
            for key, loss in zip(self._at.get("keys", ()), event["losses"], strict=False):
                self.points.setdefault(key, {})[event["step"]] = loss

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

    def _status(self, state: RunState) -> dict[str, Any]:
        at, words = self._at, STATE_WORDS.get(state.name, state.name)
        if state.name == "running":
            words = STATE_WORDS["starting"]
            if at.get("phase") == "training":
                words = f"training stack {at['stack']} of {at['stacks']}, step {at['step']} of {at['steps']}"
                words += self._left()
        cells = f"; {at['cells_done']} of {at['cells']} cells done" if at.get("cells") else ""
        button = "Stop" if state.active else "Finished" if state.name == "finished" else "Go on"
        return {
            "words": f"{words}{cells}; {self.recorded:,} points recorded",
            "state": state.name,
            "share": 1.0 if state.name == "finished" else at.get("share", 0.0),
            "steps": at.get("steps", 0),
            "alert": state.error or at.get("note") or None,
            "button": "Stopping …" if self._asked_to_stop else button,
            "button_works": not self._asked_to_stop and button != "Finished" and state.name != "new",
        }

    def _left(self) -> str:
        prediction = self._at.get("prediction")
        if not prediction:
            return ""
        left = prediction["seconds"] * (1 - self._at["share"])
        return f", about {seconds_in_words(left)} left"

    def _pressed(self, _: object) -> None:
        """Stop a job that is at work, go on with one that isn't."""
        if self.job.state().active:
            self._asked_to_stop = True
            self.job.stop()
        else:
            self._go_on()
        self.tick()

    def _go_on(self) -> None:
        configuration = self.job.configuration()
        if configuration is None:
            raise InputError(
                f"{self.job.study_folder} has no job to go on with; start one with BackgroundRun.start"
            )
        self.job = BackgroundRun.start(Study.from_dict(configuration), self.job.study_folder)
        Ticker.watch(self)
