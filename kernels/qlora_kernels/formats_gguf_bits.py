"""Block formats of GGUF files whose codes have 2, 3 or 5 bits: read and written back, not made.

Their codes lie in pieces: low bits together, high bits elsewhere. They are kept as the file has them and put
together when an operator asks, Q2_K and Q3_K to two codes a byte, five bits to a byte each. The decoded
numbers are those of the `gguf` package to the bit, and `to_bytes` gives the file's bytes again.

Source: ggml's `ggml-quants.c`, and `gguf/quants.py`.
"""

import torch
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from qlora_kernels.formats_gguf import (
    SUPER_BLOCK,
    _bytes,
    _half,
    _join,
    _shifted,
    _split,
    scales_and_offsets,
)
from qlora_kernels.formats_layout import Affine, Format, Stored, pack_pairs

# ------------------------------------------------------------------------------------------ Q5_0, Q5_1


def read_q5_0(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Blocks of 22 bytes: scale, 4 bytes of high bits, 16 bytes of low halves."""
    scale, codes = _split(data, 22, 2, 20)
    return Stored(codes=rearrange(codes, "N C byte -> N (C byte)"), scales=_half(scale))


def write_q5_0(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q5_0`."""
    return _join(_bytes(stored.scales), _fields(stored.codes, 20))


def affine_q5_0(stored: Stored) -> Affine:
    """Five bits less 16, times the scale."""
    codes = five_bits(stored.codes).to(torch.int8) - 16
    return Affine(codes=codes, scales=stored.scales, offsets=None, levels="int8")


def read_q5_1(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Blocks of 24 bytes: scale, offset, 4 bytes of high bits, 16 bytes of low halves."""
    scale, offset, codes = _split(data, 24, 2, 2, 20)
    return Stored(
        codes=rearrange(codes, "N C byte -> N (C byte)"), scales=_half(scale), offsets=_half(offset)
    )


def write_q5_1(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q5_1`."""
    assert stored.offsets is not None
    return _join(_bytes(stored.scales), _bytes(stored.offsets), _fields(stored.codes, 20))


def affine_q5_1(stored: Stored) -> Affine:
    """Five bits times the scale, plus the offset."""
    codes = five_bits(stored.codes).to(torch.int8)
    return Affine(codes=codes, scales=stored.scales, offsets=stored.offsets, levels="int8")


def five_bits(packed: UInt8[Tensor, "N bytes"]) -> UInt8[Tensor, "N K"]:
    """Put together codes of 32 weights: bit j of 4 bytes above half a byte, weight j low and j + 16 high."""
    high, low = _split(packed, 20, 4, 16)
    low = _shifted(rearrange(low, "N C byte -> N C 1 byte"), (0, 4), 15)
    high = rearrange((high[..., None] >> _bit_places(high)) & 1, "N C byte bit -> N C (byte bit)")
    return rearrange(
        rearrange(low, "N C part byte -> N C (part byte)") | (high << 4), "N C weight -> N (C weight)"
    )


def _bit_places(like: Tensor) -> UInt8[Tensor, " 8"]:
    return torch.arange(8, dtype=torch.uint8, device=like.device)


def _fields(codes: UInt8[Tensor, "N bytes"], size: int) -> UInt8[Tensor, "N C field"]:
    return rearrange(codes, "N (C field) -> N C field", field=size)


# ------------------------------------------------------------------------------------------------ Q5_K


def read_q5_k(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Super-blocks of 176 bytes: outer scale and offset, 12 of 6-bit ones, 32 of high bits, 128 of low."""
    scale, offset, inner, codes = _split(data, 176, 2, 2, 12, 160)
    return Stored(
        codes=rearrange(codes, "N C byte -> N (C byte)"),
        scales=rearrange(inner, "N C byte -> N (C byte)"),
        outer_scales=_half(scale),
        outer_offsets=_half(offset),
    )


def write_q5_k(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q5_k`."""
    assert stored.outer_scales is not None
    assert stored.outer_offsets is not None
    return _join(
        _bytes(stored.outer_scales),
        _bytes(stored.outer_offsets),
        _fields(stored.scales, 12),
        _fields(stored.codes, 160),
    )


def affine_q5_k(stored: Stored) -> Affine:
    """Five bits, scaled and offset as Q4_K is; bit i of byte j is the high bit of weight j of run i."""
    high, low = _split(stored.codes, 160, 32, 128)
    low = _shifted(rearrange(low, "N C (run byte) -> N C run 1 byte", run=4), (0, 4), 15)
    low = rearrange(low, "N C run part byte -> N C (run part) byte")
    high = _shifted(rearrange(high, "N C byte -> N C 1 byte"), tuple(range(8)), 1)
    codes = rearrange(low | (high << 4), "N C eight byte -> N (C eight byte)").to(torch.int8)
    scales, offsets = scales_and_offsets(stored)
    return Affine(codes=codes, scales=scales, offsets=offsets, levels="int8")


# ------------------------------------------------------------------------------------------ Q2_K, Q3_K


def read_q2_k(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Super-blocks of 84 bytes: 16 of a 4-bit scale and offset each, 64 of codes, outer scale and offset."""
    inner, codes, scale, offset = _split(data, 84, 16, 64, 2, 2)
    return Stored(
        codes=rearrange(codes, "N C byte -> N (C byte)"),
        scales=rearrange(inner, "N C byte -> N (C byte)"),
        outer_scales=_half(scale),
        outer_offsets=_half(offset),
    )


def write_q2_k(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q2_k`."""
    assert stored.outer_scales is not None
    assert stored.outer_offsets is not None
    return _join(
        _fields(stored.scales, 16),
        _fields(stored.codes, 64),
        _bytes(stored.outer_scales),
        _bytes(stored.outer_offsets),
    )


def affine_q2_k(stored: Stored) -> Affine:
    """Two bits times a scale of 4 bits, less an offset of 4 bits, each times its outer one."""
    assert stored.outer_scales is not None
    assert stored.outer_offsets is not None
    inner = _fields(stored.scales, 16)
    scales = stored.outer_scales.float()[..., None] * (inner & 15).float()
    offsets = -(stored.outer_offsets.float()[..., None] * (inner >> 4).float())
    return Affine(
        codes=pack_pairs(two_bits(stored.codes)),
        scales=rearrange(scales, "N C sixteen -> N (C sixteen)"),
        offsets=rearrange(offsets, "N C sixteen -> N (C sixteen)"),
        levels="unsigned",
    )


def two_bits(packed: UInt8[Tensor, "N bytes"]) -> UInt8[Tensor, "N K"]:
    """Take four codes out of each byte: of weights 32 apart in a run of 128."""
    runs = rearrange(packed, "N (run byte) -> N run 1 byte", byte=32)
    return rearrange(_shifted(runs, (0, 2, 4, 6), 3), "N run four byte -> N (run four byte)")


def read_q3_k(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Super-blocks of 110 bytes: 32 of high bits, 64 of low pairs, 12 of 6-bit scales, outer scale."""
    codes, inner, scale = _split(data, 110, 96, 12, 2)
    return Stored(
        codes=rearrange(codes, "N C byte -> N (C byte)"),
        scales=rearrange(inner, "N C byte -> N (C byte)"),
        outer_scales=_half(scale),
    )


def write_q3_k(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q3_k`."""
    assert stored.outer_scales is not None
    return _join(_fields(stored.codes, 96), _fields(stored.scales, 12), _bytes(stored.outer_scales))


def affine_q3_k(stored: Stored) -> Affine:
    """Two bits, less 4 where the third bit is 0, times a scale of 6 bits less 32, times the outer one.

    As pairs: level 8 of "signed" is 0, so the code is the three bits plus 4.
    """
    assert stored.outer_scales is not None
    high, low = _split(stored.codes, 96, 32, 64)
    high = _shifted(rearrange(high, "N C byte -> N C 1 byte"), tuple(range(8)), 1)
    high = rearrange(high, "N C bit byte -> N (C bit byte)")
    codes = two_bits(rearrange(low, "N C byte -> N (C byte)")) + (high << 2) + 4
    inner = _fields(stored.scales, 12)
    below = _shifted(rearrange(inner[..., :8], "N C eight -> N C 1 eight"), (0, 4), 15)
    above = _shifted(rearrange(inner[..., 8:], "N C four -> N C 1 four"), (0, 2, 4, 6), 3)
    six = rearrange(below, "N C part eight -> N C (part eight)") | (
        rearrange(above, "N C part four -> N C (part four)") << 4
    )
    scales = stored.outer_scales.float()[..., None] * (six.float() - 32)
    return Affine(
        codes=pack_pairs(codes),
        scales=rearrange(scales, "N C sixteen -> N (C sixteen)"),
        offsets=None,
        levels="signed",
    )


BIT_FORMATS: dict[str, Format] = {
    "q5_0": Format(
        about="GGUF Q5_0: 5 bits, a float16 scale for 32 weights",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 5.5,
        affine=affine_q5_0, multiple=32, block_bytes=22, from_bytes=read_q5_0, to_bytes=write_q5_0,
    ),
    "q5_1": Format(
        about="GGUF Q5_1: 5 bits, a float16 scale and smallest weight for 32 weights",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 6.0,
        affine=affine_q5_1, multiple=32, block_bytes=24, from_bytes=read_q5_1, to_bytes=write_q5_1,
    ),
    "q5_k": Format(
        about="GGUF Q5_K: 5 bits, 6-bit scales and offsets of 32 weights, outer ones of 256",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 5.5,
        affine=affine_q5_k, multiple=SUPER_BLOCK, block_bytes=176,
        from_bytes=read_q5_k, to_bytes=write_q5_k,
    ),
    "q3_k": Format(
        about="GGUF Q3_K: 3 bits, 6-bit scales of 16 weights, an outer one of 256",
        block_size=16, block_sizes=(16,), bits_per_weight=lambda _: 3.4375,
        affine=affine_q3_k, multiple=SUPER_BLOCK, block_bytes=110,
        from_bytes=read_q3_k, to_bytes=write_q3_k,
    ),
    "q2_k": Format(
        about="GGUF Q2_K: 2 bits, 4-bit scales and offsets of 16 weights, outer ones of 256",
        block_size=16, block_sizes=(16,), bits_per_weight=lambda _: 2.625,
        affine=affine_q2_k, multiple=SUPER_BLOCK, block_bytes=84,
        from_bytes=read_q2_k, to_bytes=write_q2_k,
    ),
}  # fmt: skip
