"""A worker: gets a job and tasks, trains them, sends events.

A local worker reads frames from its standard input and writes frames to its standard output. The end of
its input means: write the checkpoint and end. That is how a runner stops it, and what happens when the
runner is killed, so no orphan goes on training.
"""

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import IO, Any

from workbench.errors import InputError
from workbench.studies.executors.protocol import Event, ShouldStop, Task, Tell
from workbench.studies.executors.shipping import Fetch, fetch_nothing, make_job
from workbench.studies.executors.stack_task import CardFailed, Stopped, train_task
from workbench.studies.executors.wire import LENGTH, frame_length, pack_event, unpack

PATIENCE_SECONDS = 20.0
"""How long a worker may take to write its checkpoint and end."""
CARD_FAILED = 70
"""Status with which a worker ends whose card has gone."""


def run_task(
    description: Mapping[str, Any],
    task: Task,
    tell: Tell,
    should_stop: ShouldStop,
    fetch: Fetch = fetch_nothing,
) -> None:
    """Train one task of a described job in this process."""
    try:
        job = make_job(description, fetch)
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
    length = frame_length(head)
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
    description, _ = unpack(receive(sys.stdin.buffer) or b"")
    threading.Thread(target=_read, args=(frames, stop), daemon=True).start()
    while not stop.is_set():
        try:
            value, _ = unpack(frames.get(timeout=0.2))
        except queue.Empty:
            continue
        try:
            run_task(description, Task(**value), lambda event: send(events, pack_event(event)), stop.is_set)
        except (Stopped, BrokenPipeError):
            return
        except CardFailed as error:
            # the end of the output says the rest: the runner starts another process for the task
            detail = f"{error}; the stack goes on from its checkpoint in a new process"
            send(events, pack_event(Event("note", Task(**value), detail=f"the card failed: {detail}")))
            os._exit(CARD_FAILED)  # its library may wait for the card for ever


def _read(frames: "queue.SimpleQueue[bytes]", stop: threading.Event) -> None:
    while (frame := receive(sys.stdin.buffer)) is not None:
        frames.put(frame)
    stop.set()
    time.sleep(PATIENCE_SECONDS)
    os._exit(1)  # a step that takes longer isn't waited for
