"""The training loop: G cells at once over one frozen base.

A cell's numbers don't depend on its neighbours: rows meet only inside matrix products whose every
output belongs to one row, so another stack changes a cell by the rounding of sums alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from workbench.adapters.lora import LoraStack
from workbench.adapters.prefix import fresh_stack
from workbench.config import CellConfig
from workbench.data.batches import Batch, Pool, order
from workbench.devices import uploaded
from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig
from workbench.training.card_memory import card_room
from workbench.training.losses import label_losses
from workbench.training.optimizer import StackedAdamW, cooldown_start

ACTIVATION_BYTES = 2**30
"""Most memory that one pass should save for its gradient on a processor; longer steps go through in pieces.
On a card it is what the card has left; see ``card_memory.py``."""


PACKED_ACTIVATION_BYTES = 2**28
"""The same where the base is held packed because memory is short."""


def activation_bytes(
    decoder: DecoderConfig, first_layer: int, hold: str = "decoded", precision: str = "float32"
) -> int:
    """Estimate the bytes that one token leaves behind for the backward pass.

    In each adapted block: about 10 vectors of the width (inputs, norms, queries, values, outputs) and
    3 of the feed-forward size, in 4-byte numbers. Under "bfloat16-activations" they are in 2-byte numbers,
    but the block's two inputs, and there are the shares of attention. Where the base is held packed one block
    at a time has these, and the others keep their input.

    Whole blocks (``models/whole_blocks.py``) make the norms anew and keep two vectors less. The estimate
    stays: it decides into how many pieces a step is cut, and so the order of its sums.
    """
    blocks, block = decoder.layers - first_layer, 4 * (10 * decoder.width + 3 * decoder.feed_forward)
    if precision == "bfloat16-activations":
        block = 2 * (12 * decoder.width + 3 * decoder.feed_forward)
    return blocks * block if hold == "decoded" else 4 * blocks * decoder.width + block


def activation_room(hold: str) -> int:
    """Return the most bytes that one pass should save for its gradient on a processor."""
    return ACTIVATION_BYTES if hold == "decoded" else PACKED_ACTIVATION_BYTES


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

    Memory, on the decoder's device: width x the size of a number for each token of the pool.
    """
    if first == 0:
        return Frozen(decoder, pool, first, None)
    shape = len(pool.tokens), decoder.config.width
    states = torch.empty(shape, dtype=decoder.dtype, device=decoder.device)
    for indices in chunks(pool, range(len(pool)), chunk_tokens):
        batch = pool.batch([indices]).to(decoder.device)
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
class TrainState:
    """A stack's training between two steps: all that going on needs, and what was recorded on the way.

    Adapters and moments are on the device that trains, the record is on the processor.

    Attributes:
        step: Steps taken.
        weights, mean, square: The adapters and their optimizer moments, shape (G, W).
        losses: Training loss of each step and cell, in nats a response token, shape (steps, G); NaN for
            steps that a cell didn't take.
        norms: Gradient norm of each step and cell, before clipping, shape (steps, G); NaN likewise.
        failed: First step whose loss or gradient wasn't a number, for each cell; -1 where all were.
    """

    step: int
    weights: Float[Tensor, "G W"]
    mean: Float[Tensor, "G W"]
    square: Float[Tensor, "G W"]
    losses: Float[Tensor, "steps G"]
    norms: Float[Tensor, "steps G"]
    failed: Int64[Tensor, " G"]

    @classmethod
    def fresh(cls, stack: LoraStack) -> "TrainState":
        """Return the state before the first step."""
        weights = stack.weights.detach()
        steps = max(cell.total_steps for cell in stack.cells)
        unknown = torch.full((steps, len(weights)), math.nan, dtype=weights.dtype)
        return cls(
            step=0,
            weights=weights,
            mean=torch.zeros_like(weights),
            square=torch.zeros_like(weights),
            losses=unknown,
            norms=unknown.clone(),
            failed=torch.full((len(weights),), -1),
        )

    def branch(self, row: int, trunk: int) -> None:
        """Let one cell go on for itself from where another is."""
        for of_cell in (self.weights, self.mean, self.square, self.failed):
            of_cell[row] = of_cell[trunk]
        for curve in (self.losses, self.norms):
            curve[: self.step, row] = curve[: self.step, trunk]

    def to(self, device: torch.device) -> "TrainState":
        """Return the state for going on elsewhere."""
        weights, mean, square = (one.to(device) for one in (self.weights, self.mean, self.square))
        return replace(self, weights=weights, mean=mean, square=square)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as named tensors on the processor, for a file."""
        here = self.to(torch.device("cpu"))
        values = {field.name: getattr(here, field.name) for field in fields(here)}
        return values | {"step": torch.tensor(self.step)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "TrainState":
        """Read what :meth:`tensors` gave.

        Raises:
            InputError: If a tensor is missing or unknown, or their shapes don't fit each other.
        """
        names = {field.name for field in fields(cls)}
        if set(tensors) != names:
            raise InputError(
                f"a training state holds {sorted(names)}, but this one has {sorted(tensors)}; it was not "
                "written by this program, start the stack again"
            )
        shape = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        cells = shape["weights"][:1]
        fits = (
            len(shape["weights"]) == len(shape["losses"]) == 2
            and shape["weights"] == shape["mean"] == shape["square"]
            and shape["losses"] == shape["norms"]
            and shape["losses"][1:] == shape["failed"] == cells
            and shape["step"] == ()
            and 0 <= int(tensors["step"]) <= shape["losses"][0]
        )
        if not fits:
            raise InputError(
                f"the tensors of a training state don't fit each other: {shape}; start the stack again"
            )
        rest = {name: tensor for name, tensor in tensors.items() if name != "step"}
        return cls(step=int(tensors["step"]), **rest)


OnStep = Callable[[TrainState], None]


def step_gradient(
    frozen: Frozen, stack: LoraStack, rows: Sequence[Sequence[int]], at_once: int | None = None
) -> tuple[Float[Tensor, " G"], Float[Tensor, "G W"]]:
    """Return each cell's mean loss over the labels of its examples, and its gradient.

    Where the activations of all examples together would pass :data:`ACTIVATION_BYTES`, or what a card has
    left, the examples go through in pieces and their gradients are summed: the same step, in less memory.

    Args:
        frozen: The shared base and examples.
        stack: The adapters.
        rows: For each cell, its examples of this step as indices into the pool.
        at_once: Tokens that a card has room for, where a caller knows (:func:`tokens_at_once`).
    """
    pool, decoder = frozen.pool, frozen.decoder
    labels, weights = pool.labels.tolist(), stack.weights
    totals = [float(sum(labels[index] for index in row)) for row in rows]
    count = uploaded(torch.tensor(totals, dtype=weights.dtype), weights.device)
    tokens = [sum(int(pool.lengths[index]) - pool.shared for index in row) for row in rows]
    at_once = at_once or tokens_at_once(frozen, stack)
    if at_once is None:
        each = activation_bytes(decoder.config, frozen.first, decoder.hold, decoder.precision)
        needed = -(-sum(tokens) * each // activation_room(decoder.hold))
    else:  # every row is as long as the longest
        needed = -(-len(rows) * (pool.shared + max(tokens)) // at_once)
    pieces = min(max(map(len, rows)), needed)
    loss, gradient = torch.zeros_like(count), torch.zeros_like(weights)
    half = decoder.dtype == torch.float16
    for piece in range(pieces):
        part = pool.batch([row[piece::pieces] or row[:1] for row in rows]).to(decoder.device)
        sums = _loss_sums(frozen, part, stack)
        # a row with fewer examples than pieces stands in with one that must not count again
        counted = uploaded(torch.tensor([bool(row[piece::pieces]) for row in rows]), weights.device)
        mean = (sums / count).where(counted, 0.0)
        # the slope of a mean over many labels would be too small for float16: it gets that of the sum
        # a sum, one number: another slope to begin from costs the first step a third of a second of imports
        (own,) = torch.autograd.grad((mean * count if half else mean).sum(), weights)
        loss += mean.detach()
        gradient += own / count[:, None] if half else own
    return loss, gradient


def tokens_at_once(frozen: Frozen, stack: LoraStack) -> int | None:
    """Return how many tokens a card has room for beside a stack's adapters; None on a processor."""
    card = card_room(frozen.decoder, len(frozen.pool.tokens), frozen.first)
    return None if card is None else card.need(stack.cells).tokens(card.memory, len(stack.cells))


def _loss_sums(frozen: Frozen, batch: Batch, stack: LoraStack) -> Float[Tensor, " G"]:
    """Return each cell's loss, summed over the labels of its row."""
    hidden = frozen.decoder.at_labels(batch, stack.adapters(), frozen.hidden(batch), frozen.first)
    losses = label_losses(frozen.decoder, hidden, batch.labels)
    return losses.new_zeros(len(stack.cells)).index_add(0, batch.label_cells, losses)


def trunk_of(cell: CellConfig) -> CellConfig | None:
    """Return what the cells of one trunk have in common; None for a cell that trains for itself."""
    return cell.with_(size=1) if cell.schedule == "trunk" else None


Branches = tuple[list[int], list[int]]
"""For each cell of a stack: the row of its trunk, and the first step that it takes for itself."""


def branches(cells: Sequence[CellConfig], draws: Sequence[Sequence[int]]) -> Branches:
    """Return for each cell the row of the cell that is its trunk, and the first step it takes for itself.

    The trunk is the largest cell that differs in size alone. Up to the fall of its rate, a smaller cell takes
    the same steps: the same examples at the same rate, from the same adapter.
    """
    trunk, begins = list(range(len(cells))), [0] * len(cells)
    kinds = [trunk_of(cell) for cell in cells]
    for row, cell in enumerate(cells):
        alike = [other for other, kind in enumerate(kinds) if kind is not None and kind == kinds[row]]
        trunk[row] = max(alike, key=lambda other: (cells[other].size, -other), default=row)
        if trunk[row] == row:
            continue
        examples = min(cooldown_start(cell), cell.size // cell.batch_size) * cell.batch_size
        pairs = zip(draws[row][:examples], draws[trunk[row]], strict=False)
        same = next((place for place, (own, theirs) in enumerate(pairs) if own != theirs), examples)
        begins[row] = same // cell.batch_size
    return trunk, begins


def train(
    frozen: Frozen,
    cells: Sequence[CellConfig],
    draws: Sequence[Sequence[int]],
    *,
    start: TrainState | None = None,
    on_step: OnStep | None = None,
    branched: Branches | None = None,
) -> tuple[LoraStack, TrainState]:
    """Train the cells of one stack together; a cell that has taken its steps leaves the stack.

    Args:
        frozen: The shared base and examples.
        cells: Cells that adapt the same layers; they may differ in everything else.
        draws: For each cell, its training examples as indices into the pool, in the draw's order.
        start: Where an earlier call was; from fresh adapters by default.
        on_step: Called after each step with the state, which goes on changing: copy what is to be kept.
        branched: What :func:`branches` returns for these cells and draws, from a caller that has it.

    Returns:
        The trained adapters and the final state.

    Cells of one trunk take the steps that they share once (:func:`branches`).

    Raises:
        InputError: If ``start`` is the state of other cells.
    """
    stack = fresh_stack(cells, frozen.decoder.config, frozen.decoder)
    state = start or TrainState.fresh(stack)
    steps = torch.tensor([cell.total_steps for cell in cells])
    if state.weights.shape != stack.weights.shape or len(state.losses) != int(steps.max()):
        raise InputError(
            f"the training state has adapters of shape {tuple(state.weights.shape)} and "
            f"{len(state.losses)} steps; these cells have {tuple(stack.weights.shape)} and {int(steps.max())}"
        )
    state = state.to(stack.weights.device)
    stack.weights = state.weights
    optimizer = StackedAdamW(state.weights, cells, state.mean, state.square, stack.rates)
    trunk, begins = branched or branches(cells, draws)
    for_itself = torch.tensor(begins)
    # those who have left keep their adapters, so this doesn't change on the way
    at_once = tokens_at_once(frozen, stack)
    while (
        rows := ((steps > state.step) & (for_itself <= state.step) & (state.failed < 0)).nonzero().flatten()
    ).numel():
        some = stack.select(rows.tolist())
        own = [draws[row] for row in rows.tolist()]
        loss, gradient = step_gradient(frozen, some, step_rows(some.cells, own, state.step), at_once)
        norm = optimizer.update(gradient, state.step, rows, loss.isfinite())
        # the one thing of a step that the processor waits for
        told = torch.stack([loss, norm]).cpu()
        state.losses[state.step, rows], state.norms[state.step, rows] = told
        lost = rows[~told.isfinite().all(dim=0)]
        if lost.numel():
            state.failed[lost] = state.step
            state.weights[uploaded(lost, state.weights.device)] = (
                0.0  # a row of zeros changes nothing and stays finite
            )
        state.step += 1
        for row, own_step in enumerate(begins):
            # a trunk that has failed takes along who still followed it
            if own_step == state.step or (own_step > state.step and int(state.failed[trunk[row]]) >= 0):
                state.branch(row, trunk[row])
        if on_step:
            on_step(state)
    return stack, state


def step_rows(cells: Sequence[CellConfig], draws: Sequence[Sequence[int]], step: int) -> list[list[int]]:
    """Return each cell's next examples, in its own order."""
    rows = []
    for cell, draw in zip(cells, draws, strict=True):
        places = order(len(draw), cell.batch_size, step, cell.seed, shuffled=cell.schedule != "trunk")
        rows.append([draw[place] for place in places])
    return rows
