"""Rotary position embedding: turn each pair of features by an angle that grows with the position.

The reference below defines the operator; ``rope_triton.py`` is its fast twin. Shape letters: M tokens, D =
2 * half features of a head. The two layouts that models use differ in what a pair is, so naming one is not
optional:

* "half_split" pairs feature i with feature i + D/2 (Hugging Face's "rotate half");
* "interleaved" pairs features 2i and 2i + 1 (the original paper, and LLaMA's weights inside GGUF files).

Angles come as cosine and sine for each token, so packed sequences only need to gather them once a batch.

Source: Su et al., "RoFormer", arXiv:2104.09864, equation 34.
"""

from typing import Literal

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor

from qlora_kernels.registration import operator
from qlora_kernels.rows import Backend, Context, require_float, route, widened

PAIRS = {"half_split": "(pair half)", "interleaved": "(half pair)"}
RotaryLayout = Literal["half_split", "interleaved"]


def rope_angles(
    positions: Int[Tensor, " M"],
    head_size: int,
    base: float = 10_000.0,
    *,
    scale: float | int | Float[Tensor, " half"] = 1.0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Float[Tensor, "M half"], Float[Tensor, "M half"]]:
    """Compute cosine and sine of each token's angles: position x base^(-2i/D) / scale, rounded at the end.

    Args:
        positions: Of each token in its own text.
        head_size: D, features of a head.
        base: What the angles' periods grow by, from the first pair to the last.
        scale: What angles are divided by, all or each by its own, for texts longer than the model was made
            for; 1 changes nothing.
        dtype: Of the results: float32, or float64 where everything is computed so.

    Raises:
        ValueError: If the head size is odd or not positive.
    """
    if head_size <= 0 or head_size % 2:
        raise ValueError(f"rope: head_size must be even and positive, got {head_size}")
    exponent = torch.arange(0, head_size, 2, dtype=torch.float64, device=positions.device) / head_size
    angles = einsum(positions.double(), base**-exponent / scale, "M, half -> M half")
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rope_reference(
    x: Float[Tensor, "M heads D"],
    cosine: Float[Tensor, "M half"],
    sine: Float[Tensor, "M half"],
    layout: RotaryLayout,
) -> Float[Tensor, "M heads D"]:
    """Define the operator: each pair times a 2 x 2 rotation."""
    pairs = rearrange(x, f"M heads {PAIRS[layout]} -> M heads half pair", pair=2)
    rotation = rearrange([cosine, -sine, sine, cosine], "(row pair) M half -> M half row pair", pair=2)
    turned = einsum(pairs, rotation.to(x.dtype), "M heads half pair, M half row pair -> M heads half row")
    return rearrange(turned, f"M heads half pair -> M heads {PAIRS[layout]}")


def rope(
    x: Float[Tensor, "M heads D"],
    cosine: Float[Tensor, "M half"],
    sine: Float[Tensor, "M half"],
    *,
    layout: RotaryLayout,
    backend: Backend = "auto",
) -> Float[Tensor, "M heads D"]:
    """Turn every head of every token by the token's angles.

    Args:
        x: Queries or keys.
        cosine: From `rope_angles`, in float32; rows follow the tokens.
        sine: The same.
        layout: "half_split" or "interleaved": which features form a pair.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If the layout is unknown or the shapes don't fit.
    """
    require_float("rope", x=x)
    require_float("rope", cosine=cosine, sine=sine)
    if layout not in PAIRS:
        raise ValueError(f"rope: unknown layout {layout!r}. Known: half_split, interleaved.")
    if x.ndim != 3:
        raise ValueError(f"rope: x must be (tokens, heads, features), got shape {tuple(x.shape)}")
    tokens, _, size = x.shape
    if size % 2 or cosine.shape != (tokens, size // 2) or sine.shape != cosine.shape:
        raise ValueError(
            f"rope: x of shape {tuple(x.shape)} needs cosine and sine of shape {(tokens, size // 2)}; "
            f"got {tuple(cosine.shape)} and {tuple(sine.shape)}"
        )
    if route(backend, x) == "reference":
        return rope_reference(x, cosine, sine, layout)
    return _rope(x, cosine, sine, layout, backend)


@operator("qlora_kernels::rope")
def _rope(x: Tensor, cosine: Tensor, sine: Tensor, layout: str, backend: str) -> Tensor:
    if route(backend, x) == "triton":
        from qlora_kernels.rope_triton import launch

        return launch(x, cosine, sine, layout)
    # widened once, not in each product: the numbers are the same
    x, dtype, cosine, sine = widened(x), x.dtype, cosine[:, None], sine[:, None]
    if layout == "half_split":
        first, second = x.chunk(2, dim=-1)
        y = torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    else:
        first, second = x[..., 0::2], x[..., 1::2]
        y = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1).flatten(-2)
    return y.to(dtype)


@_rope.register_fake
def _(x: Tensor, cosine: Tensor, sine: Tensor, layout: str, backend: str) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


def _save(ctx: Context, inputs: tuple, output: Tensor | tuple) -> None:
    _, cosine, sine, ctx.layout, ctx.backend = inputs
    ctx.save_for_backward(cosine, sine)


def _backward(ctx: Context, dy: Tensor) -> tuple:
    cosine, sine = ctx.saved_tensors
    # a rotation's transpose turns the other way
    return _rope(dy, cosine, -sine, ctx.layout, ctx.backend), None, None, None, None


_rope.register_autograd(_backward, setup_context=_save)
