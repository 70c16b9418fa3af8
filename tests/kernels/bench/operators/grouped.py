"""The linear layer with adapters under the bench, on each kind of format."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from collections.abc import Callable

import torch
from bench import checks
from bench.checks import agrees, bytes_with_offsets, drawn
from bench.examples import Example, Size, learned, packed, with_gradients
from bench.mutants import mutants

from qlora_kernels import dequantize, quantize
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.lab.compiler import running_on
from qlora_kernels.linear import quantized_linear
from qlora_kernels.rows import Backend


def check() -> None:
    """Three cells of uneven length, tiles that nothing divides, each kind of format."""
    cells, rank, inputs, outputs = 3, 5, 192, 70
    segments, scale = torch.tensor([0, 30, 31, 140], device="cpu"), torch.tensor([0.5, 2.0, 1.0])
    a, b = drawn(cells, rank, inputs, scale=inputs**-0.5, seed=1), drawn(cells, outputs, rank, seed=2)
    x = drawn(140, inputs)
    dense = drawn(outputs, inputs, scale=inputs**-0.5, seed=3)
    small = bytes_with_offsets(outputs, inputs)
    for weight in (dense, *(quantize(dense, format) for format in ("nf4", "q4_1", "q8_0")), small):
        agrees(
            lambda x, a, b, to, w=weight: grouped_lora_linear(
                x, w, a, b, scale, segments, backend="fused" if to == "triton" else to
            ),
            x, a, b, terms=inputs,
        )  # fmt: skip


def check_rounding() -> None:
    """Weights are rounded to bfloat16 as defined where the kernel does it itself: ties to even, NaN to NaN."""
    dense = drawn(24, 64, scale=0.1, seed=4)
    unit = torch.eye(64, dtype=torch.bfloat16)  # multiplied with it, the weight itself comes out
    for format in ("nf4", "q4_1", "q8_0"):
        weight = quantize(dense, format)
        if format == "nf4":
            # its largest level is 1: halfway between two bfloat16, whose last bit is 0, then 1; then no number
            weight.stored.scales[0], weight.stored.scales[1] = 1 + 2**-8, 1 + 3 * 2**-8
            weight.stored.codes[:2] = 0xFF
            weight.stored.scales[2] = torch.tensor(0x7FFFFFFF, dtype=torch.int32).view(torch.float32)
        expected = dequantize(weight, torch.bfloat16, backend="reference").T
        with running_on("gfx942"), checks.traced() as trace:
            got = quantized_linear(unit, weight, backend="fused")
        trace.assert_clean()
        assert torch.equal(got.isnan(), expected.isnan()), f"{format}: NaN got lost, or came from nowhere"
        assert torch.equal(got.nan_to_num(), expected.nan_to_num()), f"{format}: rounded differently"


def example_on(format: str, cells: int, backend: Backend = "fused") -> Callable[[Size], Example]:
    def example(size: Size) -> Example:
        weight = packed(format, size)
        x = learned(size, size.tokens, size.width)
        a, b = learned(size, cells, size.rank, size.width), learned(size, cells, size.width, size.rank)
        segments = torch.linspace(0, size.tokens, cells + 1).long()
        scale = torch.ones(cells, device=size.device)
        return lambda: with_gradients(
            grouped_lora_linear(x, weight, a, b, scale, segments, backend=backend), x, a, b
        )

    return example


CHECKS = {"grouped": check, "grouped, rounding": check_rounding}
EXAMPLES = {
    "LoRA on nf4": example_on("nf4", cells=1),
    "LoRA on nf4, 4 cells": example_on("nf4", cells=4),
    "LoRA on q4_1": example_on("q4_1", cells=1),
    "LoRA on q8_0": example_on("q8_0", cells=1),
}
MUTANTS = [
    *mutants(
        "linear_triton",
        check,
        ("last K tile dropped", "for start in range(0, K, DEPTH):", "for start in range(0, K - DEPTH, DEPTH):"),
        (
            "nibbles swapped",
            "tl.join(narrowed(first, like, INTEGERS), narrowed(second, like, INTEGERS))",
            "tl.join(narrowed(second, like, INTEGERS), narrowed(first, like, INTEGERS))",
        ),
        ("scales of the next block", "group = start // GROUP +", "group = start // GROUP + 1 +"),
        ("offset forgotten", "                second += offset\n", ""),
        ("offset of signed bytes forgotten", "weight += wide_scale(", "weight + wide_scale("),
        ("a row given to two cells", "(row < tl.load(segments + cell + 1))", "(row <= tl.load(segments + cell + 1))"),
        ("last cell of a tile forgotten", "tl.load(last_cell) - first + 1)", "tl.load(last_cell) - first)"),
        ("adapter's factor ignored", "1.0 if factors is None else tl.load(factors + cell)", "1.0"),
        ("rank not masked", "(rank < R)[:, None] & column_inside[None, :]", "column_inside[None, :]"),
        (
            "tf32 in the forward product",
            'total = tl.dot(left, tl.trans(weight), total, input_precision="ieee")',
            "total = tl.dot(left, tl.trans(weight), total)",
        ),
        ("every program computes the same tile", "return first + within % height", "return first + 0 * within"),
    ),
    *mutants(
        "linear_triton",
        check_rounding,
        ("ties away from zero", "bits += 0x7FFF + ((bits >> 16) & 1)", "bits += 0x8000"),
        ("cut off instead of rounded", "bits += 0x7FFF + ((bits >> 16) & 1)\n", "bits += 0\n"),
        ("NaN rounded to a number", "tl.where(wide == wide, wide.to(tl.int32, bitcast=True), NOT_A_NUMBER)", "wide.to(tl.int32, bitcast=True)"),
    ),
    *mutants(
        "grouped_triton",
        check,
        ("rows of the next cell in S", "row_inside = row < tl.load(segments + cell + 1)\n    rank = tl.arange(0, RANKS)\n    total", "row_inside = row < tl.load(segments + cell + 1) + 1\n    rank = tl.arange(0, RANKS)\n    total"),
        ("factor missing from dS", "(total * factor)", "(total)"),
        ("factor missing from dB", 'input_precision="ieee") * factor', 'input_precision="ieee")'),
        ("first share of dB left out", "first = tl.load(cell_tiles + cell)\n", "first = tl.load(cell_tiles + cell) + 1\n"),
        ("dA sums the rows of the first cell", "row = first + start + tl.arange", "row = start + tl.arange"),
    ),
]  # fmt: skip
