"""Whether a study fits into its card's memory, said before it starts; where it doesn't, what would fit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch

from workbench.config import CellConfig
from workbench.devices import Device
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.studies.stacks import families_of, step_tokens
from workbench.training.card_memory import CardNeed, CardRoom
from workbench.training.prepare import Prepared

PACKED_BITS = 4.5
"""Bits a weight of the usual formats of 4 bits, scales included."""
SHORTEST_TEXT = 16
"""Tokens below which a text is none."""


@contextmanager
def base_fits(device: Device, name: str) -> Iterator[None]:
    """Say in a sentence that a base is being loaded onto a card that is too small for its weights alone.

    Raises:
        InputError: If it is.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"the weights of {name} alone don't fit into what is free of the {gib(device.memory or 0)} of "
            f"{device.card}; choose the same base in fewer bits (such as a GGUF file of type Q4_K_M), a "
            "smaller one, or --device cpu"
        ) from error


def gib(number: float | int) -> str:
    """Return bytes as people say them."""
    return f"{number / 2**30:.1f} GiB"


def largest_need(card: CardRoom, stacks: Sequence[Sequence[CellConfig]], prepared: Prepared) -> int:
    """Return the bytes of a card that the largest of the stacks takes; at most all, then in pieces."""
    return max(_peak(card, stack, prepared) for stack in stacks)


def _peak(card: CardRoom, stack: Sequence[CellConfig], prepared: Prepared) -> int:
    need = card.need(stack)
    tokens = sum(
        step_tokens(family[0], prepared) * min(2, len(family)) for family in families_of(stack).values()
    )
    return need.peak(len(stack), min(tokens, need.tokens(card.memory, len(stack))))


def check_card(
    card: CardRoom, device: Device, base: Base, cells: Sequence[CellConfig], prepared: Prepared
) -> None:
    """Refuse a study of which not even one cell fits into the card's memory.

    Raises:
        InputError: With what would fit.
    """
    for family in families_of(cells).values():
        longest = longest_of(family, prepared)
        need = card.need(family)
        if _fits(need, card.memory, len(family), longest):
            continue
        parts = need.parts(len(family), longest)
        told = ", ".join(f"{name} {gib(size)}" for name, size in parts.items() if size)
        what = "one cell needs" if len(family) == 1 else f"{len(family)} cells of one trunk need"
        ways = [*_smaller(card, family, longest, base), "--device cpu"]
        raise InputError(
            f"{device.card} has {gib(card.memory)} of memory, and {what} "
            f"{gib(need.peak(len(family), longest))} ({told}); what would fit: {', or '.join(ways)}"
        )


def longest_of(family: Sequence[CellConfig], prepared: Prepared) -> int:
    """Return the tokens that have to go through at once: the longest text of each cell that trains."""
    places = sorted({place for cell in family for place in prepared.draws[cell.key()]})
    return int(prepared.pool.lengths[places].max()) * min(2, len(family))


def _fits(need: CardNeed, memory: int, cells: int, tokens: int) -> bool:
    return need.peak(cells, tokens) <= memory


def _smaller(card: CardRoom, family: Sequence[CellConfig], tokens: int, base: Base) -> Iterator[str]:
    """Yield what would make the study small enough, each alone, as the options that ask for it."""
    layers, lead, cells = card.decoder.config.layers, max(family, key=lambda one: one.rank), len(family)

    def enough(changed: CellConfig, room: CardRoom) -> bool:
        return _fits(room.need([changed]), card.memory, cells, tokens)

    for count in range(layers - lead.first_layer - 1, 0, -1):
        first = layers - count
        if enough(lead.with_(first_layer=first), replace(card, first=first)):
            yield f"--adapted-layers {count}"
            break
    rank = lead.rank // 2
    while rank and not enough(lead.with_(rank=rank), card):
        rank //= 2
    if rank:
        yield f"--rank {rank}"
    at_once = min(2, cells)
    need = card.need(family)
    shorter = need.tokens(card.memory, cells) // at_once
    if shorter >= SHORTEST_TEXT and _fits(need, card.memory, cells, shorter * at_once):
        yield f"texts of at most {shorter:,} tokens instead of {tokens // at_once:,}"
    packed = int(need.base * PACKED_BITS / base.bits_per_weight)
    if packed < need.base and _fits(replace(need, base=packed), card.memory, cells, tokens):
        yield "the same base in 4 bits (such as a GGUF file of type Q4_K_M)"
