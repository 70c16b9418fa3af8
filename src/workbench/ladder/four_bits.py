"""What fewer bits cost a rung: how far a rounded model is from its own float32, for each kind of numbers.

The weights of a ladder were never rounded before, so nothing in them is made for one kind. The matrices of
the blocks are rounded, as QLoRA does; the embedding and the norms stay. Blocks run through a matrix row after
row, so that the narrow rungs, whose rows are shorter than the 256 weights of a super-block, can be measured
too. No GGUF could hold these, for there blocks end with their row.

The measure is the Kullback-Leibler divergence of the next token from float32 to rounded, over all tokens of
held-out examples, in nats: all that rounding changes, and, unlike a loss, never better by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.classroom.pretrain import whole_example_of
from workbench.classroom.word_tasks import WordTask
from workbench.data.batches import Pool
from workbench.exporting.parity import divergence
from workbench.models.decoder import Decoder
from workbench.models.writers.numbers import KINDS_OF_NUMBERS

ROUNDED_KINDS = ("q8_0", "q6_k", "q4_k", "q4_1")
"""Kinds of numbers that are compared, in the order in which their cost is expected to rise."""
SUPER_BLOCK_MULTIPLE = 256
READ_TOGETHER = 512
"""Held-out examples that are read together."""


def rounded_through(weight: Tensor, kind: str) -> Tensor:
    """Return a matrix rounded to a kind of numbers, its blocks running from row to row.

    Zeros fill the last super-block up and are cut off again.
    """
    flat = weight.flatten()
    filled = torch.nn.functional.pad(flat, (0, -len(flat) % SUPER_BLOCK_MULTIPLE))
    packed = KINDS_OF_NUMBERS[kind].round(filled[None])
    numbers = packed.dequantize() if isinstance(packed, QuantizedTensor) else packed
    return numbers.flatten()[: len(flat)].view_as(weight)


def rounded_decoder(decoder: Decoder, kind: str) -> Decoder:
    """Return a decoder with the matrices of its blocks rounded."""
    weights = {
        name: rounded_through(decoder.weight(name), kind) if name.endswith("_proj") else decoder.weight(name)
        for name in decoder.weights
    }
    return Decoder(decoder.config, weights)


def divergence_of(first: Decoder, second: Decoder, tasks: Sequence[WordTask]) -> float:
    """Return the mean divergence from one decoder to another over all tokens, in nats."""
    pool = Pool(whole_example_of(task) for task in tasks)
    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(pool), READ_TOGETHER):
            batch = pool.batch([list(range(start, min(start + READ_TOGETHER, len(pool))))])
            one, two = (
                decoder.head(decoder(batch).flatten(0, 1)[batch.label_slots]).float().log_softmax(-1)
                for decoder in (first, second)
            )
            total += float(divergence(one, two).sum())
            count += len(one)
    return total / count


def cost_of_rounding(decoder: Decoder, tasks: Sequence[WordTask]) -> dict[str, float]:
    """Return the divergence of each of ``ROUNDED_KINDS``, in nats a token."""
    return {kind: divergence_of(decoder, rounded_decoder(decoder, kind), tasks) for kind in ROUNDED_KINDS}


@dataclass(frozen=True, slots=True)
class RoundingCost:
    """The divergence of one rung's seeds, by kind of numbers."""

    parameters: int
    by_kind: Mapping[str, tuple[float, ...]]

    def mean(self, kind: str) -> float:
        """Return the mean over the seeds."""
        return float(np.mean(self.by_kind[kind]))

    @property
    def in_order(self) -> int:
        """How many seeds have the costs in the order of ``ROUNDED_KINDS``."""
        return sum(list(costs) == sorted(costs) for costs in zip(*self.by_kind.values(), strict=True))

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(next(iter(self.by_kind.values())))


def sentence_on_order(costs: Sequence[RoundingCost]) -> str:
    """Say in how many models the kinds of numbers cost what their order says."""
    found, every = sum(cost.in_order for cost in costs), sum(cost.seeds for cost in costs)
    order = " < ".join(ROUNDED_KINDS)
    return f"{order} in {found} of {every} models"


def sentence_on_size(costs: Sequence[RoundingCost], kind: str = "q4_k") -> str:
    """Say whether a kind costs the largest rung more or less than the smallest, if seeds tell."""
    first, last = costs[0], costs[-1]
    low, high = sorted((first, last), key=lambda cost: cost.mean(kind))
    apart = max(low.by_kind[kind]) < min(high.by_kind[kind]) and low.seeds > 2
    said = (
        f"{kind} costs {first.mean(kind):.2e} nats a token at {first.parameters:,} parameters and "
        f"{last.mean(kind):.2e} at {last.parameters:,}"
    )
    if first is last:
        return said.partition(" and ")[0]
    if not apart:
        return f"{said}; the seeds overlap or are too few, so no difference is claimed"
    return f"{said}: {'more' if high is last else 'less'} for the larger one in every pair of seeds"
