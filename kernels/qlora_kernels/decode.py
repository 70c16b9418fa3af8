"""Decode a packed weight: codes, scales and offsets to numbers.

``decode_reference`` defines the numbers, ``decode_fast`` gives them on a CPU, and ``decode_triton.py`` is the
twin for GPUs. There is no gradient: a packed weight is frozen, and gradients with respect to inputs go
through the linear operators.

Shape letters: N rows, K weights in a row, B weights in a block, C = K / B blocks in a row.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Shaped
from torch import Tensor

from qlora_kernels.formats_layout import Affine, level_table, pair_table, unpack_pairs
from qlora_kernels.registration import operator
from qlora_kernels.rows import FLOATS, Backend, route

DECODED_AT_ONCE = 1 << 18
"""Weights that the fast decoder expands in one go: 1 MB of float32, which stays in a core's cache."""


def decode_reference(weight: Affine) -> Float[Tensor, "N K"]:
    """Decode as defined: look each code up, scale each block, add its offset; in float32."""
    if weight.levels == "int8":
        levels = weight.codes.float()
    else:
        levels = level_table(weight.levels, weight.codes.device)[unpack_pairs(weight.codes).long()]
    blocks = rearrange(levels, "N (C B) -> N C B", C=weight.scales.shape[1])
    scaled = einsum(blocks, weight.scales.float(), "N C B, N C -> N C B")
    if weight.offsets is not None:
        scaled = scaled + rearrange(weight.offsets.float(), "N C -> N C 1")
    return rearrange(scaled, "N C B -> N (C B)")


def decode(
    weight: Affine, dtype: torch.dtype = torch.float32, *, backend: Backend = "auto"
) -> Float[Tensor, "N K"]:
    """Decode the rows of a packed weight: computed in float32, then rounded to ``dtype``.

    Args:
        weight: Codes, scales and offsets, as ``QuantizedTensor.affine`` gives them.
        dtype: float32, bfloat16, float16 or float64.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If ``dtype`` is none of these, or float64 is asked of Triton.
    """
    if dtype not in FLOATS:
        raise ValueError(f"dequantize: can't decode to {dtype}; a floating-point type is needed")
    if route(backend, weight.codes) == "reference":
        return decode_reference(weight).to(dtype)
    return _decode(weight.codes, weight.scales, weight.offsets, weight.levels, dtype, backend)


def decode_fast(
    weight: Affine, dtype: torch.dtype, out: Float[Tensor, "N K"] | None = None
) -> Float[Tensor, "N K"]:
    """Decode to the same numbers two weights a look-up, a cacheful of rows at a time; into ``out``."""
    rows, columns = weight.codes.shape[0], weight.columns
    if out is None:
        out = torch.empty(rows, columns, dtype=dtype, device=weight.codes.device)
    step = max(1, DECODED_AT_ONCE // max(1, columns))
    for start in range(0, rows, step):
        part = slice(start, start + step)
        # float32 is decoded in place, other types by way of it
        decoded = out[part] if dtype == torch.float32 else torch.empty_like(out[part], dtype=torch.float32)
        _look_up(weight.codes[part], weight.levels, decoded)
        blocks = decoded.view(-1, weight.scales.shape[1], weight.block_size)
        blocks.mul_(weight.scales[part].float()[:, :, None])
        if weight.offsets is not None:
            blocks.add_(weight.offsets[part].float()[:, :, None])
        if dtype != torch.float32:
            out[part] = decoded
    return out


def _look_up(codes: Shaped[Tensor, "N bytes"], levels: str, out: Float[Tensor, "N K"]) -> None:
    """Write the level of each code into ``out``."""
    if levels == "int8":
        out.copy_(codes)
    else:
        words = out.view(torch.int64).view(-1)
        torch.index_select(pair_table(levels, codes.device), 0, codes.flatten().to(torch.int32), out=words)


@operator("qlora_kernels::decode")
def _decode(
    codes: Tensor, scales: Tensor, offsets: Tensor | None, levels: str, dtype: torch.dtype, backend: str
) -> Tensor:
    """Return the decoded rows."""
    weight = Affine(codes=codes, scales=scales, offsets=offsets, levels=levels)
    if route(backend, codes) != "triton":
        return decode_fast(weight, dtype)
    if dtype == torch.float64:
        raise ValueError("the Triton kernels compute in float32; decode to float64 with backend='torch'")
    from qlora_kernels.decode_triton import launch_decode

    return launch_decode(weight, dtype)


@_decode.register_fake
def _(
    codes: Tensor, scales: Tensor, offsets: Tensor | None, levels: str, dtype: torch.dtype, backend: str
) -> Tensor:
    columns = codes.shape[1] * (1 if levels == "int8" else 2)
    return codes.new_empty((codes.shape[0], columns), dtype=dtype)
