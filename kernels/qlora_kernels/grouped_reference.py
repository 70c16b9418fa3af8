"""Definitions of the grouped linear layer with LoRA and of its gradients; see ``grouped.py``.

Each function is one or two einsums. "M G" says which cell a row belongs to: 1 in one place of each row.

Shape letters: M rows (tokens), K inputs, N outputs, R rank, G cells.
"""

import torch
from einops import einsum
from jaxtyping import Float, Int64
from torch import Tensor


def membership(segments: Int64[Tensor, " boundaries"], like: Tensor) -> Float[Tensor, "M G"]:
    """Return 1 where a row belongs to a cell, else 0, in the type of ``like``."""
    lengths = segments.diff()
    cell = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    return torch.nn.functional.one_hot(cell, len(lengths)).to(like)


def shrink_reference(
    x: Float[Tensor, "M K"], a: Float[Tensor, "G R K"], member: Float[Tensor, "M G"]
) -> Float[Tensor, "M R"]:
    """Compute S = x A^T."""
    return einsum(x, a, member, "M K, G R K, M G -> M R")


def forward_reference(
    x: Float[Tensor, "M K"],
    w: Float[Tensor, "N K"],
    s: Float[Tensor, "M R"],
    b: Float[Tensor, "G N R"],
    scale: Float[Tensor, " G"],
    member: Float[Tensor, "M G"],
) -> Float[Tensor, "M N"]:
    """Compute y = x W^T + scale * S B^T."""
    update = einsum(s, b, scale, member, "M R, G N R, G, M G -> M N")
    return einsum(x, w, "M K, N K -> M N") + update


def output_gradients_reference(
    dy: Float[Tensor, "M N"],
    s: Float[Tensor, "M R"],
    b: Float[Tensor, "G N R"],
    scale: Float[Tensor, " G"],
    member: Float[Tensor, "M G"],
) -> tuple[Float[Tensor, "M R"], Float[Tensor, "G N R"]]:
    """Compute dS = scale * dy B and dB = scale * dy^T S."""
    ds = einsum(dy, b, scale, member, "M N, G N R, G, M G -> M R")
    db = einsum(dy, s, scale, member, "M N, M R, G, M G -> G N R")
    return ds, db


def input_gradient_reference(
    dy: Float[Tensor, "M N"],
    w: Float[Tensor, "N K"],
    ds: Float[Tensor, "M R"],
    a: Float[Tensor, "G R K"],
    member: Float[Tensor, "M G"],
) -> Float[Tensor, "M K"]:
    """Compute dx = dy W + dS A."""
    return einsum(dy, w, "M N, N K -> M K") + einsum(ds, a, member, "M R, G R K, M G -> M K")


def shrink_gradient_reference(
    ds: Float[Tensor, "M R"], x: Float[Tensor, "M K"], member: Float[Tensor, "M G"]
) -> Float[Tensor, "G R K"]:
    """Compute dA = dS^T x."""
    return einsum(ds, x, member, "M R, M K, M G -> G R K")


def grouped_lora_linear_reference(
    x: Float[Tensor, "M K"],
    w: Float[Tensor, "N K"],
    a: Float[Tensor, "G R K"],
    b: Float[Tensor, "G N R"],
    scale: Float[Tensor, " G"],
    segments: Int64[Tensor, " boundaries"],
) -> Float[Tensor, "M N"]:
    """Define the whole operator, in the type of its inputs and differentiable by autograd."""
    member = membership(segments, x)
    return forward_reference(x, w, shrink_reference(x, a, member), b, scale.to(x), member)
