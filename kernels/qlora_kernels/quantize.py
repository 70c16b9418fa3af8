"""Quantize and dequantize: numbers to a packed weight and back.

What the codes of a format mean is defined in ``formats_*.py``; here are the checks, the choice of route and
the registration with PyTorch. ``quantize_triton.py`` is the twin for GPUs. There is no gradient: a packed
weight is frozen. The way back is the operator of ``decode.py``.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.formats import known_format
from qlora_kernels.formats_layout import Stored
from qlora_kernels.packed_weight import QuantizedTensor, row_length
from qlora_kernels.registration import operator
from qlora_kernels.rows import FLOATS, Backend, route


def quantize(
    weight: Float[Tensor, "..."], format: str, *, block_size: int | None = None, backend: Backend = "auto"
) -> QuantizedTensor:
    """Pack a weight; blocks run along its last axis.

    Args:
        weight: Any floating-point type; it is converted to float32 first.
        format: Key of FORMATS.
        block_size: Weights that share a scale, where the format leaves a choice.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If the format can't be encoded, a row doesn't divide into blocks, or a weight or a scale
            isn't finite.
    """
    known = known_format(format)
    if known.pack is None or known.layout is None:
        raise ValueError(f"{format} can be read but not made by quantize; quantize_k makes it")
    block_size = known.block_size if block_size is None else block_size
    if block_size not in known.block_sizes:
        raise ValueError(f"{format} has no blocks of {block_size} weights; it has {known.block_sizes}")
    if weight.dtype not in FLOATS:
        raise ValueError(f"quantize: the weight is {weight.dtype}; a floating-point type is needed")
    columns = row_length(format, tuple(weight.shape), max(known.multiple, block_size))
    rows = weight.detach().reshape(-1, columns).float()
    tensors = _quantize(rows, format, block_size, backend)
    stored = Stored(**dict(zip(known.layout(len(rows), columns, block_size), tensors, strict=True)))
    return QuantizedTensor(format=format, shape=tuple(weight.shape), stored=stored, block_size=block_size)


def dequantize(
    weight: QuantizedTensor, dtype: torch.dtype = torch.float32, *, backend: Backend = "auto"
) -> Float[Tensor, "..."]:
    """Decode a packed weight, as ``weight.dequantize`` does: computed in float32, then rounded to ``dtype``.

    Args:
        weight: What :func:`quantize` or ``QuantizedTensor.from_gguf_bytes`` made.
        dtype: float32, bfloat16, float16 or float64.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If ``dtype`` is none of these, or float64 is asked of Triton.
    """
    return weight.dequantize(dtype, backend=backend)


@operator("qlora_kernels::quantize")
def _quantize(rows: Tensor, format: str, block_size: int, backend: str) -> list[Tensor]:
    """Return the tensors that the format stores, in the order of its layout."""
    known = known_format(format)
    assert known.pack is not None
    if not rows.isfinite().all():
        raise ValueError("quantize: the weight holds NaN or infinity; repair it first")
    if route(backend, rows) == "triton":
        from qlora_kernels.quantize_triton import launch_pack

        stored = launch_pack(rows.contiguous(), format, block_size)
    else:
        stored = known.pack(rows, block_size)
    if not stored.scales.float().isfinite().all():
        raise ValueError(
            f"quantize: a weight is too large for the {stored.scales.dtype} scales of {format}; "
            "choose a format with wider scales, such as nf4"
        )
    return list(stored.tensors().values())


@_quantize.register_fake
def _(rows: Tensor, format: str, block_size: int, backend: str) -> list[Tensor]:
    layout = known_format(format).layout
    assert layout is not None
    return [
        rows.new_empty(shape, dtype=dtype)
        for shape, dtype in layout(rows.shape[0], rows.shape[1], block_size).values()
    ]
