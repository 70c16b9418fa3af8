"""Judge an operator against float64 on the same rounded inputs. The only file that states a tolerance."""

import torch
from torch import Tensor

HALF_STEP = {torch.float32: 2.0**-24, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}
"""Half the distance between neighbours, relative: what one correct rounding may cost."""

FROBENIUS = {torch.float32: 1e-6, torch.bfloat16: 2.5e-3, torch.float16: 6e-4}
"""Relative Frobenius error allowed.

Rounding errors of one final rounding spread evenly below ``HALF_STEP`` have a root mean square of about 0.42
of it: 1.7e-3 in bfloat16 and 2.1e-4 in float16, which the bounds leave room above for one more rounding of
an operand. float32 sums of a few thousand products drift by some 4e-7.
"""

ELEMENTWISE = {torch.float32: 1.0, torch.bfloat16: 2.0, torch.float16: 4.0}
"""Largest error of one element, in units of ``_scale`` below."""

FLOAT_TYPES = tuple(FROBENIUS)


def relative_error(got: Tensor, truth: Tensor) -> float:
    """Frobenius norm of the difference over that of the truth; not divided when the truth is 0."""
    difference = (got.double() - truth.double()).norm().item()
    return difference / (truth.double().norm().item() or 1.0)


def assert_accurate(
    name: str,
    got: Tensor,
    truth: Tensor,
    *,
    terms: int = 1,
    magnitude: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Fail unless ``got`` is the float64 ``truth`` up to the rounding of its own type.

    Args:
        name: What is compared; it starts the message.
        got: The operator's result.
        truth: The reference, computed in float64 from the same rounded inputs.
        terms: How many products each element sums.
        magnitude: Sum of the absolute products for each element; without it, the largest truth stands for it.
        dtype: The type whose rounding is allowed, when it is not that of ``got`` (a float32 sum of bfloat16
        inputs).
    """
    assert got.shape == truth.shape, f"{name}: shape {tuple(got.shape)}, expected {tuple(truth.shape)}"
    assert torch.isfinite(got).all(), (
        f"{name}: {int((~torch.isfinite(got)).sum())} elements are NaN or infinite"
    )
    if got.numel() == 0:
        return
    dtype = dtype or got.dtype
    error = relative_error(got, truth)
    # a norm of a handful of roundings is no average: there the elementwise bound speaks alone
    assert got.numel() < 32 or error <= FROBENIUS[dtype], (
        f"{name}: relative error {error:.2e}, allowed {FROBENIUS[dtype]:.1e} in {dtype}"
    )
    magnitude = truth.double().abs().max() if magnitude is None else magnitude.double()
    # a float32 sum of n terms errs like the square root of n; then one rounding to the result's type
    scale = HALF_STEP[torch.float32] * terms**0.5 * magnitude + HALF_STEP[dtype] * truth.double().abs()
    worst = ((got.double() - truth.double()).abs() / scale.clamp_min(1e-300)).max().item()
    assert worst <= ELEMENTWISE[dtype], (
        f"{name}: one element errs by {worst:.2f} x its scale, allowed {ELEMENTWISE[dtype]}"
    )


def layouts(tensor: Tensor) -> dict[str, Tensor]:
    """Lay the same matrix (or stack of rows) out in memory in the ways that users' tensors are."""
    *lead, rows, width = tensor.shape
    wide = torch.full((*lead, rows, 3 * width), torch.nan, dtype=tensor.dtype)
    sliced = wide[..., width : 2 * width]
    stepped = torch.full((*lead, rows, 2 * width), torch.nan, dtype=tensor.dtype)[..., ::2]
    return {
        "contiguous": tensor.contiguous(),
        "transposed": tensor.mT.contiguous().mT,
        "slice of a wider one": sliced.copy_(tensor),
        "every second element": stepped.copy_(tensor),
    }
