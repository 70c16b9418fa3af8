"""Worker processes on this machine: one stack each, as many as cores and memory allow, or one for each card.

A worker that is killed, or that runs out of memory, costs its own stack's time and nothing else.
"""

import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from workbench.devices import alone
from workbench.studies.executors.protocol import Event, ShouldStop, Task, Tell, TrainingJob, check_workers
from workbench.studies.executors.shipping import leave_card, shipped
from workbench.studies.executors.wire import LENGTH, BadFrame, frame_length, pack_frame, unpack_event
from workbench.studies.executors.worker import PATIENCE_SECONDS, send
from workbench.studies.states import GOING_ON

PROGRAM = "from workbench.studies.executors.worker import main; main()"
SPARE = 0.8
"""Share of the free memory that workers may take together."""


@dataclass(slots=True)
class _Worker:
    process: "subprocess.Popen[bytes]"
    task: Task
    card: int | None = None
    """The one card that it sees; None where it trains on the processor."""
    received: bytearray = field(default_factory=bytearray)

    def frames(self) -> list[bytes]:
        """Cut off the whole frames that have been received.

        Raises:
            BadFrame: If what was received is something else.
        """
        whole = []
        while len(self.received) >= LENGTH.size:
            end = LENGTH.size + frame_length(self.received)
            if len(self.received) < end:
                break
            whole.append(bytes(self.received[LENGTH.size : end]))
            del self.received[:end]
        return whole


class Processes:
    """Trains in child processes."""

    def __init__(self, workers: int | None = None, cards: Sequence[int] = ()) -> None:
        """Take so many workers, or one for each card, or without cards for each core of this process.

        Raises:
            InputError: If ``workers`` is below 1 or above the number of cards.
        """
        check_workers(workers, len(cards))
        self.workers = workers or len(cards) or available_cores()
        self.running: dict[int, _Worker] = {}
        self.on_cards = bool(cards)
        self.free_cards = deque(cards)

    def execute(self, job: TrainingJob, tasks: Sequence[Task], tell: Tell, should_stop: ShouldStop) -> None:
        """Run the tasks, the next one wherever a worker is free."""
        waiting = deque(tasks)
        limit = min(self.workers, affordable_workers(), len(waiting))
        with shipped(job) as description, selectors.DefaultSelector() as selector:
            leave_card(job)
            try:
                while (waiting or self.running) and not should_stop():
                    while waiting and len(self.running) < limit:
                        self._start(description, waiting.popleft(), job.threads, selector)
                    for key, _ in selector.select(timeout=0.2):
                        self._hear(key.data, waiting, tell, selector)
            finally:
                self.close()

    def _start(
        self, description: dict[str, Any], task: Task, threads: int, selector: selectors.BaseSelector
    ) -> None:
        card = self.free_cards.popleft() if self.on_cards else None
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), **_seeing(card)},
        )
        assert process.stdin
        assert process.stdout
        worker = _Worker(process, task, card)
        self.running[process.pid] = worker
        selector.register(process.stdout, selectors.EVENT_READ, worker)
        _give(worker, pack_frame(description))
        _give(worker, pack_frame(asdict(task)))

    def _hear(
        self, worker: _Worker, waiting: "deque[Task]", tell: Tell, selector: selectors.BaseSelector
    ) -> None:
        """Read what one worker has sent, and give it the next task after its last event."""
        assert worker.process.stdout
        data = os.read(worker.process.stdout.fileno(), 1 << 20)
        if not data:
            self._forget(worker, selector)
            tell(Event("lost", worker.task, detail=_end(worker.process)))
            return
        worker.received += data
        try:
            events = [unpack_event(frame) for frame in worker.frames()]
        except BadFrame as error:
            self._forget(worker, selector)
            worker.process.kill()
            _end(worker.process)
            tell(Event("lost", worker.task, detail=f"the worker {worker.process.pid} sent {error}"))
            return
        for event in events:
            last = event.kind not in GOING_ON
            if last and waiting:
                worker.task = waiting.popleft()
                _give(worker, pack_frame(asdict(worker.task)))
            elif last:
                self._forget(worker, selector)
                _finish([worker])
            tell(event)

    def _forget(self, worker: _Worker, selector: selectors.BaseSelector) -> None:
        selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        del self.running[worker.process.pid]
        self._give_back(worker)

    def _give_back(self, worker: _Worker) -> None:
        """Let the next worker have the card; it is started once this one's process has ended."""
        if worker.card is not None:
            self.free_cards.append(worker.card)

    def close(self) -> None:
        """Ask what still runs to write its checkpoint and end, and wait for it."""
        left = list(self.running.values())
        self.running.clear()
        for worker in left:
            assert worker.process.stdin
            with suppress(BrokenPipeError):
                worker.process.stdin.close()
            worker.process.stdin = None  # communicate() would flush it
            self._give_back(worker)
        _finish(left)


def _seeing(card: int | None) -> dict[str, str]:
    return {} if card is None else alone(card, os.environ)


def _give(worker: _Worker, data: bytes) -> None:
    assert worker.process.stdin
    try:
        send(worker.process.stdin, data)
    except BrokenPipeError:
        return  # it has just died: the end of its output says so, and the task is told as lost


def _finish(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        assert worker.process.stdout
        try:
            worker.process.communicate(timeout=PATIENCE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.communicate()


def _end(process: "subprocess.Popen[bytes]") -> str:
    code = process.wait()
    if code >= 0:
        return f"the worker process {process.pid} ended by itself with status {code}"
    name = signal.Signals(-code).name
    often = "; the system does that when memory is short" if name == "SIGKILL" else ""
    return f"the worker process {process.pid} was ended by {name}{often}"


def available_cores() -> int:
    """Return the cores that this process may use; not every system says."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def affordable_workers() -> int:
    """Return how many processes as large as this one now is fit into the free memory; at least 1.

    The runner has loaded and prepared the same study, so it is as large as a worker will be.
    """
    one = psutil.Process().memory_info().rss
    return max(1, int(SPARE * psutil.virtual_memory().available / one))
