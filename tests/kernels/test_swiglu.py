"""SwiGLU: definition, layouts, gradients, memory traffic, refusals."""

import pytest
import torch
from bench.far import far_apart

from qlora_kernels.lab.accuracy import FLOAT_TYPES, assert_accurate, layouts
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import compulsory_bytes, traced
from qlora_kernels.swiglu import swiglu, swiglu_reference

SHAPES = [
    pytest.param((1, 1), id="one-number"),
    pytest.param((2, 3, 65), id="ragged-and-three-axes"),
    pytest.param((3, 1030), id="two-programs-a-row"),
]


def drawn(rng, shape, dtype):
    # wide enough that the sigmoid reaches both ends
    return [(torch.randn(*shape, generator=rng) * scale).to(dtype) for scale in (8, 1, 1)]


def results(gate, up, dy, backend):
    gate, up = (t.detach().requires_grad_() for t in (gate, up))
    with interpreted():
        y = swiglu(gate, up, backend=backend)
        return y.detach(), *torch.autograd.grad(y, (gate, up), dy)


def check(gate, up, dy, backend):
    """y, dgate and dup against the reference in float64."""
    truth = results(gate.double(), up.double(), dy.double(), "reference")
    for name, got, exact in zip(("y", "dgate", "dup"), results(gate, up, dy, backend), truth, strict=True):
        assert_accurate(name, got, exact, terms=5)  # five roundings in a row


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("dtype", FLOAT_TYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_matches_reference(rng, shape, dtype, backend):
    check(*drawn(rng, shape, dtype), backend)


@pytest.mark.parametrize("backend", ["reference", "torch", "triton"])
@pytest.mark.parametrize("shape", [(3, 0), (0, 4), (2, 0, 5)])
def test_rows_of_nothing_give_nothing(rng, shape, backend):
    for part in results(*drawn(rng, shape, torch.float32), backend):
        assert part.shape == shape


@pytest.mark.parametrize("layout", layouts(torch.zeros(2, 2)))
def test_any_layout(rng, layout):
    gate, up, dy = drawn(rng, (5, 48), torch.float32)
    check(layouts(gate)[layout], up, layouts(dy)[layout], "triton")


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_gradient_of_a_sum_has_stride_zero(rng, backend):
    gate, up, _ = drawn(rng, (5, 48), torch.float32)
    check(gate, up, torch.ones(()).expand(5, 48), backend)


def test_reference_gradient(rng):
    gate, up, _ = (t.requires_grad_() for t in drawn(rng, (3, 4), torch.float64))
    assert torch.autograd.gradcheck(swiglu_reference, (gate, up))


def test_a_gate_far_from_zero_is_shut_or_open():
    gate = torch.tensor([[-1e4, -100.0, 0.0, 100.0, 1e4]])
    with interpreted():
        assert swiglu(gate, torch.ones(1, 5), backend="triton").tolist() == [[0.0, 0.0, 0.0, 100.0, 1e4]]


def test_every_byte_is_moved_once(rng):
    gate, up, dy = (t.requires_grad_() for t in drawn(rng, (3, 1100), torch.bfloat16))
    with traced() as trace:
        y = swiglu(gate, up, backend="triton")
        gradients = torch.autograd.grad(y, (gate, up), dy)
    trace.assert_clean()
    assert trace["swiglu_forward"].moved == compulsory_bytes(gate, up, y)
    assert trace["swiglu_backward"].moved == compulsory_bytes(dy, gate, up, *gradients)


def test_rows_far_apart(rng):
    gate, up, dy = drawn(rng, (2, 16), torch.float32)
    near = results(gate, up, dy, "triton")
    far = results(far_apart(gate), far_apart(up), far_apart(dy), "triton")
    assert all(torch.equal(a, b) for a, b in zip(near, far, strict=True))


def test_operator_is_registered_completely(rng):
    gate, up, _ = (t.requires_grad_() for t in drawn(rng, (3, 8), torch.float32))
    torch.library.opcheck(torch.ops.qlora_kernels.swiglu, (gate, up, "torch"))


REFUSALS = {
    "another shape": (lambda g, u: swiglu(g, u[:1]), "they must agree"),
    "another type": (lambda g, u: swiglu(g.half(), u), "convert one of them"),
    "integers": (lambda g, u: swiglu(g.int(), u.int()), "floating-point type"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mistake", REFUSALS)
def test_refuses(mistake):
    call, message = REFUSALS[mistake]
    with pytest.raises(ValueError, match=message):
        call(torch.ones(2, 8), torch.ones(2, 8))
