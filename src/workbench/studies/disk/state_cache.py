"""The frozen lower blocks' output for a study's examples, kept on disk for the next run of the same study.

A run that goes on, a replay or a notebook that is run again needs the same states again; on a model of a
hundred million weights they are most of the time before the first step. What they depend on names the file:
the base, the tokens, how many blocks, and the arithmetic. The oldest files make room within a budget.
"""

import hashlib
import os
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from workbench.data.batches import Pool
from workbench.errors import InputError
from workbench.files import cache_folder, write_atomically
from workbench.models.base import Base
from workbench.studies.arithmetic import arithmetic_of
from workbench.training.loop import Frozen, freeze

BUDGET = 2 * 2**30
"""Most bytes that all kept states may take on disk together."""


def states_folder() -> Path:
    """Return where states are kept; safe to delete."""
    return cache_folder() / "states"


def freeze_once(base: Base, pool: Pool, first: int) -> Frozen:
    """Return what :func:`workbench.training.loop.freeze` does, to the bit, computed at most once."""
    if first == 0:
        return freeze(base.decoder, pool, first)
    path = states_folder() / f"{_name(base, pool, first)}.safetensors"
    shape = (len(pool.tokens), base.decoder.config.width)
    states = _read(path, shape, base.decoder.dtype)
    if states is not None:
        os.utime(path)  # the last used goes last
        return Frozen(base.decoder, pool, first, states.to(base.decoder.device))
    frozen = freeze(base.decoder, pool, first)
    assert frozen.states is not None
    try:
        _write(path, frozen.states.cpu())
    except InputError as error:
        warnings.warn(f"the next run computes the frozen blocks again: {error}", stacklevel=2)
    return frozen


def _name(base: Base, pool: Pool, first: int) -> str:
    tokens = hashlib.sha256(pool.tokens.numpy().tobytes() + pool.lengths.numpy().tobytes()).hexdigest()
    return f"{arithmetic_of(base, tokens, torch.get_num_threads()).name}-{first}"


def _read(path: Path, shape: tuple[int, int], dtype: torch.dtype) -> Tensor | None:
    """Return the states in a file; None where there is none, or one that was damaged."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            states, sha256 = file.get_tensor("states"), (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    whole = (tuple(states.shape), states.dtype) == (shape, dtype) and sha256 == _sha256(states)
    return states if whole else None


def _write(path: Path, states: Tensor) -> None:
    if states.nbytes > BUDGET:
        return
    kept = sorted(path.parent.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
    while kept and sum(file.stat().st_size for file in kept) + states.nbytes > BUDGET:
        kept.pop(0).unlink()
    write_atomically(path, save({"states": states}, metadata={"sha256": _sha256(states)}))


def _sha256(states: Tensor) -> str:
    return hashlib.sha256(states.contiguous().view(torch.uint8).numpy().data).hexdigest()
