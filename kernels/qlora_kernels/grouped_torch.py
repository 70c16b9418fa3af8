"""The CPU route of the grouped linear layer: few, large matrix products.

The base comes prepared for its products, see ``products.py``. Cells of
equal length, which is how stacks are trained, go through one batched product; others take one product each.
In bfloat16 and float16 the base's product and its sum with the update are two roundings, where a GPU rounds
once: PyTorch has no CPU product of 16-bit matrices with a 32-bit result. Its products in bfloat16 sum in
float32 and round once, so nothing is widened for them where the scales are powers of two.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from qlora_kernels.products import input_product, product
from qlora_kernels.rows import widened


def forward(
    x: Float[Tensor, "M K"],
    base: Sequence[Tensor],
    s: Float[Tensor, "M R"] | None,
    b: Float[Tensor, "G N R"] | None,
    scale: Float[Tensor, " G"],
    segments: Int64[Tensor, " boundaries"],
) -> Float[Tensor, "M N"]:
    """Return y = x W^T, plus scale * S B^T of each cell."""
    y = product(x, base)
    if s is None or b is None:
        return y
    if _exact_in(s, scale):
        return _add_by_cell(y, _scaled(s, scale, segments), b.mT, segments)
    return _add_by_cell(y, _scaled(widened(s), scale, segments), widened(b).mT, segments)


def input_gradient(
    dy: Float[Tensor, "M N"],
    base: Sequence[Tensor],
    ds: Float[Tensor, "M R"] | None,
    a: Float[Tensor, "G R K"] | None,
    segments: Int64[Tensor, " boundaries"],
) -> Float[Tensor, "M K"]:
    """Return dx = dy W, plus dS A of each cell."""
    dx = input_product(dy, base)
    if ds is None or a is None:
        return dx
    if ds.dtype != torch.bfloat16:
        ds, a = widened(ds), widened(a)
    return _add_by_cell(dx, ds, a, segments)


def shrink(
    x: Float[Tensor, "M K"], a: Float[Tensor, "G R K"], segments: Int64[Tensor, " boundaries"]
) -> Float[Tensor, "M R"]:
    """Return S = x A^T, each cell's rows with its own A."""
    return by_cell(x, a.mT, segments)


def output_gradients(
    dy: Float[Tensor, "M N"],
    b: Float[Tensor, "G N R"],
    s: Float[Tensor, "M R"],
    scale: Float[Tensor, " G"],
    segments: Int64[Tensor, " boundaries"],
) -> tuple[Float[Tensor, "M R"], Float[Tensor, "G N R"]]:
    """Return dS = scale * dy B and dB = scale * dy^T S."""
    given = dy.dtype, b.dtype
    if not _exact_in(dy, scale):
        dy, b, s = (widened(one) for one in (dy, b, s))
    ds = _scaled(by_cell(dy, b, segments), scale, segments)
    db = between_cells(dy, s, segments) * scale.to(dy.dtype)[:, None, None]
    return ds.to(given[0]), db.to(given[1])


def shrink_gradient(
    ds: Float[Tensor, "M R"], x: Float[Tensor, "M K"], segments: Int64[Tensor, " boundaries"]
) -> Float[Tensor, "G R K"]:
    """Return dA = dS^T x, cell by cell."""
    return between_cells(ds, x, segments)


def by_cell(
    rows: Float[Tensor, "M I"], matrices: Float[Tensor, "G I J"], segments: Int64[Tensor, " boundaries"]
) -> Float[Tensor, "M J"]:
    """Multiply each cell's rows by its matrix."""
    if len(matrices) == 1:
        return rows @ matrices[0]  # a batch of one product would run on one core
    if _equal_lengths(segments):
        stacked = rows.reshape(len(matrices), -1, rows.shape[1])
        return torch.bmm(stacked, matrices).flatten(0, 1)
    parts = rows.split(segments.diff().tolist())
    return torch.cat([part @ matrix for part, matrix in zip(parts, matrices, strict=True)])


def between_cells(
    left: Float[Tensor, "M I"], right: Float[Tensor, "M J"], segments: Int64[Tensor, " boundaries"]
) -> Float[Tensor, "G I J"]:
    """Sum the outer products of each cell's rows: left^T right."""
    cells = len(segments) - 1
    if right.shape[1] < left.shape[1]:
        # few rows of many columns take a half to a quarter of the time of many rows of few columns
        return between_cells(right, left, segments).mT.contiguous()
    if cells == 1:
        return (left.mT @ right)[None]
    if _equal_lengths(segments):
        i, j = (t.reshape(cells, -1, t.shape[1]) for t in (left, right))
        return torch.bmm(i.mT, j)
    lengths = segments.diff().tolist()
    return torch.stack([i.mT @ j for i, j in zip(left.split(lengths), right.split(lengths), strict=True)])


def _exact_in(rows: Tensor, scale: Tensor) -> bool:
    """Say whether the type of rows is bfloat16 and takes their scales without a rounding."""
    return rows.dtype == torch.bfloat16 and all(
        abs(math.frexp(one)[0]) in (0.0, 0.5) for one in scale.tolist()
    )


def _add_by_cell(total: Tensor, rows: Tensor, matrices: Tensor, segments: Tensor) -> Tensor:
    """Add each cell's rows times its matrix; within one product, where the types are equal."""
    if total.dtype != rows.dtype:
        return by_cell(rows, matrices, segments).add_(total).to(total.dtype)
    if len(matrices) == 1:
        total.addmm_(rows, matrices[0])
    elif _equal_lengths(segments):
        stacked = (len(matrices), -1)
        total.unflatten(0, stacked).baddbmm_(rows.unflatten(0, stacked), matrices)
    else:
        lengths = segments.diff().tolist()
        for part, row, matrix in zip(total.split(lengths), rows.split(lengths), matrices, strict=True):
            part.addmm_(row, matrix)
    return total


def _equal_lengths(segments: Tensor) -> bool:
    lengths = segments.diff()
    return bool((lengths == lengths[0]).all() and lengths[0] > 0)


def _scaled(rows: Tensor, scale: Tensor, segments: Tensor) -> Tensor:
    """Multiply each cell's rows by its scale, in their type."""
    scale = scale.to(rows.dtype)
    if len(scale) == 1:
        return rows * scale
    return rows * torch.repeat_interleave(scale, segments.diff())[:, None]
