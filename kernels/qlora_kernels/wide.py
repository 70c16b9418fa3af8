"""A product with a packed weight whose result is in float32: logits, which are compared and exponentiated.

The weight is decoded a slice of its rows at a time, so that it is never held as numbers whole.

Shape letters: M rows, K inputs, N outputs (words of a vocabulary).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.decode import decode
from qlora_kernels.formats_layout import Affine
from qlora_kernels.rows import on_gpu

SLICE_BYTES = 64 * 2**20
"""Most bytes of decoded rows at a time."""


def wide_product(x: Float[Tensor, "M K"], weight: Affine | Float[Tensor, "N K"]) -> Float[Tensor, "M N"]:
    """Return x W^T in float32; W is decoded and rounded to the type of x. There is no gradient.

    Args:
        x: Rows in float32, bfloat16 or float16.
        weight: The weight, packed or as numbers of the type of x, on the same device.
    """
    if isinstance(weight, Tensor):
        return wide_mm(x, weight.mT)
    rows, columns = weight.shape
    y = torch.empty(len(x), rows, dtype=torch.float32, device=x.device)
    step = max(1, SLICE_BYTES // (x.element_size() * columns))
    for start in range(0, rows, step):
        part = slice(start, start + step)
        some = Affine(
            codes=weight.codes[part],
            scales=weight.scales[part],
            offsets=None if weight.offsets is None else weight.offsets[part],
            levels=weight.levels,
        )
        y[:, part] = wide_mm(x, decode(some, x.dtype).mT)
    return y


def wide_mm(a: Float[Tensor, "M K"], b: Float[Tensor, "K N"]) -> Float[Tensor, "M N"]:
    """Multiply matrices of one type into a result of at least float32."""
    if on_gpu(a) and a.dtype in (torch.bfloat16, torch.float16):
        return torch.mm(a, b, out_dtype=torch.float32)
    wide = torch.promote_types(a.dtype, torch.float32)
    return a.to(wide) @ b.to(wide)
