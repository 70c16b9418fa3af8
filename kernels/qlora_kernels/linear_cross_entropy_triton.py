# ruff: noqa: ANN001, ANN201, ANN202, D103 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twin of the row part of ``linear_cross_entropy``: loss and gradient of a chunk of logits.

One program handles one row. It reads the row once for a running maximum and sum (online softmax), and once
more to write the softmax, 0 at the target, in the type of the next matrix product; the target's own slope
stays in float32. Traffic for each row: 2 x 4 V bytes read, e V written; eager PyTorch reads and writes
about six times as much. A row that is ignored is only written, with zeros; the loss of a target that is no
word is NaN.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.rows import power_of_two

WORDS_AT_ONCE = 4096
"""Most words of the vocabulary that a program takes in one step."""


@triton.jit
def _log1p(x):
    """log(1 + x) with the digits of a small x."""
    total = 1.0 + x
    return tl.where(total == 1.0, x, tl.log(total) * (x / (total - 1.0)))


@triton.jit
def cross_entropy_rows(
    logits, targets, losses, slopes, target_slope, V,
    IGNORED: tl.constexpr, GRADIENT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    word = tl.arange(0, BLOCK)
    target = tl.load(targets + row)
    if (target < 0) | (target >= V):
        nothing = tl.where(target == IGNORED, 0.0, float("nan"))
        tl.store(losses + row, nothing)
        if GRADIENT:
            tl.store(target_slope + row, nothing)
            for start in range(0, V, BLOCK):
                zeros = tl.zeros((BLOCK,), slopes.dtype.element_ty)
                tl.store(slopes + row * V + start + word, zeros, start + word < V)
        return
    chosen = tl.load(logits + row * V + target)
    highest = chosen
    rest = 0.0  # what the other words add up to, in units of exp(highest)
    for start in range(0, V, BLOCK):
        value = tl.load(logits + row * V + start + word, start + word < V, other=-float("inf"))
        new = tl.maximum(highest, tl.max(value, 0))
        others = tl.where(start + word == target, 0.0, tl.exp(value - new))
        rest = rest * tl.exp(highest - new) + tl.sum(others, 0)
        highest = new
    own = tl.exp(chosen - highest)
    tl.store(losses + row, highest - chosen + _log1p(rest + (own - 1.0)))
    if GRADIENT:
        tl.store(target_slope + row, -rest / (rest + own))
        for start in range(0, V, BLOCK):
            inside = start + word < V
            value = tl.load(logits + row * V + start + word, inside, other=0.0)
            slope = tl.where(start + word == target, 0.0, tl.exp(value - highest) / (rest + own))
            tl.store(slopes + row * V + start + word, slope.to(slopes.dtype.element_ty), inside)


def launch(
    logits: Tensor, targets: Tensor, ignored: int, needs_gradient: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return losses, slopes as ``dtype`` and the target's slopes; float32 slopes overwrite the logits."""
    M, V = logits.shape
    losses, target_slope = (torch.empty(M, dtype=torch.float32, device=logits.device) for _ in range(2))
    in_place = dtype == logits.dtype or not needs_gradient
    slopes = logits if in_place else torch.empty((M, V), dtype=dtype, device=logits.device)
    if logits.numel():
        cross_entropy_rows[(M,)](
            logits, targets, losses, slopes, target_slope, V,
            IGNORED=ignored, GRADIENT=needs_gradient, BLOCK=min(WORDS_AT_ONCE, power_of_two(V)), num_warps=8,
        )  # fmt: skip
    return losses, slopes, target_slope
