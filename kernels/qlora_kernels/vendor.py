"""Dense products by the vendor's library: cuBLAS or hipBLASLt on a GPU, torch's own on a CPU.

Each result is summed in float32. Into a float32 result that is all that happens; into a narrower one it is
rounded once. Where torch is allowed to (``allow_bf16_reduced_precision_reduction``, on by default), the
library may add the parts of a sum that it has split in 16 bits, if the result has 16 bits; so those who go
on counting with a sum ask for float32.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.rows import widened

SCRATCH_BYTES = 64 * 2**20
"""Size of a part of an operand or a result: enough to keep a GPU busy, little beside a packed model."""
WIDTH = 256
"""Parts are multiples of this many rows or columns, so that addresses stay aligned."""


def multiply(
    a: Float[Tensor, "M K"], b: Float[Tensor, "K N"], out: Float[Tensor, "M N"]
) -> Float[Tensor, "M N"]:
    """Write a b into ``out``: of the operands' type, or float32."""
    if a.device.type == "cpu":  # there PyTorch has no product of 16-bit matrices with a 32-bit result
        return out.copy_(widened(a) @ widened(b))
    if out.dtype == a.dtype:
        return torch.mm(a, b, out=out)
    return torch.mm(a, b, out_dtype=out.dtype, out=out)


def part_width(unit: int) -> int:
    """Return how many rows or columns of ``unit`` bytes each make a part."""
    return max(WIDTH, SCRATCH_BYTES // max(1, unit) // WIDTH * WIDTH)
