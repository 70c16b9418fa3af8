"""The arithmetic that a study's numbers come from: where it is equal, equal cells have equal bits."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from qlora_kernels import choose
from workbench.devices import card_of
from workbench.models.base import Base

COMPUTING = (
    "config.py",
    "devices.py",
    "data",
    "models",
    "adapters",
    "training",
    "studies/grid.py",
    "studies/stacks.py",
)
"""Source files and folders that decide a cell's numbers."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What a study's numbers depend on beside its cells."""

    name: str
    """Where it is equal, equal cells have equal bits."""
    threads: int
    """Of torch, in each process that trains."""
    used: Mapping[str, Any]
    """What was chosen, with the reasons: JSON values, for people."""


def arithmetic_of(base: Base, data_sha256: str, threads: int) -> Arithmetic:
    """Return the arithmetic of a base, data by their hash, and a number of threads on this machine."""
    used = _used(base, threads)
    content = {
        **{name: value for name, value in used.items() if name not in ("because", "precision_because")},
        "torch": torch.__version__,
        "code": code_digest(),
        "base": base.sha256,
        "data": data_sha256,
    }
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return Arithmetic(name, threads, used)


def _used(base: Base, threads: int) -> dict[str, Any]:
    decoder = base.decoder
    route = choose(decoder.weight("norm"))
    return {
        "device": card_of(decoder.device),
        "path": route.route,
        "because": route.reason,
        "precision": decoder.precision,
        "precision_because": decoder.precision_reason,
        "layers_in_other_precisions": {
            name: precision
            for name, precision in decoder.precisions.items()
            if precision != decoder.precision
        },
        **({"triton": _triton_version()} if route.route == "triton" else {}),
        **({"hold": decoder.hold} if decoder.packed else {}),
        "threads": threads,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def _triton_version() -> str:
    """Return what the module says: the packages that bring it have several names."""
    import triton

    return str(triton.__version__)


@cache
def code_digest() -> str:
    """Return a hash of the source files that decide a cell's numbers."""
    package = Path(__file__).parents[1]
    files = [package / part for part in COMPUTING if part.endswith(".py")]
    folders = [package / part for part in COMPUTING if not part.endswith(".py")]
    if (kernels := find_spec("qlora_kernels")) and kernels.origin:
        folders.append(Path(kernels.origin).parent)
        files += folders[-1].glob("*.json")  # tiles and routes of products decide the order of sums
    found = [(folder, path) for folder in folders for path in folder.rglob("*.py")]
    # the kernels' lab judges them and computes no cell
    files += [path for folder, path in found if path.relative_to(folder).parts[0] != "lab"]
    sha256 = hashlib.sha256()
    for path in sorted(files):
        sha256.update(path.name.encode() + b"\n" + hashlib.sha256(path.read_bytes()).digest())
    return sha256.hexdigest()
