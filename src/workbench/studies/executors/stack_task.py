"""One task, the same in every process: go on from a checkpoint if there is one, train, tell."""

import math
import time
import traceback

from workbench.devices import free_what_is_cached, has_failed, is_full
from workbench.errors import InputError
from workbench.studies.card_errors import first_line
from workbench.studies.disk.checkpoints import Checkpoint
from workbench.studies.executors.protocol import Event, ShouldStop, Task, Tell, TrainingJob, Watcher
from workbench.studies.states import EventKind
from workbench.training.loop import TrainState
from workbench.training.run_stack import run_stack


class Stopped(Exception):
    """Leaves a stack that is training, because the run was asked to stop; its checkpoint is written."""


class CardFailed(Exception):
    """Says that the card has gone: this process can't train on one any more."""


class _ListenerFailed(Exception):
    """Carries what ``tell`` raised out of the training, so that no cell is blamed for it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def train_task(
    job: TrainingJob, task: Task, tell: Tell, should_stop: ShouldStop, watcher: Watcher | None = None
) -> None:
    """Train one stack and tell what happens, up to the last event.

    Raises:
        Stopped: If ``should_stop`` said yes.
        CardFailed: If the card has gone; the task then has no last event.
    """
    cells = job.stacks[task.stack]
    checkpoint = Checkpoint(job.folder, cells, job.arithmetic, job.checkpoint_seconds)
    started = time.monotonic()
    if should_stop():
        raise Stopped

    def on_step(state: TrainState) -> None:
        losses = [float(loss) for loss in state.losses[state.step - 1]]
        known = tuple(loss if math.isfinite(loss) else None for loss in losses)
        try:
            tell(Event("step", task, step=state.step, losses=known))
            if watcher:
                watcher(job, cells, state)
        except Exception as error:
            raise _ListenerFailed(error) from error
        stop = should_stop()
        if stop or checkpoint.due():
            checkpoint.write(state)
        if stop:
            raise Stopped

    tell(Event("started", task))
    try:
        start = _start(checkpoint, task, tell)
        results = run_stack(job.prepared, cells, on_step, start, job.branched[task.stack])
    except Stopped:
        raise
    except _ListenerFailed as failure:
        raise failure.cause from None
    except InputError as error:
        tell(Event("refused", task, detail=str(error)))
    except Exception as error:
        if has_failed(error):
            raise CardFailed(first_line(error)) from error
        kind: EventKind = "full" if is_full(error) else "error"
        tell(Event(kind, task, detail=first_line(error) if kind == "full" else _described(error)))
        # what the error's own frames held on the card
        error.__traceback__ = None
        free_what_is_cached()
    else:
        tell(Event("result", task, results=results, seconds=time.monotonic() - started))


def _start(checkpoint: Checkpoint, task: Task, tell: Tell) -> TrainState | None:
    try:
        return checkpoint.read()
    except InputError as error:
        tell(Event("note", task, detail=f"{error}; the stack starts from its first step"))
        return None


def _described(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))[-4000:]
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        return f"there was not enough memory; choose a smaller batch size or rank, or fewer workers\n{text}"
    return text
