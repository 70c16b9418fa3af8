"""The kinds of numbers that files of models hold: rounding a weight to them, and their bytes.

Rounding comes first and bytes after, so that what a file will hold can be computed without one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor, quantize
from qlora_kernels.quantize_k import quantize_k
from workbench.errors import InputError

Packed = Tensor | QuantizedTensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """One kind of numbers; an entry of :data:`KINDS_OF_NUMBERS`."""

    bits: float
    """Of a weight, scales included."""
    multiple: int = 1
    """A row's length has to be a multiple of this."""
    round: Callable[[Tensor], Packed]
    """(a weight in float32) -> it in this kind: a tensor of that type, or packed blocks."""


def _blocks(format: str) -> Callable[[Tensor], Packed]:
    return lambda weight: quantize(weight, format)


def _k_blocks(format: str) -> Callable[[Tensor], Packed]:
    return lambda weight: quantize_k(weight, format)


KINDS_OF_NUMBERS: dict[str, Numbers] = {
    "f32": Numbers(bits=32.0, round=lambda weight: weight),
    "f16": Numbers(bits=16.0, round=lambda weight: weight.to(torch.float16)),
    "bf16": Numbers(bits=16.0, round=lambda weight: weight.to(torch.bfloat16)),
    "q8_0": Numbers(bits=8.5, multiple=32, round=_blocks("q8_0")),
    "q6_k": Numbers(bits=6.5625, multiple=256, round=_k_blocks("q6_k")),
    "q4_k": Numbers(bits=4.5, multiple=256, round=_k_blocks("q4_k")),
    "q4_1": Numbers(bits=5.0, multiple=32, round=_blocks("q4_1")),
    "q4_0": Numbers(bits=4.5, multiple=32, round=_blocks("q4_0")),
}
"""By the name that GGUF has for each, in lower case."""

INSTEAD = ("q8_0", "f16")
"""What a matrix is stored as whose rows don't divide into the blocks asked for: the first that fits.

llama.cpp takes types near in size, some of which the workbench doesn't read; these lose less."""


def fitting(kind: str, columns: int) -> str:
    """Return ``kind``, or what rows of so many weights are stored as instead."""
    return next(one for one in (kind, *INSTEAD) if columns % KINDS_OF_NUMBERS[one].multiple == 0)


def rounded(name: str, weight: Packed, kind: str) -> Packed:
    """Round a weight to a kind of numbers; one that is packed in this kind already stays as it is.

    Raises:
        InputError: If it holds NaN or infinity, or a number too large for the kind.
    """
    if isinstance(weight, QuantizedTensor):
        if weight.format == kind:
            return weight
        weight = weight.dequantize()
    weight = weight.detach().to(torch.float32)
    if not weight.isfinite().all():
        raise InputError(
            f"weight {name!r} holds NaN or infinity, so no model is written; repair the base first"
        )
    try:
        packed = KINDS_OF_NUMBERS[kind].round(weight)
    except ValueError as error:
        raise InputError(f"weight {name!r} can't be written as {kind}: {error}") from error
    if isinstance(packed, Tensor) and not packed.isfinite().all():
        raise InputError(
            f"weight {name!r} holds {float(weight.abs().max()):g}, too large for {kind}; choose bf16 or f32"
        )
    return packed


def bytes_of(packed: Packed) -> np.ndarray:
    """Return what a file holds of a rounded weight: bytes, one row for each row of the weight."""
    if isinstance(packed, QuantizedTensor):
        return packed.to_gguf_bytes().numpy()
    rows = packed.contiguous()
    rows = rows[None] if rows.ndim == 1 else rows
    return rows.view(torch.uint8).numpy()


def row_bytes(kind: str, columns: int) -> int:
    """Return how many bytes a row of so many weights takes."""
    return round(columns * KINDS_OF_NUMBERS[kind].bits / 8)
