"""RMSNorm: definition, layouts, gradients, memory traffic, refusals."""

import pytest
import torch
from bench.far import far_apart

from qlora_kernels.lab.accuracy import FLOAT_TYPES, assert_accurate, layouts
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import compulsory_bytes, traced
from qlora_kernels.rms_norm import rms_norm, rms_norm_reference

SHAPES = [
    pytest.param(1, 3, id="one-short-row"),
    pytest.param(17, 64, id="more-rows-than-one-program"),
    pytest.param(33, 130, id="ragged-every-edge"),
]


def drawn(rng, rows, width, dtype):
    x = torch.randn(rows, width, generator=rng) * torch.randn(rows, 1, generator=rng).exp()
    return (
        t.to(dtype)
        for t in (x, 1 + torch.randn(width, generator=rng) / 9, torch.randn(rows, width, generator=rng))
    )


def results(x, weight, dy, backend):
    x, weight = (t.detach().requires_grad_() for t in (x, weight))
    with interpreted():
        y = rms_norm(x, weight, 1e-5, backend=backend)
        return y.detach(), *torch.autograd.grad(y, (x, weight), dy)


def check(x, weight, dy, backend):
    """y, dx and dw against the reference in float64."""
    truth = results(x.double(), weight.double(), dy.double(), "reference")
    for name, got, exact in zip(("y", "dx", "dw"), results(x, weight, dy, backend), truth, strict=True):
        assert_accurate(name, got, exact, terms=len(x) if name == "dw" else x.shape[1])


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("dtype", FLOAT_TYPES, ids=str)
@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_matches_reference(rng, rows, width, dtype, backend):
    check(*drawn(rng, rows, width, dtype), backend)


@pytest.mark.parametrize("layout", layouts(torch.zeros(2, 2)))
def test_any_layout(rng, layout):
    x, weight, dy = drawn(rng, 5, 48, torch.float32)
    check(layouts(x)[layout], weight, layouts(dy)[layout], "triton")


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_gradient_of_a_sum_has_stride_zero(rng, backend):
    x, weight, _ = drawn(rng, 5, 48, torch.float32)
    check(x, weight, torch.ones(()).expand(5, 48), backend)


def test_reference_gradient_and_a_row_of_zeros(rng):
    x, weight, _ = (t.double().requires_grad_() for t in drawn(rng, 3, 8, torch.float64))
    assert torch.autograd.gradcheck(rms_norm_reference, (x, weight))
    with interpreted():
        assert (rms_norm(torch.zeros(2, 8), torch.ones(8), backend="triton") == 0).all()


def test_each_row_is_moved_once(rng):
    x, weight, dy = drawn(rng, 64, 128, torch.bfloat16)
    x, weight = x.requires_grad_(), weight.requires_grad_()
    with traced() as trace:
        y = rms_norm(x, weight, backend="triton")
        dx, dw = torch.autograd.grad(y, (x, weight), dy)
    trace.assert_clean()
    # each program also reads the weight, which all of them share
    assert trace["rms_norm_forward"].rereads("x") == 1
    backward = trace["rms_norm_backward"]
    assert backward.moved <= 1.25 * compulsory_bytes(x, dy, dx, weight, dw)


def test_rows_far_apart(rng):
    x, weight, dy = drawn(rng, 2, 16, torch.float32)
    near = results(x, weight, dy, "triton")
    far = results(far_apart(x), weight, far_apart(dy), "triton")
    assert all(torch.equal(a, b) for a, b in zip(near, far, strict=True))


def test_operator_is_registered_completely(rng):
    x, weight, _ = (t.requires_grad_() for t in drawn(rng, 3, 8, torch.float32))
    torch.library.opcheck(torch.ops.qlora_kernels.rms_norm, (x, weight, 1e-5, "torch"))


REFUSALS = {
    "another width": (lambda x, w: rms_norm(x, w[:-1]), "weight has shape"),
    "another type": (lambda x, w: rms_norm(x.half(), w), "convert one of them"),
    "integers": (lambda x, w: rms_norm(x.int(), w), "floating-point type"),
    "epsilon of zero": (lambda x, w: rms_norm(x, w, 0.0), "epsilon must be positive"),
    "unknown backend": (lambda x, w: rms_norm(x, w, backend="cuda"), "unknown backend 'cuda'"),
    "float64 on Triton": (lambda x, w: rms_norm(x.double(), w.double(), backend="triton"), "backend='torch'"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mistake", REFUSALS)
def test_refuses(mistake):
    call, message = REFUSALS[mistake]
    with pytest.raises(ValueError, match=message):
        call(torch.ones(2, 8), torch.ones(8))
