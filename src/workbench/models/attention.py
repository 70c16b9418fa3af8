"""Attention within each example of a batch whose examples lie end to end.

Shape letters: E examples, S tokens of the longest example, H heads, J key-value heads, D head size.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from qlora_kernels.take_rows import take_rows
from workbench.data.batches import Batch
from workbench.devices import flash_attention


def causal_attention(
    q: Float[Tensor, "slots H D"], k: Float[Tensor, "slots J D"], v: Float[Tensor, "slots J D"], batch: Batch
) -> Float[Tensor, "slots H D"]:
    """Let every token look at itself and at what precedes it in its own example.

    Source: Ainslie et al., "GQA", arXiv:2305.13245: J key-value heads, each serving H / J query heads.
    """
    mixed, sizes = [], [block.numel() for block in batch.blocks]
    taken = (take_rows(x, batch.in_blocks).split(sizes) for x in (q, k, v))
    for block, *parts in zip(batch.blocks, *taken, strict=True):
        query, key, value = (rearrange(x, "(E S) heads D -> E heads S D", E=len(block)) for x in parts)
        grouped = query.device.type == "cpu" or flash_attention(query.device, query.dtype)
        if not grouped:  # torch's other ways on a GPU would write all scores down
            key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=grouped)
        mixed.append(rearrange(seen, "E H S D -> (E S) H D"))
    return take_rows(torch.cat(mixed), batch.out_of_blocks)
