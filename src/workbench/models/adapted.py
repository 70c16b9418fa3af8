"""What adapters hand to the decoder's linear layers.

Shape letters: G cells, K inputs, N outputs, R rank.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


class Adapter(NamedTuple):
    """What G cells add to one linear layer: y = gain * (W x + scale * B A x)."""

    a: Float[Tensor, "G R K"]
    b: Float[Tensor, "G N R"]
    scale: Float[Tensor, " G"]
    gain: Float[Tensor, "G N"] | None = None
    """Factor of each output, under DoRA; None where all are one."""


Adapters = Mapping[str, Adapter]
"""The adapters of the linear layers that carry some, by the layer's name."""


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
