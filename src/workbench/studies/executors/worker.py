"""A worker: gets a job and tasks, trains them, sends events.

A local worker reads frames from its standard input and writes frames to its standard output. The end of
its input means: write the checkpoint and end. That is how a runner stops it, and what happens when the
runner is killed, so no orphan goes on training.
"""

import functools
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import IO, Any

import torch

from workbench.errors import InputError
from workbench.studies.executors.protocol import Event, Job, ShouldStop, Task, Tell
from workbench.studies.executors.stack_task import Stopped, train_task
from workbench.studies.executors.wire import LENGTH, pack_event, unpack
from workbench.studies.grid import Study
from workbench.studies.manifest import arithmetic_name
from workbench.studies.plan import plan

PATIENCE_SECONDS = 20.0
"""How long a worker may take to write its checkpoint and end."""


def describe_job(job: Job) -> dict[str, Any]:
    """Return what a worker needs to make the same job, as JSON values."""
    return {
        "study": job.plan.study.to_dict(),
        "folder": str(job.folder.absolute()),
        "arithmetic": job.arithmetic,
        "threads": job.threads,
        "checkpoint_seconds": job.checkpoint_seconds,
        "stacks": [[cell.key() for cell in stack] for stack in job.plan.stacks],
    }


def make_job(described: Mapping[str, Any]) -> Job:
    """Load a job in this process; the same one again costs nothing.

    Raises:
        InputError: If this process would not compute what the runner planned.
    """
    return _make_job(json.dumps(described, sort_keys=True))


@functools.lru_cache(maxsize=1)
def _make_job(text: str) -> Job:
    described = json.loads(text)
    torch.set_num_threads(described["threads"])
    concrete = plan(Study.from_dict(described["study"]))
    if [[cell.key() for cell in stack] for stack in concrete.stacks] != described["stacks"]:
        raise InputError(
            f"a worker read other data or another base than the runner (data {concrete.study.data}, base "
            f"{concrete.study.base}); give both by paths that every worker reads alike"
        )
    arithmetic = arithmetic_name(concrete, described["threads"])
    if arithmetic != described["arithmetic"]:
        raise InputError(
            "a worker would compute other numbers than the runner: its processor, its torch or its workbench "
            "is another one; make the machines equal, or run the study on those that are"
        )
    return Job(
        plan=concrete,
        folder=Path(described["folder"]),
        arithmetic=arithmetic,
        threads=described["threads"],
        checkpoint_seconds=described["checkpoint_seconds"],
    )


def run_task(described: Mapping[str, Any], task: Task, tell: Tell, should_stop: ShouldStop) -> None:
    """Train one task of a described job in this process."""
    try:
        job = make_job(described)
    except InputError as error:
        tell(Event("refused", task, detail=str(error)))
        return
    train_task(job, task, tell, should_stop)


def send(file: IO[bytes], data: bytes) -> None:
    """Write one frame."""
    file.write(LENGTH.pack(len(data)) + data)
    file.flush()


def receive(file: IO[bytes]) -> bytes | None:
    """Read one frame; None at the end."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    data = file.read(length)
    return data if len(data) == length else None


def main() -> None:
    """Serve tasks until the input ends."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not break a frame
    stop = threading.Event()

    def on_terminate(number: int, frame: FrameType | None) -> None:
        stop.set()

    # Ctrl-C reaches every process of a terminal; only the runner decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, on_terminate)
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    described, _ = unpack(receive(sys.stdin.buffer) or b"")
    threading.Thread(target=_read, args=(frames, stop), daemon=True).start()
    while not stop.is_set():
        try:
            value, _ = unpack(frames.get(timeout=0.2))
        except queue.Empty:
            continue
        try:
            run_task(described, Task(**value), lambda event: send(events, pack_event(event)), stop.is_set)
        except (Stopped, BrokenPipeError):
            return


def _read(frames: "queue.SimpleQueue[bytes]", stop: threading.Event) -> None:
    while (frame := receive(sys.stdin.buffer)) is not None:
        frames.put(frame)
    stop.set()
    time.sleep(PATIENCE_SECONDS)
    os._exit(1)  # a step that takes longer isn't waited for
