"""What the operators on rows share: which route runs, how a tensor becomes rows, and clear refusals."""

from math import prod
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from qlora_kernels.triton_version import require_triton

Backend = Literal["auto", "triton", "fused", "decoded", "torch", "reference"]
"""What a caller may ask for. "fused" and "decoded" are Triton with one of its products with a packed weight:
decoding tile by tile as it multiplies, or once before; "triton" leaves that to the table."""
Context = Any
"""What autograd hands from an operator's forward to its backward; any attribute may be set on it."""

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)

TRITON_DEVICES = {"cuda"}
"""Types of device for which "auto" is Triton; ROCm answers to "cuda", and tests add one that they make up."""


def route(backend: str, tensor: Tensor) -> str:
    """Name the route that runs: "auto" is Triton on a GPU and PyTorch elsewhere, a name forces it."""
    if backend not in (known := get_args(Backend)):
        raise ValueError(f"unknown backend {backend!r}. Known: {', '.join(known)}.")
    if backend in ("fused", "decoded"):
        backend = "triton"
    chosen = ("triton" if on_gpu(tensor) else "torch") if backend == "auto" else backend
    if chosen == "triton" and tensor.dtype == torch.float64:
        raise ValueError("the Triton kernels compute in float32; give float64 tensors to backend='torch'")
    if chosen == "triton":
        require_triton()
    return chosen


def on_gpu(tensor: Tensor) -> bool:
    """Say whether the tensor lies where Triton's kernels run."""
    return tensor.device.type in TRITON_DEVICES


def as_rows(tensor: Tensor) -> Tensor:
    """View the tensor as a matrix whose rows are contiguous; copy it only if it can't be viewed so."""
    rows = tensor.reshape(prod(tensor.shape[:-1]), tensor.shape[-1])  # -1 is refused for rows of nothing
    return rows if rows.stride(1) == 1 or rows.shape[1] == 1 else rows.contiguous()


def widened(tensor: Tensor) -> Tensor:
    """Convert to float32, unless it is wider already: the type in which the CPU routes compute."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def power_of_two(number: int) -> int:
    """Round up to a power of two: Triton's blocks come in these sizes."""
    return 1 << max(0, number - 1).bit_length()


def require_float(operator: str, **tensors: Tensor) -> None:
    """Refuse tensors that aren't floating point, or not all of one type and on one device."""
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            raise ValueError(f"{operator}: {name} is {tensor.dtype}; a floating-point type is needed")
        if (tensor.dtype, tensor.device) != (first.dtype, first.device):
            raise ValueError(
                f"{operator}: {name} is {tensor.dtype} on {tensor.device}, {first_name} is {first.dtype} "
                f"on {first.device}; convert one of them"
            )
