"""Attention within each example of a batch whose examples lie end to end.

Shape letters: E examples, N queries of an example, S keys, T slots, H heads, J key-value heads, D head size.
"""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from qlora_kernels.take_rows import take_rows
from workbench.data.batches import Batch
from workbench.devices import flash_attention
from workbench.models.between import LONGEST_BY_HAND, written_attention
from workbench.models.decoder_config import DecoderConfig


@dataclass(frozen=True, slots=True)
class Attention:
    """How one layer mixes values: by softmax(cap(scale q k^T)) v."""

    scale: float
    softcap: float | None = None
    """c in c tanh(score / c); None for plain scores."""
    window: int | None = None
    """How many tokens a query sees, its own the last; None for all up to its own."""

    @classmethod
    def of(cls, config: DecoderConfig, layer: int) -> "Attention":
        """Return a layer's own."""
        return cls(config.score_scale, config.attention_softcap, config.window(layer))

    def visible(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return which keys each query sees, "*E N S", by the positions of both, "*E N" and "*E S"."""
        before = queries[..., :, None] - keys[..., None, :]
        seen = before >= 0
        return seen if self.window is None else seen & (before < self.window)

    def mix(
        self,
        q: Float[Tensor, "E H N D"],
        k: Float[Tensor, "E J S D"],
        v: Float[Tensor, "E J S D"],
        visible: Bool[Tensor, "*_ N S"] | None = None,
    ) -> Float[Tensor, "E H N D"]:
        """Mix the values that each query sees: those of ``visible``, or up to its own where N = S.

        Source: Ainslie et al., "GQA", arXiv:2305.13245: J key-value heads, each serving H / J query heads.
        """
        if visible is not None:
            visible = visible.view(-1, 1, *visible.shape[-2:])
        if self.softcap is None:
            grouped = q.device.type == "cpu" or flash_attention(q.device, q.dtype)
            if not grouped:  # torch's other ways on a GPU would write all scores down
                k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
            return functional.scaled_dot_product_attention(
                q, k, v, visible, is_causal=visible is None, scale=self.scale, enable_gqa=grouped
            )
        if visible is None:
            places = torch.arange(q.shape[2], device=q.device)
            visible = self.visible(places, places)[None, None]
        q = rearrange(q, "E (J share) N D -> E J share N D", J=k.shape[1])
        scores = einsum(q, k, "E J share N D, E J S D -> E J share N S").float() * self.scale
        scores = self.softcap * torch.tanh(scores / self.softcap)
        shares = scores.masked_fill(~visible[:, :, None], -torch.inf).softmax(dim=-1).to(v.dtype)
        mixed = einsum(shares, v, "E J share N S, E J S D -> E J share N D")
        return rearrange(mixed, "E J share N D -> E (J share) N D")

    def mix_written(
        self,
        q: Float[Tensor, "E H S D"],
        k: Float[Tensor, "E J S D"],
        v: Float[Tensor, "E J S D"],
        visible: Bool[Tensor, "S S"] | None = None,
    ) -> Float[Tensor, "E H S D"]:
        """Mix the values of short examples by products of all scores; the arguments are :meth:`mix`'s."""
        if visible is None:
            places = torch.arange(q.shape[2])
            visible = self.visible(places, places)
        return written_attention(q, k, v, self.scale, visible)


def causal_attention(
    q: Float[Tensor, "slots H D"],
    k: Float[Tensor, "slots J D"],
    v: Float[Tensor, "slots J D"],
    batch: Batch,
    attention: Attention,
) -> Float[Tensor, "slots H D"]:
    """Let every token look at itself and at what precedes it in its own example, as far as it sees."""
    q, k, v = (take_rows(x, batch.in_blocks) for x in (q, k, v))
    return take_rows(mix_by_block(q, k, v, batch, attention), batch.out_of_blocks)


def mix_by_block(
    q: Float[Tensor, "slots H D"],
    k: Float[Tensor, "slots J D"],
    v: Float[Tensor, "slots J D"],
    batch: Batch,
    attention: Attention,
) -> Float[Tensor, "slots H D"]:
    """Do the same where all slots lie as in the batch's blocks, end to end."""
    mixed, sizes = [], [block.numel() for block in batch.blocks]
    for block, *parts in zip(batch.blocks, *(x.split(sizes) for x in (q, k, v)), strict=True):
        query, key, value = (rearrange(x, "(E S) heads D -> E heads S D", E=len(block)) for x in parts)
        visible = None
        if attention.window is not None and attention.window < block.shape[1]:
            places = torch.arange(block.shape[1], device=query.device)
            visible = attention.visible(places, places)
        here = query.device.type == "cpu" and attention.softcap is None
        written = here and block.shape[1] <= LONGEST_BY_HAND.get(query.dtype, 0)
        if here and not written:  # a view would keep the numbers of all examples for the gradient of these
            query, key, value = (x.contiguous() for x in (query, key, value))
        mix = attention.mix_written if written else attention.mix
        mixed.append(rearrange(mix(query, key, value, visible), "E H S D -> (E S) H D"))
    return torch.cat(mixed)


def attend_to_prefix(
    q: Float[Tensor, "slots H D"],
    k: Float[Tensor, "prompts J D"],
    v: Float[Tensor, "prompts J D"],
    gate: Float[Tensor, "G H"],
    scale: float,
) -> Float[Tensor, "slots H D"]:
    """Return each head's share of its cell's prefix, G cells of L tokens, all of which every token sees.

    Source: Zhang et al., "LLaMA-Adapter", arXiv:2303.16199, section 3.2, and its repository.
    """
    k, v = (rearrange(x, "(G L) J D -> G L J D", G=len(gate)) for x in (k, v))
    q = rearrange(q, "(G T) (J S) D -> G T J S D", G=len(gate), J=k.shape[2])
    scores = einsum(q.to(v), k.to(v), "G T J S D, G L J D -> G T J S L") * scale
    taken = einsum(scores.softmax(dim=-1), v, "G T J S L, G L J D -> G T J S D")
    gate = rearrange(gate, "G (J S) -> G 1 J S 1", J=k.shape[2])
    return rearrange(gate * taken, "G T J S D -> (G T) (J S) D")
