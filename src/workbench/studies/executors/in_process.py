"""Stacks one after the other in this process: the simplest executor, and the reference for the others."""

from collections.abc import Sequence

from workbench.studies.executors.protocol import ShouldStop, Task, Tell, TrainingJob
from workbench.studies.executors.stack_task import Stopped, train_task


class InProcess:
    """Trains in the process that asks; torch's own threads use the cores."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = 1

    def execute(self, job: TrainingJob, tasks: Sequence[Task], tell: Tell, should_stop: ShouldStop) -> None:
        """Run the tasks in their order."""
        try:
            for task in tasks:
                train_task(job, task, tell, should_stop)
        except Stopped:
            return

    def close(self) -> None:
        """Nothing runs between two calls."""
