"""The base's product on a CPU, y = x W^T and dx = dy W, in a precision that is chosen by name.

A product in 16 bits or in bytes takes a fraction of the time of one in float32. Its result is converted to
the type of x, so that everything around it (adapters, sums, norms) stays as precise as x is.

- "float32", "bfloat16": the matrices are rounded to this type and multiplied.
- "int8": W is rounded once to bytes with a scale for each output row, x to bytes with a scale for each of its
  rows; their product is exact in int32, and is multiplied by both scales. A few outlier columns, whose large
  inputs would coarsen the scale of every row, are multiplied apart, in the type of x. For dx the scales of W
  go into dy first, so that one copy of W serves both.

Shape letters: M rows (tokens), K inputs, N outputs, C outlier columns.

Source: Dettmers et al., "LLM.int8()", arXiv:2208.07339: vector-wise scales and the decomposition into outlier
and other columns. Here the columns are chosen once for a weight, not for each batch, so that a row's result
doesn't depend on the rows beside it; and the backward pass is in bytes too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from qlora_kernels.decode import decode_fast
from qlora_kernels.formats_layout import Affine
from qlora_kernels.in_file import IN_FILE, FileRows, buffer

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}
"""Precisions of a product by name, and the type of the numbers that are multiplied."""

LARGEST_BYTE = 127
LEAST_SCALE = torch.finfo(torch.float32).tiny
"""Least scale: a row of zeros stays one."""


@dataclass(frozen=True, eq=False, slots=True)
class PreparedWeight:
    """A weight as a CPU multiplies with it: plain numbers, or what :func:`prepare_weight` makes of them.

    Attributes:
        parts: The numbers alone, or for int8 the bytes, their scales, and the outlier columns with theirs.
    """

    parts: tuple[Tensor, ...]

    @classmethod
    def of(
        cls,
        weights: Sequence[Float[Tensor, "_ K"]],
        dtype: torch.dtype,
        outliers: Int64[Tensor, " C"] | None = None,
    ) -> "PreparedWeight":
        """Prepare weights that multiply the same inputs, one above the other, for products in ``dtype``."""
        return cls(
            prepare_weight(torch.cat(list(weights)) if len(weights) > 1 else weights[0], dtype, outliers)
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The weight's shape."""
        return tuple(self.parts[0].shape)

    @property
    def device(self) -> torch.device:
        """Where the weight is."""
        return self.parts[0].device

    @property
    def levels(self) -> str:
        """How the operators read :meth:`tensors`: plain numbers, or what is prepared for products in int8."""
        return "dense" if self.parts[0].is_floating_point() else "prepared"

    def tensors(self) -> list[Tensor]:
        """Return what the operators compute with: the parts for int8, or the numbers as in an `Affine`."""
        if self.levels == "prepared":
            return list(self.parts)
        return [self.parts[0].detach().contiguous(), torch.empty(len(self.parts[0]), 0, device=self.device)]


def check_precision(precision: str | None) -> None:
    """Refuse a name that isn't in PRECISIONS; None is the precision of x.

    Raises:
        ValueError: If the name is unknown.
    """
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}. Known: {', '.join(PRECISIONS)}.")


def product_reference(
    x: Float[Tensor, "M K"], w: Float[Tensor, "N K"], precision: str, outliers: Int64[Tensor, " C"]
) -> Float[Tensor, "M N"]:
    """Define y = x W^T in a precision, with sums in the type of x."""
    if precision != "int8":
        low = PRECISIONS[precision]
        return einsum(x.to(low).to(x.dtype), w.to(low).to(x.dtype), "M K, N K -> M N")
    apart = torch.zeros(x.shape[1], dtype=torch.bool).index_fill_(0, outliers, True)
    x8, x_scale = round_rows(x.where(~apart, 0))
    w8, w_scale = round_rows(w.where(~apart, 0))
    y = einsum(x8.to(x.dtype), w8.to(x.dtype), "M K, N K -> M N") * x_scale * w_scale.mT
    return y + einsum(x.where(apart, 0), w.where(apart, 0), "M K, N K -> M N")


def round_rows(x: Float[Tensor, "M K"]) -> tuple[Int8[Tensor, "M K"], Float[Tensor, "M 1"]]:
    """Round each row to bytes: x is about codes * scale, with the row's largest number at 127."""
    scale = x.abs().amax(dim=1, keepdim=True).div_(LARGEST_BYTE)
    codes = (x / scale.clamp_min(LEAST_SCALE)).round_().to(torch.int8)
    return codes, scale


def dtype_of(precision: str, x: Tensor) -> torch.dtype:
    """Return the type of the numbers that are multiplied; "" is that of x."""
    return PRECISIONS[precision] if precision else x.dtype


def operand(base: Sequence[Tensor], levels: str, dtype: torch.dtype) -> Sequence[Tensor]:
    """Return a base for products in ``dtype``: as it was prepared for int8, or prepared for this call.

    Args:
        base: The tensors of a :class:`PreparedWeight`, an :class:`Affine` or :class:`FileRows`; those of the
            last are decoded into a buffer, which the thread's next call overwrites.
        levels: How to read them: "prepared", or as ``Affine.levels``.
        dtype: Of the numbers that are multiplied.

    Raises:
        ValueError: If it was prepared for int8 and another type is wanted.
    """
    if levels == "prepared":
        if dtype != torch.int8:
            raise ValueError(
                f"the weight is prepared for products in int8, not {dtype}; name it as precision"
            )
        return base
    low = torch.float32 if dtype == torch.int8 else dtype
    if levels.startswith(IN_FILE):
        rows = FileRows.of(base, levels)
        return prepare_weight(rows.decode(low, out=buffer(rows.shape, low)), dtype)
    weight = Affine.of(base, levels)
    return prepare_weight(
        weight.codes.to(low) if weight.levels == "dense" else decode_fast(weight, low), dtype
    )


def prepare_weight(
    w: Float[Tensor, "N K"], dtype: torch.dtype, outliers: Int64[Tensor, " C"] | None = None
) -> tuple[Tensor, ...]:
    """Round a weight for :func:`product` and :func:`input_product` in numbers of type ``dtype``.

    For int8 these are the bytes, their scales, and the outlier columns with their numbers.
    """
    if dtype != torch.int8:
        return (w.to(dtype),)
    wide = w.float()
    columns = torch.empty(0, dtype=torch.int64) if outliers is None else outliers
    return *round_rows(wide.index_fill(1, columns, 0.0)), columns, wide[:, columns]


def product(x: Float[Tensor, "M K"], base: Sequence[Tensor]) -> Float[Tensor, "M N"]:
    """Return y = x W^T in the type of x; ``base`` is W as :func:`prepare_weight` rounded it."""
    if len(base) == 1:
        return (x.to(base[0].dtype) @ base[0].mT).to(x.dtype)
    w8, w_scale, columns, w_columns = base
    wide = x.float()
    # the bytes of W are 0 in the outlier columns: whatever x rounds to there counts for nothing
    scale = wide.abs().index_fill_(1, columns, 0.0).amax(dim=1, keepdim=True).div_(LARGEST_BYTE)
    x8 = (wide / scale.clamp_min(LEAST_SCALE)).round_().clamp_(-LARGEST_BYTE, LARGEST_BYTE).to(torch.int8)
    y = torch._int_mm(x8, w8.mT).float().mul_(scale).mul_(w_scale.mT)
    return (y.addmm_(wide[:, columns], w_columns.mT) if len(columns) else y).to(x.dtype)


def input_product(dy: Float[Tensor, "M N"], base: Sequence[Tensor]) -> Float[Tensor, "M K"]:
    """Return dx = dy W in the type of dy."""
    if len(base) == 1:
        return (dy.to(base[0].dtype) @ base[0]).to(dy.dtype)
    w8, w_scale, columns, w_columns = base
    wide = dy.float()
    dy8, dy_scale = round_rows(wide * w_scale.mT)
    dx = torch._int_mm(dy8, w8).float().mul_(dy_scale)
    return (dx.index_copy_(1, columns, wide @ w_columns) if len(columns) else dx).to(dy.dtype)
