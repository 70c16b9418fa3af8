"""Block formats of GGUF files. Three are encoded here, two "K" formats in `quantize_k.py`.

Encoders and decoders give the same bytes and the same numbers as the `gguf` package; the tests hold them
to it. A GGUF block interleaves its scales and its codes; here they lie in separate tensors, with the codes
in the order of the weights, so that memory accesses are aligned. Going there and back loses nothing:
`to_bytes` gives the file's bytes again.

Re-quantizing a decoded Q4_0, Q4_1 or Q8_0 weight gives its bytes again if each block meets two conditions,
which encoders that round to nearest establish: the outermost codes are used (Q4_1: 0 and 15, Q8_0: 127 or
-127, Q4_0: 0), and the scale did not vanish when it was rounded to float16. The encoder then divides the same
range by the same number of steps, and the float32 rounding of that division is thousands of times finer than
the float16 in which the scale is stored. All 4,202,496 quantized blocks of the SmolLM2 file meet them: a test
re-quantizes each one. Files whose scales were searched for with an importance matrix need not.

Source: ggml's `ggml-quants.c`, and `gguf/quants.py`.
"""

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from qlora_kernels.formats_layout import (
    Affine,
    Format,
    Stored,
    affine_as_stored,
    bytes_layout,
    constant,
    pack_pairs,
    pairs_layout,
    unpack_pairs,
)

BLOCK = 32
SUPER_BLOCK = 256
"""Weights of a "K" format that share an outer scale."""

# ---------------------------------------------------------------------------------- Q4_0, Q4_1, Q8_0


def pack_q4_0(weight: Float[Tensor, "N K"], block_size: int) -> Stored:
    """Scale so that the weight of largest magnitude becomes -8, and round."""
    blocks = _blocks(weight, block_size)
    largest = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
    scale = largest / -8
    codes = _finite((blocks * _reciprocal(scale) + 8.5).trunc()).clamp(0, 15)
    return Stored(codes=pack_pairs(_rows(codes)), scales=scale.squeeze(-1).half())


def pack_q4_1(weight: Float[Tensor, "N K"], block_size: int) -> Stored:
    """Divide the range from smallest to largest into 15 steps."""
    blocks = _blocks(weight, block_size)
    smallest, largest = blocks.aminmax(dim=-1, keepdim=True)
    scale = (largest - smallest) / 15
    codes = _finite(((blocks - smallest) * _reciprocal(scale) + 0.5).trunc()).clamp(0, 15)
    return Stored(
        codes=pack_pairs(_rows(codes)),
        scales=scale.squeeze(-1).half(),
        offsets=smallest.squeeze(-1).half(),
    )


def pack_q8_0(weight: Float[Tensor, "N K"], block_size: int) -> Stored:
    """Scale the largest magnitude to 127, and round halves away from zero."""
    blocks = _blocks(weight, block_size)
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    steps = blocks * _reciprocal(scale)
    whole = steps.abs().floor()
    codes = steps.sign() * (whole + (2 * (steps.abs() - whole)).floor())
    return Stored(codes=_rows(_finite(codes)).to(torch.int8), scales=scale.squeeze(-1).half())


def _blocks(weight: Float[Tensor, "N K"], block_size: int) -> Float[Tensor, "N C B"]:
    return rearrange(weight, "N (C B) -> N C B", B=block_size)


def _rows(blocks: Float[Tensor, "N C B"]) -> Float[Tensor, "N K"]:
    return rearrange(blocks, "N C B -> N (C B)")


def _finite(codes: Float[Tensor, "N C B"]) -> Float[Tensor, "N C B"]:
    """Turn into 0 what came of a scale so small (below 2.9e-39) that its reciprocal is infinite.

    The `gguf` package leaves these codes to the processor's conversion of infinity, which gives 0 on x86. The
    scale rounds to 0 in float16, so that they decode to nothing in any case.
    """
    return torch.nan_to_num(codes, nan=0.0, posinf=0.0, neginf=0.0)


def _reciprocal(scale: Float[Tensor, "N C 1"]) -> Float[Tensor, "N C 1"]:
    """1 / scale, and 0 where the scale is 0."""
    return torch.where(scale == 0, torch.zeros_like(scale), 1 / scale)


def _split(data: UInt8[Tensor, "N bytes"], block_bytes: int, *sizes: int) -> list[Tensor]:
    """Cut every block of each row into fields of the given sizes: "N C field" each."""
    return list(rearrange(data, "N (C bytes) -> N C bytes", bytes=block_bytes).split(list(sizes), dim=-1))


def _join(*fields: UInt8[Tensor, "N C _"]) -> UInt8[Tensor, "N bytes"]:
    return rearrange(torch.cat(fields, dim=-1), "N C bytes -> N (C bytes)")


def _half(field: UInt8[Tensor, "N C two"]) -> Float[Tensor, "N C"]:
    return field.contiguous().view(torch.float16).squeeze(-1)


def _bytes(values: Float[Tensor, "N C"]) -> UInt8[Tensor, "N C two"]:
    return values.unsqueeze(-1).contiguous().view(torch.uint8)


def _from_halves(nibbles: UInt8[Tensor, "N C byte"]) -> UInt8[Tensor, "N half"]:
    """Put neighbours into a byte, the earlier one high; in GGUF weight j is low and j + B/2 high."""
    return pack_pairs(rearrange([nibbles & 0xF, nibbles >> 4], "part N C byte -> N (C part byte)"))


def _to_halves(codes: UInt8[Tensor, "N half"], block: int) -> UInt8[Tensor, "N C byte"]:
    low, high = rearrange(unpack_pairs(codes), "N (C part byte) -> part N C byte", part=2, byte=block // 2)
    return low | (high << 4)


def read_q4_0(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Blocks of 18 bytes: scale, 16 bytes of codes."""
    scale, codes = _split(data, 18, 2, 16)
    return Stored(codes=_from_halves(codes), scales=_half(scale))


def write_q4_0(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q4_0`."""
    return _join(_bytes(stored.scales), _to_halves(stored.codes, BLOCK))


def read_q4_1(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Blocks of 20 bytes: scale, offset, 16 bytes of codes."""
    scale, offset, codes = _split(data, 20, 2, 2, 16)
    return Stored(codes=_from_halves(codes), scales=_half(scale), offsets=_half(offset))


def write_q4_1(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q4_1`."""
    assert stored.offsets is not None
    return _join(_bytes(stored.scales), _bytes(stored.offsets), _to_halves(stored.codes, BLOCK))


def read_q8_0(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Blocks of 34 bytes: scale, 32 signed bytes."""
    scale, codes = _split(data, 34, 2, 32)
    signed = rearrange(codes, "N C byte -> N (C byte)").contiguous().view(torch.int8)
    return Stored(codes=signed, scales=_half(scale))


def write_q8_0(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q8_0`."""
    codes = rearrange(stored.codes.view(torch.uint8), "N (C byte) -> N C byte", byte=BLOCK)
    return _join(_bytes(stored.scales), codes)


# ------------------------------------------------------- Q4_K, Q6_K (made in quantize_k.py)


def read_q4_k(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Super-blocks of 144 bytes: outer scale and offset, 12 bytes of 6-bit ones, 128 of codes."""
    scale, offset, inner, codes = _split(data, 144, 2, 2, 12, 128)
    # four runs of 64 weights: 32 bytes, each with a weight of the first 32 low and one of the second 32 high
    runs = rearrange(codes, "N C (run byte) -> N (C run) byte", byte=32)
    return Stored(
        codes=_from_halves(runs),
        scales=rearrange(inner, "N C byte -> N (C byte)"),
        outer_scales=_half(scale),
        outer_offsets=_half(offset),
    )


def write_q4_k(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q4_k`."""
    assert stored.outer_scales is not None
    assert stored.outer_offsets is not None
    inner = rearrange(stored.scales, "N (C byte) -> N C byte", byte=12)
    codes = rearrange(_to_halves(stored.codes, 64), "N (C run) byte -> N C (run byte)", run=4)
    return _join(_bytes(stored.outer_scales), _bytes(stored.outer_offsets), inner, codes)


def affine_q4_k(stored: Stored) -> Affine:
    """Four bits, scaled and offset."""
    scales, offsets = scales_and_offsets(stored)
    return Affine(codes=stored.codes, scales=scales, offsets=offsets, levels="unsigned")


def scales_and_offsets(stored: Stored) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    """Take eight 6-bit scales and offsets out of twelve bytes, each times its outer scale."""
    assert stored.outer_scales is not None
    assert stored.outer_offsets is not None
    low, middle, high = rearrange(stored.scales, "N (C part four) -> part N C four", part=3, four=4)
    scales = torch.cat([low & 63, (high & 15) | ((low >> 2) & 48)], dim=-1).float()
    offsets = torch.cat([middle & 63, (high >> 4) | ((middle >> 2) & 48)], dim=-1).float()
    return (
        rearrange(stored.outer_scales.float()[..., None] * scales, "N C eight -> N (C eight)"),
        rearrange(-(stored.outer_offsets.float()[..., None] * offsets), "N C eight -> N (C eight)"),
    )


def read_q6_k(data: UInt8[Tensor, "N bytes"]) -> Stored:
    """Super-blocks of 210 bytes: 128 of low halves, 64 of high pairs of bits, 16 scales, outer scale."""
    codes, scales, outer = _split(data, 210, 192, 16, 2)
    return Stored(
        codes=rearrange(codes, "N C byte -> N (C byte)"),
        scales=rearrange(scales, "N C byte -> N (C byte)").contiguous().view(torch.int8),
        outer_scales=_half(outer),
    )


def write_q6_k(stored: Stored) -> UInt8[Tensor, "N bytes"]:
    """Undo :func:`read_q6_k`."""
    assert stored.outer_scales is not None
    codes = rearrange(stored.codes, "N (C byte) -> N C byte", byte=192)
    scales = rearrange(stored.scales.view(torch.uint8), "N (C byte) -> N C byte", byte=16)
    return _join(codes, scales, _bytes(stored.outer_scales))


def affine_q6_k(stored: Stored) -> Affine:
    """Six bits less 32, times the 8-bit scale of 16 weights, times the outer scale."""
    assert stored.outer_scales is not None
    low, high = _split(stored.codes, 192, 128, 64)
    low = _shifted(rearrange(low, "N C (two byte) -> N C two 1 byte", two=2), (0, 4), 15)
    low = rearrange(low, "N C two part (half byte) -> N C (two part half) byte", byte=32)
    high = _shifted(rearrange(high, "N C (two byte) -> N C two 1 byte", two=2), (0, 2, 4, 6), 3)
    high = rearrange(high, "N C two part byte -> N C (two part) byte")
    codes = (low | (high << 4)).to(torch.int8) - 32
    scales = rearrange(stored.scales.float(), "N (C sixteen) -> N C sixteen", sixteen=16)
    return Affine(
        codes=rearrange(codes, "N C eight byte -> N (C eight byte)"),
        scales=rearrange(stored.outer_scales.float()[..., None] * scales, "N C sixteen -> N (C sixteen)"),
        offsets=None,
        levels="int8",
    )


def _shifted(field: UInt8[Tensor, "..."], shifts: tuple[int, ...], mask: int) -> UInt8[Tensor, "..."]:
    """Shift the field right by each of ``shifts``, along its last axis but one, and mask it."""
    return (field >> constant(shifts, torch.uint8, field.device)[:, None]) & mask


GGUF_FORMATS: dict[str, Format] = {
    "q4_0": Format(
        about="GGUF Q4_0: 4 bits, a float16 scale for 32 weights",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 4.5,
        affine=affine_as_stored("signed"), pack=pack_q4_0, layout=pairs_layout(torch.float16),
        multiple=32, block_bytes=18, from_bytes=read_q4_0, to_bytes=write_q4_0,
    ),
    "q4_1": Format(
        about="GGUF Q4_1: 4 bits, a float16 scale and smallest weight for 32 weights",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 5.0,
        affine=affine_as_stored("unsigned"), pack=pack_q4_1, layout=pairs_layout(torch.float16, offsets=True),
        multiple=32, block_bytes=20, from_bytes=read_q4_1, to_bytes=write_q4_1,
    ),
    "q8_0": Format(
        about="GGUF Q8_0: 8 bits, a float16 scale for 32 weights",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 8.5,
        affine=affine_as_stored("int8"), pack=pack_q8_0, layout=bytes_layout(torch.float16),
        multiple=32, block_bytes=34, from_bytes=read_q8_0, to_bytes=write_q8_0,
    ),
    "q4_k": Format(
        about="GGUF Q4_K: 4 bits, 6-bit scales and offsets of 32 weights, outer ones of 256; see quantize_k",
        block_size=32, block_sizes=(32,), bits_per_weight=lambda _: 4.5,
        affine=affine_q4_k, multiple=SUPER_BLOCK, block_bytes=144,
        from_bytes=read_q4_k, to_bytes=write_q4_k,
    ),
    "q6_k": Format(
        about="GGUF Q6_K: 6 bits, 8-bit scales of 16 weights, an outer one of 256; made by quantize_k",
        block_size=16, block_sizes=(16,), bits_per_weight=lambda _: 6.5625,
        affine=affine_q6_k, multiple=SUPER_BLOCK, block_bytes=210,
        from_bytes=read_q6_k, to_bytes=write_q6_k,
    ),
}  # fmt: skip
