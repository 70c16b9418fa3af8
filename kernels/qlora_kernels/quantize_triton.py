# ruff: noqa: ANN001, ANN201 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twin of ``quantize``: every weight and every code crosses the memory bus once.

Traffic: the weight's bytes and the packed bytes, nothing else. Eager PyTorch writes and reads the scaled
blocks, the codes as wide integers and the levels in between.

To give the same bytes as the definitions, divisions round correctly (`div_rn`; the plain division of a GPU is
two units off at times), and products are not fused with sums.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels import formats_nf4
from qlora_kernels.formats import known_format
from qlora_kernels.formats_layout import Stored, constant

PACKED_AT_ONCE = 2048
"""Weights that one program packs: sixteen a thread of four warps."""
TO_EVEN: tl.constexpr = tl.constexpr(12582912.0)
"""1.5 * 2^23: adding and subtracting it rounds a small float32 to the nearest integer, halves to even."""
LEAST_MAXIMUM: tl.constexpr = tl.constexpr(formats_nf4.LEAST_MAXIMUM)


@triton.jit
def reciprocal(scale):
    """Compute 1 / scale, and 0 where the scale is 0."""
    return tl.where(scale == 0.0, 0.0, tl.div_rn(1.0, tl.where(scale == 0.0, 1.0, scale)))


@triton.jit
def finite(value):
    """Replace what is infinite or not a number by 0."""
    return tl.where(tl.abs(value) < float("inf"), value, 0.0)


@triton.jit
def pack(
    weight, codes, scales, offsets, bounds, blocks,
    FORMAT: tl.constexpr, GROUP: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """Pack BLOCKS blocks of GROUP weights; each branch follows its format's definition."""
    block = tl.program_id(0).to(tl.int64) * BLOCKS + tl.arange(0, BLOCKS)
    inside = block < blocks
    place = block[:, None] * GROUP + tl.arange(0, GROUP)[None, :]
    value = tl.load(weight + place, inside[:, None], other=0.0)
    offset = tl.zeros((BLOCKS,), tl.float32)
    if FORMAT == "q4_0":
        first = tl.argmax(tl.abs(value), 1)
        largest = tl.sum(tl.where(tl.arange(0, GROUP)[None, :] == first[:, None], value, 0.0), 1)
        scale = largest * -0.125
        code = tl.clamp(finite(value * reciprocal(scale)[:, None] + 8.5), 0.0, 15.0).to(tl.int32)
    elif FORMAT == "q4_1":
        offset = tl.min(value, 1)
        scale = tl.div_rn(tl.max(value, 1) - offset, tl.full((BLOCKS,), 15.0, tl.float32))
        steps = (value - offset[:, None]) * reciprocal(scale)[:, None]
        code = tl.clamp(finite(steps + 0.5), 0.0, 15.0).to(tl.int32)
    elif FORMAT == "q8_0":
        scale = tl.div_rn(tl.max(tl.abs(value), 1), tl.full((BLOCKS,), 127.0, tl.float32))
        steps = value * reciprocal(scale)[:, None]
        size = finite(tl.abs(steps))
        whole = tl.floor(size)
        size = whole + tl.floor(2.0 * (size - whole))
        code = tl.where(steps < 0.0, -size, size).to(tl.int32)
    elif FORMAT == "int4":
        smallest = tl.min(value, 1)
        scale = tl.div_rn(tl.max(value, 1) - smallest, tl.full((BLOCKS,), 15.0, tl.float32))
        scale = scale.to(tl.bfloat16).to(tl.float32)
        offset = (smallest + 8.0 * scale).to(tl.bfloat16).to(tl.float32)
        steps = (value - offset[:, None]) * finite(reciprocal(scale))[:, None]
        code = tl.clamp(((steps + 8.0) + TO_EVEN) - TO_EVEN, 0.0, 15.0).to(tl.int32)
    elif FORMAT == "int8":
        scale = tl.div_rn(tl.max(tl.abs(value), 1), tl.full((BLOCKS,), 127.0, tl.float32))
        steps = value * finite(reciprocal(scale))[:, None]
        code = tl.clamp((steps + TO_EVEN) - TO_EVEN, -127.0, 127.0).to(tl.int32)
    else:
        tl.static_assert(FORMAT == "nf4")
        scale = tl.max(tl.abs(value), 1)
        # said to be float32: a number as small as this is a float64 to Triton, and so would be what follows
        least = tl.full((BLOCKS,), LEAST_MAXIMUM, tl.float32)
        relative = value * reciprocal(tl.maximum(scale, least))[:, None]
        code = tl.zeros((BLOCKS, GROUP), tl.int32)
        for i in tl.static_range(15):
            code += (relative > tl.load(bounds + i)).to(tl.int32)
    tl.store(scales + block, scale.to(scales.dtype.element_ty), inside)
    if offsets is not None:
        tl.store(offsets + block, offset.to(offsets.dtype.element_ty), inside)
    if FORMAT == "q8_0" or FORMAT == "int8":
        tl.store(codes + place, code.to(tl.int8), inside[:, None])
    else:
        earlier, later = tl.split(code.reshape(BLOCKS, GROUP // 2, 2))
        place = block[:, None] * (GROUP // 2) + tl.arange(0, GROUP // 2)[None, :]
        tl.store(codes + place, ((earlier << 4) | later).to(tl.uint8), inside[:, None])


def launch_pack(rows: Tensor, format: str, block_size: int) -> Stored:
    """Return what the format stores of float32 rows."""
    base = "nf4" if format == "nf4_double" else format
    layout = known_format(base).layout
    assert layout is not None
    stored = Stored(
        **{
            name: torch.empty(shape, dtype=dtype, device=rows.device)
            for name, (shape, dtype) in layout(rows.shape[0], rows.shape[1], block_size).items()
        }
    )
    blocks, at_once = stored.scales.numel(), PACKED_AT_ONCE // block_size
    if blocks:
        bounds = constant(formats_nf4.NF4_BOUNDS, torch.float32, rows.device) if base == "nf4" else None
        pack[(triton.cdiv(blocks, at_once),)](
            rows, stored.codes, stored.scales, stored.offsets, bounds, blocks,
            FORMAT=base, GROUP=block_size, BLOCKS=at_once, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    return formats_nf4.quantize_scales(stored) if format == "nf4_double" else stored
