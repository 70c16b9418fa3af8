"""Stacks on a Ray cluster, or on a Ray of our own on this machine.

Plain Ray Core tasks. Ray retries nothing (``max_retries=0``): one policy for every executor, the runner's.
A task carries JSON, and its result comes back as the bytes of a frame; each worker maps the base's file
itself. ``RAY_ADDRESS`` names a running cluster; without it a Ray is started here and ended with the run.

Source: the Ray 2.60 documentation, "Ray Core", "Token authentication" and "Usage stats".
"""

import logging
import os
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workbench.errors import InputError
from workbench.studies.executors.processes import affordable_workers, available_cores
from workbench.studies.executors.protocol import Event, Job, ShouldStop, Task, Tell
from workbench.studies.executors.stack_task import Stopped
from workbench.studies.executors.wire import pack_event, unpack_event
from workbench.studies.executors.worker import describe_job, run_task

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
    "RAY_AUTH_MODE": "token",  # a port without a token lets anybody run code
}
ADDRESS = "RAY_ADDRESS"
"""Variable of the environment that names a cluster."""
POLL_SECONDS = 0.05
OBJECT_STORE_BYTES = 100 * 2**20
"""Of a Ray of our own: only results pass through it."""


class RayCluster:
    """Trains in Ray workers."""

    def __init__(self, workers: int | None = None) -> None:
        """Join the cluster of ``RAY_ADDRESS``, or start a Ray here.

        Raises:
            InputError: If Ray isn't installed, ``workers`` is below 1, or the cluster can't be joined.
        """
        if workers is not None and workers < 1:
            raise InputError(f"workers is {workers}; at least 1 is needed")
        self.own = ADDRESS not in os.environ
        self.ray = _start(workers)
        cores = int(self.ray.cluster_resources().get("CPU", 1))
        self.workers = workers or cores
        self.sink = self.ray.remote(num_cpus=0)(_Sink).remote()
        self.body = self.ray.remote(max_retries=0)(_body)

    def execute(self, job: Job, tasks: Sequence[Task], tell: Tell, should_stop: ShouldStop) -> None:
        """Run the tasks; Ray never holds more of them than there are workers."""
        described = self.ray.put(describe_job(job))
        waiting = deque(tasks)
        running: dict[Any, Task] = {}
        try:
            while (waiting or running) and not should_stop():
                while waiting and len(running) < self.workers:
                    task = waiting.popleft()
                    body = self.body.options(num_cpus=1 if self.own else job.threads)
                    running[body.remote(described, asdict(task), self.sink)] = task
                ready, _ = self.ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
                for data in self._progress():
                    tell(unpack_event(data))
                for reference in ready:
                    tell(self._last(reference, running.pop(reference)))
        finally:
            for reference in running:
                self.ray.cancel(reference, force=True)

    def _progress(self) -> list[bytes]:
        errors = self.ray.exceptions
        try:
            return self.ray.get(self.sink.drain.remote(), timeout=10)
        except (errors.RayActorError, errors.GetTimeoutError):
            self.sink = self.ray.remote(num_cpus=0)(_Sink).remote()
            return []  # what was under way is lost to the display, never to the result

    def _last(self, reference: Any, task: Task) -> Event:  # noqa: ANN401 - Ray's own type
        errors = self.ray.exceptions
        try:
            return unpack_event(self.ray.get(reference))
        except errors.RayTaskError as error:
            return Event("error", task, detail=str(error)[-4000:])
        except errors.RayError as error:
            return Event("lost", task, detail=f"Ray lost the worker: {type(error).__name__}")

    def close(self) -> None:
        """Leave the cluster; a Ray of our own ends."""
        self.ray.shutdown()


class _Sink:
    """Keeps what the workers tell until it is asked for; of a task's steps, only the newest matters."""

    def __init__(self) -> None:
        self.kept: dict[object, bytes] = {}

    def put(self, place: object, data: bytes) -> None:
        self.kept[place] = data

    def drain(self) -> list[bytes]:
        kept, self.kept = list(self.kept.values()), {}
        return kept


def _body(described: dict[str, Any], task: dict[str, Any], sink: Any) -> bytes:  # noqa: ANN401 - an actor's handle
    """Train one task in a Ray worker and return the frame of its last event."""
    last: list[bytes] = []

    def tell(event: Event) -> None:
        data = pack_event(event)
        if event.kind in ("started", "step", "note"):
            sink.put.remote((event.task.stack, event.kind if event.kind == "note" else "step"), data)
        else:
            last.append(data)

    try:
        run_task(described, Task(**task), tell, lambda: False)
    except Stopped:
        return pack_event(Event("lost", Task(**task), detail="the task was stopped"))
    return last[0]


def _start(workers: int | None) -> Any:  # noqa: ANN401 - a module
    if "ray" in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        raise InputError(
            "Ray was imported before the workbench could ask it for a token: set RAY_AUTH_MODE=token in the "
            "environment, or don't import ray"
        )
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "the executor ray needs Ray, which isn't installed: pip install -e '.[cluster]'"
        ) from error
    address = os.environ.get(ADDRESS, "local")
    own: dict[str, Any] = {}
    if address == "local":
        count = workers or min(available_cores(), affordable_workers())
        own = {"num_cpus": count, "object_store_memory": OBJECT_STORE_BYTES}
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    before = os.umask(0o077)  # Ray would write its token for everybody to read
    try:
        ray.init(address=address, logging_level=logging.ERROR, **quiet, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"can't join the Ray cluster at {address}: {error}") from error
    finally:
        os.umask(before)
    return ray
