# ruff: noqa: ANN001, ANN201, D103 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twin of ``swiglu``: one program handles a run of features of one row.

Traffic, e bytes per activation: forward reads gate and up and writes y (3 e M F); backward reads dy, gate
and up and writes two gradients (5 e M F). The sigmoid is never stored.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.rows import power_of_two

FEATURES_AT_ONCE = 1024
"""Most features that one program takes."""


@triton.jit
def swiglu_forward(gate, up, y, gate_stride, up_stride, F, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < F
    g = tl.load(gate + row * gate_stride + column, inside, other=0.0).to(tl.float32)
    u = tl.load(up + row * up_stride + column, inside, other=0.0).to(tl.float32)
    tl.store(y + row * F + column, (g * tl.sigmoid(g) * u).to(y.dtype.element_ty), inside)


@triton.jit
def swiglu_backward(dy, gate, up, dgate, dup, dy_stride, gate_stride, up_stride, F, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < F
    d = tl.load(dy + row * dy_stride + column, inside, other=0.0).to(tl.float32)
    g = tl.load(gate + row * gate_stride + column, inside, other=0.0).to(tl.float32)
    u = tl.load(up + row * up_stride + column, inside, other=0.0).to(tl.float32)
    s = tl.sigmoid(g)
    slope = s * (1.0 + g * tl.sigmoid(-g))  # sigmoid(-g) is 1 - s with all its digits
    tl.store(dgate + row * F + column, (d * u * slope).to(dgate.dtype.element_ty), inside)
    tl.store(dup + row * F + column, (d * g * s).to(dup.dtype.element_ty), inside)


def launch_forward(gate: Tensor, up: Tensor) -> Tensor:
    """Compute the forward pass for matrices of rows."""
    M, F = gate.shape
    y = torch.empty((M, F), dtype=gate.dtype, device=gate.device)
    block = min(FEATURES_AT_ONCE, power_of_two(F))
    if gate.numel():
        swiglu_forward[(M, triton.cdiv(F, block))](
            gate, up, y, gate.stride(0), up.stride(0), F, BLOCK=block, num_warps=4
        )
    return y


def launch_backward(dy: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the gradients of gate and up."""
    M, F = gate.shape
    dgate, dup = (torch.empty((M, F), dtype=gate.dtype, device=gate.device) for _ in range(2))
    block = min(FEATURES_AT_ONCE, power_of_two(F))
    if gate.numel():
        swiglu_backward[(M, triton.cdiv(F, block))](
            dy, gate, up, dgate, dup, dy.stride(0), gate.stride(0), up.stride(0), F, BLOCK=block, num_warps=4
        )
    return dgate, dup
