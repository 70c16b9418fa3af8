# ruff: noqa: ANN001, ANN201 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twin of ``decode``: one program decodes one run of codes.

Traffic: the packed bytes and the weight's bytes, nothing else, but a table of 2 kB a program. Eager PyTorch
writes and reads the codes as wide integers, the levels and the scaled blocks in between.

To give the same bits as the definition, products are not fused with sums.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.formats_layout import Affine, pair_table

BYTES_AT_ONCE = 1024
"""Bytes of codes that one program decodes."""


@triton.jit
def decode(
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
        if offsets is not None:
            weight += tl.load(offsets + byte // BYTES, inside, other=0.0).to(tl.float32)
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


def launch_decode(weight: Affine, dtype: torch.dtype) -> Tensor:
    """Return the decoded rows."""
    codes = weight.codes.contiguous()
    out = torch.empty((codes.shape[0], weight.columns), dtype=dtype, device=codes.device)
    if out.numel():
        signed = weight.levels == "int8"
        offsets = None if weight.offsets is None else weight.offsets.contiguous()
        table = None if signed else pair_table(weight.levels, codes.device)
        decode[(triton.cdiv(codes.numel(), BYTES_AT_ONCE),)](
            codes, weight.scales.contiguous(), offsets, table, out, codes.numel(),
            KIND="int8" if signed else "pairs", GROUP=weight.block_size, BLOCK=BYTES_AT_ONCE,
            num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    return out
