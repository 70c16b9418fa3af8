"""The linear layer on a packed base, alone and with an adapter for each cell; forward and backward."""

import pytest
import torch
from bench.blocks import packed_blocks
from bench.far import far_apart
from bench.linear_case import Case
from real_weights import real_tensors

from qlora_kernels import FORMATS, QuantizedTensor, quantize
from qlora_kernels.grouped import _linear, _linear_backward, grouped_lora_linear
from qlora_kernels.grouped_reference import grouped_lora_linear_reference
from qlora_kernels.lab.accuracy import FLOAT_TYPES, assert_accurate, layouts
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import traced
from qlora_kernels.linear import lora_linear, lora_linear_reference, quantized_linear
from qlora_kernels.products import PreparedWeight

TRITON = ["fused", "decoded"]
ROUTES = ["torch", *TRITON]
SHAPES = [  # N, K, rank, boundaries of the cells
    pytest.param(1, 64, 1, (0, 1), id="one-of-everything"),
    pytest.param(65, 192, 5, (0, 1, 1, 34, 70), id="ragged-and-an-empty-cell"),
    pytest.param(130, 320, 16, (0, 37, 150), id="several-tiles-and-a-cell-across-two"),
    pytest.param(72, 128, 33, (0, 4, 8, 12, 16), id="equal-cells-in-few-rows"),
]


def same(results, expected):
    for name, tensor in expected.items():
        assert torch.equal(results[name], tensor), name


@pytest.mark.parametrize("backend", ROUTES)
@pytest.mark.parametrize("dtype", FLOAT_TYPES, ids=str)
@pytest.mark.parametrize(("n", "k", "rank", "boundaries"), SHAPES)
def test_matches_definition(rng, n, k, rank, boundaries, dtype, backend):
    Case(rng, n, k, rank, boundaries, dtype).check(backend)


@pytest.mark.parametrize("backend", ROUTES)
@pytest.mark.parametrize("format", [*(name for name, f in FORMATS.items() if f.pack), "dense"])
def test_every_format(rng, format, backend):
    Case(rng, 33, 96 if format.startswith("q") else 192, 4, (0, 9, 40), torch.float32, format).check(backend)


@pytest.mark.parametrize("backend", TRITON)
@pytest.mark.parametrize("block", [32, 128, 256])
def test_blocks_narrower_and_wider_than_a_tile(rng, block, backend):
    case = Case(rng, 33, 512, 4, (0, 20))
    case.weight = quantize(torch.randn(33, 512, generator=rng) / 20, "nf4", block_size=block)
    case.check(backend)


@pytest.mark.parametrize("name", [name for name, f in FORMATS.items() if not f.pack])
def test_formats_that_are_only_read(rng, name):
    case = Case(rng, 33, 256, 4, (0, 20))
    case.weight = packed_blocks(name, rng, 33, 256)
    for backend in ROUTES:
        case.check(backend)


@pytest.mark.parametrize("backend", TRITON)
@pytest.mark.parametrize("layout", layouts(torch.zeros(2, 2)))
def test_any_layout(rng, layout, backend):
    case = Case(rng, 33, 64, 4, (0, 9, 40))
    contiguous = case.results(backend)
    case.x, case.dy = layouts(case.x)[layout], layouts(case.dy)[layout]
    case.a, case.b = layouts(case.a)[layout], layouts(case.b)[layout]
    same(case.results(backend), contiguous)


@pytest.mark.parametrize("backend", ROUTES)
def test_adapters_cut_out_of_one_matrix(rng, backend):
    case = Case(rng, 33, 64, 4, (0, 9, 40))
    contiguous = case.results(backend)
    row = torch.cat([case.a.flatten(1), case.b.flatten(1), torch.full((2, 7), torch.nan)], dim=1)
    a, b, _ = row.split([4 * 64, 33 * 4, 7], dim=1)
    case.a, case.b = a.unflatten(1, (4, 64)), b.unflatten(1, (33, 4))
    assert not case.a.is_contiguous()
    same(case.results(backend), contiguous)


@pytest.mark.parametrize("backend", ROUTES)
def test_gradient_of_a_sum_has_stride_zero(rng, backend):
    case = Case(rng, 33, 64, 4, (0, 9, 40))
    case.dy = torch.ones(40, 33)
    contiguous = case.results(backend)
    case.dy = torch.ones(()).expand(40, 33)
    same(case.results(backend), contiguous)


@pytest.mark.parametrize("backend", TRITON)
def test_a_cell_does_not_depend_on_its_neighbours(rng, backend):
    case = Case(rng, 40, 128, 4, (0, 30, 75, 200))
    together = case.results(backend)
    # the same rows and adapter, in a stack whose other cells hold something else
    for other in (case.x, case.dy, case.a, case.b):
        other[0 if other.dim() == 3 else slice(0, 30)] += 1.0
    changed = case.results(backend)
    for name in ("y", "dx"):
        assert torch.equal(together[name][30:], changed[name][30:])
        assert not torch.equal(together[name][:30], changed[name][:30])
    for name in ("da", "db"):
        assert torch.equal(together[name][1:], changed[name][1:])


def test_one_cell_is_the_stack_of_size_one(rng):
    case = Case(rng, 33, 64, 4, (0, 20))
    w = case.weight.dequantize()
    one = lora_linear(case.x.view(4, 5, 64), case.weight, case.a[0], case.b[0], 0.5)
    reference = lora_linear_reference(case.x, w, case.a[0], case.b[0], 0.5)
    assert one.shape == (4, 5, 33)
    torch.testing.assert_close(one.view(20, 33), reference, rtol=1e-5, atol=1e-5)
    stacked = grouped_lora_linear_reference(case.x, w, case.a, case.b, torch.tensor([0.5]), case.segments)
    torch.testing.assert_close(stacked, reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ROUTES)
def test_base_alone(rng, backend):
    case = Case(rng, 65, 192, 4, (0, 37))
    x = case.x.requires_grad_()
    with interpreted():
        y = quantized_linear(x, case.weight, backend=backend)
        (dx,) = torch.autograd.grad(y, x, case.dy)
    x, w = x.detach().double(), case.weight.dequantize().double()
    assert_accurate("y", y.detach(), x @ w.T, terms=192, magnitude=x.abs() @ w.abs().T)
    assert_accurate("dx", dx, case.dy.double() @ w, terms=65, magnitude=case.dy.double().abs() @ w.abs())


def test_reference_gradients(rng):
    x, a, b = (
        torch.randn(*shape, generator=rng, dtype=torch.float64, requires_grad=True)
        for shape in ((5, 6), (2, 3, 6), (2, 4, 3))
    )
    w, scale, segments = (
        torch.randn(4, 6, generator=rng).double(),
        torch.rand(2).double(),
        torch.tensor([0, 2, 5]),
    )
    assert torch.autograd.gradcheck(
        lambda x, a, b: grouped_lora_linear_reference(x, w, a, b, scale, segments), (x, a, b)
    )
    # and the registered operator agrees with it in float64
    assert torch.autograd.gradcheck(
        lambda x, a, b: grouped_lora_linear(x, w, a, b, scale, segments, backend="torch"), (x, a, b)
    )


def test_a_prepared_weight_changes_nothing(rng):
    case = Case(rng, 33, 64, 4, (0, 9, 40))
    before = case.results("torch")
    case.weight = PreparedWeight.of([case.weight.dequantize()], torch.float32)
    same(case.results("torch"), before)


@pytest.mark.parametrize("backend", TRITON)
@pytest.mark.parametrize("needed", ["x", "a", "b"])
def test_only_what_is_needed_is_computed(rng, needed, backend):
    case = Case(rng, 33, 64, 4, (0, 9, 40))
    inputs = {"x": case.x, "a": case.a, "b": case.b}
    inputs[needed] = inputs[needed].detach().requires_grad_()
    with interpreted():
        y = grouped_lora_linear(
            inputs["x"], case.weight, inputs["a"], inputs["b"], case.scale, case.segments, backend=backend
        )
        (got,) = torch.autograd.grad(y, inputs[needed], case.dy)
    assert torch.equal(got, case.results(backend)[f"d{needed}"])


@pytest.mark.parametrize("backend", TRITON)
def test_rank_beyond_the_kernels(rng, unchecked, backend):
    case = Case(rng, 130, 192, 129, (0, 5))
    with pytest.raises(ValueError, match="ranks of up to 128, got 129"):
        case.results(backend)
    case.check("torch")


def test_no_rows(rng):
    case = Case(rng, 33, 64, 4, (0, 0, 0))
    for backend in ROUTES:
        results = case.results(backend)
        assert results["y"].shape == (0, 33)
        assert not results["da"].any()
        assert not results["db"].any()


@pytest.mark.parametrize("backend", TRITON)
def test_rows_far_apart(rng, backend):
    """Offsets beyond 2^31 elements, in every operand that can have them."""
    near = Case(rng, 16, 64, 2, (0, 2, 3))
    results = near.results(backend)
    near.x, near.dy = far_apart(near.x), far_apart(near.dy)
    near.a = far_apart(near.a.flatten(1)).unflatten(1, (2, 64))
    near.b = far_apart(near.b.flatten(1)).unflatten(1, (16, 2))
    far = near.results(backend)
    if backend == "fused":
        same(far, results)
    for name, tensor in results.items():  # the library's own product may take another order for such rows
        torch.testing.assert_close(far[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", TRITON)
def test_no_32_bit_product_wraps(rng, backend):
    case = Case(rng, 16, 64, 2, (0, 2, 3))
    case.x, case.dy = far_apart(case.x, 2**30), far_apart(case.dy, 2**30)
    x, a, b = (t.detach().requires_grad_() for t in (case.x, case.a, case.b))
    with interpreted(overflow=True):
        y = grouped_lora_linear(x, case.weight, a, b, case.scale, case.segments, backend=backend)
        torch.autograd.grad(y, (x, a, b), case.dy)


# ------------------------------------------------------------------------------------------ memory


def run_traced(case, backend):
    x, a, b = (t.detach().requires_grad_() for t in (case.x, case.a, case.b))
    with traced() as trace:
        y = grouped_lora_linear(x, case.weight, a, b, case.scale, case.segments, backend=backend)
        torch.autograd.grad(y, (x, a, b), case.dy)
    trace.assert_clean()
    return trace


@pytest.mark.parametrize("backend", TRITON)
def test_no_races_no_atomics_everything_written(rng, backend):
    run_traced(Case(rng, 70, 192, 5, (0, 1, 1, 34, 200)), backend)


def test_base_is_read_once_for_each_row_of_tiles_whatever_the_number_of_cells(rng):
    rows, packed = 256, 128 * 128 // 2
    for cells in (1, 7, 64):
        boundaries = tuple(rows * i // cells for i in range(cells + 1))
        trace = run_traced(Case(rng, 128, 128, 4, boundaries, torch.bfloat16), "fused")
        assert trace["linear_forward"].loaded("codes") == 2 * packed
        assert trace["linear_input_gradient"].loaded("codes") == 2 * packed
        assert trace["output_gradients"].rereads("dy") == 1
        assert trace["shrink"].rereads("x") == 1


@pytest.mark.parametrize("backend", TRITON)
def test_two_runs_agree_to_the_bit(rng, backend):
    case = Case(rng, 70, 192, 5, (0, 130, 300))
    first, second = case.results(backend), case.results(backend)
    same(first, second)


# ------------------------------------------------------------------------------------------ registration


def test_operators_are_registered_completely(rng):
    case = Case(rng, 8, 64, 2, (0, 2, 5))
    stored = (case.weight.affine().tensors(), case.weight.affine().levels)
    x, a, b = (t.detach().requires_grad_() for t in (case.x, case.a, case.b))
    torch.library.opcheck(_linear.registered, (x, *stored, a, b, case.scale, case.segments, "", "torch"))
    bare = (x, *stored, None, None, case.scale, case.segments, "", "torch")
    torch.library.opcheck(_linear.registered, bare)
    s, needs = torch.zeros(5, 2), [True, True, True]
    torch.library.opcheck(
        _linear_backward.registered,
        (case.dy, s, needs, case.x, *stored, case.a, case.b, case.scale, case.segments, "", "torch"),
    )


# ------------------------------------------------------------------------------------------ real weights


@pytest.mark.parametrize("leaf", ["attn_k", "ffn_down"])
def test_on_real_weights(rng, leaf):
    """Rows of a linear layer of SmolLM2 as they lie in the file, with adapters for three cells."""
    tensors = {name: rest for name, *rest in real_tensors()}
    format, (_, columns), data = tensors[f"blk.7.{leaf}.weight"]
    case = Case(rng, 64, columns, 8, (0, 5, 12, 40), torch.bfloat16)
    case.weight = QuantizedTensor.from_gguf_bytes(format, (64, columns), data[:64])
    for backend in ROUTES:
        case.check(backend)


# ------------------------------------------------------------------------------------------ refusals

REFUSALS = {
    "rank 0": ({"a": torch.ones(2, 0, 64), "b": torch.ones(2, 8, 0)}, "a rank of at least 1"),
    "no cells": ({"a": torch.ones(0, 3, 64), "b": torch.ones(0, 8, 3)}, "at least one cell"),
    "another K": ({"x": torch.ones(5, 32)}, "x has 32 features"),
    "another K in a": ({"a": torch.ones(2, 3, 32)}, r"have to be \(G, R, 64\)"),
    "another rank in b": ({"b": torch.ones(2, 8, 4)}, r"have to be \(G, R, 64\)"),
    "another type": ({"a": torch.ones(2, 3, 64).half()}, "convert one of them"),
    "integers": ({"x": torch.ones(5, 64).int()}, "floating-point type"),
    "one scale too few": ({"scale": torch.ones(1)}, "one number for each of 2 cells"),
    "scale that learns": ({"scale": torch.ones(2, requires_grad=True)}, "scale gets no gradient"),
    "boundaries in 32 bits": ({"segments": torch.tensor([0, 2, 5]).int()}, "int64 on the CPU"),
    "a boundary too few": ({"segments": torch.tensor([0, 5])}, "has to be 3 boundaries for 2 cells"),
    "rows left over": ({"segments": torch.tensor([0, 2, 4])}, "end with 5"),
    "beyond the rows": ({"segments": torch.tensor([0, 2, 6])}, "end with 5"),
    "first rows left out": ({"segments": torch.tensor([1, 2, 5])}, "begin with 0"),
    "decreasing": ({"segments": torch.tensor([0, 6, 5])}, "never decrease"),
    "a row of weights": ({"weight": torch.ones(64)}, "must be a matrix"),
    "base of integers": ({"weight": torch.ones(8, 64).int()}, "floating-point type"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("backend", [*ROUTES, "reference"])
@pytest.mark.parametrize("mistake", REFUSALS)
def test_refuses(mistake, backend):
    changed, message = REFUSALS[mistake]
    given = {
        "x": torch.ones(5, 64), "weight": quantize(torch.ones(8, 64), "nf4"), "a": torch.ones(2, 3, 64),
        "b": torch.ones(2, 8, 3), "scale": torch.ones(2), "segments": torch.tensor([0, 2, 5]),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        grouped_lora_linear(**{**given, **changed}, backend=backend)
