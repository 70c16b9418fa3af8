"""Where the parts run: on a GPU with the real sizes, or, as a rehearsal, on the CPU with tiny ones."""

import contextlib
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from gpucheck.record import ROOT, Record, commit, today

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part runs."""

    device: torch.device
    rehearsal: bool = False
    """Whether sizes are tiny and times mean nothing."""

    def pick(self, real: T, tiny: T) -> T:
        """Return what a part does on a GPU, or what it rehearses with."""
        return tiny if self.rehearsal else real

    @property
    def cuda(self) -> bool:
        """Whether it is a GPU; ROCm answers to the same name."""
        return self.device.type == "cuda"

    @property
    def half(self) -> torch.dtype:
        """The 16-bit type that the place computes in: bfloat16 where its GPU has it."""
        return torch.float16 if self.cuda and not torch.cuda.is_bf16_supported(False) else torch.bfloat16

    def synchronize(self) -> None:
        """Wait until all work that was handed to the device is done."""
        if self.cuda:
            torch.cuda.synchronize(self.device)

    @contextlib.contextmanager
    def kernels(self) -> Iterator[None]:
        """Let the Triton kernels run in the block: on a CPU in the interpreter of the proof bench."""
        if self.cuda:
            yield
            return
        bench = str(ROOT / "tests" / "kernels")
        if bench not in sys.path:
            sys.path.append(bench)
        from qlora_kernels.lab.interpreter import interpreted

        with interpreted():
            yield


def chosen_place(rehearse: bool) -> Place:
    """Return the GPU, or the CPU for a rehearsal.

    Raises:
        RuntimeError: If a GPU is wanted and PyTorch sees none.
    """
    if rehearse:
        return Place(torch.device("cpu"), rehearsal=True)
    if not torch.cuda.is_available():
        raise RuntimeError(f"torch {torch.__version__} sees no CUDA or ROCm device")
    return Place(torch.device("cuda", 0))


def header(place: Place) -> Record:
    """Return what a record begins with: the card, and the versions of all that decides over times."""
    return {
        "card": torch.cuda.get_device_name(place.device) if place.cuda else "CPU",
        "rehearsal": place.rehearsal,
        "driver": _driver() if place.cuda else None,
        "memory_bytes": torch.cuda.get_device_properties(place.device).total_memory if place.cuda else None,
        "torch": torch.__version__,
        "triton": _triton(),
        "cuda": torch.version.cuda or torch.version.hip,
        "python": platform.python_version(),
        "date": today(),
        "commit": commit(),
    }


def _triton() -> str | None:
    try:
        import triton
    except ImportError:
        return None
    return triton.__version__


def _driver() -> str | None:
    """Return the driver's version as the vendor's tool tells it; None where there is no such tool."""
    import subprocess

    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.splitlines()[0].strip() if done.stdout.strip() else None
