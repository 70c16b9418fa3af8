"""Products of few rows with a weight that stays the same for many steps, on a processor: what decoding takes.

Reading the weight is nearly all that such a product costs, so a copy of it is made in the form that is read
fastest: four bits a weight, for up to four rows and a weight that has no more, or bfloat16 in the library's
own order. Both round x to bfloat16 and add in float32, as products in bfloat16 do. The ordered form has their
bits. Four bits round a block's scale and offset instead of each weight, which errs as much.

Shape letters: M rows, N outputs, K inputs, C blocks of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.formats_layout import LEVELS, Affine, level_table, unpack_pairs

FOUR_BITS_UP_TO = 4
"""Rows that PyTorch's four-bit product takes at once. Beside the ordered form it needs 0.4 times the time for
one row with SmolLM2-135M, 0.7 times for four and 1.3 times for five."""
BLOCK_SIZES = (32, 64, 128, 256)
"""Weights that share a scale, as PyTorch's four-bit product takes them."""
ROWS_TOGETHER = 16
"""Its N is a multiple of this."""
MIDDLE = 8
"""The code that stands for the offset in PyTorch's four bits."""


@dataclass(frozen=True, eq=False, slots=True)
class OrderedWeight:
    """A weight in bfloat16 as oneDNN orders it for products of so many rows."""

    ordered: Tensor
    exact: ClassVar[bool] = True
    """Whether products have the bits of those with the weight in bfloat16."""

    @classmethod
    def of(cls, weight: Float[Tensor, "N K"], rows: int) -> "OrderedWeight | None":
        """Order a weight; None if it isn't in bfloat16, or this machine has no such products."""
        if weight.dtype != torch.bfloat16 or not torch.backends.mkldnn.is_available():
            return None
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return None
        return cls(torch.ops.mkldnn._reorder_linear_weight(weight, rows))

    def __call__(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """Return x W^T in the type of x."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.to(torch.bfloat16), self.ordered, None, "none", [], ""
        )
        return y.to(x.dtype)


@dataclass(frozen=True, eq=False, slots=True)
class FourBitWeight:
    """A weight in four bits: (code - 8) scale + offset, both numbers in bfloat16."""

    codes: Tensor
    """In the order of PyTorch's product on this processor."""
    scales_and_offsets: Float[Tensor, "C N 2"]
    block_size: int
    exact: ClassVar[bool] = False

    @classmethod
    def of(cls, weights: Sequence[Affine]) -> "FourBitWeight | None":
        """Join weights with the same inputs, one above the other.

        Returns None where they have another form: codes that aren't of four bits in equal steps, blocks of a
        size that PyTorch's product doesn't take or not of one size, or a number of rows that isn't a multiple
        of 16.
        """
        sizes = {one.block_size for one in weights}
        rows = sum(one.shape[0] for one in weights)
        if len(sizes) > 1 or not sizes <= set(BLOCK_SIZES) or rows % ROWS_TOGETHER:
            return None
        if any(not _in_equal_steps(one.levels) for one in weights):
            return None
        codes = torch.cat([unpack_pairs(one.codes) for one in weights]).int()
        numbers = torch.cat([_scales_and_offsets(one) for one in weights], dim=1)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        return cls(packed, numbers.to(torch.bfloat16).contiguous(), sizes.pop())

    def __call__(self, x: Float[Tensor, "M K"]) -> Float[Tensor, "M N"]:
        """Return x W^T in the type of x."""
        multiply = torch.ops.aten._weight_int4pack_mm_for_cpu
        y: Tensor = multiply(x.to(torch.bfloat16), self.codes, self.block_size, self.scales_and_offsets)
        return y.to(x.dtype)


FewRows = OrderedWeight | FourBitWeight
"""A weight in a form for products of few rows."""


def _in_equal_steps(levels: str) -> bool:
    if levels not in LEVELS:
        return False
    steps = level_table(levels, torch.device("cpu")).diff()
    return bool((steps == steps[0]).all())


def _scales_and_offsets(weight: Affine) -> Float[Tensor, "C N 2"]:
    """Return what PyTorch's codes are scaled with, and what they are added to."""
    level = level_table(weight.levels, weight.device)
    scales = weight.scales.float()
    offsets = level[MIDDLE] * scales
    if weight.offsets is not None:
        offsets = offsets + weight.offsets.float()
    return torch.stack([(level[1] - level[0]) * scales.mT, offsets.mT], dim=-1)
