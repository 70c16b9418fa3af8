"""Climbing a ladder: train what is missing, in order, one process a worker.

The rungs come in steps. The first step has the rungs from which a law can be fitted at all; each later step
has one rung, and before it begins whoever wants to predict is asked to.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.ladder.folder import LadderFolder
from workbench.ladder.rungs import LadderPlan, Run
from workbench.ladder.training import (
    LADDER_SETTINGS,
    Ended,
    Lessons,
    PretrainConfig,
    RunStep,
    lessons,
    train_run,
)
from workbench.studies.disk.lock import locked

FIRST_RUNGS = 3
"""Rungs before the first that is predicted: two leave a law's floor and its exponent one and the same."""
LISTEN_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Climber:
    """How a ladder is climbed.

    Attributes:
        workers: Processes that train at once, one thread each; 1 trains in this one.
        tell: Told how far each run is.
        phase: Told, in words, what is done before and between the steps.
        should_stop: Asked at every step whether to end.
        before_rung: Called with a width before any run of it begins, if none has begun yet.
    """

    workers: int = 1
    tell: Callable[[RunStep], None] = lambda at: None
    phase: Callable[[str], None] = lambda words: None
    should_stop: Callable[[], bool] = lambda: False
    before_rung: Callable[[int], None] = lambda width: None


def climb(
    folder: LadderFolder,
    plan: LadderPlan,
    climber: Climber,
    *,
    settings: PretrainConfig = LADDER_SETTINGS,
    known: Lessons | None = None,
) -> bool:
    """Train the runs of a plan that a folder doesn't have yet; return whether all are done.

    Args:
        folder: Where they are kept.
        plan: What to train.
        climber: How.
        settings: What all runs share.
        known: What they learn; by default the words of lemminflect. Given, all is trained in this process.

    Raises:
        InputError: If the folder holds another ladder, another process writes it, or a run fails.
    """
    import torch

    workers = climber.workers
    if workers < 1:
        raise InputError(f"workers is {workers}; it has to be at least 1")
    if known is not None and workers > 1:
        raise InputError("lessons of your own are learnt in this process: leave workers at 1")
    torch.set_num_threads(settings.threads)
    with locked(folder.path) as lock:
        climber = replace(climber, tell=lock.checked(climber.tell))
        climber.phase("reading the words")
        folder.begin(plan, settings, known or lessons())
        for number, runs in enumerate(steps_of(plan)):
            missing = folder.missing(runs)
            if number and len(missing) == len(runs):
                climber.phase(f"predicting width {runs[0].width}")
                climber.before_rung(runs[0].width)
            if workers == 1 or len(missing) < 2:
                done = _here(folder, missing, climber, settings, known or lessons())
            else:
                done = _in_processes(folder, missing, climber, settings)
            folder.write_table()
            if not done:
                return False
    return True


def steps_of(plan: LadderPlan) -> list[list[Run]]:
    """Return the runs of the first rungs together, then those of each further rung."""
    first, later = plan.widths[:FIRST_RUNGS], plan.widths[FIRST_RUNGS:]
    steps = [[run for width in first for run in plan.runs_of(width)]]
    return steps + [plan.runs_of(width) for width in later]


def _here(
    folder: LadderFolder, runs: Sequence[Run], climber: Climber, settings: PretrainConfig, known: Lessons
) -> bool:
    def on_step(at: RunStep) -> bool:
        climber.tell(at)
        return not climber.should_stop()

    for run in runs:
        climber.phase(f"beginning {run.name}")
        try:
            folder.keep(train_run(run, folder.weights_of(run), known, settings=settings, on_step=on_step))
        except Ended:
            return False
    return True


def shared_out(runs: Sequence[Run], workers: int) -> list[list[Run]]:
    """Return the runs of each worker: the dearest first, each to who has the least to do."""
    shares: list[list[Run]] = [[] for _ in range(min(workers, len(runs)))]
    for run in sorted(runs, key=lambda run: -run.work):
        min(shares, key=lambda share: sum(one.work for one in share)).append(run)
    return shares


def _in_processes(
    folder: LadderFolder, runs: Sequence[Run], climber: Climber, settings: PretrainConfig
) -> bool:
    """Train runs in processes of their own; those that are done are kept whatever happens to the others."""
    climber.phase("starting processes, each of which reads the words")
    context = multiprocessing.get_context("spawn")  # torch's threads don't survive a fork
    ears: list[Connection] = []
    workers = []
    for share in shared_out(runs, climber.workers):
        ear, mouth = context.Pipe(duplex=False)
        worker = context.Process(
            target=_work, args=(str(folder.path), share, settings, mouth, os.getpid()), daemon=True
        )
        worker.start()
        mouth.close()
        ears.append(ear)
        workers.append(worker)
    try:
        while ears:
            if climber.should_stop():
                return False
            for one in wait(ears, LISTEN_SECONDS):
                assert isinstance(one, Connection)
                try:
                    heard: Any = one.recv()
                except EOFError:
                    ears.remove(one)
                    continue
                if isinstance(heard, str):
                    raise InputError(heard)
                climber.tell(heard)
    finally:
        for worker in workers:
            if ears:
                worker.terminate()
            worker.join()
    if any(worker.exitcode for worker in workers):
        codes = ", ".join(str(worker.exitcode) for worker in workers)
        raise InputError(
            f"a process that trained ended too early (exit codes {codes}), perhaps for want of memory; what "
            "is done is kept: the same command goes on, with --workers 1 if memory is short"
        )
    return True


def _work(path: str, runs: Sequence[Run], settings: PretrainConfig, mouth: Connection, parent: int) -> None:
    """Train some runs; what a process of its own does."""
    import torch

    from workbench.memory import keep_freed_memory

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keyboard's signal is for who started this process
    torch.set_num_threads(settings.threads)
    keep_freed_memory()
    folder = LadderFolder(Path(path))
    told = 0.0

    def on_step(at: RunStep) -> bool:
        nonlocal told
        if os.getppid() != parent:  # it is dead: nobody would stop this one any more
            return False
        if at.step == at.steps or time.monotonic() > told + LISTEN_SECONDS:
            told = time.monotonic()
            mouth.send(at)
        return True

    try:
        for run in runs:
            folder.keep(train_run(run, folder.weights_of(run), lessons(), settings=settings, on_step=on_step))
    except InputError as error:
        mouth.send(str(error))
    except (Ended, BrokenPipeError):
        return
