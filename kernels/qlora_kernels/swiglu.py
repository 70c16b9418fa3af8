"""SwiGLU: gate x sigmoid(gate) x up, the non-linearity of LLaMA's feed-forward block.

The reference below defines the operator; ``swiglu_triton.py`` is its fast twin. Shape letter: F features.
The backward pass computes the sigmoid again instead of storing it.

Source: Shazeer, "GLU Variants Improve Transformer", arXiv:2002.05202, equation 6.
"""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.registration import operator
from qlora_kernels.rows import Backend, Context, as_rows, require_float, route, widened


def swiglu_reference(
    gate: Float[Tensor, "*rows F"], up: Float[Tensor, "*rows F"]
) -> Float[Tensor, "*rows F"]:
    """Define the operator."""
    return einsum(gate, torch.sigmoid(gate), up, "... F, ... F, ... F -> ... F")


def swiglu(
    gate: Float[Tensor, "*rows F"], up: Float[Tensor, "*rows F"], *, backend: Backend = "auto"
) -> Float[Tensor, "*rows F"]:
    """Let ``up`` through as far as ``gate`` opens.

    Args:
        gate: Result of the gate projection.
        up: Result of the up projection; same shape and type.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If the shapes or types differ.
    """
    require_float("swiglu", gate=gate, up=up)
    if gate.shape != up.shape:
        raise ValueError(
            f"swiglu: gate has shape {tuple(gate.shape)}, up has {tuple(up.shape)}; they must agree"
        )
    if route(backend, gate) == "reference":
        return swiglu_reference(gate, up)
    return _swiglu(gate, up, backend)


@operator("qlora_kernels::swiglu")
def _swiglu(gate: Tensor, up: Tensor, backend: str) -> Tensor:
    if route(backend, gate) == "triton":
        from qlora_kernels.swiglu_triton import launch_forward

        return launch_forward(as_rows(gate), as_rows(up)).view(gate.shape)
    return (torch.nn.functional.silu(widened(gate)) * widened(up)).to(gate.dtype).contiguous()


@operator("qlora_kernels::swiglu_backward")
def _swiglu_backward(dy: Tensor, gate: Tensor, up: Tensor, backend: str) -> tuple[Tensor, Tensor]:
    """With s = sigmoid(gate):  dgate = dy up s (1 + gate (1 - s))  and  dup = dy gate s.

    1 - s is computed as sigmoid(-gate): the difference would lose the digits of an open gate.
    """
    if route(backend, gate) == "triton":
        from qlora_kernels.swiglu_triton import launch_backward

        dgate, dup = launch_backward(as_rows(dy), as_rows(gate), as_rows(up))
        return dgate.view(gate.shape), dup.view(gate.shape)
    upstream, g = widened(dy), widened(gate)
    s, rest = torch.sigmoid(g), torch.neg(g).sigmoid_()
    dgate = torch.addcmul(s, s, rest.mul_(g)).mul_(upstream).mul_(widened(up))
    dup = s.mul_(g).mul_(upstream)
    return dgate.to(gate.dtype).contiguous(), dup.to(up.dtype).contiguous()


@_swiglu.register_fake
def _(gate: Tensor, up: Tensor, backend: str) -> Tensor:
    return torch.empty(gate.shape, dtype=gate.dtype, device=gate.device)


@_swiglu_backward.register_fake
def _(dy: Tensor, gate: Tensor, up: Tensor, backend: str) -> tuple[Tensor, Tensor]:
    empty = torch.empty(gate.shape, dtype=gate.dtype, device=gate.device)
    return empty, torch.empty_like(empty)


def _save(ctx: Context, inputs: tuple, output: Tensor | tuple) -> None:
    gate, up, ctx.backend = inputs
    ctx.save_for_backward(gate, up)


def _backward(ctx: Context, dy: Tensor) -> tuple:
    return *_swiglu_backward(dy, *ctx.saved_tensors, ctx.backend), None


_swiglu.register_autograd(_backward, setup_context=_save)
