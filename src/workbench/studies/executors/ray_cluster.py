"""Stacks on a Ray cluster, or on a Ray of our own on this machine.

Plain Ray Core tasks. Ray retries nothing (``max_retries=0``): one policy for every executor, the runner's.
A task carries JSON, and its result comes back as the bytes of a frame. Workers map the files that they see;
to a machine that sees none, the object store brings their bytes. ``RAY_ADDRESS`` names a running cluster;
without it a Ray is started here, while the study is being prepared, and ended with the run.

Source: the Ray 2.60 documentation, "Ray Core", "Token authentication" and "Usage stats".
"""

import logging
import os
import secrets
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.errors import InputError, how_to_install
from workbench.studies.executors.processes import affordable_workers, available_cores
from workbench.studies.executors.protocol import Event, ShouldStop, Task, Tell, TrainingJob, check_workers
from workbench.studies.executors.shipping import leave_card, shipped
from workbench.studies.executors.sink import Sink
from workbench.studies.executors.stack_task import CardFailed, Stopped
from workbench.studies.executors.wire import BadFrame, pack_event, unpack_event
from workbench.studies.executors.worker import run_task
from workbench.studies.states import GOING_ON

RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
    "RAY_AUTH_MODE": "token",  # a port without a token lets anybody run code
    "RAY_worker_niceness": "0",  # Ray's own 15 lets every other process of the machine go first
}
ADDRESS = "RAY_ADDRESS"
"""Variable of the environment that names a cluster."""
TOKEN = "RAY_AUTH_TOKEN"
"""Variable of the environment that holds a cluster's token; Ray's own file is for clusters that last."""
STARTS = 3
"""How often a Ray of our own is tried to be started."""
POLL_SECONDS = 0.05
OBJECT_STORE_BYTES = 100 * 2**20
"""Of a Ray of our own: only results pass through it."""


class RayCluster:
    """Trains in Ray workers."""

    def __init__(self, workers: int | None = None, cards: Sequence[int] = ()) -> None:
        """Begin to join the cluster of ``RAY_ADDRESS``, or to start a Ray here; it goes on in the background.

        With ``cards`` every task asks Ray for one. Which one that is, Ray says to its worker, and it keeps
        its own count; of a Ray of our own it is as many as there are here.

        Raises:
            InputError: If Ray isn't installed or was imported without a token, or ``workers`` is below 1 or
                above the number of cards of a Ray of our own.
        """
        self.own = ADDRESS not in os.environ
        check_workers(workers, len(cards) if self.own else 0)
        _check_importable()
        self._asked, self._cards = workers, len(cards)
        self._tries = 0
        self._begin()
        self._sink: Any = None

    def _begin(self) -> None:
        # the thread outlives the start: Linux ends what a thread has started when the thread ends
        self._background = ThreadPoolExecutor(1)
        self._ray: Future[Any] = self._background.submit(_start, self._asked, self._cards)
        self._tries += 1

    @property
    def ray(self) -> Any:  # noqa: ANN401 - a module
        """Ray itself, once it is ready.

        Raises:
            InputError: If it doesn't start, or the cluster can't be joined.
        """
        while self.own and self._ray.exception() and self._tries < STARTS:
            # Ray gives itself 30 s, which a busy machine can miss while the study is being prepared
            self._background.shutdown()
            self._begin()
        return self._ray.result()

    @property
    def workers(self) -> int:
        """How many tasks it runs at once."""
        counted = "GPU" if self._cards else "CPU"
        return self._asked or int(self.ray.cluster_resources().get(counted, 1))

    def options(self, threads: int) -> dict[str, Any]:
        """Return what a task asks Ray for; a worker that has used a card is never used again."""
        wanted: dict[str, Any] = {"max_retries": 0, "num_cpus": 1 if self.own else threads}
        return {**wanted, "num_gpus": 1, "max_calls": 1} if self._cards else wanted

    def execute(self, job: TrainingJob, tasks: Sequence[Task], tell: Tell, should_stop: ShouldStop) -> None:
        """Run the tasks; Ray never holds more of them than there are workers."""
        ray = self.ray
        body = ray.remote(**self.options(job.threads))(_body)
        self._sink = self._new_sink()
        progress = self._sink.drain.remote()
        waiting = deque(tasks)
        running: dict[Any, Task] = {}
        with shipped(job) as description:
            given, files = ray.put(description), self._shipped(description)
            leave_card(job)
            try:
                while (waiting or running) and not should_stop():
                    while waiting and len(running) < self.workers:
                        task = waiting.popleft()
                        running[body.remote(given, files, asdict(task), self._sink)] = task
                    told = [*running, progress]
                    ready, _ = ray.wait(told, num_returns=len(told), timeout=POLL_SECONDS)
                    if progress in ready:
                        for data in self._told(progress):
                            tell(unpack_event(data))
                        progress = self._sink.drain.remote()
                    for reference in ready:
                        if reference in running:
                            tell(self._last(reference, running.pop(reference)))
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)

    def _shipped(self, description: dict[str, Any]) -> dict[str, Any]:
        """Put the job's files into the object store, for machines that don't see them; by SHA-256."""
        files = [] if self.own else [description[part] for part in ("prepared", "base")]
        return {
            file["sha256"]: self.ray.put(Path(file["path"]).read_bytes())
            for file in files
            if Path(file["path"]).is_file()
        }

    def _new_sink(self) -> Any:  # noqa: ANN401 - an actor's handle
        return self.ray.remote(num_cpus=0)(Sink).remote()

    def _told(self, progress: Any) -> list[bytes]:  # noqa: ANN401 - Ray's own type
        try:
            return self.ray.get(progress)
        except self.ray.exceptions.RayActorError:
            self._sink = self._new_sink()
            return []  # what was under way is lost to the display, never to the result

    def _last(self, reference: Any, task: Task) -> Event:  # noqa: ANN401 - Ray's own type
        errors = self.ray.exceptions
        try:
            return unpack_event(self.ray.get(reference))
        except errors.RayTaskError as error:
            return Event("error", task, detail=str(error)[-4000:])
        except errors.RayError as error:
            return Event("lost", task, detail=f"Ray lost the worker: {type(error).__name__}")
        except BadFrame as error:
            return Event("lost", task, detail=f"a Ray worker sent {error}")

    def close(self) -> None:
        """Leave the cluster; end it if it is ours."""
        if self._ray.exception() is None:
            self.ray.shutdown()
        self._background.shutdown()


def _body(description: dict[str, Any], files: dict[str, Any], task: dict[str, Any], sink: Any) -> bytes:  # noqa: ANN401 - an actor's handle
    """Train one task in a Ray worker and return the frame of its last event."""
    import ray

    last: list[bytes] = []

    def tell(event: Event) -> None:
        data = pack_event(event)
        if event.kind in GOING_ON:
            sink.put.remote((event.task.stack, event.kind if event.kind == "note" else "step"), data)
        else:
            last.append(data)

    def fetch(sha256: str) -> bytes | None:
        return ray.get(files[sha256]) if sha256 in files else None

    try:
        run_task(description, Task(**task), tell, lambda: False, fetch)
    except Stopped:
        return pack_event(Event("lost", Task(**task), detail="the task was stopped"))
    except CardFailed as error:
        return pack_event(Event("lost", Task(**task), detail=f"the card failed: {error}"))
    return last[0]


def import_torch_early() -> None:
    """Do nothing in a Ray worker, which has imported this module and torch with it to get here."""


def _check_importable() -> None:
    if find_spec("ray") is None:
        raise InputError(
            f"the executor ray needs Ray, which isn't installed; run {how_to_install('cluster')}"
        )
    if "ray" in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        raise InputError(
            "Ray was imported before the workbench could ask it for a token: set RAY_AUTH_MODE=token in the "
            "environment, or don't import ray"
        )


def _start(workers: int | None, cards: int) -> Any:  # noqa: ANN401 - a module
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    address = os.environ.get(ADDRESS, "local")
    own: dict[str, Any] = {}
    if address == "local":
        os.environ.setdefault(TOKEN, secrets.token_hex(32))
        count = workers or cards or min(available_cores(), affordable_workers())
        own = {"num_cpus": count, "num_gpus": cards, "object_store_memory": OBJECT_STORE_BYTES}
    import ray

    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
    try:
        ray.init(address=address, logging_level=logging.ERROR, **quiet, **own)
    except Exception as error:  # Ray has no kind of its own for a start that failed
        what = "start Ray on this machine" if own else f"join the Ray cluster at {address}"
        raise InputError(f"can't {what}: {error}; --executor processes needs no Ray") from error
    if own:
        # workers import torch while the runner prepares the study
        importing = ray.remote(max_retries=0)(import_torch_early)
        for _ in range(own["num_cpus"]):
            importing.remote()
    return ray
