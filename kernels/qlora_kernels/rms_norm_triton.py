# ruff: noqa: ANN001, ANN201, D103 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twin of ``rms_norm``: one program normalizes one row, which stays on the chip between its two uses.

Traffic, e bytes per activation: forward reads and writes each row once (2 e M H) and keeps 4 M bytes;
backward reads x and dy and writes dx (3 e M H). Eager PyTorch moves each row about five times.

The weight's gradient sums over rows: each backward program sums the rows that it owns and writes a partial
sum, and a second pass adds the partial sums in a fixed order. No atomics, so two runs agree to the bit.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.rows import power_of_two

ROWS_PER_PROGRAM = 16  # of the backward pass: partial sums then cost H / 4 bytes a row, well under a tenth


@triton.jit
def rms_norm_forward(x, weight, y, inverse_rms, x_stride, H, epsilon, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < H
    value = tl.load(x + row * x_stride + column, inside, other=0.0).to(tl.float32)
    inverse = tl.rsqrt(tl.sum(value * value, 0) / H + epsilon)
    scale = tl.load(weight + column, inside, other=0.0).to(tl.float32)
    tl.store(y + row * H + column, (value * inverse * scale).to(y.dtype.element_ty), inside)
    tl.store(inverse_rms + row, inverse)


@triton.jit
def rms_norm_backward(
    dy, x, weight, inverse_rms, dx, partial, dy_stride, x_stride, M, H,
    ROWS: tl.constexpr, WEIGHT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < H
    scale = tl.load(weight + column, inside, other=0.0).to(tl.float32)
    dweight = tl.zeros((BLOCK,), tl.float32)
    for i in range(ROWS):
        row = program * ROWS + i
        if row < M:
            inverse = tl.load(inverse_rms + row)
            normed = tl.load(x + row * x_stride + column, inside, other=0.0).to(tl.float32) * inverse
            upstream = tl.load(dy + row * dy_stride + column, inside, other=0.0).to(tl.float32)
            projection = tl.sum(scale * upstream * normed, 0) / H
            gradient = (scale * upstream - normed * projection) * inverse
            tl.store(dx + row * H + column, gradient.to(dx.dtype.element_ty), inside)
            dweight += upstream * normed
    if WEIGHT:
        tl.store(partial + program * H + column, dweight, inside)


def launch_forward(rows: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return the normalized rows, and 1 / root mean square of each."""
    M, H = rows.shape
    y = torch.empty((M, H), dtype=rows.dtype, device=rows.device)
    inverse_rms = torch.empty(M, dtype=torch.float32, device=rows.device)
    if rows.numel():
        rms_norm_forward[(M,)](
            rows,
            weight.contiguous(),
            y,
            inverse_rms,
            rows.stride(0),
            H,
            epsilon,
            BLOCK=power_of_two(H),
            num_warps=_warps(H),
        )
    return y, inverse_rms


def launch_backward(
    dy: Tensor, rows: Tensor, weight: Tensor, inverse_rms: Tensor, weight_gradient: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the rows and, when asked for, of the weight."""
    M, H = rows.shape
    programs = triton.cdiv(M, ROWS_PER_PROGRAM)
    dx = torch.empty((M, H), dtype=rows.dtype, device=rows.device)
    partial = torch.empty((programs if weight_gradient else 0, H), dtype=torch.float32, device=rows.device)
    if rows.numel():
        rms_norm_backward[(programs,)](
            dy, rows, weight.contiguous(), inverse_rms, dx, partial, dy.stride(0), rows.stride(0), M, H,
            ROWS=ROWS_PER_PROGRAM, WEIGHT=weight_gradient, BLOCK=power_of_two(H), num_warps=_warps(H),
        )  # fmt: skip
    return dx, partial.sum(0).to(weight.dtype) if weight_gradient else weight.new_empty(0)


def _warps(width: int) -> int:
    """About sixteen elements a thread."""
    return min(16, max(1, power_of_two(width) // 512))
