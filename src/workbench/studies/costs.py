"""What cells cost: floating-point operations from the shapes, joules where the machine has a meter, money.

Operations count a multiplication and an addition as two, as in ``torch.utils.flop_counter``. Where all
examples have one length, a test finds every operation that torch's counter finds. Left out are:

- what a response that has ended computes while others are still written, and what failed cells wrote;
- what isn't a matrix product: norms, softmax, rotary positions, the optimizer;
- attention's scores a second time, which long examples, and GPUs, compute for the gradient instead of keeping
  them;
- attention's work behind an example's end: examples of similar length run as one block, each as long as the
  longest. On `verbs` that is 3 to 5% of all operations.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.config import CellConfig
from workbench.metrics import on_set
from workbench.models.decoder_config import SAME_INPUT, DecoderConfig
from workbench.studies.plan import Plan
from workbench.training.generated import WRITTEN

ATTENTION_BACKWARD = 2.0
"""Products that the gradient of attention takes, relative to attention: two of each."""
POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy meters of Intel and AMD processors."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What one pass goes through, on average."""

    tokens: float
    labels: float
    squares: float
    """Sum of the squares of the examples' lengths."""


def training_flops(plan: Plan, cell: CellConfig, steps: int | None = None) -> float:
    """Return the operations of a cell's training: forward, and backward through what lies above an adapter.

    Args:
        plan: The study.
        cell: One of its cells.
        steps: Steps that were taken; all that the cell takes for itself by default.
    """
    draw = plan.prepared.draws[cell.key()]
    one = _work(plan, draw, cell.batch_size)
    blocks = _adapted_blocks(plan.base.decoder.config, cell, one)
    # the head's one product back is of its input: it is frozen
    step = 2 * _head(plan.base.decoder.config, one) + sum(forward + backward for forward, backward in blocks)
    step += _lengths(plan.base.decoder.config, cell)
    return (plan.own_steps[cell.key()] if steps is None else steps) * step


def evaluation_flops(plan: Plan, cell: CellConfig) -> float:
    """Return the operations of evaluating one cell on the examples of every evaluation set."""
    items = [item for one in plan.prepared.sets.values() for item in one.examples]
    decoder, work = plan.base.decoder.config, _work(plan, items, len(items))
    blocks = sum(forward for forward, _ in _adapted_blocks(decoder, cell, work))
    # once for each set: the adapters are the same for all its examples
    return _head(decoder, work) + blocks + len(plan.prepared.sets) * _lengths(decoder, cell)


def generation_flops(plan: Plan, cell: CellConfig, curves: Mapping[str, Sequence[float]]) -> float:
    """Return the operations of what a cell wrote to be judged by it; 0 where nothing was written.

    Each prompt runs through all blocks, and so does each token that was written, except the last of a
    response that reached the limit.

    Args:
        plan: The study.
        cell: One of its cells.
        curves: Its curves, of which ``item_written`` has the tokens of each response.
    """
    decoder, pool = plan.base.decoder.config, plan.prepared.pool
    total = 0.0
    for name, how in plan.prepared.generation.items():
        written = curves.get(on_set(name, f"item_{WRITTEN}"))
        if written is None:
            continue
        prompts = pool.prompts[plan.prepared.sets[name].references].double()
        read = torch.tensor(written, dtype=torch.float64).clamp(max=how.limit - 1)
        tokens = pool.shared + float((prompts - pool.shared + read).sum())
        # a token looks at the prompt, at what was written before it and at itself
        looked_at = prompts.square() + read * prompts + read * (read + 1) / 2
        work = _Work(tokens, tokens, float(looked_at.sum()))
        blocks = [
            _block(decoder, work, cell if layer >= cell.first_layer else None)
            for layer in range(decoder.layers)
        ]
        heads = _Work(tokens, float((read + 1).sum()), 0.0)
        total += _head(decoder, heads) + sum(forward for forward, _ in blocks) + _lengths(decoder, cell)
    return total


def shared_flops(plan: Plan) -> float:
    """Return the operations that all cells share: each example once through the blocks below the adapters."""
    examples = range(len(plan.prepared.pool))
    work = _work(plan, examples, len(examples))
    whole = _Work(work.tokens, work.tokens, work.squares)
    return plan.prepared.first * _block(plan.base.decoder.config, whole)[0]


def _work(plan: Plan, examples: Sequence[int], count: int) -> _Work:
    """Return what ``count`` of these examples come to; what all examples begin with stands once."""
    pool = plan.prepared.pool
    lengths = pool.lengths[examples].double()
    return _Work(
        tokens=pool.shared + float((lengths - pool.shared).mean()) * count,
        labels=float(pool.labels[examples].double().mean()) * count,
        squares=float(lengths.square().mean()) * count,
    )


def _adapted_blocks(decoder: DecoderConfig, cell: CellConfig, work: _Work) -> Iterator[tuple[float, float]]:
    for layer in range(cell.first_layer, decoder.layers):
        # in the last block, what follows attention runs on the labels alone
        rows = work.labels if layer == decoder.layers - 1 else work.tokens
        yield _block(decoder, replace(work, labels=rows), cell, lowest=layer == cell.first_layer)


def _block(
    decoder: DecoderConfig, work: _Work, cell: CellConfig | None = None, *, lowest: bool = True
) -> tuple[float, float]:
    """Return a block's operations, forward and backward.

    Args:
        decoder: The base.
        work: What goes through it; what follows attention runs on the ``labels``.
        cell: Whose adapters the block carries; none by default.
        lowest: Whether nothing below needs a gradient.
    """
    forward = backward = 0.0
    reached = not lowest
    for leaves in SAME_INPUT:
        after_attention = leaves is not SAME_INPUT[0]
        rows = work.labels if after_attention else work.tokens
        if decoder.experts and leaves in SAME_INPUT[2:]:
            rows *= decoder.experts_used
        shapes = [decoder.linear_shape(leaf) for leaf in leaves]
        inputs, outputs = shapes[0][1], sum(outputs for outputs, _ in shapes)
        # the adapters of layers with one input are one adapter, with zeros between its parts
        rank = 0
        if cell and not ADAPTER_KINDS[cell.adapter].prefix:
            carried = ADAPTER_KINDS[cell.adapter].carried(cell.rank)
            rank = carried * sum(leaf in cell.targets for leaf in leaves)
        base, into, out_of = (2 * rows * size for size in (inputs * outputs, rank * inputs, rank * outputs))
        forward += base + into + out_of
        # gradients of the input, where something below needs it, and of the adapter's parts
        backward += (base + into if reached else 0.0) + into + 2 * out_of
        reached = reached or rank > 0
        if not after_attention:
            attention = 4 * work.squares * decoder.heads * decoder.head_size  # the mask is not exploited
            forward += attention
            backward += ATTENTION_BACKWARD * attention if reached else 0.0
            if cell and ADAPTER_KINDS[cell.adapter].prefix:
                made, taken = (
                    2 * cell.rank * inputs * outputs,
                    2 * rows * cell.rank * decoder.heads * decoder.head_size,
                )
                forward += made + 2 * taken
                # of the tokens through their keys and values, of the shares and values, of keys and queries
                backward += made + 3 * taken + (taken if reached else 0.0)
                reached = True
    if decoder.experts:
        scores = 2 * work.labels * decoder.width * decoder.experts
        forward += scores
        backward += scores if reached else 0.0
    return forward, backward


def _lengths(decoder: DecoderConfig, cell: CellConfig) -> float:
    """Return the operations of the lengths of all changed rows, under a kind of adapter that has them."""
    if not ADAPTER_KINDS[cell.adapter].magnitudes:
        return 0.0
    total, rank = 0.0, cell.rank
    for leaf in cell.targets:
        outputs, inputs = decoder.linear_shape(leaf)
        alike = next(leaves for leaves in SAME_INPUT if leaf in leaves)
        # A runs through all the weights that read its input, for they are one product
        total += 2 * rank * inputs * sum(decoder.linear_shape(one)[0] for one in alike)
        total += 2 * rank * rank * inputs + 2 * outputs * rank * (rank + 2)
    return (decoder.layers - cell.first_layer) * total


def _head(decoder: DecoderConfig, work: _Work) -> float:
    return 2 * work.labels * decoder.vocabulary * decoder.width


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
