"""A linear layer on a packed base: y = x W^T, alone or with one LoRA adapter.

Both are the grouped operator of ``grouped.py`` with one cell or without adapters; there is one code path.
"""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.grouped import AnyWeight, apply_linear, check_adapters, check_base
from qlora_kernels.rows import Backend


def lora_linear_reference(
    x: Float[Tensor, "*rows K"],
    w: Float[Tensor, "N K"],
    a: Float[Tensor, "R K"],
    b: Float[Tensor, "N R"],
    scale: float,
) -> Float[Tensor, "*rows N"]:
    """Define the layer with its adapter: S = x A^T, y = x W^T + scale * S B^T."""
    s = einsum(x, a, "... K, R K -> ... R")
    return einsum(x, w, "... K, N K -> ... N") + scale * einsum(s, b, "... R, N R -> ... N")


def quantized_linear(
    x: Float[Tensor, "*rows K"],
    weight: AnyWeight,
    *,
    precision: str | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, "*rows N"]:
    """Multiply rows by a packed weight, y = x W^T; the gradient goes to x only.

    Args:
        x: Rows of inputs.
        weight: The frozen base.
        precision: Of the base's product on a CPU, as in :func:`grouped_lora_linear`.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If shapes, types or devices don't fit together.
    """
    check_base(x, weight)
    nothing = torch.empty(0)
    return apply_linear(x, weight, None, None, nothing, nothing.long(), precision, backend)


def lora_linear(
    x: Float[Tensor, "*rows K"],
    weight: AnyWeight,
    a: Float[Tensor, "R K"],
    b: Float[Tensor, "N R"],
    scale: float,
    *,
    precision: str | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, "*rows N"]:
    """Apply a frozen linear layer with one adapter, y = x W^T + scale * (x A^T) B^T.

    Args:
        x: Rows of inputs.
        weight: The frozen base. It gets no gradient.
        a: First factor of the adapter.
        b: Second factor of the adapter.
        scale: alpha / rank.
        precision: Of the base's product on a CPU, as in :func:`grouped_lora_linear`.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If shapes, types or devices don't fit together, or the rank is 0.
    """
    rows = x.numel() // max(1, x.shape[-1])
    one = (a[None], b[None], torch.tensor([scale], dtype=torch.float32), torch.tensor([0, rows]))
    check_adapters(x, weight, *one)
    return apply_linear(x, weight, *one, precision, backend)
