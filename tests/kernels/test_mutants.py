"""Forty mistakes, planted one at a time: every one must be caught."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

import pytest
from bench import checks
from bench.mutants import Mutant, killed_by


def _mutants(module, check, *changes):
    return [Mutant(name, f"qlora_kernels.{module}", old, new, check) for name, old, new in changes]


MUTANTS = [
    *_mutants(
        "rms_norm_triton",
        checks.check_rms_norm,
        ("epsilon forgotten", "/ H + epsilon)", "/ H)"),
        ("mean over the block instead of the row", "tl.sum(value * value, 0) / H", "tl.sum(value * value, 0) / BLOCK"),
        (
            "masked load without other",
            "value = tl.load(x + row * x_stride + column, inside, other=0.0)",
            "value = tl.load(x + row * x_stride + column, inside)",
        ),
        ("row stride ignored", "value = tl.load(x + row * x_stride", "value = tl.load(x + row * BLOCK"),
        ("last row of the backward pass lost", "if row < M:", "if row < M - 1:"),
        ("projection dropped", "scale * upstream - normed * projection", "scale * upstream"),
        ("only the last row's weight gradient", "dweight += upstream", "dweight = upstream"),
    ),
    *_mutants(
        "rope_triton",
        checks.check_rope,
        ("turned the other way", "tl.store(target + i, (first * c - second * s)", "tl.store(target + i, (first * c + second * s)"),
        ("angles of the first token for all", "tl.load(cosine + token * HALF + i", "tl.load(cosine + i"),
        ("pairs written the wrong way round", "tl.join(first * c - second * s, first * s + second * c)", "tl.join(first * s + second * c, first * c - second * s)"),
    ),
    *_mutants(
        "swiglu_triton",
        checks.check_swiglu,
        ("up missing from a gradient", "(d * u * slope)", "(d * slope)"),
        ("1 - s cancels", "tl.sigmoid(-g))", "(1.0 - s))"),
        ("one column too many", "inside = column < F\n    g = tl", "inside = column <= F\n    g = tl"),
    ),
    *_mutants(
        "linear_cross_entropy_triton",
        checks.check_linear_cross_entropy,
        ("maximum not carried on", "        highest = new\n", ""),
        ("target counted twice", "tl.where(start + word == target, 0.0, tl.exp(value - new))", "tl.exp(value - new)"),
        ("words beyond the vocabulary count", 'start + word < V, other=-float("inf"))', "start + word < V, other=0.0)"),
        ("slope not normalized", "tl.exp(value - highest) / (rest + own))", "tl.exp(value - highest))"),
    ),
    *_mutants(
        "linear_triton",
        checks.check_linear,
        ("last K tile dropped", "for start in range(0, K, DEPTH):", "for start in range(0, K - DEPTH, DEPTH):"),
        (
            "nibbles swapped",
            "tl.join(first.to(like.dtype.element_ty), second.to(like.dtype.element_ty))",
            "tl.join(second.to(like.dtype.element_ty), first.to(like.dtype.element_ty))",
        ),
        ("scales of the next block", "group = start // GROUP +", "group = start // GROUP + 1 +"),
        ("offset forgotten", "                second += offset\n", ""),
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
    *_mutants(
        "grouped_triton",
        checks.check_linear,
        ("rows of the next cell in S", "row_inside = row < tl.load(segments + cell + 1)\n    rank = tl.arange(0, RANKS)\n    total", "row_inside = row < tl.load(segments + cell + 1) + 1\n    rank = tl.arange(0, RANKS)\n    total"),
        ("factor missing from dS", "(total * factor)", "(total)"),
        ("factor missing from dB", 'input_precision="ieee") * factor', 'input_precision="ieee")'),
        ("first share of dB left out", "first = tl.load(cell_tiles + cell)\n", "first = tl.load(cell_tiles + cell) + 1\n"),
        ("dA sums the rows of the first cell", "row = first + start + tl.arange", "row = start + tl.arange"),
    ),
    *_mutants(
        "quantize_triton",
        checks.check_quantize,
        ("scale by 128 instead of 127", "tl.full((BLOCKS,), 127.0, tl.float32))\n        steps = value * reciprocal(scale)[:, None]\n        size", "tl.full((BLOCKS,), 128.0, tl.float32))\n        steps = value * reciprocal(scale)[:, None]\n        size"),
        ("nibbles packed the other way", "((earlier << 4) | later)", "((later << 4) | earlier)"),
        ("a tie goes up in NF4", "(relative > tl.load(bounds + i))", "(relative >= tl.load(bounds + i))"),
        ("sign of the largest lost", "largest * -0.125", "largest * 0.125"),
        ("rounded down instead of to nearest", "finite(steps + 0.5)", "finite(steps)"),
        ("a scale of zero divides", "tl.where(scale == 0.0, 0.0, tl.div_rn(1.0, tl.where(scale == 0.0, 1.0, scale)))", "tl.div_rn(1.0, scale)"),
    ),
    *_mutants(
        "decode_triton",
        checks.check_quantize,
        ("scales of the wrong block when decoding", "tl.load(scales + byte // BYTES", "tl.load(scales + byte // (2 * BYTES)"),
    ),
    *_mutants(
        "formats_layout",
        checks.check_nf4_levels,
        ("one digit of the codebook", "0.07958029955625534", "0.0795"),
    ),
]  # fmt: skip

CHECKS = {mutant.check.__name__: mutant.check for mutant in MUTANTS}


@pytest.mark.parametrize("check", CHECKS)
def test_the_original_passes(check):
    CHECKS[check]()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{m.module.split('.')[1]}: {m.name}" for m in MUTANTS])
def test_is_killed(mutant, record_property):
    objection = killed_by(mutant)
    record_property("objection", objection)
    assert objection is not None, f"nobody noticed: {mutant.name} in {mutant.module}"


def test_there_are_enough():
    names = {(mutant.module, mutant.name) for mutant in MUTANTS}
    print(f"{len(names)} mutants planted")
    assert len(names) == len(MUTANTS) >= 20
