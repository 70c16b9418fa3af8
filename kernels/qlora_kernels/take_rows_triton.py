# ruff: noqa: ANN001, ANN201, D103 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twin of the gradient of ``take_rows``: one program adds up the copies of one row.

Traffic, e bytes an element: each copy's gradient is read once and each row's written once, e (M + N) F, and
16 bytes of numbers a copy. PyTorch's own, where it keeps an order, sorts the numbers in every call besides.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.rows import power_of_two

SUMMED_FEATURES = 1024
"""Most features that one program takes."""


@triton.jit
def sum_copies(dy, order, starts, dx, dy_stride, F, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < F
    first = tl.load(starts + row)
    total = tl.zeros((BLOCK,), tl.float32)
    for step in range(tl.load(starts + row + 1) - first):
        copy = tl.load(order + first + step)
        total += tl.load(dy + copy * dy_stride + column, inside, other=0.0).to(tl.float32)
    tl.store(dx + row * F + column, total.to(dx.dtype.element_ty), inside)


def launch(dy: Tensor, order: Tensor, starts: Tensor) -> Tensor:
    """Return the gradient of each row: the sum of those of its copies, in their order."""
    rows, F = len(starts) - 1, dy.shape[1]
    dx = torch.empty((rows, F), dtype=dy.dtype, device=dy.device)
    block = min(SUMMED_FEATURES, power_of_two(F))
    if dx.numel():
        sum_copies[(rows, triton.cdiv(F, block))](
            dy, order, starts, dx, dy.stride(0), F, BLOCK=block, num_warps=4
        )
    return dx
