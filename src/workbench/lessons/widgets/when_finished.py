"""An answer that comes by itself, as soon as the study that trains beside the notebook is finished."""

import threading
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any

import traitlets

from workbench.studies.background import BackgroundRun, RunState
from workbench.views.board_figures import empty
from workbench.views.style import PaperFigure
from workbench.views.widgets.job_view import JobView
from workbench.views.widgets.view import module

PICTURE_CHARACTERS = 70
"""Of a line in the static picture."""


class WhenFinished(JobView):
    """A sentence about a study, said as soon as the study is finished.

    Args:
        job: The job, or its study's folder.
        answer: Returns the sentence; it is called in a thread of its own, once the study is finished.
    """

    _esm = module("when_finished", Path(__file__).parent, helpers=["kernel"])
    said = traitlets.Unicode("").tag(sync=True)
    """The sentence; "" before the study is finished."""

    def __init__(self, job: BackgroundRun | Path | str, answer: Callable[[], str]) -> None:
        self._answer = answer
        self._asking: threading.Thread | None = None
        super().__init__(job)

    def show(self, events: list[dict[str, Any]], state: RunState) -> None:
        """Ask for the answer when the study is finished; forget it when it trains anew."""
        if state.active:
            self.forget()
        elif state.name == "finished" and self._asking is None:
            # it takes seconds: the widgets that are looked after in this thread go on
            self._asking = threading.Thread(target=self._ask, daemon=True, name="workbench-answer")
            self._asking.start()

    def forget(self) -> None:
        """Forget the answer."""
        self._asking, self.said = None, ""

    def tick(self) -> bool:
        """Look at the job; another widget's button may begin it anew at any time."""
        super().tick()
        return True

    def wait_for_answer(self, seconds: float | int = float("inf")) -> str:
        """Block until the study is finished and the answer is there, and return it."""
        self.wait(seconds)
        if self._asking is not None:
            self._asking.join()
        return self.said

    def picture(self) -> PaperFigure:
        """Draw the sentence."""
        return empty(fill(self.words(), PICTURE_CHARACTERS))

    def words(self) -> str:
        """Return the sentence, or how far the study is."""
        return self.said or f"Your study isn't finished: {super().words()}"

    def _ask(self) -> None:
        try:
            self.said = self._answer()
        except Exception as error:  # whatever it is, it belongs where the answer was expected
            self.said = f"There is no answer: {error}"
