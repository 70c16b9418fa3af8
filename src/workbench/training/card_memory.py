"""What training needs of a card's memory, counted from shapes before anything is allocated.

A card that is full ends a run; a processor only becomes slow, so there the bounds are others
(:data:`workbench.training.loop.ACTIVATION_BYTES`). Every number here is a function of the study and of the
card's size, so that a study that goes on with a card of the same kind computes the same stacks.

Letters: W numbers of one cell's adapter, K width, V vocabulary; c bytes of an activation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from qlora_kernels import QuantizedTensor
from qlora_kernels.linear_cross_entropy import DEVICE_CHUNK_BYTES
from qlora_kernels.vendor import SCRATCH_BYTES
from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.adapters.prefix import count_prefix
from workbench.adapters.ranks import count_parameters
from workbench.config import CellConfig
from workbench.devices import flash_attention, memory_of
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import SAME_INPUT, DecoderConfig
from workbench.training.losses import LOGIT_BYTES_ON_GPU

RESERVE = 2**30
"""What CUDA, its libraries and their workspaces take of a card, for a worker and the run that started it."""
SPLINTERS = 0.08
"""Share of a card that lies between what is allocated, too small for what is asked for next."""
STATE, TAKEN, CHANGED = 3, 4, 10
"""Float32 numbers for each number of an adapter. STATE: itself and two moments. TAKEN, while gradients are
taken: these and the sum of its gradients. CHANGED, at the most, while the optimizer steps: these four, the
clipped gradient, both new moments, the change, and the changed number before and after it was chosen."""
RATED = 3
"""Further ones of kinds of adapter whose numbers have rates of their own: rates, decay, and their factors."""
JUDGED_TOKENS, JUDGED_BYTES = 2**15, 2**30
"""Most tokens that are evaluated at once on a card, and most bytes that these may have under way."""
PARTS_HELD = 4
"""Parts of a decoded weight, of its product, and of what they are made from, that are held at once."""
CACHE_BYTES = 2**28
"""Memory for the keys and values of what is generated at once."""
PLACE_NUMBERS = 10
"""Eight-byte numbers of a token that say where it lies, what precedes it, and whose it is."""


@dataclass(frozen=True, slots=True)
class CardNeed:
    """What cells of one kind need of a card, in bytes.

    Attributes:
        base: The frozen weights as they are stored and as the kernels read them.
        states: Of the frozen blocks' output for every token of the study's examples.
        reserve: What must stay free of it all.
        step: Of the parts of a weight and of a product that are under way in a step.
        logits: Most bytes of logits and of their slopes.
        logit: Bytes of one token's.
        judging: Of whatever an evaluation has under way.
        cell_step: Of each cell while gradients are taken.
        cell_update: Of each cell while the optimizer steps.
        cell_judged: Of each cell in an evaluation.
        token: Of each token of a step.
    """

    base: int
    states: int
    reserve: int
    step: int
    logits: int
    logit: int
    judging: int
    cell_step: int
    cell_update: int
    cell_judged: int
    token: int

    @property
    def held(self) -> int:
        """What is taken from the first step to the last."""
        return self.base + self.states + self.reserve

    def peak(self, cells: int, tokens: float | int) -> int:
        """Return the most that a stack of so many cells takes whose step goes through with so many tokens."""
        logits = min(self.logits, int(tokens * self.logit))
        return self.held + max(
            self.step + logits + cells * self.cell_step + int(tokens * self.token),
            cells * self.cell_update,
            self.judging + cells * self.cell_judged,
        )

    def tokens(self, memory: int, cells: int) -> int:
        """Return how many tokens go through at once beside so many cells' adapters; at least 1."""
        return max(1, (memory - self.held - self.step - self.logits - cells * self.cell_step) // self.token)

    def parts(self, cells: int, tokens: float | int) -> dict[str, int]:
        """Return what :meth:`peak` is made of, by its name, for people."""
        adapters = cells * self.cell_step
        return {
            "base": self.base,
            "frozen states": self.states,
            "adapters": adapters,
            "everything else of a step": self.peak(cells, tokens) - self.held - adapters,
            "reserve": self.reserve,
        }


@dataclass(frozen=True, slots=True)
class CardRoom:
    """A card that a study's base lies on.

    Attributes:
        decoder: The base.
        pool_tokens: Tokens of all examples of the study.
        first: The lowest block with an adapter, of all cells of the study.
        memory: Of the card, in bytes.
    """

    decoder: Decoder
    pool_tokens: int
    first: int
    memory: int

    def need(self, cells: Sequence[CellConfig]) -> CardNeed:
        """Return what cells of one stack need; the one with the largest rank counts for all."""
        return card_need(
            self.decoder, self.pool_tokens, self.first, max(cells, key=lambda one: one.rank), self.memory
        )


def card_room(decoder: Decoder, pool_tokens: int, first: int) -> CardRoom | None:
    """Return the card that a base lies on; None for a processor."""
    memory = memory_of(decoder.device)
    return None if memory is None else CardRoom(decoder, pool_tokens, first, memory)


def card_need(decoder: Decoder, pool_tokens: int, first: int, cell: CellConfig, memory: int) -> CardNeed:
    """Count what cells like one need of the card on which a decoder lies.

    Args:
        decoder: The base, on its device.
        pool_tokens: Tokens of all examples of the study.
        first: The lowest block with an adapter, of all cells of the study.
        cell: One of the stack; of different ranks, the one with the largest.
        memory: Of the card, in bytes.
    """
    config, size = decoder.config, decoder.dtype.itemsize
    kind, numbers = ADAPTER_KINDS[cell.adapter], adapter_numbers(cell, config)
    low = size if size < 4 else 0  # in float32 the adapters are taken as they are
    first_numbers = numbers if kind.start else 0
    joined, widest = _joined(cell, config)
    # what was given up is kept, cast, and joined with the adapters' own halves; so are layers of one input
    carried = low * (numbers + first_numbers) + 2 * size * first_numbers + size * joined
    resting = 4 * (STATE * numbers + first_numbers)
    changed = CHANGED + (RATED if kind.b_rate != 1.0 else 0)
    return CardNeed(
        base=held_bytes(decoder),
        states=pool_tokens * config.width * size if first else 0,
        reserve=RESERVE + int(SPLINTERS * memory),
        step=PARTS_HELD * SCRATCH_BYTES,
        logits=2 * DEVICE_CHUNK_BYTES,
        logit=2 * 4 * config.vocabulary,
        judging=judged_at_once(decoder) * passing_bytes(config, size)
        + 2 * LOGIT_BYTES_ON_GPU
        + PARTS_HELD * SCRATCH_BYTES
        + CACHE_BYTES,
        # the gradient of B is summed from a share of each tile of rows, and a cell's last tile isn't full
        cell_step=resting + 4 * (TAKEN - STATE) * numbers + carried + 4 * widest,
        cell_update=resting + 4 * (changed - STATE) * numbers,
        cell_judged=resting + carried,
        token=token_bytes(decoder, cell) + 4 * widest // _tile_rows(decoder, cell),
    )


def _joined(cell: CellConfig, config: DecoderConfig) -> tuple[int, int]:
    """Count what is made for layers that read the same input, which run as one with one adapter.

    Returns:
        The numbers of all joined adapters of a cell, A's on top of each other and B's on a diagonal; and
        those of the largest B of one product, N x R.
    """
    if ADAPTER_KINDS[cell.adapter].prefix:
        return 0, 0
    own, joined, widest = ADAPTER_KINDS[cell.adapter].carried(cell.rank), 0, 0
    for leaves in SAME_INPUT:
        rank = own * sum(leaf in cell.targets for leaf in leaves)
        outputs = sum(config.linear_shape(leaf)[0] for leaf in leaves)
        if rank:
            widest = max(widest, outputs * rank)
        if rank and len(leaves) > 1:
            joined += rank * (outputs + config.linear_shape(leaves[0])[1])
    return joined * (config.layers - cell.first_layer), widest


def _tile_rows(decoder: Decoder, cell: CellConfig) -> int:
    """Return how many rows have one share of the gradient of B between them."""
    from qlora_kernels.grouped_triton import narrow_tile  # Triton is where a card is

    together = max(sum(leaf in cell.targets for leaf in leaves) for leaves in SAME_INPUT)
    rank = ADAPTER_KINDS[cell.adapter].carried(cell.rank) * max(1, together)
    return narrow_tile(rank, decoder.dtype, decoder.device).rows


def adapter_numbers(cell: CellConfig, config: DecoderConfig) -> int:
    """Return W, the trained numbers of a cell."""
    layers, kind = config.layers - cell.first_layer, ADAPTER_KINDS[cell.adapter]
    if kind.prefix:
        return count_prefix(config, cell.rank, layers)
    return count_parameters(config, cell.rank, cell.targets, layers, dora=kind.magnitudes)


def token_bytes(decoder: Decoder, cell: CellConfig) -> int:
    """Return the bytes that one token leaves behind for the backward pass on a card.

    In each adapted block: the input, what the first norm gives, queries, keys, values and their mix, which
    attention keeps laid out by example, the mix as it lies in the batch, the sum behind it, what the second
    norm gives, gate, up and their product. In the last block what follows attention is done at the labels
    alone; here it counts whole, which is what passes through the backward pass of a block beside it.
    """
    config, size = decoder.config, decoder.dtype.itemsize
    queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
    if not flash_attention(decoder.device, decoder.dtype):
        keys = queries  # each query head gets keys of its own
    block = 4 * config.width + 3 * queries + 2 * keys + 3 * config.feed_forward
    kind = ADAPTER_KINDS[cell.adapter]
    lowest = 0
    if kind.prefix:  # the queries once more, what they take, and their scores
        block += 2 * queries + config.heads * cell.rank
        # nothing that is trained comes before the attention of the lowest block
        lowest = 2 * config.width + 2 * queries + 2 * keys
    else:
        block += kind.carried(cell.rank) * len(cell.targets)
    if kind.magnitudes:  # each output before its gain, and the gain
        block += 2 * sum(config.linear_shape(leaf)[0] for leaf in cell.targets)
    places = 8 * PLACE_NUMBERS + 4 * config.head_size
    return size * ((config.layers - cell.first_layer) * block - lowest + 2 * config.width) + places


def passing_bytes(config: DecoderConfig, size: int) -> int:
    """Return the bytes that a token has under way where no gradient is taken: those of one block."""
    queries = config.heads * config.head_size
    return size * (4 * config.width + max(6 * queries, 3 * config.feed_forward)) + 8 * PLACE_NUMBERS


def judged_at_once(decoder: Decoder) -> int:
    """Return how many tokens are evaluated at once on a card: at most a sixteenth of its memory for them."""
    room = min(JUDGED_BYTES, (memory_of(decoder.device) or 16 * JUDGED_BYTES) // 16)
    return min(JUDGED_TOKENS, max(1, room // passing_bytes(decoder.config, decoder.dtype.itemsize)))


def held_bytes(decoder: Decoder) -> int:
    """Return the bytes of a decoder's weights and of what is made of them for its products, each once."""
    storages = {}
    for tensor in _tensors(decoder):
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage.nbytes()
    return sum(storages.values())


def _tensors(decoder: Decoder) -> Iterator[Tensor]:
    for held in (*decoder.weights.values(), *decoder.prepared.values()):
        if isinstance(held, QuantizedTensor):
            yield from held.stored.tensors().values()
        elif isinstance(held, Tensor):
            yield held
        else:
            yield from held.tensors()
