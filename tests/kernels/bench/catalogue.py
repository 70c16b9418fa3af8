"""Every operator of the package, called forward and backward at a given size: what the bench runs over.

To put a new operator under the budgets, the traffic table and the hardware grid, add one function here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qlora_kernels.linear_cross_entropy import linear_cross_entropy
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

Example = Callable[[], None]
"""Runs the operator's Triton twin once, forward and backward."""


def _drawn(size: Size, *shape: int, learns: bool = True) -> Tensor:
    tensor = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) / shape[-1] ** 0.5
    return tensor.to(size.device, size.dtype).requires_grad_(learns)


def _rms_norm(size: Size) -> Example:
    x, weight = _drawn(size, size.tokens, size.width), _drawn(size, size.width)
    return lambda: rms_norm(x, weight, backend="triton").backward(x.detach())


def _rope(layout: str) -> Callable[[Size], Example]:
    def example(size: Size) -> Example:
        x = _drawn(size, size.tokens, size.width // 64, 64)
        angles = rope_angles(torch.arange(size.tokens, device=size.device), 64)
        return lambda: rope(x, *angles, layout=layout, backend="triton").backward(x.detach())

    return example


def _swiglu(size: Size) -> Example:
    gate, up = (_drawn(size, size.tokens, 2 * size.width) for _ in range(2))
    return lambda: swiglu(gate, up, backend="triton").backward(up.detach())


def _linear_cross_entropy(size: Size) -> Example:
    # the product with the head is the vendor's; the kernel sees rows of logits only, so few and narrow ones do
    hidden, head = _drawn(size, 64, 64), _drawn(size, size.words, 64, learns=False)
    targets = torch.arange(64, device=size.device) % size.words
    return lambda: linear_cross_entropy(hidden, head, targets, backend="triton").sum().backward()


CATALOGUE: dict[str, Callable[[Size], Example]] = {
    "rms_norm": _rms_norm,
    "rope, half split": _rope("half_split"),
    "rope, interleaved": _rope("interleaved"),
    "swiglu": _swiglu,
    "linear_cross_entropy": _linear_cross_entropy,
}
