"""The weights of the SmolLM2 GGUF, for tests that want real ones; they skip where it was not fetched."""

import os
from pathlib import Path

import gguf
import numpy as np
import pytest

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def real_file() -> Path:
    """Where `workbench fetch smollm2-135m` puts the file; skips the test where it isn't."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lora-scaling-workbench"
    path = Path(os.environ.get("WORKBENCH_CACHE") or user).expanduser() / "fetched" / FILE
    if not path.is_file():
        pytest.skip(f"{FILE} is not in the cache; run `workbench fetch smollm2-135m` once")
    return path


def real_tensors() -> list[tuple[str, str, tuple[int, ...], np.ndarray]]:
    """Name, format, decoded shape and bytes of every quantized tensor."""
    return [
        (t.name, t.tensor_type.name.lower(), tuple(int(n) for n in reversed(t.shape)), np.asarray(t.data))
        for t in gguf.GGUFReader(real_file()).tensors
        if t.tensor_type.name != "F32"
    ]
