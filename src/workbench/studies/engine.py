"""What trains a study: its executor, and the options of where it trains."""

import math

import torch

from workbench.devices import choose_device, equal_cards
from workbench.errors import InputError
from workbench.studies.defaults import CHECKPOINT_SECONDS
from workbench.studies.executors import make_executor
from workbench.studies.executors.in_process import InProcess
from workbench.studies.executors.protocol import Executor
from workbench.studies.identity import Begun


def check_options(threads: int | None, checkpoint_seconds: float) -> None:
    """Refuse options with which nothing could be trained.

    Raises:
        InputError: If one is out of range.
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; at least 1 is needed: --threads 1")
    if not 0.0 <= checkpoint_seconds < math.inf:
        raise InputError(
            f"{checkpoint_seconds} seconds can't lie between two checkpoints; give 0 or more: "
            f"--checkpoint-every {CHECKPOINT_SECONDS:g}"
        )


def trainer_of(executor: str | Executor, workers: int | None, device: str) -> Executor:
    """Return the executor, made for a device where it is a name.

    Raises:
        InputError: If there is none of the name, it can't be used here, or has another number of workers.
    """
    if isinstance(executor, str):
        return make_executor(executor, workers, equal_cards(choose_device(device).torch))
    if workers not in (None, executor.workers):
        raise InputError(
            f"workers is {workers}, but the executor that was given trains {executor.workers} at once; leave "
            "workers out, or make an executor of so many"
        )
    return executor


def chosen_threads(begun: Begun | None, threads: int | None, executor: Executor) -> int:
    """Return the threads of each process that trains: those asked for, the folder's, or the executor's."""
    if threads is not None:
        return threads
    known = begun.manifest.arithmetic.threads if begun else None
    if known is not None and 1 <= known <= 1024:
        return known
    return torch.get_num_threads() if isinstance(executor, InProcess) else 1
