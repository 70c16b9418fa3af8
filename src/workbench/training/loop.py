"""The training loop: G cells at once over one frozen base.

A cell's numbers don't depend on its neighbours: rows meet only inside matrix products whose every
output belongs to one row, so another stack changes a cell by the rounding of sums alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.batches import Batch, Pool, order
from workbench.models.decoder import Decoder
from workbench.training.losses import label_losses
from workbench.training.optimizer import StackedAdamW


@dataclass(frozen=True, slots=True)
class Frozen:
    """What the cells of a study share while they train: the base, the examples, and their states.

    Attributes:
        decoder: The base.
        pool: Distinct examples.
        first: Lowest block with an adapter.
        states: Output of the block below ``first`` for each token of the pool, shape (total, K); None
            when ``first`` is 0, where it would be the embedding.
    """

    decoder: Decoder
    pool: Pool
    first: int
    states: Float[Tensor, "total K"] | None

    def hidden(self, batch: Batch) -> Tensor | None:
        """Return the batch's states from below the first adapter."""
        return None if self.states is None else self.states[batch.source]


@torch.no_grad()
def freeze(decoder: Decoder, pool: Pool, first: int, chunk_tokens: int = 2048) -> Frozen:
    """Run every example of the pool once through the blocks below ``first`` and keep the result.

    Memory: 4 bytes x width for each token of the pool.
    """
    if first == 0:
        return Frozen(decoder, pool, first, None)
    states = torch.empty(len(pool.tokens), decoder.config.width, dtype=decoder.weight("norm").dtype)
    for indices in chunks(pool, range(len(pool)), chunk_tokens):
        batch = pool.batch([indices])
        hidden = decoder.blocks(decoder.embed(batch.tokens), batch, {}, 0, first)
        states[batch.source.flatten()] = hidden.flatten(0, 1)
    return Frozen(decoder, pool, first, states)


def chunks(pool: Pool, indices: Sequence[int], tokens: int) -> list[list[int]]:
    """Cut ``indices``, longest examples first, into pieces of about ``tokens`` tokens."""
    longest_first = sorted(indices, key=lambda index: (-int(pool.lengths[index]), index))
    pieces: list[list[int]] = []
    filled = tokens
    for index in longest_first:
        length = int(pool.lengths[index])
        if filled + length > tokens:
            pieces.append([])
            filled = 0
        pieces[-1].append(index)
        filled += length
    return pieces


@dataclass(slots=True)
class StackRun:
    """What a stack's training recorded.

    Attributes:
        stack: The trained adapters.
        losses: Training loss of each step and cell, in nats a response token, shape (steps, G).
        norms: Gradient norm of each step and cell, before clipping, shape (steps, G).
        failed: First step whose loss or gradient wasn't a number, for each cell; None where all were.
    """

    stack: LoraStack
    losses: Float[Tensor, "steps G"]
    norms: Float[Tensor, "steps G"]
    failed: list[int | None]


def cell_losses(frozen: Frozen, batch: Batch, stack: LoraStack) -> Float[Tensor, " G"]:
    """Return each cell's mean loss over the labels of its own row."""
    decoder = frozen.decoder
    hidden = decoder(batch, stack.adapters(), frozen.hidden(batch), frozen.first)
    losses = label_losses(decoder, hidden.flatten(0, 1)[batch.label_slots], batch.labels)
    cells = len(stack.cells)
    count = torch.bincount(batch.label_cells, minlength=cells)
    return losses.new_zeros(cells).index_add(0, batch.label_cells, losses) / count


def train(
    frozen: Frozen,
    cells: Sequence[CellConfig],
    draws: Sequence[Sequence[int]],
    *,
    stack: LoraStack | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> StackRun:
    """Train the cells of one stack together.

    Args:
        frozen: The shared base and examples.
        cells: Cells with equal step counts and adapted layers.
        draws: For each cell, its training examples as indices into the pool, in the draw's order.
        stack: Adapters to start from; fresh ones by default.
        on_step: Called after each step with its number, counted from 1, and the losses, shape (G,).

    Raises:
        ValueError: If the cells differ in their number of steps.
    """
    steps = cells[0].total_steps
    if any(cell.total_steps != steps for cell in cells):
        raise ValueError("cells of one stack have to take the same number of steps")
    stack = stack or LoraStack(cells, frozen.decoder.config)
    optimizer = StackedAdamW(stack.weights, cells)
    active = torch.ones(len(cells), dtype=torch.bool)
    failed: list[int | None] = [None] * len(cells)
    losses, norms = [], []
    for step in range(steps):
        loss = cell_losses(frozen, step_batch(frozen.pool, cells, draws, step), stack)
        (gradient,) = torch.autograd.grad(loss.sum(), stack.weights)
        norm = optimizer.update(gradient, step, active & loss.detach().isfinite())
        losses.append(loss.detach())
        norms.append(norm)
        for row in (active & ~(loss.isfinite() & norm.isfinite())).nonzero().flatten().tolist():
            failed[row] = step
            active[row] = False
            stack.weights.data[row] = 0.0  # a row of zeros changes nothing and stays finite
        if on_step:
            on_step(step + 1, losses[-1])
        if not active.any():
            break
    return StackRun(stack, torch.stack(losses), torch.stack(norms), failed)


def step_batch(pool: Pool, cells: Sequence[CellConfig], draws: Sequence[Sequence[int]], step: int) -> Batch:
    """Return one step's batch: each cell's next examples, in its own order."""
    rows = [
        [draw[index] for index in order(len(draw), cell.batch_size, step, cell.seed)]
        for cell, draw in zip(cells, draws, strict=True)
    ]
    return pool.batch(rows)
