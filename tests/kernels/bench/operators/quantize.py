"""Packing and decoding under the bench, to the byte and to the bit."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from collections.abc import Callable

import gguf
import numpy as np
import torch
from bench import checks
from bench.blocks import awkward_blocks, same_bits
from bench.examples import Example, Size, learned
from bench.examples import packed as packed_as
from bench.mutants import mutants
from torch import Tensor

from qlora_kernels import dequantize, formats_gguf_bits, formats_gguf_tables, quantize
from qlora_kernels.decode import decode_reference
from qlora_kernels.formats_nf4 import NF4_BOUNDS
from qlora_kernels.quantize_triton import launch_pack


def check() -> None:
    """Packed to the byte as defined, and decoded to the bit, for every format that can be made."""
    weight = checks.drawn(5, 256)
    weight[0], weight[1, 128:], weight[2, 7] = 0.0, 1e-40, -3.5
    weight[3] = torch.arange(256) / 2  # ties of the integer formats
    weight[4, :16] = torch.tensor([*NF4_BOUNDS, 1.0])  # and of NF4
    weight[4, 16:64] = 0.0
    for format in ("nf4", "int4", "int8", "q4_0", "q4_1", "q8_0"):
        expected = quantize(weight, format, backend="reference")
        with checks.traced() as trace:
            got = quantize(weight, format, backend="triton")
            decoded = dequantize(got, backend="triton")
        trace.assert_clean()
        for name, tensor in expected.stored.tensors().items():
            assert torch.equal(got.stored.tensors()[name], tensor), f"{format}: {name} differ"
        assert torch.equal(decoded, decode_reference(expected.affine())), f"{format}: decoded differently"
    given = checks.bytes_with_offsets(5, 256)
    with checks.traced() as trace:
        decoded = dequantize(given, backend="triton")
    trace.assert_clean()
    assert torch.equal(decoded, decode_reference(given.affine())), "signed bytes with offsets differ"


def check_blocks() -> None:
    """The blocks of GGUF files that are only read decode as the `gguf` package says."""
    rng = torch.Generator().manual_seed(0)
    # out of the modules, where a planted mistake is
    known = {**formats_gguf_bits.BIT_FORMATS, **formats_gguf_tables.TABLE_FORMATS}
    for name, format in known.items():
        data = awkward_blocks(name, rng, 128, 2)
        kind = gguf.GGMLQuantizationType[name.upper()]
        with np.errstate(invalid="ignore", over="ignore"):
            expected = gguf.quants.dequantize(data.numpy(), kind)
        stored = format.from_bytes(data)
        assert same_bits(decode_reference(format.affine(stored)), expected), name
        assert torch.equal(format.to_bytes(stored), data), name


def check_levels() -> None:
    """The sixteen levels are those of bitsandbytes, to the bit."""
    from bitsandbytes.functional import get_4bit_type

    packed = quantize(torch.ones(1, 64), "nf4")
    packed.stored.codes.copy_(torch.arange(32) % 16 * 17)
    decoded = packed.dequantize()[0]
    assert torch.equal(decoded.view(-1, 2)[:16, 0], get_4bit_type("nf4", device="cpu"))


def example_of(format: str) -> Callable[[Size], Example]:
    def example(size: Size) -> Example:
        numbers, packed = learned(size, size.width, size.width, learns=False).float(), packed_as(format, size)

        def run() -> tuple[Tensor, ...]:
            # past the check of the result, which means nothing when launches are only recorded
            stored = launch_pack(numbers, format, packed.block_size)
            return *stored.tensors().values(), packed.dequantize(size.dtype, backend="triton")

        return run

    return example


CHECKS = {"quantize": check, "nf4_levels": check_levels, "blocks": check_blocks}
EXAMPLES = {name: example_of(name) for name in ("nf4", "q4_0", "q4_1", "q8_0", "int4", "int8")}
MUTANTS = [
    *mutants(
        "quantize_triton",
        check,
        ("scale by 128 instead of 127", "tl.full((BLOCKS,), 127.0, tl.float32))\n        steps = value * reciprocal(scale)[:, None]\n        size", "tl.full((BLOCKS,), 128.0, tl.float32))\n        steps = value * reciprocal(scale)[:, None]\n        size"),
        ("nibbles packed the other way", "((earlier << 4) | later)", "((later << 4) | earlier)"),
        ("a tie goes up in NF4", "(relative > tl.load(bounds + i))", "(relative >= tl.load(bounds + i))"),
        ("sign of the largest lost", "largest * -0.125", "largest * 0.125"),
        ("rounded down instead of to nearest", "finite(steps + 0.5)", "finite(steps)"),
        ("a scale of zero divides", "tl.where(scale == 0.0, 0.0, tl.div_rn(1.0, tl.where(scale == 0.0, 1.0, scale)))", "tl.div_rn(1.0, scale)"),
    ),
    *mutants(
        "decode_triton",
        check,
        ("scales of the wrong block when decoding", "tl.load(scales + byte // BYTES", "tl.load(scales + byte // (2 * BYTES)"),
        ("offset of signed bytes forgotten", "weight += tl.load(offsets", "weight + tl.load(offsets"),
    ),
    *mutants(
        "formats_gguf_bits",
        check_blocks,
        ("Q5_0 without the 16 below zero", "five_bits(stored.codes).to(torch.int8) - 16", "five_bits(stored.codes).to(torch.int8) - 15"),
        ("the high bits shifted by three", 'rearrange(low, "N C part byte -> N C (part byte)") | (high << 4)', 'rearrange(low, "N C part byte -> N C (part byte)") | (high << 3)'),
        ("Q5_K's high bits in the order of bytes", 'high = _shifted(rearrange(high, "N C byte -> N C 1 byte"), tuple(range(8)), 1)\n    codes = rearrange(low', 'high = _shifted(rearrange(high, "N C byte -> N C 1 byte"), tuple(range(8)), 1).flip(-1)\n    codes = rearrange(low'),
        ("Q2_K's offset from the scale's bits", "(inner >> 4).float()", "(inner & 15).float()"),
        ("Q2_K's offset added", "offsets = -(stored.outer_offsets.float()[..., None]", "offsets = (stored.outer_offsets.float()[..., None]"),
        ("Q2_K's codes in the order of bits", '"N run four byte -> N (run four byte)"', '"N run four byte -> N (run byte four)"'),
        ("Q3_K's third bit the other way", "+ (high << 2) + 4", "+ ((1 - high) << 2) + 4"),
        ("Q3_K's scales without the 32", "(six.float() - 32)", "(six.float() - 31)"),
        ("Q3_K's high bits of scales in another order", '"N C part four -> N C (part four)"', '"N C part four -> N C (four part)"'),
    ),
    *mutants(
        "formats_gguf_tables",
        check_blocks,
        ("scales of IQ4_XS in the order of halves", '"N C byte part -> N C (byte part)"', '"N C byte part -> N C (part byte)"'),
        ("scales of IQ4_XS without the 32", "(six.float() - 32)", "six.float()"),
        ("MXFP4's scale not halved", "(exponent - 1) << 23", "exponent << 23"),
        ("MXFP4's smallest exponents as others", "exponent < 2,", "exponent < 0,"),
    ),
    *mutants(
        "formats_layout",
        check_blocks,
        ("one level of IQ4", "-22, -10, 1, 13", "-22, -10, 0, 13"),
        ("one level of MXFP4", "4.0, 6.0, 8.0, 12.0)", "4.0, 6.0, 8.0, 16.0)"),
    ),
    *mutants(
        "formats_layout",
        check_levels,
        ("one digit of the codebook", "0.07958029955625534", "0.0795"),
    ),
]  # fmt: skip
