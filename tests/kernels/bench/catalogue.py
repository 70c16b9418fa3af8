"""Every operator of the package, called forward and backward at a given size: what the bench runs over.

To put a new operator under the budgets, the traffic table and the hardware grid, add one function here.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor, quantize
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.linear_cross_entropy import linear_cross_entropy
from qlora_kernels.quantize_triton import launch_pack
from qlora_kernels.rms_norm import rms_norm
from qlora_kernels.rope import rope, rope_angles
from qlora_kernels.swiglu import swiglu


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


def _drawn(size: Size, *shape: int, learns: bool = True) -> Tensor:
    tensor = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) / shape[-1] ** 0.5
    return tensor.to(size.device, size.dtype).requires_grad_(learns)


def _with_gradients(y: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    return y.detach(), *torch.autograd.grad(y, leaves, torch.ones_like(y))


def _rms_norm(size: Size) -> Example:
    x, weight = _drawn(size, size.tokens, size.width), _drawn(size, size.width)
    return lambda: _with_gradients(rms_norm(x, weight, backend="triton"), x, weight)


def _rope(layout: str) -> Callable[[Size], Example]:
    def example(size: Size) -> Example:
        x = _drawn(size, size.tokens, size.width // 64, 64)
        angles = rope_angles(torch.arange(size.tokens, device=size.device), 64)
        return lambda: _with_gradients(rope(x, *angles, layout=layout, backend="triton"), x)

    return example


def _quantize(format: str) -> Callable[[Size], Example]:
    def example(size: Size) -> Example:
        numbers, packed = _drawn(size, size.width, size.width, learns=False).float(), _packed(format, size)

        def run() -> tuple[Tensor, ...]:
            # past the check of the result, which means nothing when launches are only recorded
            stored = launch_pack(numbers, format, packed.block_size)
            return *stored.tensors().values(), packed.dequantize(size.dtype, backend="triton")

        return run

    return example


def _lora_linear(format: str, cells: int) -> Callable[[Size], Example]:
    def example(size: Size) -> Example:
        weight = _packed(format, size)
        x = _drawn(size, size.tokens, size.width)
        a, b = _drawn(size, cells, size.rank, size.width), _drawn(size, cells, size.width, size.rank)
        segments = torch.linspace(0, size.tokens, cells + 1).long()
        scale = torch.ones(cells, device=size.device)
        return lambda: _with_gradients(
            grouped_lora_linear(x, weight, a, b, scale, segments, backend="triton"), x, a, b
        )

    return example


@functools.cache
def _packed(format: str, size: Size) -> QuantizedTensor:
    return quantize(_drawn(size, size.width, size.width, learns=False), format)


def _swiglu(size: Size) -> Example:
    gate, up = (_drawn(size, size.tokens, 2 * size.width) for _ in range(2))
    return lambda: _with_gradients(swiglu(gate, up, backend="triton"), gate, up)


def _linear_cross_entropy(size: Size) -> Example:
    # the product with the head is the vendor's; the kernel sees rows of logits only, so few and narrow
    # ones do
    hidden, head = _drawn(size, 64, 64), _drawn(size, size.words, 64, learns=False)
    targets = torch.arange(64, device=size.device) % size.words
    return lambda: _with_gradients(linear_cross_entropy(hidden, head, targets, backend="triton"), hidden)


CATALOGUE: dict[str, Callable[[Size], Example]] = {
    "LoRA on nf4": _lora_linear("nf4", cells=1),
    "LoRA on nf4, 4 cells": _lora_linear("nf4", cells=4),
    "LoRA on q4_1": _lora_linear("q4_1", cells=1),
    "LoRA on q8_0": _lora_linear("q8_0", cells=1),
    "nf4": _quantize("nf4"),
    "q4_0": _quantize("q4_0"),
    "q4_1": _quantize("q4_1"),
    "q8_0": _quantize("q8_0"),
    "int4": _quantize("int4"),
    "int8": _quantize("int8"),
    "rms_norm": _rms_norm,
    "rope, half split": _rope("half_split"),
    "rope, interleaved": _rope("interleaved"),
    "swiglu": _swiglu,
    "linear_cross_entropy": _linear_cross_entropy,
}
