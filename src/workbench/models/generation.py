"""Greedy generation for a stack: many prompts and many adapters at once, with a key-value cache.

Shape letters: G cells, E prompts (all cells'), J key-value heads, S tokens so far, D head size.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from einops import rearrange
from torch import Tensor

from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.devices import uploaded
from workbench.models.adapted import Adapters
from workbench.models.attention import Attention, causal_attention
from workbench.models.decoder import Decoder
from workbench.models.decoding import KeyValueCache, Steps, fits

TokenStep = Callable[[Tensor, Tensor], Tensor]
"""(a token of each prompt, its position), each of shape E -> logits of what follows, "E V"."""


def attend(
    cache: KeyValueCache, attention: Attention, layer: int, positions: Tensor, upto: int, *new: Tensor
) -> Tensor:
    """Add one token for each prompt to a layer's cache, at ``positions`` (shape E), and mix what it may see.

    ``upto`` is the largest position and one; ``new`` are the tokens' queries, keys and values, "E heads D".
    """
    q, k, v = new
    prompts = torch.arange(len(positions), device=positions.device)
    cache.keys[layer, prompts, positions] = k
    cache.values[layer, prompts, positions] = v
    places = torch.arange(upto, device=positions.device)
    visible = attention.visible(positions[:, None], places.expand(len(positions), -1))
    keys, values = (rearrange(x[layer, :, :upto], "E S J D -> E J S D") for x in (cache.keys, cache.values))
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
    exact: bool = False,
) -> list[list[list[int]]]:
    """Continue every prompt with its likeliest tokens.

    Args:
        decoder: The base.
        prompts: For each cell, its prompts as token ids; every cell has equally many.
        stops: Tokens that end a response, not returned; without any it goes on to the limit.
        limit: Most tokens to add.
        adapters: The cells' adapters, one row of prompts each; the bare base by default.
        exact: Whether numbers must not depend on how many prompts or tokens there are and how much memory is
            free, as those of a study; else few prompts may be multiplied in four bits (``decoding.py``).

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
        # what lies behind a prompt is overwritten
        length = batch.gather.shape[1]
        cache.keys[layer, :, :length] = k[batch.gather]
        cache.values[layer, :, :length] = v[batch.gather]
        return causal_attention(q, k, v, batch, decoder.attention[layer])

    hidden = decoder.embed(batch.tokens)
    for layer in range(decoder.config.layers):
        hidden = decoder.block(layer, hidden, rotations, read, adapters or {})
    last = uploaded(laid_out.gather[torch.arange(len(flat)), pool.lengths - 1], decoder.device)
    token = decoder.head(decoder.finish(hidden.flatten(0, 1)[last])).argmax(-1)
    step: TokenStep = through_blocks(decoder, cache, adapters or {}, len(prompts))
    if limit > 1 and fits(decoder, adapters or {}):
        step = Steps(decoder, cache, adapters or {}, len(prompts), limit - 1, exact=exact)
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
        token = step(token, pool.lengths + count).argmax(-1)
    return [added[start : start + per_row] for start in range(0, len(flat), per_row)]


def through_blocks(decoder: Decoder, cache: KeyValueCache, adapters: Adapters, cells: int) -> TokenStep:
    """Return a step by the decoder's own blocks, which know all kinds of bases and adapters."""

    def step(token: Tensor, positions: Tensor) -> Tensor:
        hidden = decoder.embed(token.view(cells, -1))
        upto, places = int(positions.max()) + 1, uploaded(positions, decoder.device)
        rotations = decoder.rotations(places.view(cells, -1))

        def read(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return attend(cache, decoder.attention[layer], layer, places, upto, q, k, v)

        for layer in range(decoder.config.layers):
            hidden = decoder.block(layer, hidden, rotations, read, adapters)
        return decoder.head(decoder.finish(hidden.flatten(0, 1)))

    return step
