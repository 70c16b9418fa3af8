"""What an executor is: something that trains stacks, somewhere.

An executor is never the source of truth. It makes at most one attempt at each task and tells one last event
for it; what to do after a loss, and that every cell is stored once, is the runner's and the store's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.studies.states import EventKind
from workbench.training.loop import Branches, TrainState, branches
from workbench.training.prepare import Prepared
from workbench.training.results import CellResult


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What the tasks of one run share."""

    stacks: list[list[CellConfig]]
    branched: list[Branches]
    """For each stack, which cells follow which one's trunk, and how far."""
    prepared: Prepared
    base: Base
    data_sha256: str
    folder: Path
    """The study's folder, for checkpoints; a worker that can't see it works without them."""
    arithmetic: str
    """Names what the numbers depend on beside the cells."""
    threads: int
    """Threads of torch in each process that trains; the numbers depend on it."""
    checkpoint_seconds: float

    def with_stack(self, cells: list[CellConfig]) -> "TrainingJob":
        """Return the job with one more stack, the last."""
        branched = branches(cells, [self.prepared.draws[cell.key()] for cell in cells])
        return replace(self, stacks=[*self.stacks, cells], branched=[*self.branched, branched])


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at one stack, by its place in the plan."""

    stack: int
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Event:
    """What an executor tells about a task.

    ``kind`` is "started", "step" or "note" while it goes on, and one of these last: "result"; "error", the
    stack failed by itself; "full", the card's memory was too small for it; "lost", its process has gone;
    "refused", the input can't be used, so that no other stack would do better.
    """

    kind: EventKind
    task: Task
    step: int = 0
    losses: tuple[float | None, ...] = ()
    """Each cell's training loss of this step; None where it is not a number."""
    detail: str = ""
    """A sentence, or a traceback."""
    results: Mapping[str, CellResult] = field(default_factory=dict)
    seconds: float = 0.0
    """Wall time that the task took, told with its result."""


Tell = Callable[[Event], None]
Watcher = Callable[[TrainingJob, Sequence[CellConfig], TrainState], None]
"""(job, cells of a stack, its state) -> nothing: looks at a stack after each step, and changes nothing."""
ShouldStop = Callable[[], bool]


@runtime_checkable
class Executor(Protocol):
    """Trains stacks."""

    @property
    def workers(self) -> int:
        """How many tasks it runs at once."""
        ...

    def execute(self, job: TrainingJob, tasks: Sequence[Task], tell: Tell, should_stop: ShouldStop) -> None:
        """Run the tasks; return when each has had its last event, or soon after ``should_stop`` says yes.

        ``tell`` is only called from this thread. What it raises ends the run: the executor stops its
        tasks and lets the exception through.
        """
        ...

    def close(self) -> None:
        """End whatever still runs for it."""
        ...


def check_workers(workers: int | None, cards: int = 0) -> None:
    """Refuse a number of workers with which nothing would be trained, or two would share a card.

    Raises:
        InputError: If it is below 1, or above the number of cards where there are some.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; at least 1 is needed: --workers 1")
    if workers is not None and cards and workers > cards:
        raise InputError(
            f"workers is {workers}, but a card trains one stack at a time, which may fill it, and there "
            f"are {cards} of one kind; leave it out or choose --workers {cards}"
        )
