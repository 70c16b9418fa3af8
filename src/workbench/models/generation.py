"""Greedy generation for a stack: many prompts and many adapters at once, with a key-value cache.

Shape letters: G cells, E prompts (all cells'), J key-value heads, S tokens so far, D head size.
"""

from collections.abc import Collection, Sequence

import torch
from einops import rearrange
from torch import Tensor

from workbench.data.batches import Batch, Pool
from workbench.data.templates import Example
from workbench.devices import uploaded
from workbench.models.adapted import Adapters
from workbench.models.attention import causal_attention
from workbench.models.decoder import Decoder


class KeyValueCache:
    """Keys and values of every layer and prompt, each prompt's from position 0 on."""

    def __init__(self, decoder: Decoder, prompts: int, tokens: int) -> None:
        config = decoder.config
        shape = (config.layers, prompts, tokens, config.kv_heads, config.head_size)
        self.keys = torch.zeros(shape, dtype=decoder.between, device=decoder.device)
        self.values = torch.zeros_like(self.keys)
        self.attention = decoder.attention

    def fill(self, layer: int, k: Tensor, v: Tensor, batch: Batch) -> None:
        """Keep the prompts' keys and values, each "slots J D"; what lies behind a prompt is overwritten."""
        length = batch.gather.shape[1]
        self.keys[layer, :, :length] = k[batch.gather]
        self.values[layer, :, :length] = v[batch.gather]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, positions: Tensor, upto: int) -> Tensor:
        """Add one token for each prompt, at ``positions`` (shape E), and mix what it may look at.

        ``upto`` is the largest position and one.
        """
        prompts = torch.arange(len(positions), device=positions.device)
        self.keys[layer, prompts, positions] = k
        self.values[layer, prompts, positions] = v
        attention, places = self.attention[layer], torch.arange(upto, device=positions.device)
        visible = attention.visible(positions[:, None], places.expand(len(positions), -1))
        keys, values = (rearrange(x[layer, :, :upto], "E S J D -> E J S D") for x in (self.keys, self.values))
        mixed = attention.mix(rearrange(q, "E H D -> E H 1 D"), keys, values, visible)
        return rearrange(mixed, "E H 1 D -> E H D")


@torch.no_grad()
def generate(
    decoder: Decoder,
    prompts: Sequence[Sequence[Sequence[int]]],
    *,
    stops: Collection[int],
    limit: int,
    adapters: Adapters | None = None,
) -> list[list[list[int]]]:
    """Continue every prompt with its likeliest tokens.

    Args:
        decoder: The base.
        prompts: For each cell, its prompts as token ids; every cell has equally many.
        stops: Tokens that end a response, not returned; without any it goes on to the limit.
        limit: Most tokens to add.
        adapters: The cells' adapters, one row of prompts each; the bare base by default.

    Returns:
        For each cell and prompt, the added tokens.

    Raises:
        ValueError: If the cells have different numbers of prompts.
    """
    if len({len(row) for row in prompts}) != 1:
        raise ValueError("every cell needs the same number of prompts")
    flat = [tuple(prompt) for row in prompts for prompt in row]
    pool = Pool([Example(prompt, len(prompt)) for prompt in flat])
    per_row = len(prompts[0])
    laid_out = pool.batch([range(start, start + per_row) for start in range(0, len(flat), per_row)])
    batch = laid_out.to(decoder.device)
    cache = KeyValueCache(decoder, len(flat), int(pool.lengths.max()) + limit)
    rotations = decoder.rotations(batch.positions)

    def read(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        cache.fill(layer, k, v, batch)
        return causal_attention(q, k, v, batch, decoder.attention[layer])

    hidden = decoder.embed(batch.tokens)
    for layer in range(decoder.config.layers):
        hidden = decoder.block(layer, hidden, rotations, read, adapters or {})
    last = uploaded(laid_out.gather[torch.arange(len(flat)), pool.lengths - 1], decoder.device)
    token = _likeliest(decoder, hidden.flatten(0, 1)[last])
    added: list[list[int]] = [[] for _ in flat]
    open_ = set(range(len(flat)))
    for count in range(limit):
        written = token.cpu().tolist()
        for place in sorted(open_):
            if written[place] in stops:
                open_.remove(place)
            else:
                added[place].append(written[place])
        if not open_ or count + 1 == limit:
            break
        token = _next(decoder, token, pool.lengths + count, cache, adapters or {}, len(prompts))
    return [added[start : start + per_row] for start in range(0, len(flat), per_row)]


def _next(
    decoder: Decoder, token: Tensor, positions: Tensor, cache: KeyValueCache, adapters: Adapters, cells: int
) -> Tensor:
    hidden = decoder.embed(token.view(cells, -1))
    upto, places = int(positions.max()) + 1, uploaded(positions, decoder.device)
    rotations = decoder.rotations(places.view(cells, -1))

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return cache.attend(layer, q, k, v, places, upto)

    for layer in range(decoder.config.layers):
        hidden = decoder.block(layer, hidden, rotations, attend, adapters)
    return _likeliest(decoder, hidden.flatten(0, 1))


def _likeliest(decoder: Decoder, hidden: Tensor) -> Tensor:
    return decoder.head(decoder.finish(hidden)).argmax(-1)
