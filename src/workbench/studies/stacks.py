"""Which cells are trained together.

The partition is a function of the study alone, never of the clock or of what is already done, so a resumed
study computes what an uninterrupted one would have.
"""

from collections.abc import Sequence

from workbench.config import CellConfig
from workbench.models.decoder import DecoderConfig
from workbench.training.loop import ACTIVATION_BYTES, activation_bytes
from workbench.training.prepare import Prepared

STEP_TOKENS = 4096
"""Tokens in a step at which the cost of starting an operation no longer shows."""


def partition(
    cells: Sequence[CellConfig], prepared: Prepared, decoder: DecoderConfig
) -> list[list[CellConfig]]:
    """Cut the study's cells into stacks.

    Cells of one stack adapt the same layers and take batches of one size. A stack is as large as
    :data:`STEP_TOKENS` and :data:`ACTIVATION_BYTES` allow, and at least one cell. Cells of similar length
    go together: one that has taken its steps leaves its stack, and the others go on in a smaller one.
    """
    kinds: dict[tuple[object, ...], list[CellConfig]] = {}
    for cell in cells:
        kinds.setdefault((cell.first_layer, cell.targets, cell.batch_size), []).append(cell)
    stacks = []
    for kind in kinds.values():
        kind.sort(key=lambda cell: -cell.total_steps)
        tokens = max(step_tokens(cell, prepared) for cell in kind)
        room = min(STEP_TOKENS, ACTIVATION_BYTES // activation_bytes(decoder, kind[0].first_layer))
        together = max(1, int(room // tokens))
        count = -(-len(kind) // together)
        # equal stacks: 13 cells with room for 12 become 7 and 6, not 12 and 1
        stacks += [kind[len(kind) * i // count : len(kind) * (i + 1) // count] for i in range(count)]
    return stacks


def step_tokens(cell: CellConfig, prepared: Prepared) -> float:
    """Return the mean number of tokens in one step of a cell; what all examples begin with counts once."""
    pool = prepared.frozen.pool
    own = pool.lengths[prepared.draws[cell.key()]] - pool.shared
    return pool.shared + float(own.double().mean()) * cell.batch_size
