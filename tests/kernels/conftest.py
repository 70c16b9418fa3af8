"""Make the proof bench importable as ``bench`` and keep Triton's compilations in one folder of this run."""

import importlib
import os
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))
importlib.import_module("bench.unwrapped")

assert os.environ.get("TRITON_INTERPRET", "0") != "1", (
    "unset TRITON_INTERPRET: these tests interpret and compile the same kernels in one process"
)


@pytest.fixture(autouse=True, scope="session")
def triton_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache from an earlier run must not be able to hide a compiler failure."""
    os.environ["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton-cache"))


@pytest.fixture
def rng() -> torch.Generator:
    """Every test draws from its own generator, the same on every machine."""
    return torch.Generator().manual_seed(20261122)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the shape annotations off, to meet the errors that a user meets."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
