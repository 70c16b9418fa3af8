"""The kernel lab's exercises: cases, what is right, and the results that common mistakes come to.

A mistake is written as what the learner's kernel then computes; whoever gets its result is told what went
wrong. What a kernel does to memory is judged by the trace, see ``kernel_checks``.

Shape letters: M tokens, K inputs, N outputs, R rank, B block of weights that share a scale, G blocks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import einsum, rearrange
from torch import Tensor

from qlora_kernels.lab.interpreter import to_tf32

_BLOCK = 64
"""Weights that share a scale."""
ROUNDED = "Each factor is rounded to tf32, of 10 bits: pass input_precision='ieee' to tl.dot."


@dataclass(frozen=True, slots=True)
class KernelExercise:
    """What a learner's kernel is compared with."""

    cases: Callable[[], Sequence[tuple[Any, ...]]]
    """Makes sets of arguments: of ragged shapes, so that a forgotten mask shows."""
    truth: Callable[..., Tensor]
    """The right result."""
    mistakes: Sequence[tuple[Callable[..., Tensor], str]]
    """Common mistakes: the result that one comes to, and what to say."""
    outside: Mapping[str, str] = field(default_factory=dict)
    """By the tensor that is left: what to say of an address that no mask would mend."""
    no_mask: frozenset[str] = frozenset()
    """Tensors whose addresses need no mask at all."""
    twice: str = "Each program writes elements of its own: which are they, from its tl.program_id?"
    """What to say where two programs write the same element."""
    unwritten: str = "Together the programs have to write every element: which does a program miss?"
    """What to say where some element was never written."""


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return numbers of the normal distribution, the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quantized(w: Tensor, block: int = _BLOCK) -> tuple[Tensor, Tensor]:
    """Return the codes (blocks, block), 0 to 15, of a matrix of whole blocks, and the blocks' scales."""
    blocks = rearrange(w, "N (G B) -> (N G) B", B=block)
    scales = blocks.abs().amax(1) / 7
    return (torch.floor(blocks / scales[:, None] + 0.5) + 8).to(torch.uint8), scales


def pairs(codes: Tensor) -> Tensor:
    """Return two codes a byte: the even one in its low half."""
    return codes[..., 0::2] | codes[..., 1::2] << 4


def _decoded(packed: Tensor, scales: Tensor, shape: tuple[int, int], zero: int = 8) -> Tensor:
    """Return the weights (N, K) in float64 that bytes and scales stand for."""
    halves = torch.stack((packed & 0xF, packed >> 4), -1).double() - zero
    return (rearrange(halves, "G P two -> G (P two)") * scales.double()[:, None]).view(shape)


def _product(x: Tensor, w: Tensor) -> Tensor:
    """Return x W^T in float64."""
    return einsum(x.double(), w.double(), "M K, N K -> M N")


def _rounded(matrix: Tensor) -> Tensor:
    """Return a matrix as tensor cores see it that round to tf32."""
    return torch.from_numpy(to_tf32(matrix.numpy()))


def _strided(matrix: Tensor, row: int, column: int) -> Tensor:
    """Return what wrong strides read of a matrix; what lies outside of it is 0."""
    flat = torch.cat((matrix.flatten(), matrix.new_zeros(matrix.shape[0] * row + matrix.shape[1] * column)))
    return flat.as_strided(matrix.shape, (row, column))


def _lora(x: Tensor, w: Tensor, s: Tensor, b: Tensor, scale: float) -> Tensor:
    return _product(x, w) + scale * _product(s, b)


def _base_and_adapter(m: int, k: int, n: int, rank: int = 16) -> tuple[Tensor, ...]:
    return normal(m, k), normal(n, k, seed=1), normal(m, rank, seed=2), normal(n, rank, seed=3)


def _as_bytes(codes: Tensor, scales: Tensor) -> Tensor:
    """Return bytes and scales as one table of numbers, a row for each block."""
    return torch.cat((codes.double(), scales.double()[:, None]), 1)


def _quantize_with(scale_of: Callable[[Tensor], Tensor], half: float = 0.5) -> Callable[[Tensor], Tensor]:
    def quantize(w: Tensor) -> Tensor:
        blocks = rearrange(w, "N (G B) -> (N G) B", B=_BLOCK)
        scales = scale_of(blocks)
        codes = torch.floor(blocks / scales[:, None] + half) + 8
        return _as_bytes(pairs(codes.to(torch.int64).to(torch.uint8)), scales)

    return quantize


def _packed_with(pack: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def quantize(w: Tensor) -> Tensor:
        codes, scales = quantized(w)
        return _as_bytes(pack(codes), scales)

    return quantize


def _bytes_cases() -> list[tuple[Tensor, Tensor, tuple[int, int]]]:
    shapes = [(6, 128), (5, 64)]
    made = [quantized(normal(*shape)) for shape in shapes]
    return [(pairs(codes), scales, shape) for (codes, scales), shape in zip(made, shapes, strict=True)]


def _fused_cases() -> list[tuple[Any, ...]]:
    found = []
    for m, k, n in ((72, 128, 40), (20, 192, 100)):
        x, w, s, b = _base_and_adapter(m, k, n)
        codes, scales = quantized(w)
        found.append((x, pairs(codes), scales, s, b))
    return found


def _fused(
    x: Tensor,
    packed: Tensor,
    scales: Tensor,
    s: Tensor,
    b: Tensor,
    *,
    groups: Callable[[Tensor], Tensor] = lambda one: one,
    bytes_of: Callable[[Tensor], Tensor] = lambda one: one,
) -> Tensor:
    """Return the layer; ``groups`` and ``bytes_of`` say which scales and bytes each block is given."""
    n = len(b)
    blocks = bytes_of(packed.view(n, -1, _BLOCK // 2)).reshape(-1, _BLOCK // 2)
    w = _decoded(blocks, groups(scales.view(n, -1)).reshape(-1), (n, x.shape[1]))
    return _product(x, w) + _product(s, b)


def _first(one: Tensor) -> Tensor:
    """Return the first block of each row in the place of all."""
    return one[:, :1].expand(one.shape)


KERNEL_EXERCISES: dict[str, KernelExercise] = {
    "scale": KernelExercise(
        cases=lambda: [(normal(5, 100), normal(5, seed=1)), (normal(3, 33), normal(3, seed=1))],
        truth=lambda w, factor: w.double() * factor.double()[:, None],
        mistakes=[
            (lambda w, factor: w.double(), "The factor is missing."),
            (lambda w, factor: w * factor[0], "All rows get the first factor: row i needs factor + i."),
            (
                lambda w, factor: w[:1] * factor[:, None],
                "Every program reads the first row: row i starts at w + i * K.",
            ),
            (lambda w, factor: w + factor[:, None], "That is the sum, and the product is asked for."),
        ],
        outside={
            "w": "Row i starts at w + i * K: is the step from row to row K, and not WIDTH?",
            "y": "Row i starts at y + i * K: is the step from row to row K, and not WIDTH?",
            "factor": "A program needs one factor, that of its row: factor + row.",
        },
        no_mask=frozenset(["factor"]),
        twice="Program i writes row i: does row come from tl.program_id(0), and does y + row * K start it?",
    ),
    "product": KernelExercise(
        cases=lambda: [
            (normal(72, 80), normal(40, 80, seed=1)),
            (normal(40, 64), normal(100, 64, seed=1)),
        ],
        truth=_product,
        mistakes=[
            (lambda x, w: 0 * _product(x, w), "nothing is filled in: the total is still zero"),
            (
                lambda x, w: _product(x[:, :32], w[:, :32]),
                "That is the first step along K alone: the walk goes on to K.",
            ),
            (
                lambda x, w: _product(
                    x[:, (x.shape[1] - 1) // 32 * 32 :], w[:, (x.shape[1] - 1) // 32 * 32 :]
                ),
                "Every step starts anew: add to the total, total = tl.dot(left, right, total).",
            ),
            (
                lambda x, w: _product(x, w.reshape(w.shape[1], -1).T),
                "w is (N, K): its element (n, k) lies at w + n * K + k.",
            ),
            (
                lambda x, w: _product(_strided(x, len(w), 1), w),
                "x is (M, K): its element (m, k) lies at x + m * K + k.",
            ),
            (
                lambda x, w: _product(x, _strided(w, len(w), 1)),
                "w is (N, K): its element (n, k) lies at w + n * K + k.",
            ),
            (
                lambda x, w: _product(x, w).T.reshape(len(x), -1),
                "y is (M, N): its element (m, n) lies at y + m * N + n.",
            ),
            (lambda x, w: _product(_rounded(x), _rounded(w)), ROUNDED),
        ],
        outside={
            "x": "x is (M, K): its element (m, k) lies at x + m * K + k.",
            "w": "w is (N, K): its element (n, k) lies at w + n * K + k.",
            "y": "y is (M, N): its element (m, n) lies at y + m * N + n.",
        },
        twice="tl.program_id(0) counts the tiles along M and tl.program_id(1) those along N.",
        unwritten="tl.program_id(0) counts the tiles along M and tl.program_id(1) those along N.",
    ),
    "lora": KernelExercise(
        cases=lambda: [(*_base_and_adapter(72, 64, 40), 2.0), (*_base_and_adapter(40, 64, 100), 0.5)],
        truth=_lora,
        mistakes=[
            (
                lambda x, w, s, b, scale: _product(x, w),
                "nothing is filled in: the total still starts from zeros",
            ),
            (lambda x, w, s, b, scale: _lora(x, w, s, b, 1.0), "The scale is missing."),
            (lambda x, w, s, b, scale: _lora(x, w, s, b, scale**2), "The scale is in it twice."),
            (
                lambda x, w, s, b, scale: scale * _lora(x, w, s, b, 1.0),
                "The scale multiplies the adapter's part alone, not the base's product.",
            ),
            (
                lambda x, w, s, b, scale: scale * _product(s, b),
                "The base's product is missing: the walk along K adds to the total.",
            ),
            (
                lambda x, w, s, b, scale: _lora(x, w, s, b.reshape(b.shape[1], -1).T, scale),
                "b is (N, R): its element (n, r) lies at b + n * R + r.",
            ),
            (
                lambda x, w, s, b, scale: _lora(x, w, _rounded(s), _rounded(b), scale),
                ROUNDED,
            ),
        ],
        outside={
            "s": "s is (M, R): its element (m, r) lies at s + m * R + r.",
            "b": "b is (N, R): its element (n, r) lies at b + n * R + r.",
        },
    ),
    "quantize": KernelExercise(
        cases=lambda: [(normal(6, 128),), (normal(5, 64, seed=1),)],
        truth=_packed_with(pairs),
        mistakes=[
            (
                _packed_with(lambda codes: codes[:, 1::2] | codes[:, 0::2] << 4),
                "The halves of the byte are exchanged: the even weight goes into the low one.",
            ),
            (
                _packed_with(lambda codes: codes[:, 0::2] | codes[:, 1::2]),
                "The odd weight's code has to move up by four bits: high << 4.",
            ),
            (_packed_with(lambda codes: codes[:, 0::2]), "The odd weight's code is missing."),
            (
                _packed_with(lambda codes: codes[:, : _BLOCK // 2] | codes[:, _BLOCK // 2 :] << 4),
                "Neighbours share a byte, not the first half of the block with the second.",
            ),
            (
                _packed_with(lambda codes: pairs(codes - 8)),
                "Codes go from 0 to 15, and 8 stands for zero: add 8.",
            ),
            (
                _quantize_with(lambda blocks: blocks.abs().amax(1) / 7, half=0.0),
                "Rounding down loses half a step: floor(value + 0.5) is the nearest.",
            ),
            (
                _quantize_with(lambda blocks: blocks.abs().amax(1) / 8),
                "The largest magnitude is to be level 7: divide it by 7.",
            ),
            (
                _quantize_with(lambda blocks: blocks.amax(1) / 7),
                "Negative weights have a magnitude, too: take tl.abs before the largest.",
            ),
            (
                _quantize_with(lambda blocks: blocks[:, 0::2].abs().amax(1) / 7),
                "The largest magnitude is over the odd weights, too.",
            ),
        ],
        outside={
            "w": "Block i starts at w + i * B; its even weights lie at every second place from there.",
            "packed": "Two codes share a byte: block i starts at packed + i * (B // 2).",
            "scales": "A block has one scale: scales + block.",
        },
        twice="Two codes share a byte: block i starts at packed + i * (B // 2), and its scale lies at "
        "scales + i.",
    ),
    "decode": KernelExercise(
        cases=_bytes_cases,
        truth=_decoded,
        mistakes=[
            (lambda packed, scales, shape: 0 * _decoded(packed, scales, shape), "nothing is filled in"),
            (
                lambda packed, scales, shape: _decoded(packed << 4 | packed >> 4, scales, shape),
                "The halves of the byte are exchanged: its low one holds the even weight.",
            ),
            (
                lambda packed, scales, shape: _decoded(packed, torch.ones_like(scales), shape),
                "The scale is missing: each row has its own, scale[:, None].",
            ),
            (
                lambda packed, scales, shape: _decoded(packed, scales, shape, zero=0),
                "Code 8 stands for zero: take 8 away.",
            ),
            (
                lambda packed, scales, shape: (
                    torch.cat((packed & 0xF, packed >> 4), 1).double().sub(8) * scales.double()[:, None]
                ).view(shape),
                "The two weights of a byte are neighbours: tl.join puts them side by side.",
            ),
            (
                lambda packed, scales, shape: (
                    rearrange(
                        torch.stack(((packed & 0xF) - 8, (packed >> 4) - 8), -1).double(),
                        "G P two -> G (P two)",
                    )
                    * scales.double()[:, None]
                ).view(shape),
                "A byte has no negative numbers: make floats with .to(tl.float32), then take 8 away.",
            ),
        ],
    ),
    "fused": KernelExercise(
        cases=_fused_cases,
        truth=_fused,
        mistakes=[
            (
                lambda x, packed, scales, s, b: _product(s, b),
                "nothing is filled in: the weight's tile is still zero",
            ),
            (
                lambda *case: _fused(*case, groups=_first),
                "Every block gets the scale of its row's first one: block g of row n has "
                "scales + n * (K // B) + g.",
            ),
            (
                lambda x, packed, scales, s, b: _fused(
                    x, packed, scales, s, b, groups=lambda one: scales[: len(one), None].expand(one.shape)
                ),
                "That is one scale a row: block g of row n has scales + n * (K // B) + g.",
            ),
            (
                lambda *case: _fused(*case, groups=lambda one: one[:1].expand(one.shape)),
                "Every row gets the scales of the first: row n starts at scales + n * (K // B).",
            ),
            (
                lambda *case: _fused(*case, groups=torch.ones_like),
                "The scale is missing.",
            ),
            (
                lambda *case: _fused(*case, bytes_of=lambda one: one[:, :1].expand(one.shape)),
                "Every step reads the first block of its row: block g starts g * (B // 2) bytes later.",
            ),
        ],
        outside={
            "packed": "Two codes share a byte: row n starts at packed + n * (K // 2).",
            "scales": "A row has K // B scales: row n starts at scales + n * (K // B).",
        },
    ),
}
"""By the names of the kernels that are to be filled in."""
