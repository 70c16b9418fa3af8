"""How far a ladder is, in words: which runs are at work, what is done, how long the rest takes.

The time left is told from the runs of this session: those that were done before it say nothing of how fast
the machine is now.
"""

import time
from collections.abc import Callable, Iterable

from workbench.ladder.rungs import LadderPlan
from workbench.ladder.training import RunStep

SHOWN_RUNS = 2
"""Runs at work that are named; more would not fit on a line."""
FEWEST_SECONDS = 5.0
"""Of training, before a time left is told from them."""


class LadderProgress:
    """Counts what a ladder has done.

    Args:
        plan: What is to be trained.
        done: The runs that were done before.
        clock: In seconds.
    """

    def __init__(
        self, plan: LadderPlan, done: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._work = {run.name: run.work for run in plan.runs()}
        self._shares = dict.fromkeys(self._work, 0.0) | dict.fromkeys(self._work.keys() & set(done), 1.0)
        self._at_work: dict[str, RunStep] = {}
        self._clock = clock
        self._began: tuple[float, float] | None = None

    def on_step(self, at: RunStep) -> bool:
        """Take a step in; return whether the run is done with it."""
        if self._began is None:
            self._began = self._clock(), self.share
        self._shares[at.run] = at.step / at.steps
        self._at_work[at.run] = at
        if at.step == at.steps:
            del self._at_work[at.run]
            return True
        return False

    @property
    def share(self) -> float:
        """The share of the ladder's work that is done."""
        return sum(self._work[name] * share for name, share in self._shares.items()) / sum(
            self._work.values()
        )

    @property
    def done(self) -> int:
        """How many runs are done."""
        return sum(share == 1 for share in self._shares.values())

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the pace of this session; None as long as that isn't known."""
        if self._began is None:
            return None
        seconds, gained = self._clock() - self._began[0], self.share - self._began[1]
        if seconds < FEWEST_SECONDS or gained <= 0:
            return None
        return seconds / gained * (1 - self.share)

    def counted(self) -> str:
        """Say how many runs are done and how long the rest takes."""
        left = self.seconds_left
        said = f"{self.done} of {len(self._shares)} runs done"
        return said if left is None else f"{said}, about {_time(left)} left"

    def sentence(self) -> str:
        """Say what is at work and how far all is."""
        shown = [
            f"{at.run} {at.words}"
            for at in sorted(self._at_work.values(), key=lambda at: at.run)[:SHOWN_RUNS]
        ]
        hidden = len(self._at_work) - len(shown)
        return "; ".join([*shown, *([f"{hidden} more at work"] if hidden else []), self.counted()])


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
