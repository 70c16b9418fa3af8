"""Stacks one after the other in this process: the simplest executor, and the reference for the others."""

from collections.abc import Sequence

from workbench.errors import InputError
from workbench.studies.card_errors import card_gone
from workbench.studies.executors.protocol import (
    ShouldStop,
    Task,
    Tell,
    TrainingJob,
    Watcher,
    check_workers,
)
from workbench.studies.executors.stack_task import CardFailed, Stopped, train_task


class InProcess:
    """Trains in the process that asks; torch's own threads use the cores."""

    def __init__(self, workers: int | None = None, watcher: Watcher | None = None) -> None:
        """Take one worker, this process.

        Args:
            workers: None or 1.
            watcher: Looks at each stack after each of its steps.

        Raises:
            InputError: If ``workers`` asks for another number.
        """
        check_workers(workers)
        if workers not in (None, 1):
            raise InputError(
                f"workers is {workers}, but the executor in-process trains one stack at a time; leave it out "
                f"or choose worker processes: --executor processes --workers {workers}"
            )
        self.workers = 1
        self.watcher = watcher

    def execute(self, job: TrainingJob, tasks: Sequence[Task], tell: Tell, should_stop: ShouldStop) -> None:
        """Run the tasks in their order.

        Raises:
            CardGone: If the card has gone, with which no further task could be trained here.
        """
        try:
            for task in tasks:
                train_task(job, task, tell, should_stop, self.watcher)
        except Stopped:
            return
        except CardFailed as error:
            raise card_gone(error) from error

    def close(self) -> None:
        """Nothing runs between two calls."""
