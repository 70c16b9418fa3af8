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
from workbench.models.decoding import KeyValueCache, Steps, fits

SPARE_TOKENS = 256
"""Room that is made behind a text before an answer is written."""


class OneSequence:
    """The keys and values of a text that grows, of which a beginning may be kept."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.tokens: list[int] = []
        self.cache = KeyValueCache(decoder, 1, 0)
        self.steps: Steps | None = None
        """What reads single tokens, with ``self.adapters``; None until there is one to read."""
        self.adapters: Adapters = {}

    def keep(self, count: int) -> None:
        """Forget what stands behind the first ``count`` tokens."""
        del self.tokens[count:]

    @torch.no_grad()
    def add(self, new: Sequence[int], adapters: Adapters) -> Tensor:
        """Read tokens behind those that are there; returns the logits of what follows, shape (V,)."""
        past, whole = len(self.tokens), len(self.tokens) + len(new)
        room = self.cache.pairs.shape[2]
        if whole > room:
            larger = KeyValueCache(self.decoder, 1, max(whole + SPARE_TOKENS, 2 * past))
            larger.pairs[:, :, :past] = self.cache.pairs[:, :, :past]
            self.cache, self.steps = larger, None
        if len(new) == 1 and fits(self.decoder, adapters):
            others = self.adapters is not adapters and (self.adapters or adapters)
            if self.steps is None or others:
                left = self.cache.pairs.shape[2] - past
                self.steps, self.adapters = Steps(self.decoder, self.cache, adapters, 1, left), adapters
            logits = self.steps(torch.tensor(new), torch.tensor([past]))[0]
        else:
            logits = self._by_blocks(new, adapters)
        self.tokens += new
        return logits

    def _by_blocks(self, new: Sequence[int], adapters: Adapters) -> Tensor:
        past, whole = len(self.tokens), len(self.tokens) + len(new)
        decoder, cache, places = self.decoder, self.cache, torch.arange(whole)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            cache.keys[layer, 0, past:whole], cache.values[layer, 0, past:whole] = k, v
            kept = (cache.keys[layer, :, :whole], cache.values[layer, :, :whole])
            keys, values = (rearrange(x, "1 S J D -> 1 J S D") for x in kept)
            attention = decoder.attention[layer]
            visible = attention.visible(places[past:], places)
            mixed = attention.mix(rearrange(q, "N H D -> 1 H N D"), keys, values, visible)
            return rearrange(mixed, "1 H N D -> N H D")

        hidden = decoder.embed(torch.tensor([list(new)]))
        rotations = decoder.rotations(places[past:][None])
        for layer in range(decoder.config.layers):
            hidden = decoder.block(layer, hidden, rotations, attend, adapters)
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
