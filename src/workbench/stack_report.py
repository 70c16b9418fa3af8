"""What adapters do to each other when they are put on one base together.

Ranks and shared directions come from the adapters alone. What each loses in the stack is measured: the loss
on records of its own task, on the bare base, with this adapter alone and with the whole stack.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from workbench.adapters.ranks import effective_rank, overlap, singular_values
from workbench.adapters.stack import WeightedAdapter, stacked
from workbench.adapters.sums import combine
from workbench.data.batches import Pool
from workbench.data.sources import load_dataset
from workbench.data.templates import render, stops
from workbench.errors import InputError
from workbench.models.adapted import Adapters
from workbench.models.base import Base
from workbench.training.evaluation import HeldOut, evaluate
from workbench.training.loop import Frozen


@dataclass(frozen=True, slots=True)
class Alone:
    """One adapter of a stack, or the stack as one (``name`` is then "stack")."""

    name: str
    rank: float
    """Mean over its layers."""
    effective_rank: float
    """Mean over its layers: how many directions its change spreads over."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two adapters of a stack, over the layers that both adapt; means over these."""

    first: str
    second: str
    layers: int
    read: float
    """Shared share of the directions that they read: the rows of A."""
    written: float
    """Shared share of the directions that they write: the columns of B."""
    by_chance: float
    """What random matrices of these ranks would share, of those that they write."""


@dataclass(frozen=True, slots=True)
class Interference:
    """What an adapter's own task loses when the others are there, in nats a response token."""

    task: str
    records: int
    bare: float
    """Loss of the base."""
    alone: float
    """Loss with the task's adapter, at its weight."""
    stack: float
    """Loss with all of them."""

    @property
    def lost(self) -> float:
        """The share of what the adapter gained that the others take away; NaN where it gained nothing."""
        gained = self.bare - self.alone
        return (self.stack - self.alone) / gained if gained > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class StackReport:
    """All of it."""

    alone: tuple[Alone, ...]
    """In the order of the stack, the stack itself last."""
    pairs: tuple[Pair, ...]
    interference: tuple[Interference, ...]


@dataclass(frozen=True, slots=True)
class _Fixed:
    """Trained adapters, as an evaluation takes them: a stack of one."""

    carried: Adapters
    cells: Sequence[Any] = (None,)

    def adapters(self) -> Adapters:
        return self.carried


def report_on_stack(
    parts: Sequence[WeightedAdapter],
    names: Sequence[str],
    base: Base | None = None,
    tasks: Mapping[str, str | Path] | None = None,
    *,
    template: str | None = None,
    most: int = 200,
    reading: Mapping[str, Any] | None = None,
) -> StackReport:
    """Compare the adapters of a stack, and measure what each loses in it.

    Args:
        parts: The stack, in order.
        names: What each is called, such as its task.
        base: What they belong to; needed to measure.
        tasks: For some of the names a file of records of its task; these are only measured on.
        template: How records become text; the base's chat template, or plain text where it has none.
        most: Records of each file that are measured on.
        reading: How the files are read: mapping, read_as, on_empty, on_bad.

    Raises:
        InputError: If a name is none of the stack's or twice in it, DoRA is among several, or a file can't
            be used.
    """
    if len(set(names)) != len(parts):
        raise InputError(f"the stack's names are {', '.join(names)}; give each adapter a name of its own")
    if parts and any(part.adapter.dora for part in parts) and len(parts) > 1:
        raise InputError("DoRA rescales rows, so it can't be one of several in a stack; leave it out")
    used = [part for part in parts if part.weight != 0]
    if not used:
        raise InputError("the stack has no adapter with a weight other than 0; give one")
    whole = combine([one.adapter for one in used], [one.weight for one in used]) if len(used) > 1 else None
    adapters = [*zip(names, [part.adapter for part in parts], strict=True)]
    alone = [_alone(name, adapter) for name, adapter in adapters]
    alone.append(_alone("stack", whole or used[0].adapter))
    measured = [
        _interference(base, parts[_place(task, names)], parts, task, file, template, most, reading or {})
        for task, file in (tasks or {}).items()
    ]
    return StackReport(
        tuple(alone),
        tuple(_pair(*one, *other) for one, other in combinations(adapters, 2)),
        tuple(measured),
    )


def _place(task: str, names: Sequence[str]) -> int:
    if task not in names:
        raise InputError(f"no adapter of the stack is called {task!r}; they are {', '.join(names)}")
    return list(names).index(task)


def _alone(name: str, adapter: Any) -> Alone:  # noqa: ANN401 - a LoraAdapter
    values = [singular_values(adapter, layer) for layer in adapter.layers]
    return Alone(
        name,
        fmean(adapter.layer_rank(layer) for layer in adapter.layers),
        fmean(map(effective_rank, values)),
    )


def _pair(first: str, one: Any, second: str, other: Any) -> Pair:  # noqa: ANN401 - LoraAdapters
    shared = [layer for layer in one.layers if layer in set(other.layers)]
    if not shared:
        return Pair(first, second, 0, 0.0, 0.0, 0.0)
    found = [overlap(one, other, layer) for layer in shared]
    chance = [max(one.layer_rank(layer), other.layer_rank(layer)) / one.shapes[layer][0] for layer in shared]
    return Pair(
        first,
        second,
        len(shared),
        fmean(float(read) for read, _ in found),
        fmean(float(written) for _, written in found),
        fmean(chance),
    )


def _interference(
    base: Base | None,
    own: WeightedAdapter,
    parts: Sequence[WeightedAdapter],
    task: str,
    file: str | Path,
    template: str | None,
    most: int,
    reading: Mapping[str, Any],
) -> Interference:
    if base is None:
        raise InputError(f"what {task} loses is measured on its base; name it with --base")
    template = template or ("chat" if base.tokenizer.chat_template else "plain")
    dataset = load_dataset(file, heldout=1, **reading)
    records = [*dataset.heldout, *dataset.train][:most]
    examples = list(dict.fromkeys(render(template, record, base.tokenizer) for record in records))
    frozen = Frozen(base.decoder, Pool(examples), 0, None)
    heldout = HeldOut(list(range(len(examples))), stops=sorted(stops(template, base.tokenizer)))

    def loss(stack: Sequence[WeightedAdapter]) -> float:
        carried = stacked(stack, base.decoder.weight)
        found = evaluate(frozen, heldout, _Fixed(carried) if carried else None)
        return float((found.losses[0] * found.tokens).sum() / found.tokens.sum())

    return Interference(task, len(examples), loss([]), loss([own]), loss(parts))
