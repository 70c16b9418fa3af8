"""Runs a study: plan, predict, train stack by stack, commit each as it ends.

Run it again and it continues: what is committed is not run again.
"""

import math
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.records import Dataset
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.models.loaders import load_base
from workbench.studies.grid import Study
from workbench.studies.manifest import facts
from workbench.studies.stacks import partition, step_tokens
from workbench.studies.store import ZERO_SHOT, Store
from workbench.training.evaluation import evaluate
from workbench.training.loop import OnStep, TrainState, cell_losses, step_batch
from workbench.training.prepare import Prepared, prepare
from workbench.training.run_stack import run_stack, zero_shot


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a run is expected to cost, extrapolated from one real step and one real evaluation batch."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run is: ``phase`` is "loading", "predicting", "training", "done" or "stopped"."""

    phase: str
    stack: int = 0
    stacks: int = 0
    step: int = 0
    steps: int = 0
    cells_done: int = 0
    cells: int = 0
    mean_loss: float | None = None
    """Over the cells below; None before the first step and when no loss is a number."""
    keys: tuple[str, ...] = ()
    """The cells of the stack that is training."""
    losses: tuple[float | None, ...] = ()
    """Each one's training loss of this step; None where it is not a number."""
    prediction: Prediction | None = None


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


class _Stopped(Exception):
    """Leaves a stack that is training, because the run was asked to stop."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A study made concrete: loaded, tokenized and cut into stacks."""

    study: Study
    dataset: Dataset
    base: Base
    template: str
    cells: list[CellConfig]
    prepared: Prepared
    stacks: list[list[CellConfig]]


def plan(study: Study) -> Plan:
    """Load what a study needs and decide its stacks; trains nothing.

    Raises:
        InputError: If the data, the base or a setting can't be used.
    """
    dataset = study.dataset()
    base = load_base(study.base)
    template = study.template or dataset.template
    layers = base.decoder.config.layers
    cells = study.cells(
        data_fingerprint=dataset.fingerprint,
        base_sha256=base.sha256,
        template=template,
        first_layer=max(0, layers - (study.adapted_layers or layers)),
    )
    LoraStack(cells[:1], base.decoder.config)  # refuses a rank or a layer before the long work
    prepared = prepare(base, dataset, cells, template)
    stacks = partition(cells, prepared, base.decoder.config)
    return Plan(study, dataset, base, template, cells, prepared, stacks)


def run(
    study: Study,
    folder: Path,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
) -> Store:
    """Run what is missing of a study and return its store.

    Args:
        study: The grid.
        folder: Where the study lives; made when it doesn't exist, continued when it does.
        on_progress: Called as the run moves on.
        should_stop: Asked after every step and between stacks. Once it says yes, the run ends in order:
            what is committed stays, the last progress has the phase "stopped", the manifest's ``outcome``
            is "stopped", and the store is returned as always. The same call goes on from there.

    Raises:
        InputError: If the input can't be used, or the folder holds a study of other data or another base.
    """
    started = time.monotonic()
    tell = on_progress or (lambda progress: None)
    tell(Progress(phase="loading"))
    concrete = plan(study)
    store = _open_or_create(concrete, folder)
    done = store.done()
    missing = [stack for stack in concrete.stacks if any(cell.key() not in done for cell in stack)]
    cells = {cell.key() for cell in concrete.cells}
    at = Progress(phase="predicting", stacks=len(missing), cells=len(cells), cells_done=len(cells & done))
    if missing:
        tell(at)
        prediction = predict(concrete, missing)
        at = replace(at, phase="training", prediction=prediction)
        store.update_manifest(prediction=asdict(prediction))
    if ZERO_SHOT not in done:
        store.commit({ZERO_SHOT: zero_shot(concrete.prepared)})
    stop = should_stop or (lambda: False)
    outcome = "finished"
    for number, stack in enumerate(missing, start=1):
        keys = tuple(cell.key() for cell in stack)
        at = replace(
            at,
            stack=number,
            step=0,
            steps=max(cell.total_steps for cell in stack),
            keys=keys,
            losses=(),
            mean_loss=None,
        )
        tell(at)
        try:
            if stop():
                raise _Stopped
            results = run_stack(concrete.prepared, stack, _teller(tell, at, stop))
        except _Stopped:
            outcome = "stopped"
            break
        store.commit({key: result for key, result in results.items() if key not in done})
        done |= set(results)
        at = replace(at, cells_done=len(cells & done))
    if missing:
        actual = {"seconds": time.monotonic() - started, "peak_bytes": peak_bytes()}
        store.update_manifest(actual=actual, outcome=outcome)
    tell(replace(at, phase="done" if outcome == "finished" else "stopped"))
    return store


def _teller(tell: OnProgress, at: Progress, stop: ShouldStop) -> OnStep:
    def on_step(state: TrainState) -> None:
        values = [float(loss) for loss in state.losses[state.step - 1]]
        losses = tuple(value if math.isfinite(value) else None for value in values)
        known = [loss for loss in losses if loss is not None]
        mean = sum(known) / len(known) if known else None
        tell(replace(at, step=state.step, losses=losses, mean_loss=mean))
        if stop():
            raise _Stopped

    return on_step


def _open_or_create(concrete: Plan, folder: Path) -> Store:
    wanted = facts(concrete.study, concrete.dataset, concrete.base, concrete.template)
    if not Store.exists(folder):
        return Store.create(folder, wanted)
    store = Store.open(folder)
    for part in ("data", "base"):
        held, asked = store.manifest[part], wanted[part]
        if held["sha256"] != asked["sha256"]:
            raise InputError(
                f"{folder} holds a study whose {part} is {held['name']} (sha256 {held['sha256'][:12]}), but "
                f"this run's is {asked['name']} ({asked['sha256'][:12]}); choose another folder with --out"
            )
    store.update_manifest(study=wanted["study"], examples=wanted["examples"])  # the grid may have grown
    return store


def predict(concrete: Plan, stacks: Sequence[Sequence[CellConfig]]) -> Prediction:
    """Time one training step and one batch of the evaluation, and extrapolate by tokens."""
    prepared, stack = concrete.prepared, stacks[0]
    adapters = LoraStack(stack, concrete.base.decoder.config)
    batch = step_batch(prepared.frozen.pool, stack, [prepared.draws[cell.key()] for cell in stack], 0)

    def step() -> None:
        torch.autograd.grad(cell_losses(prepared.frozen, batch, adapters).sum(), adapters.weights)

    few = replace(
        prepared.heldout, references=prepared.heldout.references[:32], choices=[], right=[], tokens=[]
    )
    step_seconds, evaluation_seconds = (
        _seconds(step),
        _seconds(lambda: evaluate(prepared.frozen, few, adapters)) / len(few.references) / len(stack),
    )
    here = sum(step_tokens(cell, prepared) for cell in stack)
    train_seconds = sum(
        step_seconds * step_tokens(cell, prepared) / here * cell.total_steps for row in stacks for cell in row
    )
    items = len({*prepared.heldout.references, *(i for row in prepared.heldout.choices for i in row)})
    evaluations = sum(len(row) for row in stacks) + 1
    seconds = train_seconds + evaluation_seconds * items * evaluations
    return Prediction(seconds=seconds, peak_bytes=peak_bytes())


def _seconds(work: Callable[[], Any]) -> float:
    work()  # the first call pays for set-up that the others don't
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_bytes() -> int:
    """Return the most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
