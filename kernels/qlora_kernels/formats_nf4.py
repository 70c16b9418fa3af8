"""NF4: sixteen levels at the quantiles of a normal distribution, one absolute maximum for each block.

The bytes are those of bitsandbytes: a weight times the reciprocal of its block's absolute maximum, in
float32, is coded by how many of the fifteen midpoints between levels lie strictly below it. "nf4_double" also
quantizes the maxima: less their mean, 256 to a block, to levels of an 8-bit map that are dense near zero.
"fp4" and "fp4_double" differ by the sixteen levels and are only read.

On a processor bitsandbytes looks the level up by one of 65,536 equal steps, which once in 600 maxima gives
the neighbour of the nearest level. The bytes here are those; on a GPU it searches exactly.

Source: Dettmers et al., "QLoRA", arXiv:2305.14314, section 3 and appendix E; the 8-bit map: Dettmers et al.,
"8-bit Optimizers via Block-wise Quantization", arXiv:2110.02861.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from qlora_kernels.formats_layout import (
    NF4_LEVELS,
    Affine,
    Format,
    Size,
    Stored,
    StoredShapes,
    affine_as_stored,
    constant,
    pack_pairs,
    pairs_layout,
)

OUTER_BLOCK = 256
"""Absolute maxima that share an outer scale in double quantization."""

OUTER_STEPS = 65_536
"""Equal steps from -1 to 1 to which a maximum is rounded before its level is looked up."""

LEAST_MAXIMUM = 1e-38
"""Weights are divided by no less than this, so that no reciprocal is infinite."""

NF4_BOUNDS = tuple(
    torch.tensor([low, high], dtype=torch.float64).mean().float().item() for low, high in pairwise(NF4_LEVELS)
)
"""The fifteen midpoints between neighbouring levels, rounded to float32."""


def pack_nf4(weight: Float[Tensor, "N K"], block_size: int) -> Stored:
    """Code every weight by its nearest level, relative to the largest magnitude of its block."""
    blocks = rearrange(weight, "N (C B) -> N C B", B=block_size)
    largest = blocks.abs().amax(-1)
    relative = (blocks * (1 / largest.clamp(min=LEAST_MAXIMUM))[..., None]).clamp(-1, 1)
    codes = torch.bucketize(relative, constant(NF4_BOUNDS, torch.float32, weight.device), out_int32=True)
    return Stored(codes=pack_pairs(rearrange(codes, "N C B -> N (C B)")), scales=largest)


def pack_nf4_double(weight: Float[Tensor, "N K"], block_size: int) -> Stored:
    """Pack as NF4, then quantize the largest magnitudes themselves to 8 bits."""
    return quantize_scales(pack_nf4(weight, block_size))


def quantize_scales(single: Stored) -> Stored:
    """Quantize the largest magnitudes of NF4 to 8 bits: the second half of double quantization."""
    mean = single.scales.mean()
    codes, outer_scales = _quantize_outer((single.scales - mean).flatten())
    return Stored(
        codes=single.codes,
        scales=codes.view_as(single.scales),
        outer_scales=outer_scales,
        outer_offsets=mean.reshape(1),
    )


def affine_double(levels: str) -> Callable[[Stored], Affine]:
    """Decode the magnitudes (8-bit level times outer scale, plus their mean), then codes by ``levels``."""

    def affine(stored: Stored) -> Affine:
        assert stored.outer_scales is not None
        assert stored.outer_offsets is not None
        dynamic = constant(DYNAMIC_LEVELS, torch.float32, stored.codes.device)[stored.scales.flatten().long()]
        outer = stored.outer_scales.repeat_interleave(OUTER_BLOCK)[: dynamic.numel()]
        scales = dynamic * outer + stored.outer_offsets
        return Affine(
            codes=stored.codes, scales=scales.view(stored.scales.shape), offsets=None, levels=levels
        )

    return affine


def _quantize_outer(
    values: Float[Tensor, " n"],
) -> tuple[UInt8[Tensor, " n"], Float[Tensor, " outer"]]:
    """Code each value by the level nearest to its step, relative to the largest of its outer block."""
    blocks = torch.nn.functional.pad(values, (0, -values.numel() % OUTER_BLOCK)).view(-1, OUTER_BLOCK)
    largest = blocks.abs().amax(-1)
    relative = (
        (blocks * (1 / largest)[:, None]).clamp(-1, 1).nan_to_num(-1)
    )  # nan in a block of zeros: code 0
    steps = ((relative + 1) * 0.5 * (OUTER_STEPS - 1) + 0.5).int()
    middles = torch.linspace(-1, 1, OUTER_STEPS, dtype=torch.float64)
    levels = torch.tensor(DYNAMIC_LEVELS, dtype=torch.float64)
    nearest = torch.bucketize(middles, (levels[:-1] + levels[1:]) / 2).to(torch.uint8).to(values.device)
    return nearest[steps.flatten()[: values.numel()]], largest


def _dynamic_levels() -> tuple[float, ...]:
    levels = [0.0, 1.0]
    for decade in range(7):
        edges = torch.linspace(0.1, 1, 2**decade + 1, dtype=torch.float32)
        middles = (10.0 ** (decade - 6) * (edges[:-1] + edges[1:]) / 2).tolist()
        levels += [*middles, *(-middle for middle in middles)]
    return tuple(sorted(levels))


DYNAMIC_LEVELS = _dynamic_levels()
"""The 256 levels of the 8-bit map: seven decades, each divided twice as finely as the one below.

Within a decade, levels lie in the middle of equal steps from 0.1 to 1; both signs; 0 and 1 besides.
"""


def _double_layout(rows: Size, columns: Size, block: int) -> StoredShapes:
    outer = -(rows * columns // block // -OUTER_BLOCK)
    return {
        **pairs_layout(torch.uint8)(rows, columns, block),
        "outer_scales": ((outer,), torch.float32),
        "outer_offsets": ((1,), torch.float32),
    }


NF4_FORMATS: dict[str, Format] = {
    "nf4": Format(
        about="NF4 as in bitsandbytes: 4 bits, a float32 absolute maximum for each block",
        block_size=64, block_sizes=(32, 64, 128, 256), bits_per_weight=lambda block: 4 + 32 / block,
        affine=affine_as_stored("nf4"), pack=pack_nf4, layout=pairs_layout(torch.float32),
    ),
    "nf4_double": Format(
        about="NF4 with double quantization: the absolute maxima in 8 bits",
        block_size=64, block_sizes=(32, 64, 128, 256),
        bits_per_weight=lambda block: 4 + 8 / block + 32 / (block * OUTER_BLOCK),
        affine=affine_double("nf4"), pack=pack_nf4_double, layout=_double_layout,
    ),
    "fp4": Format(
        about="FP4 as in bitsandbytes: 4-bit floating-point numbers, an absolute maximum for each block",
        block_size=64, block_sizes=(32, 64, 128, 256), bits_per_weight=lambda block: 4 + 32 / block,
        affine=affine_as_stored("fp4"), layout=pairs_layout(torch.float32),
    ),
    "fp4_double": Format(
        about="FP4 with double quantization: the absolute maxima in 8 bits",
        block_size=64, block_sizes=(32, 64, 128, 256),
        bits_per_weight=lambda block: 4 + 8 / block + 32 / (block * OUTER_BLOCK),
        affine=affine_double("fp4"), layout=_double_layout,
    ),
}  # fmt: skip
