"""Packing and decoding under the bench, to the byte and to the bit."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from collections.abc import Callable

import torch
from bench import checks
from bench.examples import Example, Size, learned
from bench.examples import packed as packed_as
from bench.mutants import mutants
from torch import Tensor

from qlora_kernels import dequantize, quantize
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


CHECKS = {"quantize": check, "nf4_levels": check_levels}
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
    ),
    *mutants(
        "formats_layout",
        check_levels,
        ("one digit of the codebook", "0.07958029955625534", "0.0795"),
    ),
]  # fmt: skip
