"""Quantize and dequantize: numbers to a packed weight and back.

What a format's codes mean is defined in ``formats_*.py``; here are the checks, the choice of route, and the
registration with PyTorch. ``quantize_triton.py`` holds the fast twins.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from qlora_kernels.formats import known_format
from qlora_kernels.formats_layout import decode_fast, decode_reference
from qlora_kernels.quantized import QuantizedTensor, _columns
from qlora_kernels.rows import FLOATS, route


def quantize(weight: Float[Tensor, "..."], format: str, *, block_size: int | None = None) -> QuantizedTensor:
    """Pack a weight; blocks run along its last axis.

    Args:
        weight: Any floating-point type; it is converted to float32 first.
        format: Key of FORMATS.
        block_size: Weights that share a scale, where the format leaves a choice.

    Raises:
        ValueError: If the format can't be encoded, a row doesn't divide into blocks, or a weight or a scale
            isn't finite.
    """
    known = known_format(format)
    if known.pack is None:
        raise ValueError(f"{format} can be read but not made here; quantize to another format, such as q4_1")
    block_size = known.block_size if block_size is None else block_size
    if block_size not in known.block_sizes:
        raise ValueError(f"{format} has no blocks of {block_size} weights; it has {known.block_sizes}")
    if weight.dtype not in FLOATS:
        raise ValueError(f"quantize: the weight is {weight.dtype}; a floating-point type is needed")
    columns = _columns(format, tuple(weight.shape), max(known.multiple, block_size))
    stored = known.pack(weight.detach().reshape(-1, columns).float(), block_size)
    for tensor in stored.tensors().values():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(
                f"quantize: the weight holds NaN, infinity, or numbers too large for the scales of {format} "
                f"({tensor.dtype}); repair or rescale it first"
            )
    return QuantizedTensor(format=format, shape=tuple(weight.shape), stored=stored, block_size=block_size)


def dequantize(
    weight: QuantizedTensor, dtype: torch.dtype = torch.float32, *, backend: str = "auto"
) -> Float[Tensor, "..."]:
    """Decode a packed weight: computed in float32, then rounded to ``dtype``.

    Args:
        weight: What :func:`quantize` or ``QuantizedTensor.from_gguf_bytes`` made.
        dtype: float32, bfloat16, float16 or float64.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.
    """
    if dtype not in FLOATS:
        raise ValueError(f"dequantize: can't decode to {dtype}; a floating-point type is needed")
    affine = weight.affine()
    if route(backend, affine.codes) == "reference":
        return decode_reference(affine).to(dtype).view(weight.shape)
    return decode_fast(affine, dtype).view(weight.shape)
