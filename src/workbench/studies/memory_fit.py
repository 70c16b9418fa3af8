"""Whether a study fits into a processor's memory, said before it starts; where it doesn't, what would fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from workbench import memory
from workbench.adapters.lora import adapted_shapes
from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.studies.card_fit import PACKED_BITS, SHORTEST_TEXT, gib, longest_of
from workbench.studies.stacks import families_of, step_tokens
from workbench.training.prepare import Prepared
from workbench.training.processor_memory import (
    HeldBase,
    ProcessorNeed,
    held_otherwise,
    lead_of,
    processor_need,
)


@dataclass(frozen=True, slots=True)
class ProcessorRoom:
    """The memory of the processor that a study's base lies on.

    Attributes:
        held: The base.
        pool_tokens: Tokens of all examples of the study.
        first: The lowest block with an adapter, of all cells of the study.
        program: Bytes that this process takes without the base: the program, the data, the examples.
        free: Bytes that it may take in all, the base with it.
        before: The most that it has held so far: decoding takes more than what is decoded.
    """

    held: HeldBase
    pool_tokens: int
    first: int
    program: int
    free: int
    before: int = 0

    @classmethod
    def of(cls, base: Base, prepared: Prepared) -> "ProcessorRoom | None":
        """Return the room that a base has; None where it lies on a card."""
        decoder = base.decoder
        if decoder.device.type != "cpu":
            return None
        held, own = HeldBase.of(decoder), memory.own_bytes()
        program = max(0, own - held.resident)
        free, before = own + memory.free_bytes(), memory.peak_bytes()
        return cls(held, len(prepared.pool.tokens), prepared.first, program, free, before)

    def need(self, cells: Sequence[CellConfig]) -> ProcessorNeed:
        """Return what cells of one stack need beside the program; the largest rank counts for all."""
        return processor_need(self.held, self.pool_tokens, self.first, lead_of(cells))

    def predicted(self, stacks: Sequence[Sequence[CellConfig]], prepared: Prepared) -> int:
        """Return the peak of this process, in bytes, when the largest of the stacks trains."""
        peak = self.program + max(self._peak(stack, prepared) for stack in stacks)
        return max(peak, self.before)

    def _peak(self, stack: Sequence[CellConfig], prepared: Prepared) -> int:
        need, at_once, together = self.need(stack), 0.0, 0
        for family in families_of(stack).values():
            count = min(2, len(family))
            at_once += step_tokens(family[0], prepared) * count
            together += longest_of(family, prepared)
        # a longer step goes through in pieces, of which none is shorter than an example of each cell
        return need.peak(len(stack), max(min(at_once, need.room), together))

    def fits(self, need: ProcessorNeed, cells: int, tokens: int) -> bool:
        """Say whether a stack of so many cells fits, of which so many tokens go through at once."""
        return self.program + need.peak(cells, tokens) <= self.free


def lacking(
    room: ProcessorRoom, cells: Sequence[CellConfig], prepared: Prepared
) -> tuple[list[CellConfig], int] | None:
    """Return the first cells that can't train alone in the memory there is, and their tokens, if any."""
    for family in families_of(cells).values():
        longest = longest_of(family, prepared)
        if not room.fits(room.need(family), len(family), longest):
            return family, longest
    return None


def fits_packed(room: ProcessorRoom, cells: Sequence[CellConfig], prepared: Prepared) -> bool:
    """Say whether all cells could train if the base were held packed, and it isn't."""
    if not better_packed(room, cells, prepared):
        return False
    packed = replace(room, held=held_otherwise(room.held, "packed"))
    return lacking(packed, cells, prepared) is None


def better_packed(room: ProcessorRoom, cells: Sequence[CellConfig], prepared: Prepared) -> bool:
    """Say whether a base is held decoded, takes too much memory so, and can be held packed instead."""
    possible = room.held.hold == "decoded" and all(cell.precision != "int8" for cell in cells)
    return possible and lacking(room, cells, prepared) is not None


def check_memory(room: ProcessorRoom, base: Base, cells: Sequence[CellConfig], prepared: Prepared) -> None:
    """Refuse a study of which not even one cell fits into the memory that is free.

    Raises:
        InputError: With what would fit.
    """
    found = lacking(room, cells, prepared)
    if found is None:
        return
    family, longest = found
    need = room.need(family)
    peak = room.program + need.peak(len(family), longest)
    base_gib = gib(need.base + need.buffer)
    what = "one cell needs" if len(family) == 1 else f"{len(family)} cells of one trunk need"
    ways = list(_smaller(room, family, longest, base.bits_per_weight))
    if fits_packed(room, cells, prepared):
        ways.insert(0, "--hold packed")
    advice = f"what would fit: {', or '.join(ways)}" if ways else "take a smaller base"
    raise InputError(
        f"{gib(room.free)} of memory are free, and {what} {gib(peak)} ({base.name}, held {room.held.hold}, "
        f"{base_gib}; the program and the data {gib(room.program)}; the rest to train); close what else uses "
        f"the memory; {advice}"
    )


def _smaller(room: ProcessorRoom, family: Sequence[CellConfig], tokens: int, bits: float) -> Iterator[str]:
    """Yield what would make the study small enough, each alone, as the options that ask for it.

    A weight of the base has so many ``bits``.
    """
    config, lead, cells = room.held.config, lead_of(family), len(family)

    def enough(changed: CellConfig, room: ProcessorRoom) -> bool:
        return room.fits(room.need([changed]), cells, tokens)

    for count in range(config.layers - lead.first_layer - 1, 0, -1):
        first = config.layers - count
        if enough(lead.with_(first_layer=first), replace(room, first=first)):
            yield f"--adapted-layers {count}"
            break
    rank = lead.rank // 2
    while rank and not enough(lead.with_(rank=rank), room):
        rank //= 2
    if rank and adapted_shapes(lead, config):
        yield f"--rank {rank}"
    at_once = min(2, cells)
    need = room.need(family)
    shorter = need.tokens(room.free - room.program, cells) // at_once
    if shorter >= SHORTEST_TEXT and room.fits(need, cells, shorter * at_once):
        yield f"texts of at most {shorter:,} tokens instead of {tokens // at_once:,}"
    packed = int(room.held.stored * PACKED_BITS / bits)
    fewer = replace(room.held, stored=packed)
    if packed < room.held.stored and enough(lead, replace(room, held=fewer)):
        yield "the same base in 4 bits (such as a GGUF file of type Q4_K_M)"


def why_packed(room: ProcessorRoom) -> str:
    """Return why a base is held packed that nobody asked to be held so."""
    decoded = held_otherwise(room.held, "decoded")
    return (
        f"the base is held packed: decoded it would take {gib(decoded.bytes)}, and {gib(room.free)} of "
        "memory are free; each product decodes its matrix, which takes time"
    )


def memory_in_words(room: ProcessorRoom, stacks: Sequence[Sequence[CellConfig]], prepared: Prepared) -> str:
    """Return what is said of a processor's memory before a study is run."""
    which = f"the largest of {len(stacks)} stacks" if len(stacks) > 1 else "the one stack"
    return (
        f"memory: {which} takes this process to about {gib(room.predicted(stacks, prepared))}, the base held "
        f"{room.held.hold}; {gib(room.free)} are free"
    )
