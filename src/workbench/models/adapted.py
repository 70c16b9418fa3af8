"""What adapters hand to the decoder's linear layers.

Shape letters: G cells, K inputs, N outputs, R rank, L tokens of a prefix, H heads.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from workbench.devices import uploaded


class Adapter(NamedTuple):
    """What G cells add to one linear layer: y = gain * (W x + scale * B A x)."""

    a: Float[Tensor, "G R K"]
    b: Float[Tensor, "G N R"]
    scale: Float[Tensor, " G"]
    gain: Float[Tensor, "G N"] | None = None
    """Factor of each output, under DoRA; None where all are one."""


class Prefix(NamedTuple):
    """Trained tokens that G cells put before the keys and values of a block."""

    prompts: Float[Tensor, "G L K"]
    """Input vectors; keys and values are made of them by the block's own frozen layers."""
    gate: Float[Tensor, "G H"]
    """What each head's share of them is multiplied by."""


Adapters = Mapping[str, Adapter | Prefix]
"""The adapters of the linear layers that carry some, by the layer's name, such as "layers.3.q_proj", and the
prefixes of blocks, as "layers.3.prefix"."""


def with_gains(
    parts: Sequence[Float[Tensor, "*rows _"]],
    adapters: Sequence[Adapter | None],
    cells: Int64[Tensor, " boundaries"],
) -> tuple[Float[Tensor, "*rows _"], ...]:
    """Multiply the outputs of layers by their adapters' gains, cell by cell, where they have some.

    ``cells`` are the boundaries of the G cells among the rows, from 0 to the number of rows.
    """
    gains = [None if adapter is None else adapter.gain for adapter in adapters]
    if all(gain is None for gain in gains):
        return tuple(parts)
    rows, count = uploaded(cells.diff(), parts[0].device), int(cells[-1])
    return tuple(
        part
        if gain is None
        else (part * gain.repeat_interleave(rows, dim=0, output_size=count).view_as(part)).to(part.dtype)
        for part, gain in zip(parts, gains, strict=True)
    )


def join(adapters: Sequence[Adapter | None], outputs: Sequence[int]) -> Adapter | None:
    """Make one adapter of those of layers with the same input: A's on top of each other, B's on a diagonal.

    Args:
        adapters: Each layer's adapter, or nothing; their scales are those of the cells, the same for all.
        outputs: Each layer's number of outputs.

    Returns:
        One adapter without gains, or nothing where no layer has one.
    """
    present = [adapter for adapter in adapters if adapter is not None]
    if len(adapters) == 1 or not present:
        return adapters[0] if present else None
    ranks = [0 if adapter is None else adapter.a.shape[1] for adapter in adapters]
    cells, scale = len(present[0].a), present[0].scale
    b, before = [], 0
    for adapter, rank, rows in zip(adapters, ranks, outputs, strict=True):
        own = present[0].b.new_empty(cells, rows, 0) if adapter is None else adapter.b
        b.append(functional.pad(own, (before, sum(ranks) - before - rank)))
        before += rank
    return Adapter(torch.cat([one.a for one in present], dim=1), torch.cat(b, dim=1), scale)


def parted(
    adapters: Sequence[Adapter | None],
    outputs: Sequence[int],
    a: Float[Tensor, "G _ K"],
    b: Float[Tensor, "G N _"],
) -> list[tuple[Float[Tensor, "G R K"], Float[Tensor, "G _ R"]]]:
    """Return each layer's part of what has the shapes of :func:`join`'s A and B, such as their gradients."""
    parts, before, above = [], 0, 0
    for adapter, rows in zip(adapters, outputs, strict=True):
        rank = 0 if adapter is None else adapter.a.shape[1]
        own = slice(before, before + rank)
        parts.append((a[:, own], b[:, above : above + rows, own]))
        before, above = before + rank, above + rows
    return parts
