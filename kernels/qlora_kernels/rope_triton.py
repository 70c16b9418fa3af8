# ruff: noqa: ANN001, ANN201, D103 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twin of ``rope``: one program turns all heads of one token.

Traffic: reads and writes x once, and reads the token's angles once for all its heads. Eager PyTorch writes
two products and a copy for each half.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.rows import power_of_two


@triton.jit
def rope_rotate(
    x, cosine, sine, y, token_stride, head_stride, HEADS, HALF,
    INTERLEAVED: tl.constexpr, HEADS_BLOCK: tl.constexpr, HALF_BLOCK: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    head = (tl.program_id(1) * HEADS_BLOCK + tl.arange(0, HEADS_BLOCK)).to(tl.int64)[:, None]
    i = tl.arange(0, HALF_BLOCK)[None, :]
    inside = (head < HEADS) & (i < HALF)
    c = tl.load(cosine + token * HALF + i, i < HALF, other=0.0).to(tl.float32)
    s = tl.load(sine + token * HALF + i, i < HALF, other=0.0).to(tl.float32)
    source = x + token * token_stride + head * head_stride
    target = y + (token * HEADS + head) * 2 * HALF
    if INTERLEAVED:
        j = tl.arange(0, 2 * HALF_BLOCK)[None, :]
        both = (head < HEADS) & (j < 2 * HALF)
        pairs = tl.load(source + j, both, other=0.0).to(tl.float32)
        first, second = tl.split(tl.reshape(pairs, (HEADS_BLOCK, HALF_BLOCK, 2)))
        turned = tl.reshape(
            tl.join(first * c - second * s, first * s + second * c), (HEADS_BLOCK, 2 * HALF_BLOCK)
        )
        tl.store(target + j, turned.to(y.dtype.element_ty), both)
    else:
        first = tl.load(source + i, inside, other=0.0).to(tl.float32)
        second = tl.load(source + HALF + i, inside, other=0.0).to(tl.float32)
        tl.store(target + i, (first * c - second * s).to(y.dtype.element_ty), inside)
        tl.store(target + HALF + i, (first * s + second * c).to(y.dtype.element_ty), inside)


def launch(x: Tensor, cosine: Tensor, sine: Tensor, layout: str) -> Tensor:
    """Turn every head of every token; strides of tokens and heads may be anything."""
    x = x if x.stride(-1) == 1 else x.contiguous()
    tokens, heads, size = x.shape
    y = torch.empty((tokens, heads, size), dtype=x.dtype, device=x.device)
    half_block = power_of_two(size // 2)
    heads_block = min(power_of_two(heads), max(1, 2048 // half_block))
    if x.numel():
        rope_rotate[(tokens, triton.cdiv(heads, heads_block))](
            x, cosine.contiguous(), sine.contiguous(), y, x.stride(0), x.stride(1), heads, size // 2,
            INTERLEAVED=layout == "interleaved", HEADS_BLOCK=heads_block, HALF_BLOCK=half_block, num_warps=4,
        )  # fmt: skip
    return y
