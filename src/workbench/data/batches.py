"""Batches without padding: the examples of many cells laid end to end.

A stack trains G cells at once. Its batch is a matrix of G rows, one for each cell; a row holds that cell's
examples one after the other, and only the few places behind the last one are empty, so that rows end
together. Linear layers run on the matrix as it is. Attention has to see each example alone: ``gather``
lays every example into a row of its own, ``scatter`` puts the results back.

Axes: G cells, T tokens in a row, E examples in the batch, S tokens of the longest example, P labels.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from workbench.data.templates import Example


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's tokens of G cells, and where everything is. Slots count through the G x T matrix."""

    tokens: Int64[Tensor, "G T"]
    positions: Int64[Tensor, "G T"]
    """Place of each token in its own example, from 0."""
    source: Int64[Tensor, "G T"]
    """Place of each token in the pool, for values computed once for each token of the pool."""
    gather: Int64[Tensor, "E S"]
    """Slot of each example's tokens. Behind a shorter example's end it repeats the last one:
    a causal attention never looks that far ahead."""
    scatter: Int64[Tensor, "G T"]
    """Where a slot's token lies in the flattened ``gather``."""
    label_slots: Int64[Tensor, " P"]
    """Slots whose next token belongs to a response."""
    labels: Int64[Tensor, " P"]
    """That next token."""
    label_cells: Int64[Tensor, " P"]
    """Row of the cell that a label counts for."""
    label_examples: Int64[Tensor, " P"]
    """Row of ``gather`` that a label belongs to."""


class Pool:
    """Distinct examples as one run of tokens, from which any batch is a matter of indices.

    Attributes:
        tokens: Every example's tokens, end to end; shape (total,).
        starts, lengths, prompts: First token, number of tokens and number of prompt tokens of each.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        kept = list(examples)
        lengths = [len(example.token_ids) for example in kept]
        self.tokens = torch.tensor([token for example in kept for token in example.token_ids])
        self.lengths = torch.tensor(lengths)
        self.prompts = torch.tensor([example.prompt_length for example in kept])
        self.starts = self.lengths.cumsum(0) - self.lengths

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.lengths)

    def batch(self, rows: Sequence[Sequence[int]]) -> Batch:
        """Lay out ``rows``: for each cell, the examples (indices into the pool) of this step."""
        chosen = torch.tensor([index for row in rows for index in row])
        cells = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(row) for row in rows]))
        lengths, prompts = self.lengths[chosen], self.prompts[chosen]
        before = lengths.cumsum(0) - lengths
        row_tokens = torch.zeros(len(rows), dtype=torch.int64).index_add_(0, cells, lengths)
        width, longest = int(row_tokens.max()), int(lengths.max())
        slots = len(rows) * width

        # slot of each example's first token: its row, then what precedes it in that row
        first = cells * width + before - (row_tokens.cumsum(0) - row_tokens)[cells]
        example = torch.repeat_interleave(torch.arange(len(chosen)), lengths)
        position = torch.arange(len(example)) - before[example]
        slot, source = first[example] + position, self.starts[chosen][example] + position
        places = torch.minimum(torch.arange(longest)[None, :], lengths[:, None] - 1)
        labelled = (position + 1 >= prompts[example]) & (position + 1 < lengths[example])

        def matrix(values: Tensor) -> Tensor:
            return torch.zeros(slots, dtype=torch.int64).index_copy_(0, slot, values).view(-1, width)

        return Batch(
            tokens=matrix(self.tokens[source]),
            positions=matrix(position),
            source=matrix(source),
            gather=first[:, None] + places,
            scatter=matrix(example * longest + position),
            label_slots=slot[labelled],
            labels=self.tokens[source[labelled] + 1],
            label_cells=cells[example[labelled]],
            label_examples=example[labelled],
        )


def order(size: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Return the examples of one step, as indices below ``size``: a pure function of its arguments.

    The examples are dealt in passes, each a shuffle of its own that depends on (seed, pass) alone, so a
    resumed run needs no state and a step may span two passes.
    """
    places = range(step * batch_size, (step + 1) * batch_size)
    shuffles = {number: _shuffle(size, number, seed) for number in {place // size for place in places}}
    return [shuffles[place // size][place % size] for place in places]


def _shuffle(size: int, number: int, seed: int) -> list[int]:
    digest = hashlib.blake2b(f"order:{seed}:{number}".encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
    return torch.randperm(size, generator=generator).tolist()
