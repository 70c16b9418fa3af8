"""Checkpoints of a stack in mid-training: resumed, it ends in the numbers of an undisturbed run.

A checkpoint is a safetensors file in the study's folder, replaced whole. It names the cells, the arithmetic
and a hash of its tensors, so a damaged or foreign one costs time and never a wrong number.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.studies.defaults import CHECKPOINT_SECONDS
from workbench.training.loop import TrainState

CHECKPOINTS = "checkpoints"


class Checkpoint:
    """The checkpoint of one stack; :meth:`write` is cheap to call and writes only now and then."""

    def __init__(
        self, folder: Path, cells: Sequence[CellConfig], arithmetic: str, every: float = CHECKPOINT_SECONDS
    ) -> None:
        """Prepare for a stack.

        Args:
            folder: The study's folder.
            cells: The stack.
            arithmetic: Names what the numbers depend on beside the cells; see ``studies/arithmetic.py``.
            every: Seconds between two checkpoints.
        """
        self.identity = {"cells": _names(cells), "arithmetic": arithmetic}
        self.path = _path(folder, cells)
        self.every = every
        self.written = time.monotonic()

    def due(self) -> bool:
        """Say whether the last one is old enough for another."""
        return time.monotonic() - self.written >= self.every

    def write(self, state: TrainState) -> None:
        """Replace the checkpoint.

        Raises:
            InputError: If the disk is full or can't be written; the old checkpoint stays.
        """
        tensors = {name: tensor.detach().contiguous() for name, tensor in state.tensors().items()}
        write_atomically(self.path, save(tensors, {**self.identity, "sha256": _digest(tensors)}))
        self.written = time.monotonic()

    def read(self) -> TrainState | None:
        """Return the state to go on from, or None if there is none.

        Raises:
            InputError: If the file is damaged, or was written for other cells or by other arithmetic.
        """
        if not self.path.is_file():
            return None
        metadata, tensors = _load(self.path)
        for part, wanted in self.identity.items():
            if metadata.get(part) != wanted:
                raise InputError(f"the checkpoint {self.path.name} is of other {part}")
        if metadata.get("sha256") != _digest(tensors):
            raise InputError(f"the checkpoint {self.path.name} is damaged: its hash is another")
        return TrainState.from_tensors(tensors)


def remove_checkpoint(folder: Path, cells: Sequence[CellConfig]) -> None:
    """Delete the checkpoint of a stack, if there is one."""
    _path(folder, cells).unlink(missing_ok=True)


def _path(folder: Path, cells: Sequence[CellConfig]) -> Path:
    name = hashlib.sha256(_names(cells).encode()).hexdigest()[:16]
    return folder / CHECKPOINTS / f"{name}.safetensors"


def _names(cells: Sequence[CellConfig]) -> str:
    return " ".join(cell.key() for cell in cells)


def _load(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"the checkpoint {path.name} is damaged: {error}") from error


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
