"""Loading a base by its name or its path."""

import re
from collections.abc import Callable
from pathlib import Path

import torch

from workbench.errors import ANOTHER_BASE, InputError, unknown_name
from workbench.fetch import cached
from workbench.models.base import Base
from workbench.models.gguf_reader import load_gguf
from workbench.models.safetensors_folder import load_folder

LOADERS: dict[str, Callable[[Path, str, str, torch.device, str], Base]] = {
    "gguf": load_gguf,
    "safetensors": load_folder,
}
"""By format: (path, name it was asked for by, precision, device, how it is held) -> base."""

ADD_IN = "src/workbench/models/loaders.py"
CLASSROOM = Path(__file__).parent / "classroom" / "classroom.gguf"

NAMES: dict[str, Callable[[], Path]] = {
    "classroom": lambda: CLASSROOM,
    "smollm2-135m": lambda: cached("smollm2-135m"),
}
"""Bases with a name: where the file lies. The first comes with the workbench, others are fetched once."""


def load_base(
    name_or_path: str | Path,
    precision: str = "float32",
    device: torch.device | str = "cpu",
    hold: str = "decoded",
) -> Base:
    """Load a base: a name of :data:`NAMES`, a GGUF file, or a Hugging Face folder.

    Args:
        name_or_path: The base.
        precision: Of its products; see :meth:`Decoder.set_precision`.
        device: Where it is to lie and compute.
        hold: One of ``config.HOLDS``; see ``holding.py``.

    Raises:
        InputError: If there is no such base, it was never fetched, or it can't be used.
    """
    name = str(name_or_path)
    path = NAMES[name]() if name in NAMES else Path(name).expanduser()
    if not path.exists():
        if name in NAMES:
            raise InputError(
                f"{path} is missing, which holds the base {name!r}; install the workbench again from where "
                f"you have it, or {ANOTHER_BASE}."
            )
        hub = ""
        if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            hub = (
                " If it is a model on the Hugging Face Hub, download it first with "
                f"`hf download {name} --local-dir {Path(name).name}` and give that folder."
            )
        raise InputError(
            f"base: there is no file or folder {name!r}; {unknown_name('base', name, NAMES, ADD_IN)} "
            f"Or give a .gguf file or a folder with safetensors.{hub}"
        )
    load = LOADERS["safetensors" if path.is_dir() else "gguf"]
    return load(path, name, precision, torch.device(device), hold)
