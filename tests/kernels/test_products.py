"""The base's product on a CPU: what each precision means, and that the fast way is that."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qlora_kernels import grouped_lora_linear, lora_linear, quantize, quantized_linear
from qlora_kernels.products import (
    LARGEST_BYTE,
    PRECISIONS,
    PreparedWeight,
    input_product,
    prepare_weight,
    product,
    product_reference,
    round_rows,
)

SHAPES = [(1, 32, 32), (7, 64, 3), (33, 576, 192), (5, 1536, 40)]


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_product_is_its_definition(rng, m, k, n, precision):
    """In float64 the definition is exact, but for the last roundings."""
    x, w = torch.randn(m, k, generator=rng), torch.randn(n, k, generator=rng)
    outliers = torch.tensor([0, 3, k - 1])
    x[:, outliers] *= 20
    base = prepare_weight(w, PRECISIONS[precision], outliers)
    exact = product_reference(x.double(), w.double(), precision, outliers)
    got = product(x, base).double()
    magnitude = product_reference(x.abs().double(), w.abs().double(), precision, outliers)
    if precision == "int8":
        # the sum in int32 is exact; its conversion, the scales and their products, and the three outlier
        # products and sums round once each
        assert ((got - exact).abs() <= 12 * 2**-24 * magnitude).all()
    else:
        low = PRECISIONS[precision]
        # k products summed in float32; a 16-bit result rounds once more
        bound = k * 2**-24 * magnitude + (2**-8 * exact.abs() if low == torch.bfloat16 else 0)
        assert ((got - exact).abs() <= bound).all()


@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_bytes_are_as_near_as_half_a_step(rng, m, k, n):
    """The distance from the product itself, forward and backward, is what rounding to bytes can make."""
    x, w = torch.randn(m, k, generator=rng), torch.randn(n, k, generator=rng)
    base = prepare_weight(w, torch.int8)
    for left, right, got in (
        (x, w.T, product(x, base)),
        (dy := torch.randn(m, n, generator=rng), w, input_product(dy, base)),
    ):
        exact = left.double() @ right.double()
        w_step = w.abs().amax(1) / LARGEST_BYTE / 2
        if left is x:
            x_step = x.abs().amax(1, keepdim=True) / LARGEST_BYTE / 2
            bound = x_step * w.abs().sum(1) + x.abs().sum(1, keepdim=True) * w_step + k * x_step * w_step
        else:
            # dy carries the scales of W, so both roundings are per output row
            scaled = dy * 2 * w_step
            step = scaled.abs().amax(1, keepdim=True) / LARGEST_BYTE / 2
            codes = base[0].double().abs()
            bound = step * codes.sum(0) + (dy.abs() * w_step).sum(1, keepdim=True)
        assert ((got - exact).abs() <= 1.0001 * bound).all()


def test_outlier_columns_keep_the_others_fine(rng):
    """One input a hundred times the others: apart it costs nothing, among them it coarsens every step."""
    x, w, dy = (torch.randn(shape, generator=rng) for shape in ((20, 256), (64, 256), (20, 64)))
    x[:, 7] *= 100
    apart, among = prepare_weight(w, torch.int8, torch.tensor([7])), prepare_weight(w, torch.int8)
    exact = x.double() @ w.double().T
    far, near = ((product(x, base) - exact).norm() for base in (among, apart))
    assert far > 10 * near
    assert torch.allclose(input_product(dy, apart)[:, 7], dy @ w[:, 7], rtol=0, atol=1e-4)
    # beside the column of large inputs the gradient is the same
    rest = torch.arange(256) != 7
    difference = input_product(dy, apart)[:, rest] - (dy.double() @ w.double())[:, rest]
    assert difference.norm() <= 0.02 * (dy @ w).norm()


@given(
    rows=st.lists(
        st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=4, max_size=4), min_size=1, max_size=5
    )
)
@settings(deadline=None)
def test_rounding_to_bytes_stays_within_half_a_step(rows):
    x = torch.tensor(rows)
    codes, scale = round_rows(x)
    assert codes.abs().max() <= LARGEST_BYTE
    # below the smallest normal number a step is that number
    step = scale.clamp_min(torch.finfo(torch.float32).tiny).double()
    assert ((codes.double() * step - x.double()).abs() <= 0.501 * step).all()


def test_a_row_of_zeros_and_no_rows_at_all(rng):
    base = prepare_weight(torch.randn(8, 32, generator=rng), torch.int8)
    assert (product(torch.zeros(2, 32), base) == 0).all()
    assert (input_product(torch.zeros(2, 8), base) == 0).all()
    assert product(torch.zeros(0, 32), base).shape == (0, 8)
    assert (product(torch.randn(2, 32), prepare_weight(torch.zeros(8, 32), torch.int8)) == 0).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_operator_multiplies_its_base_so_and_leaves_the_adapters_alone(rng, precision):
    x = torch.randn(10, 64, generator=rng).requires_grad_()
    weight = quantize(torch.randn(32, 64, generator=rng), "q4_1")
    a, b = torch.randn(2, 4, 64, generator=rng), torch.randn(2, 32, 4, generator=rng)
    a, b = a.requires_grad_(), b.requires_grad_()
    scale, segments = torch.tensor([0.5, 2.0]), torch.tensor([0, 3, 10])
    dy = torch.randn(10, 32, generator=rng)

    def results(weight, **chosen):
        y = grouped_lora_linear(x, weight, a, b, scale, segments, **chosen)
        return y.detach(), *torch.autograd.grad(y, (x, a, b), dy)

    y, dx, da, db = results(weight, precision=precision)
    plain_y, plain_dx, plain_da, plain_db = results(weight)
    base = prepare_weight(weight.dequantize(), PRECISIONS[precision])
    packed = weight.dequantize()
    torch.testing.assert_close(
        y - product(x.detach(), base), plain_y - x.detach() @ packed.T, rtol=0, atol=1e-4
    )
    torch.testing.assert_close(dx - input_product(dy, base), plain_dx - dy @ packed, rtol=0, atol=1e-4)
    assert torch.equal(da, plain_da)
    assert torch.equal(db, plain_db)
    same = results(PreparedWeight.of([packed], PRECISIONS[precision]), precision=precision)
    assert all(torch.equal(one, other) for one, other in zip(same, (y, dx, da, db), strict=True))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_prepared_together_give_their_results_side_by_side(rng, precision):
    """Every row of a weight has a scale of its own, so its neighbours change no rounding."""
    x, outliers = torch.randn(9, 64, generator=rng), torch.tensor([3, 40])
    weights = [torch.randn(outputs, 64, generator=rng) for outputs in (32, 16, 48)]
    dtype = PRECISIONS[precision]
    y = quantized_linear(x, PreparedWeight.of(weights, dtype, outliers), precision=precision)
    apart = [
        quantized_linear(x, PreparedWeight.of([weight], dtype, outliers), precision=precision)
        for weight in weights
    ]
    # another order of the same sums, in a 16-bit result a last digit
    digit = 2**-8 if precision == "bfloat16" else 64 * 2**-24
    torch.testing.assert_close(y, torch.cat(apart, dim=1), rtol=digit, atol=1e-5)


def test_bytes_are_for_products_in_bytes_on_a_cpu(rng):
    weight = PreparedWeight.of([torch.randn(32, 64, generator=rng)], torch.int8)
    x = torch.randn(3, 64, generator=rng)
    with pytest.raises(ValueError, match="prepared for products in int8, not"):
        quantized_linear(x, weight)
    with pytest.raises(ValueError, match="but reference runs"):
        quantized_linear(x, weight, backend="reference")


def test_precision_belongs_to_the_route_that_has_it(rng):
    weight, x = quantize(torch.randn(8, 32, generator=rng), "q4_1"), torch.randn(3, 32, generator=rng)
    with pytest.raises(ValueError, match="unknown precision 'fp8'"):
        quantized_linear(x, weight, precision="fp8")
    with pytest.raises(ValueError, match="here reference runs"):
        lora_linear(
            x, weight, torch.ones(1, 32), torch.ones(8, 1), 1.0, precision="int8", backend="reference"
        )
