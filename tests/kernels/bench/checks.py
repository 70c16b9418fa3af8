"""One quick, strict check of each operator's Triton twin: what has to object when a mistake is planted."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from bench.accuracy import assert_accurate
from bench.trace import Trace, traced
from torch import Tensor

from qlora_kernels import dequantize, quantize
from qlora_kernels.decode import decode_reference
from qlora_kernels.formats_nf4 import NF4_BOUNDS
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.linear_cross_entropy import IGNORED, linear_cross_entropy
from qlora_kernels.rms_norm import rms_norm
from qlora_kernels.rope import rope, rope_angles
from qlora_kernels.swiglu import swiglu


def drawn(*shape: int, scale: float = 1.0, seed: int = 0) -> Tensor:
    """Normal numbers, the same in every run and on every device."""
    numbers = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), device="cpu")
    return scale * numbers.to(torch.get_default_device())


@contextlib.contextmanager
def on_device() -> Iterator[Trace]:
    """Stand in for `traced` on a GPU, where memory can't be watched."""

    class Unwatched(Trace):
        def assert_clean(self) -> None:
            """Nothing was watched."""

    yield Unwatched()


def agrees(operator: Callable[..., Tensor], *inputs: Tensor, terms: int) -> None:
    """The Triton twin's result and gradients are those of the reference in float64, and its memory is clean.

    ``operator`` takes the tensors that learn, then the name of the backend.
    """
    truth = _results(operator, [t.double() for t in inputs], "reference")
    with traced() as trace:
        got = _results(operator, inputs, "triton")
    trace.assert_clean()
    for i, (value, exact) in enumerate(zip(got, truth, strict=True)):
        assert_accurate("y" if i == 0 else f"gradient {i}", value, exact, terms=terms)


def _results(operator: Callable[..., Tensor], inputs: list | tuple, backend: str) -> tuple[Tensor, ...]:
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    y = operator(*leaves, backend)
    upstream = drawn(*y.shape, seed=9).to(y.dtype)
    return y.detach(), *torch.autograd.grad(y, leaves, upstream)


def check_rms_norm() -> None:
    """Rows for two programs of the backward pass; one row so small that epsilon decides."""
    x = drawn(18, 40)
    x[3] *= 1e-3
    agrees(lambda x, w, backend: rms_norm(x, w, 1e-5, backend=backend), x, 1 + drawn(40, scale=0.1), terms=40)


def check_rope() -> None:
    """Both layouts, at positions that are not the first."""
    angles = rope_angles(torch.tensor([3, 50, 7]), 20)
    for layout in ("half_split", "interleaved"):
        agrees(lambda x, backend, kind=layout: _turned(x, angles, kind, backend), drawn(3, 5, 20), terms=2)


def _turned(x: Tensor, angles: tuple[Tensor, Tensor], layout: str, backend: str) -> Tensor:
    exact = (angle.to(x.dtype) for angle in angles)
    return rope(x, *exact, layout=layout, backend=backend)


def check_swiglu() -> None:
    """Gates from shut to open, rows of more than one program."""
    inputs = drawn(3, 1030, scale=8.0), drawn(3, 1030, seed=1)
    agrees(lambda gate, up, backend: swiglu(gate, up, backend=backend), *inputs, terms=5)


def check_linear_cross_entropy() -> None:
    """More words than one block, an ignored token, and losses of different weight."""
    head = drawn(4200, 16, scale=0.5, seed=1)
    targets = torch.tensor([4199, IGNORED, 0, 17])
    agrees(
        lambda hidden, backend: linear_cross_entropy(hidden, head.to(hidden.dtype), targets, backend=backend),
        drawn(4, 16, scale=0.5),
        terms=4200,
    )


def check_linear() -> None:
    """Three cells of uneven length, tiles that nothing divides, each kind of format."""
    cells, rank, inputs, outputs = 3, 5, 192, 70
    segments, scale = torch.tensor([0, 30, 31, 140], device="cpu"), torch.tensor([0.5, 2.0, 1.0])
    a, b = drawn(cells, rank, inputs, scale=inputs**-0.5, seed=1), drawn(cells, outputs, rank, seed=2)
    x = drawn(140, inputs)
    dense = drawn(outputs, inputs, scale=inputs**-0.5, seed=3)
    for weight in (dense, *(quantize(dense, format) for format in ("nf4", "q4_1", "q8_0"))):
        agrees(
            lambda x, a, b, to, w=weight: grouped_lora_linear(x, w, a, b, scale, segments, backend=to),
            x, a, b, terms=inputs,
        )  # fmt: skip


def check_quantize() -> None:
    """Packed to the byte as defined, and decoded to the bit, for every format that can be made."""
    weight = drawn(5, 256)
    weight[0], weight[1, 128:], weight[2, 7] = 0.0, 1e-40, -3.5
    weight[3] = torch.arange(256) / 2  # ties of the integer formats
    weight[4, :16] = torch.tensor([*NF4_BOUNDS, 1.0])  # and of NF4
    weight[4, 16:64] = 0.0
    for format in ("nf4", "int4", "int8", "q4_0", "q4_1", "q8_0"):
        expected = quantize(weight, format, backend="reference")
        with traced() as trace:
            got = quantize(weight, format, backend="triton")
            decoded = dequantize(got, backend="triton")
        trace.assert_clean()
        for name, tensor in expected.stored.tensors().items():
            assert torch.equal(got.stored.tensors()[name], tensor), f"{format}: {name} differ"
        assert torch.equal(decoded, decode_reference(expected.affine())), f"{format}: decoded differently"


def check_nf4_levels() -> None:
    """The sixteen levels are those of bitsandbytes, to the bit."""
    from bitsandbytes.functional import get_4bit_type

    packed = quantize(torch.ones(1, 64), "nf4")
    packed.stored.codes.copy_(torch.arange(32) % 16 * 17)
    decoded = packed.dequantize()[0]
    assert torch.equal(decoded.view(-1, 2)[:16, 0], get_4bit_type("nf4", device="cpu"))
