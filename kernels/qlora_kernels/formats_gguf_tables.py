"""Block formats of GGUF files whose 4-bit codes stand for levels of a table: read and written back, not made.

IQ4_NL and IQ4_XS have levels that are denser near zero; MXFP4 has those of a 4-bit floating-point number
with two bits of exponent. The decoded numbers are those of the `gguf` package to the bit.

Source: ggml's `ggml-quants.c`, and `gguf/quants.py`; for MXFP4 the "OCP Microscaling Formats (MX)
Specification", version 1.0, in which a scale is a power of two.
"""

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from qlora_kernels.formats_gguf import (
    BLOCK,
    SUPER_BLOCK,
    _bytes,
    _from_halves,
    _half,
    _join,
    _shifted,
    _split,
    _to_halves,
    read_q4_0,
    write_q4_0,
)
from qlora_kernels.formats_layout import Affine, Format, Stored, affine_as_stored


def read_iq4_xs(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Super-blocks of 136 bytes: outer scale, 2 bytes of high bits of scales, 4 of low ones, 128 of codes."""
    scale, inner, codes = _split(data, 136, 2, 6, 128)
    return Stored(
        codes=_from_halves(rearrange(codes, "N C (block byte) -> N (C block) byte", byte=BLOCK // 2)),
        scales=rearrange(inner, "N C byte -> N (C byte)"),
        outer_scales=_half(scale),
    )


def write_iq4_xs(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_iq4_xs`."""
    assert stored.outer_scales is not None
    codes = _to_halves(stored.codes, BLOCK)
    return _join(
        _bytes(stored.outer_scales),
        rearrange(stored.scales, "N (C byte) -> N C byte", byte=6),
        rearrange(codes, "N (C block) byte -> N C (block byte)", block=SUPER_BLOCK // BLOCK),
    )


def affine_iq4_xs(stored: Stored) -> Affine:
    """Six bits less 32 for each 32 weights, times the outer scale."""
    assert stored.outer_scales is not None
    high, low = _split(stored.scales, 6, 2, 4)
    low = rearrange(
        _shifted(rearrange(low, "N C byte -> N C 1 byte"), (0, 4), 15), "N C part byte -> N C byte part"
    )
    high = rearrange(
        _shifted(rearrange(high, "N C byte -> N C 1 byte"), (0, 2, 4, 6), 3),
        "N C part byte -> N C (byte part)",
    )
    six = rearrange(low, "N C byte part -> N C (byte part)") | (high << 4)
    scales = stored.outer_scales.float()[..., None] * (six.float() - 32)
    return Affine(
        codes=stored.codes,
        scales=rearrange(scales, "N C eight -> N (C eight)"),
        offsets=None,
        levels="iq4",
    )


def read_mxfp4(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Blocks of 17 bytes: an exponent, 16 bytes of codes."""
    exponent, codes = _split(data, 17, 1, 16)
    return Stored(codes=_from_halves(codes), scales=exponent.squeeze(-1).contiguous())


def write_mxfp4(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_mxfp4`."""
    return _join(stored.scales[..., None], _to_halves(stored.codes, BLOCK))


def affine_mxfp4(stored: Stored) -> Affine:
    """Half a power of two for each 32 weights, since the levels are doubled to be whole."""
    return Affine(codes=stored.codes, scales=half_power(stored.scales), offsets=None, levels="mxfp4")


def half_power(exponent: UInt8[Tensor, "N C"]) -> Float[Tensor, "N C"]:
    """Return 2 ** (exponent - 128), made of bits: the two smallest are below float32's normal numbers."""
    exponent = exponent.int()
    return torch.where(exponent < 2, 0x00200000 << exponent.clamp(max=1), (exponent - 1) << 23).view(
        torch.float32
    )


TABLE_FORMATS: dict[str, Format] = {
    "iq4_nl": Format(
        about="GGUF IQ4_NL: 4-bit codes of sixteen uneven levels, a float16 scale for 32 weights",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 4.5,
        affine=affine_as_stored("iq4"), multiple=BLOCK, block_bytes=18,
        from_bytes=read_q4_0, to_bytes=write_q4_0,
    ),
    "iq4_xs": Format(
        about="GGUF IQ4_XS: the levels of IQ4_NL, 6-bit scales of 32 weights, an outer one of 256",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 4.25,
        affine=affine_iq4_xs, multiple=SUPER_BLOCK, block_bytes=136,
        from_bytes=read_iq4_xs, to_bytes=write_iq4_xs,
    ),
    "mxfp4": Format(
        about="MXFP4 in GGUF: 4-bit floating-point numbers, a power of two for 32 weights",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 4.25,
        affine=affine_mxfp4, multiple=BLOCK, block_bytes=17,
        from_bytes=read_mxfp4, to_bytes=write_mxfp4,
    ),
}  # fmt: skip
