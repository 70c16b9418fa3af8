"""Numbers into GGUF's Q4_K and Q6_K blocks: a search over scales for each block, then scales of scales.

A super-block has 256 weights. Q4_K cuts it into 8 blocks of 32, each with a scale and an offset of 6 bits;
Q6_K into 16 blocks of 16, each with a scale of 8 bits. The outer scales are float16. `formats_gguf.py` says
what the codes mean. The search tries about twenty scales a block and keeps the one of least squared error,
weighted by the size of the weights. There is no choice to be made by data: no importance matrix is read.

Shape letters: N rows, C super-blocks of a row, J blocks of a super-block, B weights of a block.

Source: ggml's `ggml-quants.c`: `quantize_row_q4_K_ref` with `make_qkx2_quants`, `quantize_row_q6_K_ref` with
`make_qx_quants`.
"""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from qlora_kernels.formats_gguf import SUPER_BLOCK
from qlora_kernels.packed_weight import QuantizedTensor, row_length

AT_ONCE = 1024
"""Super-blocks that are searched together: what the search holds then stays in a processor's cache."""
TINY = 1e-15
"""Blocks of smaller weights become zeros."""
HUGE = 1e9
"""No block reaches so far, and the squares of much larger weights are infinite."""


def quantize_k(weight: Float[Tensor, "..."], format: str) -> QuantizedTensor:
    """Pack a weight as Q4_K or Q6_K; super-blocks run along its last axis.

    Args:
        weight: Any floating-point type; it is converted to float32 first.
        format: Key of :data:`K_ENCODERS`.

    Raises:
        ValueError: If the format is another, a row isn't a multiple of 256, or a weight isn't finite or is
            too large for a float16 scale.
    """
    if format not in K_ENCODERS:
        raise ValueError(f"unknown K format {format!r}. Known: {', '.join(K_ENCODERS)}.")
    columns = row_length(format, tuple(weight.shape), SUPER_BLOCK)
    rows = weight.detach().reshape(-1, columns).float()
    if not rows.isfinite().all():
        raise ValueError("quantize_k: the weight holds NaN or infinity; repair it first")
    blocks = rearrange(rows, "N (C weights) -> (N C) weights", weights=SUPER_BLOCK)
    packed = torch.cat([K_ENCODERS[format](some) for some in blocks.split(AT_ONCE)])
    data = rearrange(packed, "(N C) bytes -> N (C bytes)", N=len(rows))
    made = QuantizedTensor.from_gguf_bytes(format, tuple(weight.shape), data)
    outer = (made.stored.outer_scales, made.stored.outer_offsets)
    finite = all(scales is None or scales.float().isfinite().all() for scales in outer)
    if not finite or rows.abs().amax() > HUGE:
        raise ValueError(f"quantize_k: a weight is too large for the float16 scales of {format}")
    return made


# ---------------------------------------------------------------------------------------------- Q4_K


def encode_q4_k(blocks: Float[Tensor, "C weights"]) -> UInt8[Tensor, "C bytes"]:
    """Return the 144 bytes of each super-block."""
    x = rearrange(blocks, "C (J B) -> C J B", B=32)
    weights = x.square().mean(-1, keepdim=True).sqrt() + x.abs()
    scale, offset = _scale_and_offset(x, weights, 15)
    outer, inner = _six_bits(scale)
    outer_offset, inner_offset = _six_bits(offset)
    step = (outer.half().float() * inner)[..., None]
    lift = (outer_offset.half().float() * inner_offset)[..., None]
    codes = _safe_divide(x + lift, step).round().clamp(0, 15).to(torch.uint8)
    # 64 weights share 32 bytes: the first 32 low, the second 32 high
    low, high = rearrange(codes, "C (run part) B -> part C run B", part=2)
    data = rearrange(low | (high << 4), "C run B -> C (run B)")
    return torch.cat(
        [_half_bytes(outer), _half_bytes(outer_offset), _twelve_bytes(inner, inner_offset), data], dim=-1
    )


def _scale_and_offset(
    x: Float[Tensor, "C J B"], weights: Float[Tensor, "C J B"], largest: int
) -> tuple[Float[Tensor, "C J"], Float[Tensor, "C J"]]:
    """Return for each block the scale s and offset m >= 0 that make x near s times a code less m.

    The first guess divides the range into equal steps. Twenty-one others round with a slightly different
    step and solve for the best s and m given those codes.
    """
    low, high = x.amin(-1).clamp(max=0), x.amax(-1)
    flat = low == high
    best_scale, best_low = (high - low) / largest, low
    sum_w, sum_x = weights.sum(-1), (weights * x).sum(-1)

    def codes_of(steps: float) -> Tensor:
        # from the best offset so far, as ggml does
        step = _safe_divide(torch.full_like(low, steps), high - best_low)
        return (step[..., None] * (x - best_low[..., None])).round().clamp(0, largest)

    def error_of(codes: Tensor, scale: Tensor, least: Tensor) -> Tensor:
        return (weights * (scale[..., None] * codes + least[..., None] - x).square()).sum(-1)

    best_error = error_of(codes_of(largest), best_scale, best_low)
    for number in range(21):
        codes = codes_of(largest - 1 + 0.1 * number)
        weighted = weights * codes
        sum_l, sum_l2, sum_xl = weighted.sum(-1), (weighted * codes).sum(-1), (weighted * x).sum(-1)
        determinant = sum_w * sum_l2 - sum_l.square()
        scale = _safe_divide(sum_w * sum_xl - sum_x * sum_l, determinant)
        least = _safe_divide(sum_l2 * sum_x - sum_l * sum_xl, determinant)
        positive = least > 0  # the format can only subtract
        scale = torch.where(positive, _safe_divide(sum_xl, sum_l2), scale)
        least = least.clamp(max=0)
        error = error_of(codes, scale, least)
        better = (determinant > 0) & (error < best_error)
        best_error = torch.where(better, error, best_error)
        best_scale, best_low = torch.where(better, scale, best_scale), torch.where(better, least, best_low)
    return torch.where(flat, 0.0, best_scale), -torch.where(flat, low, best_low)


def _six_bits(values: Float[Tensor, "C J"]) -> tuple[Float[Tensor, "C 1"], Float[Tensor, "C J"]]:
    """Return the outer scale, the largest value over 63, and each value in steps of it."""
    largest = values.amax(-1, keepdim=True).clamp(min=0)
    steps = (_safe_divide(torch.full_like(largest, 63.0), largest) * values).round()
    return largest / 63, steps.clamp(0, 63)


def _twelve_bytes(scales: Float[Tensor, "C J"], offsets: Float[Tensor, "C J"]) -> UInt8[Tensor, "C 12"]:
    """Put eight 6-bit scales and offsets into twelve bytes; those of the last four blocks are cut in two."""
    (early, late), (early_offset, late_offset) = (
        rearrange(values.to(torch.uint8), "C (half four) -> half C four", half=2)
        for values in (scales, offsets)
    )
    return torch.cat(
        [
            early | ((late >> 4) << 6),
            early_offset | ((late_offset >> 4) << 6),
            (late & 15) | ((late_offset & 15) << 4),
        ],
        dim=-1,
    )


# ---------------------------------------------------------------------------------------------- Q6_K


def encode_q6_k(blocks: Float[Tensor, "C weights"]) -> UInt8[Tensor, "C bytes"]:
    """Return the 210 bytes of each super-block."""
    x = rearrange(blocks, "C (J B) -> C J B", B=16)
    scales = _signed_scale(x, 32)
    largest = scales.gather(-1, scales.abs().argmax(-1, keepdim=True))
    empty = largest.abs() < TINY
    steps = _safe_divide(torch.full_like(largest, -128.0), torch.where(empty, 0.0, largest))
    outer = _safe_divide(torch.ones_like(steps), steps)
    inner = (steps * scales).round().clamp(-128, 127)
    step = (outer.half().float() * inner)[..., None]
    codes = (_safe_divide(x, step).round().clamp(-32, 31) + 32).to(torch.uint8)
    # a super-block of zeros is zeros throughout
    codes = torch.where(empty[..., None], 0, codes)
    # 128 weights share 64 bytes of low halves and 32 of high pairs of bits, in four runs of 32
    runs = rearrange(codes, "C J B -> C (J B)")
    runs = rearrange(runs, "C (two run byte) -> run C two byte", two=2, run=4)
    first, second, third, fourth = runs
    low = torch.cat([(first & 15) | ((third & 15) << 4), (second & 15) | ((fourth & 15) << 4)], dim=-1)
    high = (first >> 4) | ((second >> 4) << 2) | ((third >> 4) << 4) | ((fourth >> 4) << 6)
    return torch.cat(
        [
            rearrange(low, "C two byte -> C (two byte)"),
            rearrange(high, "C two byte -> C (two byte)"),
            inner.to(torch.int8).view(torch.uint8),
            _half_bytes(outer),
        ],
        dim=-1,
    )


def _signed_scale(x: Float[Tensor, "C J B"], largest: int) -> Float[Tensor, "C J"]:
    """Return for each block the scale that makes x nearest to it times a code of -32 to 31.

    Squared errors count by the square of the weight. The weight of largest magnitude is given a code near
    -32, by nineteen slightly different steps.
    """
    extreme = x.gather(-1, x.abs().argmax(-1, keepdim=True))
    empty = extreme.abs() < TINY
    weights = x.square()
    best_scale = torch.zeros_like(x[..., 0])
    best = torch.full_like(best_scale, -1.0)
    for number in (0, *range(-9, 0), *range(1, 10)):
        steps = -(largest + 0.1 * number)
        codes = (_safe_divide(torch.full_like(extreme, steps), extreme) * x).round()
        weighted = weights * codes.clamp_(-largest, largest - 1)
        sum_xl, sum_l2 = (weighted * x).sum(-1), (weighted * codes).sum(-1)
        scale = _safe_divide(sum_xl, sum_l2)
        better = scale * sum_xl > best
        best, best_scale = torch.where(better, scale * sum_xl, best), torch.where(better, scale, best_scale)
    return torch.where(empty.squeeze(-1), 0.0, best_scale)


def _half_bytes(values: Float[Tensor, "C 1"]) -> UInt8[Tensor, "C 2"]:
    return values.half().contiguous().view(torch.uint8)


def _safe_divide(a: Float[Tensor, "..."], b: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return a / b, and 0 where b is 0."""
    return torch.where(b == 0, torch.zeros_like(b), a / b)


K_ENCODERS: dict[str, Callable[[Tensor], Tensor]] = {"q4_k": encode_q4_k, "q6_k": encode_q6_k}
"""By format: super-blocks of 256 weights -> their bytes."""
