"""What all formats share: how codes lie in memory, and how a code becomes a weight.

Every format decodes by one rule, in float32, with a rounding after the product and one after the sum:

    weight = scale[block] * level[code] + offset[block]

so the operators know one rule and no formats. A format says what its levels are, how many weights of a row
share a scale, whether there is an offset, and how scales are stored.

Shape letters: N rows, K weights in a row, B weights in a block, C = K / B blocks in a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from einops import rearrange
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The tensors that are kept for one weight; which ones, and of what type, is the format's business."""

    codes: Shaped[Tensor, "N bytes"]
    """Two 4-bit codes a byte, the earlier weight in the high half; or a signed byte each; or otherwise."""
    scales: Shaped[Tensor, "N scales"]
    offsets: Shaped[Tensor, "N C"] | None = None
    outer_scales: Float[Tensor, "..."] | None = None
    """Scales of the scales, in formats that quantize those too."""
    outer_offsets: Float[Tensor, "..."] | None = None
    """What belongs to the outer scales in the way that offsets belong to scales."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that are there, by name."""
        named = {
            "codes": self.codes,
            "scales": self.scales,
            "offsets": self.offsets,
            "outer_scales": self.outer_scales,
            "outer_offsets": self.outer_offsets,
        }
        return {name: tensor for name, tensor in named.items() if tensor is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """A packed weight as the operators see it: codes, their levels, a scale and an offset for each block."""

    codes: Shaped[Tensor, "N bytes"]
    """Two codes a byte, one signed byte each, or the numbers themselves."""
    scales: Float[Tensor, "N C"]
    offsets: Float[Tensor, "N C"] | None
    levels: str
    """Key of LEVELS for two codes a byte; "int8" if a code is its own level; "dense" for plain numbers."""

    @classmethod
    def of(cls, tensors: Sequence[Tensor], levels: str) -> "Affine":
        """Put together what :meth:`tensors` took apart."""
        codes, scales, *offsets = tensors
        return cls(codes=codes, scales=scales, offsets=offsets[0] if offsets else None, levels=levels)

    def tensors(self) -> list[Tensor]:
        """Return codes, scales and, where there are some, offsets: an operator's list of tensors."""
        return [self.codes, self.scales, *([] if self.offsets is None else [self.offsets])]

    @property
    def shape(self) -> tuple[int, int]:
        """The decoded weight's shape, (N, K)."""
        return self.codes.shape[0], self.columns

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.codes.device

    @property
    def columns(self) -> int:
        """K, weights in a row."""
        return self.codes.shape[1] * (1 if self.levels in ("int8", "dense") else 2)

    @property
    def block_size(self) -> int:
        """B, weights that share a scale."""
        return self.columns // self.scales.shape[1]


def affine_as_stored(levels: str) -> Callable[[Stored], Affine]:
    """Let the operators compute with codes, scales and offsets just as they are stored."""
    return lambda stored: Affine(
        codes=stored.codes, scales=stored.scales, offsets=stored.offsets, levels=levels
    )


Size = int | torch.SymInt
"""A size, which torch.compile may not know yet."""

StoredShapes = dict[str, tuple[tuple[Size, ...], torch.dtype]]
"""Shape and type of each tensor of `Stored`, by name."""

StoredLayout = Callable[[Size, Size, int], StoredShapes]
"""(rows, weights in a row, block size) -> what is stored of them."""


def pairs_layout(scales: torch.dtype, *, offsets: bool = False) -> StoredLayout:
    """Lay out two codes a byte, with a scale and perhaps an offset for each block."""

    def layout(rows: Size, columns: Size, block: int) -> StoredShapes:
        blocks = (rows, columns // block)
        stored: StoredShapes = {"codes": ((rows, columns // 2), torch.uint8), "scales": (blocks, scales)}
        return {**stored, "offsets": (blocks, scales)} if offsets else stored

    return layout


def bytes_layout(scales: torch.dtype) -> StoredLayout:
    """Lay out one signed code a byte, with a scale for each block."""
    return lambda rows, columns, block: {
        "codes": ((rows, columns), torch.int8),
        "scales": ((rows, columns // block), scales),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to store weights; an entry of FORMATS."""

    about: str
    block_size: int
    """Weights that share a scale, unless the caller chooses another size."""
    block_sizes: tuple[int, ...]
    """What the caller may choose from."""
    bits_per_weight: Callable[[int], float]
    """Size on disk and in memory, codes and scales together, for a block size."""
    affine: Callable[[Stored], Affine]
    """What is stored -> what the operators compute with."""
    pack: Callable[[Float[Tensor, "N K"], int], Stored] | None = None
    """(float32 rows, block size) -> what is stored; None where only decoding is offered."""
    layout: StoredLayout | None = None
    """What `pack` will store, without doing it."""
    multiple: int = 2
    """K has to be a multiple of this and of the block size."""
    block_bytes: int | None = None
    """Bytes of `multiple` weights in a GGUF file; None for formats that GGUF doesn't have."""
    from_bytes: Callable[[UInt8[Tensor, "N bytes"]], Stored] | None = None
    to_bytes: Callable[[Stored], UInt8[Tensor, "N bytes"]] | None = None


NF4_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""Quantiles of a normal distribution, with an exact zero; as in bitsandbytes."""

IQ4_LEVELS = tuple(
    float(level) for level in (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
)
"""Of IQ4_NL and IQ4_XS: ggml's `kvalues_iq4nl`."""

_E2M1 = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
MXFP4_LEVELS = (*_E2M1, 0.0, *(-level for level in _E2M1[1:]))
"""Of MXFP4, doubled; code 8 is 0 without a sign: ggml's `kvalues_mxfp4`."""

_FP4 = (
    0.0, 0.0052083334885537624, 0.6666666865348816, 1.0,
    0.3333333432674408, 0.5, 0.1666666716337204, 0.25,
)  # fmt: skip
FP4_LEVELS = (*_FP4, 0.0, *(-level for level in _FP4[1:]))
"""Numbers of a sign, two bits of exponent and one of mantissa, over the largest; as in bitsandbytes."""

LEVELS: dict[str, tuple[float, ...]] = {
    "unsigned": tuple(float(code) for code in range(16)),
    "signed": tuple(float(code - 8) for code in range(16)),
    "nf4": NF4_LEVELS,
    "fp4": FP4_LEVELS,
    "iq4": IQ4_LEVELS,
    "mxfp4": MXFP4_LEVELS,
}
"""The sixteen numbers that 4-bit codes stand for."""


@cache
def constant(
    values: tuple[float | int, ...], dtype: torch.dtype, device: torch.device
) -> Shaped[Tensor, " n"]:
    """Return numbers that never change as a tensor on the device, copied there once."""
    return torch.tensor(values, dtype=dtype).to(device)


def level_table(levels: str, device: torch.device) -> Float[Tensor, " 16"]:
    """Return the levels as a float32 tensor."""
    return constant(LEVELS[levels], torch.float32, device)


@cache
def pair_table(levels: str, device: torch.device) -> Int64[Tensor, " 256"]:
    """Return for each byte the two float32 levels that it stands for, in one 64-bit word.

    One look-up then decodes two weights, on a CPU and on a GPU. The earlier one is the low word, so that the
    words of a little-endian machine, read as float32, are the weights in order.
    """
    level = level_table(levels, device)
    byte = torch.arange(256, device=device)
    pairs = torch.stack([level[byte >> 4], level[byte & 0xF]], dim=1)
    return pairs.view(torch.int64).flatten()


def pack_pairs(codes: Shaped[Tensor, "N K"]) -> UInt8[Tensor, "N half"]:
    """Put two codes of 0 to 15 into each byte, the earlier one in the high half."""
    first, second = rearrange(codes.to(torch.uint8), "N (half pair) -> pair N half", pair=2)
    return (first << 4) | second


def unpack_pairs(packed: UInt8[Tensor, "N half"]) -> UInt8[Tensor, "N K"]:
    """Undo :func:`pack_pairs`."""
    return rearrange([packed >> 4, packed & 0xF], "pair N half -> N (half pair)")
