"""An operator called directly is what the registered one is; compilers see the registered one."""

import subprocess
import sys

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.autograd import grad

from qlora_kernels.registration import operator
from qlora_kernels.rms_norm import _rms_norm
from qlora_kernels.swiglu import _swiglu, swiglu


@pytest.fixture
def pair(rng):
    return [torch.randn(5, 8, generator=rng, requires_grad=True) for _ in range(2)]


def test_direct_and_registered_agree_to_the_bit(pair):
    direct, registered = (run(*pair, "torch") for run in (_swiglu, _swiglu.registered))
    assert torch.equal(direct, registered)
    for one, two in zip(*(grad(y.square().sum(), pair) for y in (direct, registered)), strict=True):
        assert torch.equal(one, two)


def test_without_gradients_the_function_alone_runs(pair):
    with torch.no_grad():
        y = _swiglu(*pair, "torch")
    assert not y.requires_grad
    assert torch.equal(y, _swiglu.forward(*pair, "torch"))


def test_only_the_gradients_asked_for_are_made(pair):
    x, weight = pair[0], torch.ones(8, requires_grad=True)
    y, _ = _rms_norm(x.detach(), weight, 1e-5, "torch")
    (only,) = grad(y.sum(), weight)
    assert only.shape == (8,)


def test_a_gradient_of_a_gradient_is_refused_not_wrong(pair):
    (first,) = grad(swiglu(*pair).sum(), pair[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        (first.sum() + pair[0].sum()).backward()


def test_a_tracer_gets_the_registered_operator():
    seen = []

    @operator("qlora_kernels_test::twice")
    def twice(x: torch.Tensor) -> torch.Tensor:
        seen.append(type(x))
        return 2 * x

    twice.register_fake(torch.empty_like)
    with FakeTensorMode() as mode:
        assert twice(mode.from_tensor(torch.ones(5, 8))).shape == (5, 8)
    assert not seen
    assert twice(torch.ones(1)) == 2
    assert seen == [torch.Tensor]


def test_no_operator_loads_the_compiler_of_pytorch():
    """It takes a second of every start."""
    code = (
        "import sys, torch; from qlora_kernels import quantize, quantized_linear;"
        "weight = quantize(torch.ones(32, 64), 'q8_0'); x = torch.ones(3, 64, requires_grad=True);"
        "weight.dequantize(); quantized_linear(x, weight).sum().backward();"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_operator_without_a_gradient_refuses_to_lose_one():
    @operator("qlora_kernels_test::thrice")
    def thrice(x: torch.Tensor) -> torch.Tensor:
        return 3 * x

    assert thrice(torch.ones(2)).tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        thrice(torch.ones(2, requires_grad=True)).sum().backward()
