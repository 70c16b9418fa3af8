"""Batches without padding: the examples of many cells laid end to end.

A stack trains G cells at once. Its batch is a matrix of G rows, one for each cell; a row holds that cell's
examples one after the other, and only the few places behind the last one are empty, so that rows end
together. Linear layers run on the matrix as it is. Attention has to see each example alone: ``blocks`` lay
examples of similar length into rows of their own, ``scatter`` puts the results back.

What all examples begin with, such as a system line, stands once in each row: a token's state depends on
what precedes it alone, so the examples of a cell share it, and their gradients meet in it.

Axes: G cells, T tokens in a row, E examples in the batch, S tokens of the longest example, P labels.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from qlora_kernels.take_rows import Places
from workbench.data.templates import Example
from workbench.devices import uploaded


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
    blocks: tuple[Int64[Tensor, "_ _"], ...]
    """Rows of ``gather`` in blocks of similar length, the longest first, each cut to its longest example."""
    scatter: Int64[Tensor, "G T"]
    """Where a slot's token lies among the blocks, flattened and end to end; the first one for a shared
    token."""
    label_slots: Int64[Tensor, " P"]
    """Slots at which a token of an answer is to be told."""
    labels: Int64[Tensor, " P"]
    """That token: the next one, or what ends an answer where the text has no token for it."""
    label_cells: Int64[Tensor, " P"]
    """Row of the cell that a label counts for."""
    label_examples: Int64[Tensor, " P"]
    """Row of ``gather`` that a label belongs to."""
    in_blocks: Places
    """The slots of all blocks, end to end: what attention takes."""
    out_of_blocks: Places
    """``scatter``, end to end: what it gives back."""
    at_labels: Places
    """``label_slots``."""
    label_boundaries: Int64[Tensor, " boundaries"]
    """Boundaries of the cells among the labels, from 0 to their number; it stays on the processor, where
    work is planned."""

    def to(self, device: torch.device) -> "Batch":
        """Copy to a device, in one transfer."""
        if device.type == "cpu":
            return self
        names = [one.name for one in fields(self) if isinstance(getattr(self, one.name), Tensor)]
        names.remove("label_boundaries")
        every = [*(getattr(self, name) for name in names), *self.blocks]
        flat = uploaded(torch.cat([one.flatten() for one in every]), device)
        parts = flat.split([one.numel() for one in every])
        placed = [part.view(one.shape) for part, one in zip(parts, every, strict=True)]
        blocks = tuple(placed[len(names) :])
        there: dict[str, Any] = dict(zip(names, placed, strict=False))
        there |= places_of(there, blocks)
        return replace(self, blocks=blocks, **there)


def places_of(named: Mapping[str, Tensor], blocks: Sequence[Tensor]) -> dict[str, Places]:
    """Return which rows a batch takes on its way through attention and to its labels."""
    slots, laid_out = named["scatter"].numel(), torch.cat([block.flatten() for block in blocks])
    return {
        "in_blocks": Places.of(laid_out, slots),
        "out_of_blocks": Places.of(named["scatter"].flatten(), len(laid_out)),
        "at_labels": Places.of(named["label_slots"], slots),
    }


class Pool:
    """Distinct examples as one run of tokens, from which any batch is a matter of indices.

    Attributes:
        tokens: Every example's tokens, end to end; shape (total,).
        starts, lengths, prompts: First token, number of tokens and number of prompt tokens of each.
        ends: Number of tokens that end the response of each.
        labels: Number of tokens that count in the loss of each.
        label_places, label_tokens: These, end to end: where each is to stand in its example, and what it is.
        shared: Number of tokens that every prompt begins with.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        kept = list(examples)
        self.tokens = torch.tensor([token for example in kept for token in example.token_ids])
        self.lengths = torch.tensor([len(example.token_ids) for example in kept])
        self.prompts = torch.tensor([example.prompt_length for example in kept])
        self.ends = torch.tensor([example.end_length for example in kept])
        self.starts = self.lengths.cumsum(0) - self.lengths
        # as ``Example.labels`` has them: those of earlier answers, then all behind the prompt
        earlier = torch.tensor([pair for example in kept for pair in example.earlier], dtype=torch.int64)
        counts = torch.tensor([len(example.earlier) for example in kept])
        self.labels = counts + self.lengths - self.prompts
        self.label_starts = self.labels.cumsum(0) - self.labels
        owner, number = _count_up(self.labels, 0)
        behind = number - counts[owner]
        self.label_places = torch.where(behind < 0, 0, self.prompts[owner] + behind)
        self.label_tokens = self.tokens[self.starts[owner] + self.label_places]
        self.label_places[behind < 0], self.label_tokens[behind < 0] = earlier.view(-1, 2).T
        prompts = [example.token_ids[: example.prompt_length] for example in kept]
        # what the first and the last in order begin with is common to all between them
        low, high = min(prompts), max(prompts)
        differ = (place for place, (a, b) in enumerate(zip(low, high, strict=False)) if a != b)
        self.shared = next(differ, min(len(low), len(high)))

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.lengths)

    def batch(self, rows: Sequence[Sequence[int]]) -> Batch:
        """Lay out ``rows``: for each cell, the examples (indices into the pool) of this step."""
        shared = torch.arange(self.shared)
        cell = torch.arange(len(rows))
        chosen = torch.tensor([index for row in rows for index in row])
        cells = torch.repeat_interleave(cell, torch.tensor([len(row) for row in rows]))
        lengths, starts = self.lengths[chosen], self.starts[chosen]
        own = lengths - self.shared
        row_own = torch.zeros(len(rows), dtype=torch.int64).index_add_(0, cells, own)
        width, longest = self.shared + int(row_own.max()), int(lengths.max())

        # slot of each example's first own token: its row, the shared tokens, what precedes it in the row
        first = cells * width + self.shared + own.cumsum(0) - own - (row_own.cumsum(0) - row_own)[cells]
        places = torch.minimum(torch.arange(longest)[None, :], lengths[:, None] - 1)
        gather = torch.where(
            places < self.shared, cells[:, None] * width + places, first[:, None] + places - self.shared
        )
        example, position = _count_up(own, self.shared)
        slot = gather[example, position]
        blocks = _similar(lengths)
        place = _places(blocks, lengths)
        head = (cell[:, None] * width + shared).flatten()
        opener = torch.searchsorted(cells, cell)  # each row's first example

        def matrix(of_shared: Tensor, of_own: Tensor, of_empty: Tensor | None = None) -> Tensor:
            empty = torch.zeros(len(rows), dtype=torch.int64) if of_empty is None else of_empty
            values = empty.repeat_interleave(width)
            return values.index_copy_(0, head, of_shared).index_copy_(0, slot, of_own).view(-1, width)

        source = matrix(shared.repeat(len(rows)), starts[example] + position)
        label_examples, number = _count_up(self.labels[chosen], 0)
        label = self.label_starts[chosen][label_examples] + number
        laid_out = tuple(gather[block, : int(lengths[block[0]])] for block in blocks)
        # an empty slot looks at its own cell: what is not a number there must not reach another
        scatter = matrix(
            (place[opener][:, None] + shared).flatten(), place[example] + position, place[opener]
        )
        label_slots = gather[label_examples, self.label_places[label] - 1]
        return Batch(
            tokens=self.tokens[source],
            positions=matrix(shared.repeat(len(rows)), position),
            source=source,
            gather=gather,
            blocks=laid_out,
            scatter=scatter,
            label_slots=label_slots,
            labels=self.label_tokens[label],
            label_cells=cells[label_examples],
            label_examples=label_examples,
            label_boundaries=torch.searchsorted(cells[label_examples], torch.arange(len(rows) + 1)),
            **places_of({"scatter": scatter, "label_slots": label_slots}, laid_out),
        )


def _similar(lengths: Int64[Tensor, " E"]) -> list[Int64[Tensor, " _"]]:
    """Cut the examples, longest first, into blocks in which none is as short as half the longest."""
    examples = lengths.argsort(descending=True, stable=True)
    starts: list[int] = []
    longest = 0
    for number, length in enumerate(lengths[examples].tolist()):
        if not starts or 2 * length <= longest:
            starts.append(number)
            longest = length
    return list(examples.tensor_split(starts[1:]))


def _places(blocks: list[Tensor], lengths: Int64[Tensor, " E"]) -> Int64[Tensor, " E"]:
    """Return where each example's first token lies among the blocks, flattened and end to end."""
    places = torch.empty_like(lengths)
    start = 0
    for block in blocks:
        longest = int(lengths[block[0]])
        places[block] = start + longest * torch.arange(len(block))
        start += longest * len(block)
    return places


def _count_up(counts: Int64[Tensor, " E"], start: int) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"]]:
    """Return, for each of ``counts[e]`` things of every e in turn: its e, and its number from ``start``."""
    owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
    return owner, start + torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]


def order(size: int, batch_size: int, step: int, seed: int, *, shuffled: bool = True) -> list[int]:
    """Return the examples of one step, as indices below ``size``: a pure function of its arguments.

    The examples are dealt in passes, each a shuffle of its own that depends on (seed, pass) alone, so a
    resumed run needs no state and a step may span two passes. With ``shuffled`` False they come as they lie,
    which for a draw is a random order too, and the same one for every size.
    """
    places = range(step * batch_size, (step + 1) * batch_size)
    if not shuffled:
        return [place % size for place in places]
    shuffles = {number: _shuffle(size, number, seed) for number in {place // size for place in places}}
    return [shuffles[place // size][place % size] for place in places]


def _shuffle(size: int, number: int, seed: int) -> list[int]:
    digest = hashlib.blake2b(f"order:{seed}:{number}".encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
    return torch.randperm(size, generator=generator).tolist()
