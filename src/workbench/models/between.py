"""What a block computes between products in bfloat16 on a processor, without a pass that only converts.

A product in bfloat16 rounds its inputs and gives rounded outputs. Under the precision
"bfloat16-activations" norms, gated units, rotations and attention therefore take and give bfloat16. Still in
float32 are the residual stream, the sums inside norms and products, scores and their softmax, losses, and the
adapters' own weights.

Each function is defined in einsum beside it (``..._reference``), in the type of its inputs.

Shape letters: M tokens, K width, F feed-forward size, E examples, S tokens of the longest, H heads, J
key-value heads, D head size.
"""

from typing import Any

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from workbench.models.block_parts import norm_rows

LONGEST_BY_HAND = {torch.float32: 160, torch.bfloat16: 512}
"""Tokens of the longest example up to which all scores are written down, which is then faster than PyTorch's
attention: in float32 that takes 1.6 times as long at 60 tokens and 1.2 times at 120, in bfloat16 5 and 3.3
times (two cores, AVX512 with bfloat16)."""
KEPT_SCORES = 256
"""Tokens of the longest example up to which attention keeps its shares for the gradient. A longer one
computes them again: they would be most of what a token leaves behind."""


def products_in(precision: str) -> str:
    """Return the precision of the products themselves."""
    return "bfloat16" if precision == "bfloat16-activations" else precision


class _RoundedNorm(torch.autograd.Function):
    """RMSNorm from any type to bfloat16; the weight is frozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:  # noqa: ANN401 - autograd's
        """Sum in float32, round once."""
        normed, ctx.back = norm_rows(x.reshape(-1, x.shape[-1]), weight, epsilon, dtype)
        return normed().view(x.shape)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - autograd's
        """Go back as the norm of whole blocks does."""
        return ctx.back(dy.reshape(-1, dy.shape[-1]), None).view(dy.shape), None, None, None


def rounded_norm(
    x: Float[Tensor, "*rows K"],
    weight: Float[Tensor, " K"],
    epsilon: float,
    dtype: torch.dtype = torch.bfloat16,
) -> Float[Tensor, "*rows K"]:
    """Compute ``rms_norm_reference`` with sums in float32 and the result in ``dtype``."""
    normed: Tensor = _RoundedNorm.apply(x, weight, epsilon, dtype)
    return normed


class _RoundedUnit(torch.autograd.Function):
    """SwiGLU in the type of its inputs: each operation is in float32 inside and rounded at its end."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:  # noqa: ANN401 - autograd's
        """Multiply by the gate's silu."""
        ctx.save_for_backward(gate, up)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - autograd's
        """In two operations each; bfloat16 has no digits that PyTorch's gradient of silu could lose."""
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(dy * up, gate), functional.silu(gate).mul_(dy)


def rounded_unit(gate: Float[Tensor, "*rows F"], up: Float[Tensor, "*rows F"]) -> Float[Tensor, "*rows F"]:
    """Compute ``swiglu_reference`` in the type of the inputs."""
    fed: Tensor = _RoundedUnit.apply(gate, up)
    return fed


def attention_reference(
    q: Float[Tensor, "E H S D"],
    k: Float[Tensor, "E J S D"],
    v: Float[Tensor, "E J S D"],
    scale: float,
    visible: Bool[Tensor, "S S"],
) -> Float[Tensor, "E H S D"]:
    """Define what attention gives: softmax(scale q k^T) v over what each query sees."""
    q = rearrange(q, "E (J share) S D -> E J share S D", J=k.shape[1])
    scores = einsum(q, k, "E J share N D, E J S D -> E J share N S") * scale
    shares = scores.masked_fill(~visible, -torch.inf).softmax(dim=-1)
    mixed = einsum(shares, v, "E J share N S, E J S D -> E J share N D")
    return rearrange(mixed, "E J share N D -> E (J share) N D")


class _WrittenAttention(torch.autograd.Function):
    """Attention that writes all scores down: few large products instead of many small ones."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float, visible: Tensor) -> Tensor:  # noqa: ANN401 - autograd's
        """Mix the values; each key-value head meets all queries that it serves in one product."""
        queries, keys, values = (_by_kv_head(x, k.shape[1]) for x in (q, k, v))
        hidden = ~visible
        shares = _shares(queries, keys, scale, hidden).to(v.dtype)
        kept = shares if q.shape[2] <= KEPT_SCORES else None
        ctx.save_for_backward(queries, keys, values, hidden, kept)
        ctx.scale, ctx.shapes = scale, (q.shape, k.shape, v.shape)
        return torch.bmm(shares, values).view(q.shape)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - autograd's
        """With P the shares: dV = P^T dY, dP = dY V^T, dS = P (dP - sum(P dP)), dQ = dS K, dK = dS^T Q."""
        queries, keys, values, hidden, shares = ctx.saved_tensors
        if shares is None:
            shares = _shares(queries, keys, ctx.scale, hidden).to(values.dtype)
        dy = dy.reshape(queries.shape[0], -1, values.shape[-1])
        dv = torch.bmm(shares.mT, dy)
        slopes = torch._softmax_backward_data(torch.bmm(dy, values.mT), shares, -1, shares.dtype)
        slopes.mul_(ctx.scale)
        dq, dk = torch.bmm(slopes, keys), torch.bmm(slopes.mT, queries)
        return *(g.view(shape) for g, shape in zip((dq, dk, dv), ctx.shapes, strict=True)), None, None


def written_attention(
    q: Float[Tensor, "E H S D"],
    k: Float[Tensor, "E J S D"],
    v: Float[Tensor, "E J S D"],
    scale: float,
    visible: Bool[Tensor, "S S"],
) -> Float[Tensor, "E H S D"]:
    """Compute :func:`attention_reference` with scores and softmax in float32, products in the type of q.

    Memory: E H S^2 scores at a time; :data:`LONGEST_BY_HAND` says up to which S that is faster.
    """
    mixed: Tensor = _WrittenAttention.apply(q, k, v, scale, visible)
    return mixed


def _by_kv_head(x: Float[Tensor, "E heads S D"], kv_heads: int) -> Float[Tensor, "EJ rows D"]:
    """Lay the heads that share a key-value head one after the other; a view would keep all that x is of."""
    return x.reshape(len(x) * kv_heads, -1, x.shape[-1]).contiguous()


def _shares(queries: Tensor, keys: Tensor, scale: float, hidden: Tensor) -> Float[Tensor, "EJ rows S"]:
    """Return each query's shares, in float32 at least: a rounded score of 20 would move a share by 4%."""
    scores = torch.bmm(_wide(queries), _wide(keys).mT).mul_(scale)
    # adding takes a tenth of the time of filling in
    unseen = scores.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)
    scores.unflatten(1, (-1, len(hidden))).add_(unseen)
    return scores.softmax(dim=-1)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
