"""Where stacks are trained: here, in worker processes, or on a cluster.

Importing this package alone loads no torch: a process that only passes on progress needs none.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workbench.errors import unknown_name

if TYPE_CHECKING:
    from workbench.studies.executors.protocol import Executor


def _in_process(workers: int | None = None, cards: Sequence[int] = ()) -> "Executor":
    from workbench.studies.executors.in_process import InProcess

    return InProcess(workers)


def _processes(workers: int | None = None, cards: Sequence[int] = ()) -> "Executor":
    from workbench.studies.executors.processes import Processes

    return Processes(workers, cards)


def _ray(workers: int | None = None, cards: Sequence[int] = ()) -> "Executor":
    from workbench.studies.executors.ray_cluster import RayCluster

    return RayCluster(workers, cards)


EXECUTORS: dict[str, Callable[[int | None, Sequence[int]], "Executor"]] = {
    "in-process": _in_process,
    "processes": _processes,
    "ray": _ray,
}
"""By name: (number of workers, or None for its own choice; cards to train on, none for the processor) ->
executor."""


def make_executor(name: str, workers: int | None = None, cards: Sequence[int] = ()) -> "Executor":
    """Return a new executor.

    Args:
        name: Key of :data:`EXECUTORS`.
        workers: How many stacks train at once; None leaves it to the executor.
        cards: Numbers of the cards to train on, all of one kind; none for the processor.

    Raises:
        InputError: If there is none of that name, or it can't be used here.
    """
    if name not in EXECUTORS:
        raise unknown_name("executor", name, EXECUTORS, "src/workbench/studies/executors/__init__.py")
    return EXECUTORS[name](workers, cards)
