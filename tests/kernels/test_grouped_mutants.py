"""More mistakes planted in the quantization and linear kernels: masks, strides, cells, and the CPU route.

``test_mutants.py`` plants those that all kernels share.
"""

import pytest
import torch
from bench.mutants import Mutant, killed_by

from qlora_kernels import QuantizedTensor, grouped, quantize
from qlora_kernels.formats_layout import Stored
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import traced

LAYOUT, LINEAR = "qlora_kernels.formats_layout", "qlora_kernels.linear_triton"
GROUPED, QUANTIZE = "qlora_kernels.grouped_triton", "qlora_kernels.quantize_triton"
ROUTE = "qlora_kernels.grouped_torch"


def _case(format, n=150, k=288, boundaries=(0, 9, 9, 150)):
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    weight = drawn(n, k) + 0.01
    weight = weight if format == "dense" else quantize(weight, format)
    # x and dy are slices of wider matrices that hold NaN
    x, dy = (torch.full((boundaries[-1], 2 * width), torch.nan)[:, :width] for width in (k, n))
    x.copy_(drawn(boundaries[-1], k) * 4), dy.copy_(drawn(boundaries[-1], n))
    a, b = drawn(3, 5, k), drawn(3, n, 5)
    return weight, x, a, b, torch.tensor([0.5, 1.0, 2.0]), torch.tensor(boundaries), dy


def _results(backend, weight, x, a, b, scale, segments, dy):
    x, a, b = (t.detach().requires_grad_() for t in (x, a, b))
    y = grouped.grouped_lora_linear(x, weight, a, b, scale, segments, backend=backend)
    return y.detach(), *torch.autograd.grad(y, (x, a, b), dy)


def linear(format, backend="triton", **sizes):
    """A check: all results of the layer, and what its kernels do to memory."""

    def check():
        case = _case(format, **sizes)
        with traced() as trace:
            got = _results(backend, *case)
        if trace.launches:
            trace.assert_clean()
        weight, *inputs = case
        truth = _results("reference", (weight if torch.is_tensor(weight) else weight.dequantize()).double(),
                         *(t.double() if t.is_floating_point() else t for t in inputs))  # fmt: skip
        for name, result, exact in zip(("y", "dx", "da", "db"), got, truth, strict=True):
            error = ((result - exact).norm() / exact.norm()).item()
            assert error < 1e-6, f"{name} is off by {error:.1e}"

    return check


def packs(name):
    """A check: the bytes that the kernel packs."""

    def check():
        weight = torch.randn(4, 256, generator=torch.Generator().manual_seed(0))
        weight[0, ::2], weight[0, 1::2], weight[1] = 1.0, -1.0, 0.0
        with interpreted():
            got = quantize(weight, name, backend="triton").stored.tensors()
        for part, tensor in quantize(weight, name, backend="reference").stored.tensors().items():
            assert torch.equal(got[part], tensor), f"{part} differ"

    return check


def pair():
    """The high half of a byte is the earlier weight."""
    stored = Stored(codes=torch.tensor([[0xF0] * 32], dtype=torch.uint8), scales=torch.ones(1, 1))
    packed = QuantizedTensor(format="nf4", shape=(1, 64), stored=stored, block_size=64)
    assert packed.dequantize()[0, :2].tolist() == [1.0, -1.0]


MUTANTS = [
    Mutant(
        "pairs the wrong way round",
        LAYOUT,
        "[level[byte >> 4], level[byte & 0xF]]",
        "[level[byte & 0xF], level[byte >> 4]]",
        pair,
    ),
    Mutant(
        "last tile of N dropped",
        LINEAR,
        "range(0, N, DEPTH)",
        "range(0, N - DEPTH, DEPTH)",
        linear("q4_1"),
    ),
    Mutant(
        "no mask on K of x",
        LINEAR,
        "inside = row_inside[:, None] & (depth < K)[None, :]",
        "inside = row_inside[:, None] & (depth >= 0)[None, :]",
        linear("dense", k=300),
    ),
    Mutant(
        "no mask on N of dy",
        LINEAR,
        "inside = row_inside[:, None] & output_inside[None, :]",
        "inside = row_inside[:, None] & (output >= 0)[None, :]",
        linear("q4_1"),
    ),
    Mutant(
        "masked lanes not filled",
        LINEAR,
        "left = tl.load(x + row[:, None] * x_stride + depth[None, :], inside, other=0.0)",
        "left = tl.load(x + row[:, None] * x_stride + depth[None, :], inside)",
        linear("dense", k=300),
    ),
    Mutant(
        "scales not moved on",
        LINEAR,
        "scales += DEPTH * (K // GROUP)",
        "scales += 0",
        linear("q8_0"),
    ),
    Mutant(
        "first row of a cell lost",
        LINEAR,
        "(row >= tl.load(segments + cell))",
        "(row > tl.load(segments + cell))",
        linear("q8_0"),
    ),
    Mutant(
        "row stride of x ignored",
        LINEAR,
        "x + row[:, None] * x_stride",
        "x + row[:, None] * K",
        linear("q8_0"),
    ),
    Mutant(
        "tf32 in dx",
        LINEAR,
        'tl.dot(left, weight, total, input_precision="ieee")',
        "tl.dot(left, weight, total)",
        linear("q8_0"),
    ),
    Mutant(
        "tile column for tile row",
        LINEAR,
        "return first + within % height, within // height",
        "return within // height, first + within % height",
        linear("q8_0"),
    ),
    Mutant(
        "last share of dB dropped",
        GROUPED,
        "range(tl.load(cell_tiles + cell + 1) - first)",
        "range(tl.load(cell_tiles + cell + 1) - first - 1)",
        linear("q8_0"),
    ),
    Mutant(
        "tiles cross into the next cell",
        GROUPED,
        "row_inside = row < end",
        "row_inside = row < end + 1",
        linear("q8_0"),
    ),
    Mutant(
        "a tile of rows too few",
        GROUPED,
        "(segments.diff() + tile.rows - 1) // tile.rows",
        "segments.diff() // tile.rows",
        linear("q8_0"),
    ),
    Mutant(
        "halves to even",
        QUANTIZE,
        "size = whole + tl.floor(2.0 * (size - whole))",
        "size = (size + TO_EVEN) - TO_EVEN + tl.where(size > 126.0, 1.0, 0.0)",
        packs("q8_0"),
    ),
    Mutant(
        "scale not rounded before use",
        QUANTIZE,
        "scale = scale.to(tl.bfloat16).to(tl.float32)",
        "scale = scale * 1.0",
        packs("int4"),
    ),
    Mutant(
        "CPU: scale forgotten",
        ROUTE,
        "return rows * torch.repeat_interleave(scale, segments.diff())[:, None]",
        "return rows",
        linear("q8_0", "torch"),
    ),
    Mutant(
        "CPU: cells of equal length assumed",
        ROUTE,
        "bool((lengths == lengths[0]).all() and lengths[0] > 0)",
        "True",
        linear("q8_0", "torch", boundaries=(0, 9, 30, 150)),
    ),
]


CHECKS = [linear("q4_1"), linear("q8_0"), linear("q8_0", "torch"), pair]


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_pass_without_a_mutant(check):
    check()


@pytest.mark.slow
def test_every_mutant_is_killed(capsys):
    objections = {mutant.name: killed_by(mutant) for mutant in MUTANTS}
    survivors = [name for name, objection in objections.items() if objection is None]
    with capsys.disabled():
        print(f"\n{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} mutants of the linear kernels killed")
    assert not survivors
