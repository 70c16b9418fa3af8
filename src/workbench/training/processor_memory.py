"""What training needs of a processor's memory, counted from shapes before anything is decoded or trained.

Where a base is held decoded, it is most of it; held packed, the file's pages are, which count here as if all
were in memory, although the system may drop and read them again.

Letters: W numbers of one cell's adapter, K width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from qlora_kernels import QuantizedTensor
from qlora_kernels.linear_cross_entropy import CHUNK_BYTES
from qlora_kernels.packed_weight import MappedTensor
from qlora_kernels.products import PRECISIONS as TYPES
from qlora_kernels.vendor import part_width
from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.config import CellConfig
from workbench.models.between import products_in
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig
from workbench.training.card_memory import CHANGED, RATED, STATE, TAKEN, adapter_numbers, passing_bytes
from workbench.training.evaluation import read_at_once
from workbench.training.loop import activation_bytes, activation_room
from workbench.training.losses import LOGIT_BYTES, PACKED_LOGIT_BYTES

START = 4
"""Matrices of float32 under way where adapters begin with the base's weights, or know their lengths."""


@dataclass(frozen=True, slots=True)
class HeldBase:
    """A base's shapes and how it is held.

    Attributes:
        config: The decoder's sizes.
        hold: One of ``config.HOLDS``.
        stored: Bytes of the weights as they are stored.
        copies: Bytes of what is decoded beside them where it is held decoded.
        in_file: Whether the stored weights lie in a mapped file.
        itemsize: Bytes of a number that is multiplied.
        largest: Numbers of the largest matrix that is multiplied whole.
        head_part: Numbers of the head that are decoded at once.
        judged: Tokens that are evaluated at once.
    """

    config: DecoderConfig
    hold: str
    stored: int
    copies: int
    in_file: bool
    itemsize: int
    largest: int
    head_part: int
    judged: int

    @classmethod
    def of(cls, decoder: Decoder) -> "HeldBase":
        """Return what a decoder on a processor holds."""
        config, item = decoder.config, TYPES[products_in(decoder.precision)].itemsize
        matrices = [name for name in decoder.weights if name.endswith("_proj")]
        return cls(
            config=config,
            hold=decoder.hold,
            stored=sum(weight.nbytes for weight in decoder.weights.values()),
            copies=sum(
                item * prod(weight.shape)
                for name in (*matrices, decoder.head_name)
                if isinstance(weight := decoder.weights[name], QuantizedTensor) or weight.itemsize != item
            ),
            in_file=any(isinstance(weight, MappedTensor) for weight in decoder.weights.values()),
            itemsize=item,
            largest=max(prod(decoder.weights[name].shape) for name in matrices),
            head_part=min(config.vocabulary, part_width(item * config.width)) * config.width,
            judged=read_at_once(decoder),
        )

    @property
    def bytes(self) -> int:
        """Bytes of the weights and of what is decoded beside them."""
        return self.stored + (self.copies if self.hold == "decoded" else 0)

    @property
    def resident(self) -> int:
        """Bytes of it in memory before anything was computed: pages of a file come when they are read."""
        return 0 if self.in_file else self.bytes

    @property
    def buffer(self) -> int:
        """Bytes of the decoded matrix that a product takes."""
        return 0 if self.hold == "decoded" else self.itemsize * max(self.largest, self.head_part)


@dataclass(frozen=True, slots=True)
class ProcessorNeed:
    """What cells of one kind need of a processor's memory beside the program, in bytes.

    Attributes:
        base: The weights, and what is decoded of them.
        buffer: The matrix that is decoded for a product.
        states: Of the frozen blocks' output for every token of the study's examples.
        token: Of each token that goes through a step at once.
        logits: Of logits and their slopes in a step.
        cell_step: Of each cell while gradients are taken.
        cell_update: Of each cell while the optimizer steps.
        cell_judged: Of each cell in an evaluation.
        judging: Of what an evaluation has under way.
        start: Of what is under way where adapters are made.
        room: What a step saves for its gradient at most, but for texts that are longer.
    """

    base: int
    buffer: int
    states: int
    token: int
    logits: int
    cell_step: int
    cell_update: int
    cell_judged: int
    judging: int
    start: int
    room: int

    def peak(self, cells: int, tokens: float | int) -> int:
        """Return the most that a stack of so many cells takes of which so many tokens go through at once."""
        return (
            self.base
            + self.states
            + self.buffer
            + max(
                self.logits + cells * self.cell_step + int(tokens * self.token),
                cells * self.cell_update,
                self.judging + cells * self.cell_judged,
                self.start + cells * self.cell_judged,
            )
        )

    def tokens(self, memory: int, cells: int) -> int:
        """Return how many tokens can go through at once in so much memory; below 1 where it lacks for all."""
        left = memory - self.base - self.states - self.buffer
        if left < max(cells * self.cell_update, self.judging + cells * self.cell_judged):
            return 0
        return (left - self.logits - cells * self.cell_step) // self.token


def processor_need(held: HeldBase, pool_tokens: int, first: int, cell: CellConfig) -> ProcessorNeed:
    """Count what cells like one need.

    Args:
        held: The base, as it is or would be held.
        pool_tokens: Tokens of all examples of the study.
        first: The lowest block with an adapter, of all cells of the study.
        cell: One of the stack; of different ranks, the one with the largest.
    """
    config, packed = held.config, held.hold == "packed"
    kind, numbers = ADAPTER_KINDS[cell.adapter], adapter_numbers(cell, config)
    given_up = numbers if kind.start else 0
    resting = 4 * (STATE * numbers + given_up)
    changed = CHANGED + (RATED if kind.b_rate != 1.0 else 0)
    saved = activation_bytes(config, cell.first_layer, held.hold, cell.precision)
    # beside what it saves, a block's backward pass has slopes of its widest vectors under way
    slopes = 4 * (3 * config.feed_forward + 4 * config.width)
    return ProcessorNeed(
        base=held.bytes,
        buffer=held.buffer,
        states=4 * pool_tokens * config.width if first else 0,
        token=saved + slopes,
        # and once more in 16 bits, where these are multiplied
        logits=3 * (PACKED_LOGIT_BYTES if packed else CHUNK_BYTES) // 2,
        # the gradient of one piece, in its parts and put together, and the sum of all pieces
        cell_step=resting + 4 * (TAKEN - STATE + 2) * numbers + 4 * given_up,
        cell_update=resting + 4 * (changed - STATE) * numbers,
        cell_judged=resting,
        judging=min(held.judged, pool_tokens) * passing_bytes(config, 4) + 3 * LOGIT_BYTES,
        start=4 * START * held.largest if kind.start or kind.magnitudes else 0,
        room=activation_room(held.hold) // activation_bytes(config, first, held.hold, cell.precision),
    )


def held_otherwise(held: HeldBase, hold: str) -> HeldBase:
    """Return a base as if it were held in another way."""
    return replace(held, hold=hold)


def lead_of(cells: Sequence[CellConfig]) -> CellConfig:
    """Return the cell that takes most of those that train together."""
    return max(cells, key=lambda cell: cell.rank)
