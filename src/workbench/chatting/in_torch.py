"""Answers by our own decoder, one token after the other.

Shape letters: N new tokens, H heads, J key-value heads, D head size, S tokens so far.
"""

from collections.abc import Collection, Iterator, Sequence

import torch
from einops import rearrange
from torch import Tensor

from workbench.adapters.stack import WeightedAdapter, stacked
from workbench.chatting.sampling import Sampling
from workbench.models.adapted import Adapters
from workbench.models.base import Base
from workbench.models.decoder import Decoder


class OneSequence:
    """The keys and values of a text that grows, of which a beginning may be kept."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.tokens: list[int] = []
        self.keys, self.values = self._room(0), self._room(0)

    def _room(self, tokens: int) -> Tensor:
        config = self.decoder.config
        shape = (config.layers, tokens, config.kv_heads, config.head_size)
        return torch.zeros(shape, dtype=self.decoder.between)

    def keep(self, count: int) -> None:
        """Forget what stands behind the first ``count`` tokens."""
        del self.tokens[count:]

    @torch.no_grad()
    def add(self, new: Sequence[int], adapters: Adapters) -> Tensor:
        """Read tokens behind those that are there; returns the logits of what follows, shape (V,)."""
        past, whole = len(self.tokens), len(self.tokens) + len(new)
        if whole > self.keys.shape[1]:
            for name in ("keys", "values"):
                larger = self._room(max(whole, 2 * past))
                larger[:, :past] = getattr(self, name)[:, :past]
                setattr(self, name, larger)
        decoder, places = self.decoder, torch.arange(whole)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self.keys[layer, past:whole], self.values[layer, past:whole] = k, v
            keys, values = (rearrange(x[layer, :whole], "S J D -> 1 J S D") for x in (self.keys, self.values))
            attention = decoder.attention[layer]
            visible = attention.visible(places[past:], places)
            mixed = attention.mix(rearrange(q, "N H D -> 1 H N D"), keys, values, visible)
            return rearrange(mixed, "1 H N D -> N H D")

        hidden = decoder.embed(torch.tensor([list(new)]))
        rotations = decoder.rotations(places[past:][None])
        for layer in range(decoder.config.layers):
            hidden = decoder.block(layer, hidden, rotations, attend, adapters)
        self.tokens += new
        return decoder.head(decoder.finish(hidden[0, -1:]))[0]


class TorchWriter:
    """Writes with the decoder that studies train on; what stays of a conversation is read once."""

    name = "the workbench's own decoder"

    def __init__(self, base: Base, adapters: Sequence[WeightedAdapter]) -> None:
        self.decoder, self.adapters = base.decoder, [one.adapter for one in adapters]
        self.sequence, self.weights = OneSequence(base.decoder), list[float | int]()
        self.stack = stacked([])

    def write(
        self,
        prompt: Sequence[int],
        weights: Sequence[float | int],
        sampling: Sampling,
        stops: Collection[int],
    ) -> Iterator[int]:
        """Continue a prompt, token by token, up to a stop or the limit; stops are not given out."""
        if list(weights) != self.weights:
            # other adapters read the same text differently
            self.sequence.keep(0)
            self.weights = list(weights)
            parts = zip(self.adapters, weights, strict=True)
            stack = [WeightedAdapter(adapter, weight) for adapter, weight in parts]
            self.stack = stacked(stack, self.decoder.weight)
        kept = 0
        while kept < min(len(prompt) - 1, len(self.sequence.tokens)) and (
            prompt[kept] == self.sequence.tokens[kept]
        ):
            kept += 1
        self.sequence.keep(kept)
        chance = sampling.chance()
        logits = self.sequence.add(prompt[kept:], self.stack)
        for count in range(sampling.limit):
            token = sampling.choose(logits, chance)
            if token in stops:
                return
            yield token
            if count + 1 < sampling.limit:
                logits = self.sequence.add([token], self.stack)

    def close(self) -> None:
        """Nothing is open."""
