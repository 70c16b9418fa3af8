"""Which cells are trained together.

The partition is a function of the study alone, never of the clock or of what is already done, so a resumed
study computes what an uninterrupted one would have.
"""

from collections.abc import Sequence

from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.config import CellConfig
from workbench.models.decoder_config import DecoderConfig
from workbench.training.card_memory import CardRoom
from workbench.training.loop import (
    ACTIVATION_BYTES,
    PACKED_ACTIVATION_BYTES,
    Branches,
    activation_bytes,
    trunk_of,
)
from workbench.training.prepare import Prepared

STEP_TOKENS = 4096
"""Tokens in a step at which the cost of starting an operation no longer shows on a processor."""
STEP_TOKENS_ON_GPU = 2**16
"""The same on a card: a product of so many rows with a layer of 576 x 576 takes 43 billion operations, which
the fastest of today's cards do in 40 microseconds or more, and starting one takes about 5."""


def partition(
    cells: Sequence[CellConfig],
    prepared: Prepared,
    decoder: DecoderConfig,
    card: CardRoom | None = None,
    hold: str = "decoded",
) -> list[list[CellConfig]]:
    """Cut the study's cells into stacks.

    Cells of one stack adapt the same layers in the same way and take batches of one size. A stack is as
    large as :data:`STEP_TOKENS` and :data:`ACTIVATION_BYTES` allow (for a base that is held packed,
    :data:`PACKED_ACTIVATION_BYTES`), or on a card :data:`STEP_TOKENS_ON_GPU` and the card's memory, and at
    least one cell. Cells of similar length go together: one that has taken its steps leaves its stack, and
    the others go on in a smaller one. So do the sizes of one trunk, of which one trains at a time, and a
    second one while its rate falls.
    """
    kinds: dict[tuple[object, ...], list[CellConfig]] = {}
    for cell in cells:
        tokens_of_prefix = cell.rank if ADAPTER_KINDS[cell.adapter].prefix else 0
        alike = (cell.first_layer, cell.targets, cell.adapter, tokens_of_prefix, cell.batch_size)
        kinds.setdefault(alike, []).append(cell)
    stacks = []
    for kind in kinds.values():
        units = sorted(families_of(kind).values(), key=lambda unit: -max(cell.total_steps for cell in unit))
        tokens = max(step_tokens(cell, prepared) for cell in kind) * max(min(2, len(unit)) for unit in units)
        if card is None:
            most = ACTIVATION_BYTES if hold == "decoded" else PACKED_ACTIVATION_BYTES
            each = activation_bytes(decoder, kind[0].first_layer, hold, kind[0].precision)
            room = min(STEP_TOKENS, most // each)
            together = max(1, int(room // tokens))
        else:
            together = _on_card(card, kind, max(map(len, units)), tokens, len(units))
        count = -(-len(units) // together)
        # equal stacks: 13 cells with room for 12 become 7 and 6, not 12 and 1
        cuts = [units[len(units) * i // count : len(units) * (i + 1) // count] for i in range(count)]
        stacks += [[cell for unit in cut for cell in unit] for cut in cuts]
    return stacks


def _on_card(card: CardRoom, kind: Sequence[CellConfig], cells: int, tokens: float | int, units: int) -> int:
    """Return how many units, each of so many cells and tokens in a step, a card trains together."""
    need = card.need(kind)
    most = min(units, max(1, int(STEP_TOKENS_ON_GPU // tokens)))
    fitting = (
        count for count in range(most, 1, -1) if need.peak(count * cells, count * tokens) <= card.memory
    )
    return next(fitting, 1)


def cut_in_two(stack: Sequence[CellConfig]) -> list[list[CellConfig]]:
    """Cut a stack in two, the cells of one trunk together; return it whole where it can't be cut."""
    units = list(families_of(stack).values())
    cuts = units[: (len(units) + 1) // 2], units[(len(units) + 1) // 2 :]
    return [[cell for unit in cut for cell in unit] for cut in cuts if cut]


def families_of(cells: Sequence[CellConfig]) -> dict[CellConfig, list[CellConfig]]:
    """Return the cells that stay in one stack whatever its size, because they share a trunk."""
    families: dict[CellConfig, list[CellConfig]] = {}
    for cell in cells:
        families.setdefault(trunk_of(cell) or cell, []).append(cell)
    return families


def step_tokens(cell: CellConfig, prepared: Prepared) -> float:
    """Return the mean number of tokens in one step of a cell; what all examples begin with counts once."""
    pool = prepared.pool
    own = pool.lengths[prepared.draws[cell.key()]] - pool.shared
    return pool.shared + float(own.double().mean()) * cell.batch_size


def own_steps(stacks: Sequence[Sequence[CellConfig]], branched: Sequence[Branches]) -> dict[str, int]:
    """Return the steps that each cell takes for itself, by its key: all, or those behind its trunk."""
    return {
        cell.key(): cell.total_steps - begin
        for stack, (_, begins) in zip(stacks, branched, strict=True)
        for cell, begin in zip(stack, begins, strict=True)
    }
