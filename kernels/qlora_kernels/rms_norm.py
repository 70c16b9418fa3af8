"""RMSNorm: divide each row by its root mean square, then scale each column.

The reference below defines the operator; ``rms_norm_triton.py`` is its fast twin. Shape letter: H features.
Everything between reading and writing is in float32 (float64 for float64), with one rounding at the end.

Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467.
"""

import torch
from einops import einsum, reduce
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.registration import operator
from qlora_kernels.rows import Backend, Context, as_rows, require_float, route


def rms_norm_reference(
    x: Float[Tensor, "*rows H"], weight: Float[Tensor, " H"], epsilon: float = 1e-5
) -> Float[Tensor, "*rows H"]:
    """Define the operator, in the type of its inputs and differentiable by autograd."""
    mean_square = reduce(x * x, "... H -> ...", "mean")
    return einsum(x, torch.rsqrt(mean_square + epsilon), weight, "... H, ..., H -> ... H")


def rms_norm(
    x: Float[Tensor, "*rows H"],
    weight: Float[Tensor, " H"],
    epsilon: float = 1e-5,
    *,
    backend: Backend = "auto",
) -> Float[Tensor, "*rows H"]:
    """Normalize each row of ``x`` to root mean square 1 and scale it by ``weight``.

    Args:
        x: Rows to normalize.
        weight: One factor for each feature, in the type of ``x``.
        epsilon: Added to the mean square; keeps a row of zeros at zero.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If the widths or types differ, or epsilon isn't positive.
    """
    require_float("rms_norm", x=x, weight=weight)
    if weight.shape != x.shape[-1:]:
        raise ValueError(
            f"rms_norm: weight has shape {tuple(weight.shape)}, rows of x have {x.shape[-1]} features"
        )
    if epsilon <= 0:
        raise ValueError(f"rms_norm: epsilon must be positive, got {epsilon}")
    if route(backend, x) == "reference":
        return rms_norm_reference(x, weight, epsilon)
    return _rms_norm(x, weight, epsilon, backend)[0]


@operator("qlora_kernels::rms_norm")
def _rms_norm(x: Tensor, weight: Tensor, epsilon: float, backend: str) -> tuple[Tensor, Tensor]:
    """Return the normalized rows, and 1 / root mean square of each row for the backward pass."""
    rows = as_rows(x)
    if route(backend, x) == "triton":
        from qlora_kernels.rms_norm_triton import launch_forward

        y, inverse_rms = launch_forward(rows, weight, epsilon)
    else:
        wide = rows.to(_accumulator(x))
        inverse_rms = torch.rsqrt(torch.linalg.vecdot(wide, wide) / wide.shape[1] + epsilon)
        y = (wide * inverse_rms[:, None]).mul_(weight).to(x.dtype)
    return y.view(x.shape), inverse_rms


@operator("qlora_kernels::rms_norm_backward")
def _rms_norm_backward(
    dy: Tensor, x: Tensor, weight: Tensor, inverse_rms: Tensor, weight_gradient: bool, backend: str
) -> tuple[Tensor, Tensor]:
    """Gradients of x and of the weight; the second is empty unless asked for.

    With n = x / rms:  dx = (w dy - n mean(w dy n)) / rms  and  dw = sum over rows of dy n.
    """
    rows, upstream = as_rows(x), as_rows(dy)
    if route(backend, x) == "triton":
        from qlora_kernels.rms_norm_triton import launch_backward

        dx, dweight = launch_backward(upstream, rows, weight, inverse_rms, weight_gradient)
        return dx.view(x.shape), dweight
    normed = rows.to(inverse_rms.dtype) * inverse_rms[:, None]
    scaled = upstream.to(inverse_rms.dtype) * weight
    projection = torch.linalg.vecdot(scaled, normed)[:, None] / normed.shape[1]
    dx = torch.addcmul(scaled, normed, projection, value=-1).mul_(inverse_rms[:, None]).to(x.dtype)
    dweight = (upstream * normed).sum(0).to(weight.dtype) if weight_gradient else weight.new_empty(0)
    return dx.view(x.shape), dweight


def _accumulator(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


@_rms_norm.register_fake
def _(x: Tensor, weight: Tensor, epsilon: float, backend: str) -> tuple[Tensor, Tensor]:
    rows = x.numel() // x.shape[-1] if x.shape[-1] else 0
    return torch.empty(x.shape, dtype=x.dtype, device=x.device), x.new_empty(rows, dtype=_accumulator(x))


@_rms_norm_backward.register_fake
def _(
    dy: Tensor, x: Tensor, weight: Tensor, inverse_rms: Tensor, weight_gradient: bool, backend: str
) -> tuple[Tensor, Tensor]:
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    return dx, torch.empty_like(weight) if weight_gradient else weight.new_empty(0)


def _save(ctx: Context, inputs: tuple, output: Tensor | tuple) -> None:
    x, weight, _, ctx.backend = inputs
    ctx.save_for_backward(x, weight, output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx: Context, dy: Tensor, _: Tensor | None) -> tuple:
    needs_weight = ctx.needs_input_grad[1]
    dx, dweight = _rms_norm_backward(dy, *ctx.saved_tensors, needs_weight, ctx.backend)
    return dx, dweight if needs_weight else None, None, None


_rms_norm.register_autograd(_backward, setup_context=_save)
