"""Where a study runs: on this computer's processor or on its graphics card, and how tensors get there.

A device is a place, not another program: the same operators run, by Triton where there is a GPU and by torch
where there is none.
"""

import gc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from qlora_kernels.rows import TRITON_DEVICES
from qlora_kernels.triton_version import INSTALL_TRITON, why_no_triton
from workbench.config import check_device
from workbench.errors import InputError

HAS_BFLOAT16 = (8, 0)
"""The first generation of NVIDIA's cards whose matrix units take bfloat16; older ones take float16."""
REPEATABLE_CUBLAS = ":4096:8"
"""Workspace with which cuBLAS sums in the same order in every run; it is read when its library starts."""


FAILED = (
    "CUDA error",
    "HIP error",
    "CUBLAS_STATUS",
    "CUDNN_STATUS",
    "Triton Error [",
)
"""How messages begin, or what they hold, of a card with which its process can do nothing any more."""
FULL = ("CUDA out of memory", "HIP out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "]: out of memory")
"""The same of a card that had no memory left, which is as it was once that is given back."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that was chosen, and why.

    Attributes:
        torch: As torch knows it.
        card: The GPU's name; None on a processor.
        memory: The GPU's memory in bytes; None on a processor.
        reason: Why this one, in words for a manifest.
    """

    torch: torch.device
    card: str | None
    memory: int | None
    reason: str


def choose_device(name: str = "auto") -> Device:
    """Return the device to use.

    Args:
        name: One of ``config.DEVICES``; "auto" is a GPU where torch can use one and Triton is installed.

    Raises:
        InputError: If the name is unknown, or there is no such device that can be used.
    """
    check_device(name)
    if name == "cpu":
        return Device(torch.device("cpu"), None, None, "asked for")
    missing = why_no_gpu()
    if missing is None:
        return _gpu("asked for" if name == "cuda" else "torch and Triton can use this GPU")
    if name == "cuda":
        raise InputError(f"device 'cuda': {missing}; choose --device cpu, or leave --device out")
    return Device(torch.device("cpu"), None, None, missing)


def why_no_gpu() -> str | None:
    """Say what is missing for a study on a GPU; None where nothing is."""
    if not torch.cuda.is_available():
        if torch.version.cuda is None and torch.version.hip is None:
            return "this torch was built without support for GPUs"
        return "torch finds no GPU that it can use"
    missing = why_no_triton()
    return f"{missing}; {INSTALL_TRITON}" if missing else None


def _gpu(reason: str) -> Device:
    device = torch.device("cuda", torch.cuda.current_device())
    properties = torch.cuda.get_device_properties(device)
    settle_gpu()
    return Device(device, properties.name, properties.total_memory, reason)


def equal_cards(device: torch.device) -> list[int]:
    """Return which of the cards that this process sees are of one kind with a device; none for a processor.

    Cells have equal bits on equal cards alone, so only those work on one study.
    """
    if device.type != "cuda":
        return []
    own = _kind_of_card(torch.cuda.current_device())
    return [number for number in range(torch.cuda.device_count()) if _kind_of_card(number) == own]


def _kind_of_card(number: int) -> tuple[str, int | None]:
    return torch.cuda.get_device_name(number), memory_of(torch.device("cuda", number))


def alone(card: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a process's environment says where it is to see one card and no other.

    A variable that is read when the process starts is the one thing that no library can get around; the card
    is then the process's first, whatever its number here.

    Args:
        card: Its number among those that this process sees.
        environment: Of this process, which may itself see some of the machine's cards alone.
    """
    name = "HIP_VISIBLE_DEVICES" if torch.version.hip else "CUDA_VISIBLE_DEVICES"
    seen = [one.strip() for one in environment.get(name, "").split(",") if one.strip()]
    return {name: seen[card] if seen else str(card)}


def settle_gpu() -> None:
    """Let equal runs on equal cards give equal bits, at some cost in speed."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", REPEATABLE_CUBLAS)
    torch.use_deterministic_algorithms(True)
    # else every new tensor would be filled with NaN first, which is for finding mistakes
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # float32 means float32: no products of 10 bits behind its back
    torch.backends.cuda.matmul.allow_tf32 = False
    # and sums are in float32 to their end
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False


def is_full(error: BaseException) -> bool:
    """Say whether an error means that a card's memory was full."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in FULL)
    )


def has_failed(error: BaseException) -> bool:
    """Say whether an error means that a card has gone: unplugged, reset, or stopped by its driver.

    What a process had on it is lost, and the process can't use a card again; another one can.
    """
    if is_full(error):
        return False
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in FAILED)
    )


def free_what_is_cached() -> None:
    """Give a card's memory back that torch keeps for what comes next."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def card_peak(device: torch.device) -> int | None:
    """Return the most that this process has had allocated on a card; None for a processor."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def card_of(device: torch.device) -> str:
    """Name a device for a record: a GPU by its card."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def memory_of(device: torch.device) -> int | None:
    """Return a card's memory in bytes, in whole quarters of a gibibyte; None on a processor.

    Cards of one kind differ by some megabytes, on which no stack should depend.
    """
    if device.type != "cuda":
        return None
    return torch.cuda.get_device_properties(device).total_memory >> 28 << 28


def has_bfloat16(device: torch.device) -> bool:
    """Say whether a GPU multiplies bfloat16 in its matrix units."""
    if device.type != "cuda" or torch.version.hip:
        return True
    return torch.cuda.get_device_capability(device) >= HAS_BFLOAT16


@cache
def flash_attention(device: torch.device, dtype: torch.dtype) -> bool:
    """Say whether torch's FlashAttention runs there, which serves several query heads by one key head."""
    return device.type == "cuda" and dtype in (torch.bfloat16, torch.float16) and has_bfloat16(device)


def uploaded(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on the device. The processor doesn't wait for a GPU to have it."""
    if device.type not in TRITON_DEVICES or tensor.device == device:
        return tensor.to(device)
    return pinned(tensor).to(device, non_blocking=True)


def pinned(tensor: Tensor) -> Tensor:
    """Return a copy in memory from which a GPU reads by itself."""
    return tensor.pin_memory()
