"""What every widget of a job shows beside its picture: how far it is, what is left, and a button."""

import threading
from pathlib import Path
from typing import Any

import traitlets

from workbench.errors import InputError
from workbench.studies.background import BackgroundRun, RunState
from workbench.studies.grid import Study
from workbench.studies.states import JobName
from workbench.views.widgets.ticker import Ticker
from workbench.views.widgets.view import KernelView
from workbench.views.words import seconds_in_words

STATE_WORDS: dict[JobName, str] = {
    "new": "not started",
    "starting": "starting: a process of its own begins",
    "finished": "finished",
    "stopped": "stopped; what is done is kept",
    "incomplete": "ended with cells that failed",
    "failed": "failed",
    "lost": "the process has gone; what is done is kept",
}
PHASE_WORDS: dict[str, str] = {
    "loading": "starting: loading the data and the base",
    "predicting": "starting: timing a step, to know how long all will take",
    "training": "starting: the first step",
}
"""Before the first step."""


class JobView(KernelView):
    """A job read from its folder: make it again after a reload or a restart, nothing is lost.

    Args:
        job: The job, or its study's folder.
    """

    status: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    """How often the button was pressed."""

    def __init__(self, job: BackgroundRun | Path | str) -> None:
        self.job = job if isinstance(job, BackgroundRun) else BackgroundRun(job)
        self._latest: dict[str, Any] = {}
        self._offset = 0
        self._asked_to_stop = False
        self._problem: str | None = None
        self._guard = threading.RLock()  # setting a trait calls us back
        super().__init__()
        self.observe(self._pressed, "asked")
        if self.tick():
            Ticker.watch(self)

    def show(self, events: list[dict[str, Any]], state: RunState) -> None:
        """Draw what is new."""
        raise NotImplementedError

    def forget(self) -> None:
        """Forget what was drawn, for a job that begins anew."""
        raise NotImplementedError

    def tick(self) -> bool:
        """Read what is new and show it; return whether there may be more."""
        with self._guard:  # the ticker and wait() may both call
            state = self.job.state()
            events, offset = self.job.events(self._offset)
            if offset < self._offset:  # its folder was deleted, and perhaps a job begun anew
                self._latest = {}
                self.forget()
            self._offset = offset
            for event in events:
                self._latest = {**self._latest, **event}
            if not state.active:
                self._asked_to_stop = False
            self.show(events, state)
            status = self._status(state)
            if status != self.status:
                self.status = status
            return state.active

    def wait(self, seconds: float | int = float("inf")) -> RunState:
        """Block until the job has ended, then show its last points."""
        state = self.job.wait(seconds)
        self.tick()
        return state

    def words(self) -> str:
        """Return the status line."""
        return str(self.status["words"])

    def extra_words(self) -> str:
        """Return what else the status line says, from its ``;`` on."""
        return ""

    def _status(self, state: RunState) -> dict[str, Any]:
        at, words = self._latest, STATE_WORDS.get(state.name, state.name)
        if state.name == "running":
            words = PHASE_WORDS.get(at.get("phase", ""), PHASE_WORDS["loading"])
            if at.get("phase") == "training" and at["stack"]:
                words = f"training stack {at['stack']} of {at['stacks']}, step {at['step']} of {at['steps']}"
                words += self._left()
        cells = f"; {at['cells_done']} of {at['cells']} cells done" if at.get("cells") else ""
        button = "Stop" if state.active else "Train again" if state.name == "finished" else "Go on"
        return {
            "words": f"{words}{cells}{self.extra_words()}",
            "state": state.name,
            "share": 1.0 if state.name == "finished" else at.get("share", 0.0),
            "steps": at.get("steps", 0),
            "alert": self._problem or state.error or at.get("note") or None,
            "button": "Stopping …" if self._asked_to_stop else button,
            "button_works": not self._asked_to_stop and state.name != "new",
        }

    def _left(self) -> str:
        prediction = self._latest.get("prediction")
        if not prediction:
            return ""
        left = prediction["seconds"] * (1 - self._latest["share"])
        return f", about {seconds_in_words(left)} left"

    def _pressed(self, _: object) -> None:
        """Stop a job that is at work, go on with one that isn't, begin a finished one anew."""
        self._problem = None
        try:
            state = self.job.state()
            if state.active:
                self._asked_to_stop = True
                self.job.stop()
            else:
                self._begin(anew=state.name == "finished")
        except (InputError, OSError) as error:
            self._problem = str(error)
        self.tick()

    def _begin(self, *, anew: bool) -> None:
        configuration, say, folder = self.job.configuration(), self.job.say(), self.job.study_folder
        if configuration is None:
            raise InputError(f"{folder} has no job to go on with; start one with wb.start(study, folder)")
        if anew:  # what was trained is kept, under another name
            names = (folder.with_name(f"{folder.name}-earlier-{number}") for number in range(1, 1000))
            folder.rename(next(name for name in names if not name.exists()))
            with self._guard:
                self._latest, self._offset = {}, 0
                self.forget()
        self.job = BackgroundRun.start(Study.from_dict(configuration), folder, say)
        Ticker.watch(self)
