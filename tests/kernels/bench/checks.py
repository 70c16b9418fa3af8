"""What the checks of the operators share: drawn numbers, and the comparison with the reference."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor
from qlora_kernels.formats_layout import Stored
from qlora_kernels.lab.accuracy import assert_accurate
from qlora_kernels.lab.trace import Trace, traced


def drawn(*shape: int, scale: float = 1.0, seed: int = 0) -> Tensor:
    """Normal numbers, the same in every run and on every device."""
    numbers = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), device="cpu")
    return scale * numbers.to(torch.get_default_device())


def bytes_with_offsets(rows: int, columns: int) -> QuantizedTensor:
    """A weight of signed bytes with scales and offsets: Q5_1, which is read and not made."""
    scales = drawn(rows, columns // 32, scale=0.1 * columns**-0.5, seed=4).half()
    offsets = drawn(rows, columns // 32, scale=columns**-0.5, seed=5).half()
    codes = drawn(rows, columns // 32 * 20, scale=1e4, seed=6).int().to(torch.uint8)
    stored = Stored(codes=codes, scales=scales, offsets=offsets)
    return QuantizedTensor(format="q5_1", shape=(rows, columns), stored=stored, block_size=32)


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
