"""What cells cost: floating-point operations from the shapes, joules where the machine has a meter, money.

Operations count a multiplication and an addition as two, as in ``torch.utils.flop_counter``, which a test
compares with. Not counted: norms, softmax, rotary positions, the optimizer; together about a percent.
"""

from collections.abc import Iterable
from pathlib import Path

from workbench.config import LINEARS, CellConfig
from workbench.models.decoder import DecoderConfig
from workbench.studies.plan import Plan
from workbench.studies.stacks import step_tokens

AFTER_ATTENTION = ("o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a block that read one token each."""
POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy meters of Intel and AMD processors."""


def training_flops(plan: Plan, cell: CellConfig, steps: int | None = None) -> float:
    """Return the operations of a cell's training: forward, and backward through what lies above an adapter.

    Args:
        plan: The study.
        cell: One of its cells.
        steps: Steps that were taken; all that the cell takes for itself by default.
    """
    decoder, pool = plan.base.decoder.config, plan.prepared.frozen.pool
    draw = plan.prepared.draws[cell.key()]
    labels = float((pool.lengths - pool.prompts)[draw].double().mean()) * cell.batch_size
    tokens = step_tokens(cell, plan.prepared)
    length = float(pool.lengths[draw].double().mean())
    forward = _forward(decoder, cell, tokens, labels, length)
    # the frozen weights need no gradient: one more product instead of two; the adapters need both
    backward = forward + _adapter(decoder, cell, tokens, labels)
    return (plan.own_steps[cell.key()] if steps is None else steps) * (forward + backward)


def evaluation_flops(plan: Plan, cell: CellConfig) -> float:
    """Return the operations of evaluating one cell on the held-out examples."""
    pool, heldout = plan.prepared.frozen.pool, plan.prepared.heldout
    items = heldout.examples
    lengths = pool.lengths[items].double()
    labels = float((pool.lengths - pool.prompts)[items].double().sum())
    return _forward(plan.base.decoder.config, cell, float(lengths.sum()), labels, float(lengths.mean()))


def shared_flops(plan: Plan) -> float:
    """Return the operations that all cells share: each example once through the blocks below the adapters."""
    frozen = plan.prepared.frozen
    decoder = plan.base.decoder.config
    lengths = frozen.pool.lengths.double()
    tokens = float(lengths.sum())
    return frozen.first * (2 * tokens * _block(decoder) + _attention(decoder, tokens, float(lengths.mean())))


def _forward(decoder: DecoderConfig, cell: CellConfig, tokens: float, labels: float, length: float) -> float:
    blocks = decoder.layers - cell.first_layer
    frozen = blocks * (2 * tokens * _block(decoder) + _attention(decoder, tokens, length))
    # in the last block, what follows attention runs on the labels alone
    frozen -= 2 * (tokens - labels) * _block(decoder, AFTER_ATTENTION)
    head = 2 * labels * decoder.vocabulary * decoder.width
    return frozen + _adapter(decoder, cell, tokens, labels) + head


def _block(decoder: DecoderConfig, leaves: Iterable[str] = LINEARS) -> int:
    return sum(outputs * inputs for outputs, inputs in map(decoder.linear_shape, leaves))


def _attention(decoder: DecoderConfig, tokens: float, length: float) -> float:
    # scores and values; the mask is not exploited
    return 4 * tokens * length * decoder.heads * decoder.head_size


def _adapter(decoder: DecoderConfig, cell: CellConfig, tokens: float, labels: float) -> float:
    sides = {leaf: sum(decoder.linear_shape(leaf)) for leaf in cell.targets}
    whole = (decoder.layers - cell.first_layer) * tokens * sum(sides.values())
    spared = (tokens - labels) * sum(size for leaf, size in sides.items() if leaf in AFTER_ATTENTION)
    return 2 * cell.rank * (whole - spared)


class EnergyMeter:
    """The processor packages' energy counters, from the meter's making on."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        """Start; ``folder`` is where the system shows its counters."""
        self.zones = [zone for zone in sorted(folder.glob("*-rapl:?")) if _readable(zone / "energy_uj")]
        self.last = {zone: _number(zone / "energy_uj") for zone in self.zones}
        self.microjoules = 0

    def joules(self) -> float | None:
        """Return what was used so far; None on a machine without a counter that may be read.

        The counters wrap around within minutes to hours: ask now and then.
        """
        for zone in self.zones:
            now = _number(zone / "energy_uj")
            used = now - self.last[zone]
            self.microjoules += used if used >= 0 else used + _number(zone / "max_energy_range_uj")
            self.last[zone] = now
        return self.microjoules / 1e6 if self.zones else None


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False  # most distributions let only root read it
    return True


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Return how long tasks take when each goes, in order, to the worker that is free first."""
    free = [0.0] * workers
    for length in seconds:
        free[free.index(min(free))] += length
    return max(free)
