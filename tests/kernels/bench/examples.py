"""What an operator of the bench is run at: sizes, and tensors of these sizes."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor, quantize


@dataclass(frozen=True)
class Size:
    """How large the example is."""

    tokens: int
    width: int
    rank: int = 16
    words: int = 32_768
    dtype: torch.dtype = torch.bfloat16
    device: str = "cpu"


TRAINING = Size(tokens=2048, width=2048)
SMALL = Size(tokens=256, width=256, words=1000)

Example = Callable[[], tuple[Tensor, ...]]
"""Runs the operator's Triton twin once, forward and backward; returns the result and the gradients."""


def learned(size: Size, *shape: int, learns: bool = True) -> Tensor:
    """Normal numbers of the size's type on its device, that get a gradient unless told not to."""
    tensor = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) / shape[-1] ** 0.5
    return tensor.to(size.device, size.dtype).requires_grad_(learns)


def with_gradients(y: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    """Run the backward pass too: the result and the gradients of what learns."""
    return y.detach(), *torch.autograd.grad(y, leaves, torch.ones_like(y))


@functools.cache
def packed(format: str, size: Size) -> QuantizedTensor:
    """Return a square weight in a format; what takes long is made once."""
    return quantize(learned(size, size.width, size.width, learns=False), format)
