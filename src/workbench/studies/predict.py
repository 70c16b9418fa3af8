"""What a run will cost, before it starts: one real step and one real batch, extrapolated, then corrected.

The correction comes from what earlier runs in the same folder of studies, on the same processor and base,
recorded about themselves, so the estimate gets better with use and there is no hidden state.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.adapters.lora import LoraStack
from workbench.adapters.prefix import fresh_stack
from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.memory import peak_bytes
from workbench.studies.card_fit import largest_need
from workbench.studies.costs import makespan
from workbench.studies.disk.manifest import MANIFEST, Manifest, Session, read_manifest
from workbench.studies.plan import Plan
from workbench.studies.stacks import step_tokens
from workbench.training.evaluation import evaluate
from workbench.training.generated import judged
from workbench.training.loop import step_gradient, step_rows
from workbench.training.prepare import Prepared

TIMED_ITEMS = 32
"""Held-out items in the batch that is timed."""
TIMED_RESPONSES = 16
"""Responses of each evaluation set that are generated to time that."""
STARTING_SECONDS = 3.0
"""In which a worker process starts: it imports torch and maps what the runner has prepared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a run is expected to cost."""

    seconds: float
    """Wall time of the whole run, corrected by earlier ones."""
    peak_bytes: int
    """Memory of this process."""
    raw_seconds: float
    """Before the correction."""
    correction: float = 1.0
    """Median of actual / raw time of the runs that were learned from."""
    learned_from: int = 0
    """How many earlier runs those were."""
    error: float | None = None
    """Median relative error of their predictions; None without any."""
    card_bytes: int | None = None
    """Memory of the card that the largest stack takes; None on a processor."""
    card_memory: int | None = None
    """All that the card has."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Measured on this machine: seconds a training token, seconds an evaluated item and cell."""

    token: float
    item: float
    response: float = 0.0
    """Seconds a response that is generated, and cell."""

    def cell_seconds(self, plan: Plan, cell: CellConfig) -> float:
        """Return the expected time of a cell in its stack."""
        items = plan.prepared.judged
        steps = plan.own_steps[cell.key()]
        trained = self.token * step_tokens(cell, plan.prepared) * steps
        return trained + self.item * items + self.response * plan.prepared.written


def measure_rates(plan: Plan, stack: Sequence[CellConfig]) -> Rates:
    """Time one training step of a stack, one batch of its evaluation and, if asked for, a few responses."""
    prepared = plan.prepared
    frozen = prepared.frozen  # which runs the frozen blocks: no part of a step
    adapters = fresh_stack(stack, plan.base.decoder.config, plan.base.decoder)
    rows = step_rows(stack, [prepared.draws[cell.key()] for cell in stack], 0)

    def step() -> None:
        step_gradient(frozen, adapters, rows)

    references = prepared.heldout.references[:TIMED_ITEMS]
    few = replace(prepared.heldout, references=references, choices=[], right=[], tokens=[])
    tokens = sum(step_tokens(cell, prepared) for cell in stack)
    # the first call pays for set-up that the others don't: much on a card, where kernels are compiled and
    # tuned for these shapes; on a processor a small one does
    if plan.card is not None:
        step()
        evaluate(frozen, few, adapters)
    else:
        evaluate(frozen, replace(few, references=references[:1]), adapters)
    evaluation = _seconds(lambda: evaluate(frozen, few, adapters))
    return Rates(
        _seconds(step) / tokens,
        evaluation / len(few.references) / len(stack),
        _response_seconds(prepared, adapters) / len(stack),
    )


def _response_seconds(prepared: Prepared, adapters: LoraStack) -> float:
    """Return how long a stack takes to write and score a response each, as it would before its training."""
    if not prepared.generation:
        return 0.0
    total = 0.0
    for name, how in prepared.generation.items():
        few = replace(prepared.sets[name], references=prepared.sets[name].references[:TIMED_RESPONSES])
        few_how = replace(how, records=how.records[:TIMED_RESPONSES])
        started = time.perf_counter()
        judged(prepared.frozen, few, few_how, adapters)
        total += (time.perf_counter() - started) * len(how.records) / len(few_how.records)
    return total / prepared.written


def predict(
    plan: Plan,
    stacks: Sequence[Sequence[CellConfig]],
    rates: Rates,
    *,
    workers: int = 1,
    loading: float = 0.0,
) -> Prediction:
    """Extrapolate to a whole run.

    Args:
        plan: The study.
        stacks: What is to be trained.
        rates: As measured.
        workers: How many stacks train at once.
        loading: Seconds that the run has taken by now, for reading, tokenizing, the frozen blocks and to
            measure the rates.
    """
    seconds = [sum(rates.cell_seconds(plan, cell) for cell in stack) for stack in stacks]
    items = sum(len(one.references) for one in plan.prepared.sets.values())
    shared = rates.item * items + rates.response * plan.prepared.written
    raw = loading + shared + makespan(seconds, workers)
    raw += STARTING_SECONDS if workers > 1 else 0.0
    card = plan.card
    return Prediction(
        seconds=raw,
        raw_seconds=raw,
        peak_bytes=max(
            peak_bytes(), plan.room.predicted(stacks or plan.stacks, plan.prepared) if plan.room else 0
        ),
        card_bytes=None if card is None else largest_need(card, stacks or plan.stacks, plan.prepared),
        card_memory=None if card is None else card.memory,
    )


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a finished session teaches: seconds that were measured before it, predicted, and taken."""

    raw: float
    predicted: float
    actual: float


def corrected(prediction: Prediction, lessons: Sequence[Lesson]) -> Prediction:
    """Correct a prediction by what earlier sessions predicted and took."""
    ratios = [lesson.actual / lesson.raw for lesson in lessons]
    if not ratios:
        return prediction
    errors = [abs(lesson.predicted / lesson.actual - 1) for lesson in lessons]
    correction = statistics.median(ratios)
    return replace(
        prediction,
        seconds=prediction.raw_seconds * correction,
        correction=correction,
        learned_from=len(ratios),
        error=statistics.median(errors),
    )


def earlier_sessions(folder: Path, like: Mapping[str, Any]) -> list[Lesson]:
    """Return what the finished sessions of the studies beside ``folder`` and of itself teach, the newest 20.

    Args:
        folder: A study's folder.
        like: What a session has to say about itself to count, by the names of :class:`Session`: the
            processor, its cores, the base, the executor, workers and threads.

    A study whose manifest can't be read teaches nothing.
    """
    found = [
        (session.started or "", lesson)
        for manifest in _manifests(folder)
        for session in manifest.sessions
        if all(getattr(session, part) == value for part, value in like.items())
        and (lesson := _lesson(session))
    ]
    return [lesson for _, lesson in sorted(found, key=lambda one: one[0])[-20:]]


def _manifests(folder: Path) -> Iterator[Manifest]:
    for path in sorted(folder.absolute().parent.glob(f"*/{MANIFEST}")):
        try:
            yield read_manifest(path.parent)
        except InputError:
            continue  # `workbench list` names it; here it only can't teach


def _lesson(session: Session) -> Lesson | None:
    if session.outcome != "finished" or session.actual is None:
        return None
    raw, predicted, actual = (
        session.prediction.raw_seconds,
        session.prediction.seconds,
        session.actual.seconds,
    )
    if not raw or not predicted or not actual or min(raw, predicted, actual) < 0:
        return None
    return Lesson(raw, predicted, actual)


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
