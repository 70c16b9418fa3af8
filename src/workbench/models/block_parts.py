"""Parts of a block between its products, each with the way back written out: for ``whole_blocks.py``.

Each returns its result and a function that takes the result's slope back to that of its input, and may write
into what it is given; what turns or scales in place has its own way back, or none of its own.

Shape letters: G cells, M tokens of all cells, K width, N outputs, F feed-forward size, D head size.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from qlora_kernels.rows import widened

Back = Callable[[Tensor], Tensor]
"""Slope of a result -> slope of what it was made of. It may write into what it is given."""
NormBack = Callable[[Tensor, Tensor | None], Tensor]
"""The same of a norm; given a second slope, that of the residual stream, it is added to that one in place."""
Again = Callable[[], Tensor]
"""Rows, as often as they are asked for: kept, or made again to the bit."""


def norm_rows(
    x: Float[Tensor, "rows K"], weight: Float[Tensor, " K"], epsilon: float, dtype: torch.dtype
) -> tuple[Again, NormBack]:
    """Compute ``rms_norm_reference`` with sums in float32 at least, and the result in ``dtype``.

    In the type of the sums it is made whenever it is asked for, so that nobody keeps it: two quick passes for
    a tenth of a step's memory. Rounded, it is half as large and dearer to make: that one is kept.
    With n = x / rms: dx = (w dy - n mean(w dy n)) / rms.
    """
    wide, weight = widened(x), widened(weight)
    inverse = torch.linalg.vecdot(wide, wide).div_(wide.shape[1]).add_(epsilon).rsqrt_()[:, None]

    def normed() -> Tensor:
        return (wide * inverse).mul_(weight)

    def back(dy: Tensor, residual: Tensor | None) -> Tensor:
        scaled = dy * weight
        along = torch.linalg.vecdot(scaled, wide)[:, None].mul_(inverse.pow(3)).div_(-wide.shape[1])
        if residual is None:
            return scaled.mul_(inverse).addcmul_(wide, along).to(x.dtype)
        return residual.addcmul_(scaled, inverse).addcmul_(wide, along)

    if dtype == wide.dtype:
        return normed, back
    rounded = torch.mul(wide * inverse, weight, out=wide.new_empty(wide.shape, dtype=dtype))
    return kept(rounded), back


def kept(rows: Tensor) -> Again:
    """Return what gives these rows."""
    return lambda: rows


def without_norm(dy: Tensor, residual: Tensor | None) -> Tensor:
    """Go back where the base has no norm."""
    return dy if residual is None else residual.add_(dy)


def gain_outputs(
    part: Float[Tensor, "rows N"], gain: Float[Tensor, "G N"], segments: Int64[Tensor, " boundaries"]
) -> Callable[[Tensor], Float[Tensor, "G N"]]:
    """Multiply outputs by their cell's gains where they lie; returns the same way back, that of the gains."""
    cell = torch.repeat_interleave(segments.diff())
    rows, before = gain.index_select(0, cell), part.clone()
    part.mul_(rows)

    def back(dy: Tensor) -> Tensor:
        dgain = gain.new_zeros(gain.shape).index_add_(0, cell, (widened(dy) * before).to(gain.dtype))
        dy.mul_(rows)
        return dgain

    return back


def gate_rows(gate_up: Float[Tensor, "rows both"], activation: str) -> tuple[Float[Tensor, "rows F"], Back]:
    """Let the second half through as far as the first opens, in float32 at least.

    With s = sigmoid(gate) and SwiGLU: dgate = dy up (s + gate s (1 - s))  and  dup = dy gate s.
    """
    gate, up = widened(gate_up).chunk(2, dim=1)
    opened = functional.silu(gate) if activation == "silu" else functional.gelu(gate, approximate="tanh")
    fed = opened.mul_(up).to(gate_up.dtype)

    def back(dy: Tensor) -> Tensor:
        slopes = torch.empty_like(gate_up)
        dgate, dup = slopes.chunk(2, dim=1)
        gate, up = widened(gate_up).chunk(2, dim=1)
        dy = widened(dy)
        if activation == "silu":
            share = torch.sigmoid(gate)
            opened = gate * share
            slope = torch.addcmul(share, opened, share, value=-1).add_(opened)
            dgate.copy_(slope.mul_(dy).mul_(up))
        else:
            opened = functional.gelu(gate, approximate="tanh")
            dgate.copy_(torch.ops.aten.gelu_backward(dy * up, gate, approximate="tanh"))
        dup.copy_(opened.mul_(dy))
        return slopes

    return fed, back


def turn_heads(
    x: Float[Tensor, "M heads D"], cosine: Float[Tensor, "M half"], sine: Float[Tensor, "M half"]
) -> None:
    """Turn the first features of each head where they lie, as ``rope`` does in its layout "half_split"."""
    part = x[..., : 2 * cosine.shape[1]]
    wide, cosine, sine = part.to(cosine.dtype), cosine[:, None], sine[:, None]
    first, second = wide.chunk(2, dim=-1)
    across = first * sine
    first.mul_(cosine).addcmul_(second, sine, value=-1)
    second.mul_(cosine).add_(across)
    if wide is not part:
        part.copy_(wide)
