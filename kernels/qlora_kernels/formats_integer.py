"""INT4 and INT8: equal steps, with a scale for each group of weights.

INT4 has the arithmetic of PyTorch's 4-bit matrix products, (code - 8) * scale + offset with both numbers in
bfloat16; codes are chosen with these numbers as they were rounded, so that rounding them costs the least.
INT8 is symmetric, with a float32 scale and codes from -127 to 127. "int4_zero" is only read: (code - zero)
* scale with a whole zero point, as GPTQ and AWQ store it.

Source of "int4_zero": Frantar et al., "GPTQ", arXiv:2210.17323; Lin et al., "AWQ", arXiv:2306.00978.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.formats_layout import (
    Affine,
    Format,
    Size,
    Stored,
    StoredShapes,
    affine_as_stored,
    bytes_layout,
    pack_pairs,
    pairs_layout,
)


def pack_int4(weight: Float[Tensor, "N K"], block_size: int) -> Stored:
    """Divide each group's range into 15 steps; code 8 stands for the offset."""
    blocks = rearrange(weight, "N (C B) -> N C B", B=block_size)
    smallest, largest = blocks.aminmax(dim=-1)
    scales = ((largest - smallest) / 15).bfloat16()
    offsets = (smallest + 8 * scales.float()).bfloat16()
    steps = (blocks - offsets.float()[..., None]) * _reciprocal(scales.float())[..., None]
    codes = (steps + 8).round().clamp(0, 15)
    return Stored(codes=pack_pairs(rearrange(codes, "N C B -> N (C B)")), scales=scales, offsets=offsets)


def pack_int8(weight: Float[Tensor, "N K"], block_size: int) -> Stored:
    """Scale the largest magnitude of each group to 127, and round halves to even."""
    blocks = rearrange(weight, "N (C B) -> N C B", B=block_size)
    scales = blocks.abs().amax(-1) / 127
    codes = (blocks * _reciprocal(scales)[..., None]).round().clamp(-127, 127)
    return Stored(codes=rearrange(codes, "N C B -> N (C B)").to(torch.int8), scales=scales)


def _reciprocal(scales: Float[Tensor, "N C"]) -> Float[Tensor, "N C"]:
    """Return 1 / scale, and 0 where that is infinite: all weights of such a group get the middle code."""
    return torch.nan_to_num(1 / scales, posinf=0.0)


def affine_int4_zero(stored: Stored) -> Affine:
    """Scale the code less the zero point: in float32 the same as code * scale - zero * scale, to the bit.

    A code has 4 bits, a zero point 5 and a scale of 16 bits at most 11, so that no step rounds.
    """
    assert stored.offsets is not None
    scales = stored.scales.float()
    return Affine(
        codes=stored.codes, scales=scales, offsets=-(scales * stored.offsets.float()), levels="unsigned"
    )


def _zero_layout(rows: Size, columns: Size, block: int) -> StoredShapes:
    blocks = (rows, columns // block)
    return {**pairs_layout(torch.float16)(rows, columns, block), "offsets": (blocks, torch.uint8)}


INTEGER_FORMATS: dict[str, Format] = {
    "int4": Format(
        about="INT4 in groups: 4 bits, a bfloat16 scale and offset for each group",
        block_size=64, block_sizes=(32, 64, 128, 256), bits_per_weight=lambda block: 4 + 32 / block,
        affine=affine_as_stored("signed"), pack=pack_int4,
        layout=pairs_layout(torch.bfloat16, offsets=True),
    ),
    "int4_zero": Format(
        about="INT4 of GPTQ and AWQ: 4 bits, a scale of 16 bits and a whole zero point for each group",
        block_size=128, block_sizes=(32, 64, 128, 256), bits_per_weight=lambda block: 4 + 24 / block,
        affine=affine_int4_zero, layout=_zero_layout,
    ),
    "int8": Format(
        about="INT8 in groups: 8 bits, a float32 scale for each group",
        block_size=64, block_sizes=(32, 64, 128, 256), bits_per_weight=lambda block: 8 + 32 / block,
        affine=affine_as_stored("int8"), pack=pack_int8, layout=bytes_layout(torch.float32),
    ),
}  # fmt: skip
