# ruff: noqa: ANN001, ANN201 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twins of quantize and dequantize: every weight and every code crosses the memory bus once.

Traffic: the weight's bytes and the packed bytes, nothing else. Eager PyTorch writes and reads the scaled
blocks, the codes as wide integers and the levels in between.

To give the same bytes as the definitions, divisions round correctly (`div_rn`; the plain division of a GPU is
two units off at times), and products are not fused with sums.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.formats import known_format
from qlora_kernels.formats_layout import Affine, Stored, pair_table
from qlora_kernels.formats_nf4 import NF4_BOUNDS, SMALLEST, quantize_scales

PACKED_AT_ONCE = 2048
"""Weights that one program packs: sixteen a thread of four warps."""
EXPANDED_AT_ONCE = 1024
"""Bytes of codes that one program expands."""
TO_EVEN: tl.constexpr = tl.constexpr(12582912.0)
"""1.5 * 2^23: adding and subtracting it rounds a small float32 to the nearest integer, halves to even."""
TINY: tl.constexpr = tl.constexpr(SMALLEST)


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
        relative = value * reciprocal(tl.maximum(scale, TINY))[:, None]
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


@triton.jit
def expand(
    codes, scales, offsets, table, out, size,
    KIND: tl.constexpr, GROUP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Decode BLOCK bytes of codes, one weight each or two."""
    byte = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = byte < size
    code = tl.load(codes + byte, inside, other=0)
    BYTES: tl.constexpr = GROUP if KIND == "int8" else GROUP // 2
    scale = tl.load(scales + byte // BYTES, inside, other=0.0).to(tl.float32)
    if KIND == "int8":
        weight = code.to(tl.float32) * scale
        tl.store(out + byte, weight.to(out.dtype.element_ty), inside)
    else:
        pair = tl.gather(tl.load(table + tl.arange(0, 256)), code.to(tl.int32), 0)
        first = pair.to(tl.int32).to(tl.float32, bitcast=True) * scale
        second = (pair >> 32).to(tl.int32).to(tl.float32, bitcast=True) * scale
        if offsets is not None:
            offset = tl.load(offsets + byte // BYTES, inside, other=0.0).to(tl.float32)
            first += offset
            second += offset
        both = tl.join(first, second).to(out.dtype.element_ty)
        tl.store(out + 2 * byte[:, None] + tl.arange(0, 2)[None, :], both, inside[:, None])


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
        bounds = torch.tensor(NF4_BOUNDS, device=rows.device) if base == "nf4" else None
        pack[(triton.cdiv(blocks, at_once),)](
            rows, stored.codes, stored.scales, stored.offsets, bounds, blocks,
            FORMAT=base, GROUP=block_size, BLOCKS=at_once, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    return quantize_scales(stored) if format == "nf4_double" else stored


def launch_expand(weight: Affine, dtype: torch.dtype) -> Tensor:
    """Return the decoded rows."""
    codes = weight.codes.contiguous()
    out = torch.empty((codes.shape[0], weight.columns), dtype=dtype, device=codes.device)
    if out.numel():
        signed = weight.levels == "int8"
        offsets = None if weight.offsets is None else weight.offsets.contiguous()
        table = None if signed else pair_table(weight.levels, codes.device)
        expand[(triton.cdiv(codes.numel(), EXPANDED_AT_ONCE),)](
            codes, weight.scales.contiguous(), offsets, table, out, codes.numel(),
            KIND="int8" if signed else "pairs", GROUP=weight.block_size, BLOCK=EXPANDED_AT_ONCE,
            num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    return out
