"""Runs a study: plan, predict, hand the stacks to an executor, commit each as it ends.

Run it again and it continues: what is committed is not run again, and a stack that was interrupted goes on
from its checkpoint.
"""

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from workbench.config import CellConfig
from workbench.devices import card_peak, choose_device, free_what_is_cached, is_full
from workbench.errors import InputError
from workbench.memory import peak_bytes
from workbench.studies.card_errors import CardGone, card_errors
from workbench.studies.costs import (
    EnergyMeter,
    evaluation_flops,
    generation_flops,
    shared_flops,
    training_flops,
)
from workbench.studies.defaults import CHECKPOINT_SECONDS, EXECUTOR
from workbench.studies.disk.adapters import ADAPTERS, CONFIG, WEIGHTS, write_adapter
from workbench.studies.disk.checkpoints import CHECKPOINTS, remove_checkpoint
from workbench.studies.disk.facts import read_facts
from workbench.studies.disk.lock import Lock, locked
from workbench.studies.disk.manifest import MANIFEST, Session
from workbench.studies.disk.store import Store
from workbench.studies.disk.variant_rows import zero_shot_key
from workbench.studies.engine import check_options, chosen_threads, trainer_of
from workbench.studies.executors.protocol import Event, Executor, ShouldStop, Task, TrainingJob
from workbench.studies.grid import Study
from workbench.studies.growth import Grower, Growing, grow
from workbench.studies.identity import Begun
from workbench.studies.made_on import check_going_on
from workbench.studies.parts import opened, plan_parts
from workbench.studies.plan import Plan, plan
from workbench.studies.predict import Rates, corrected, earlier_sessions, measure_rates, predict
from workbench.studies.progress import OnProgress, Progress
from workbench.studies.provenance import hardware, now
from workbench.studies.stacks import cut_in_two
from workbench.studies.states import LAST_PHASE, Ending
from workbench.studies.torch_threads import torch_threads
from workbench.training.results import CellResult
from workbench.training.run_stack import zero_shot

ATTEMPTS = 3
"""How often a stack is tried whose process was lost."""


def run(
    study: Study,
    folder: Path,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    *,
    executor: str | Executor = EXECUTOR,
    workers: int | None = None,
    threads: int | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    grower: Grower | None = None,
) -> Store:
    """Run what is missing of a study and return its store.

    Args:
        study: The grid.
        folder: Where the study lives; made when it doesn't exist, continued when it does.
        on_progress: Called as the run moves on.
        should_stop: Asked after every step and between stacks. Once it says yes, the run ends in order:
            what is committed stays, the last progress has the phase "stopped", the manifest's ``outcome``
            is "stopped", and the store is returned as always. The same call goes on from there.
        executor: A name of ``EXECUTORS``, or an executor, which is left open.
        workers: How many stacks train at once; None leaves it to the executor. Refused where it can't be
            obeyed: the executor in this process trains one, one that was made has its own number.
        threads: Threads of torch in each process that trains. None takes those that the study was begun
            with, so that its numbers stay the same to the bit; for a new study, torch's own choice in
            this process, and 1 in workers.
        checkpoint_seconds: Time between two checkpoints of a stack; 0 writes one after every step.
        grower: The rule by which the study goes on to grow; see ``studies/growth.py``.

    The manifest's ``outcome`` is "finished", "stopped", or "incomplete" where cells failed for a reason
    outside of themselves, such as memory; ``Store.attempts`` says why, and another run tries them again.

    Raises:
        InputError: If the input can't be used, the folder holds a study of other settings, other data or
            another base, another run is writing it, or it is deleted or moved away meanwhile.
    """
    stop = should_stop or (lambda: False)
    # first the lock: a folder that another run is writing is refused before anything is loaded
    with locked(folder) as lock:
        tell = lock.checked(on_progress or (lambda progress: None))
        check_options(threads, checkpoint_seconds)
        trainer = trainer_of(executor, workers, study.device)
        try:
            if grower is None:
                return _session(study, lock, tell, stop, trainer, threads, checkpoint_seconds)
            growing = Growing(tell)
            store = grow(
                study,
                grower,
                lambda more: _session(more, lock, growing, stop, trainer, threads, checkpoint_seconds),
                growing.note,
                trainer.workers,
            )
            growing.end()
            return store
        finally:
            if trainer is not executor:
                trainer.close()


def _session(
    study: Study,
    lock: Lock,
    tell: OnProgress,
    should_stop: ShouldStop,
    trainer: Executor,
    threads: int | None,
    checkpoint_seconds: float,
) -> Store:
    """Run what is missing of a study whose folder's lock is held."""
    began, folder = time.monotonic(), lock.folder
    tell(Progress(phase="loading"))
    begun, device = Begun.read(folder), choose_device(study.device)
    with torch_threads(chosen_threads(begun, threads, trainer)) as chosen:
        # what needs nothing loaded is compared first, the rest before the long work
        if begun:
            study = begun.settled(study)
            begun.check(study)
            check_going_on(folder, begun.cell.precision, begun.manifest.arithmetic.device or "cpu", device)
        check = begun.check_of(study) if begun else None

        def make(part: Study) -> Plan:
            with card_errors():
                return plan(part, check, chosen)

        whole = plan_parts(study, make, tell, begun.done if begun else frozenset())
        for note in whole.notes:
            tell(Progress(phase="loading", note=note))
        lock.check()
        store = opened(whole, folder, tell)
        outcomes = []
        for place, concrete in whole.plans(make):
            more = place < len(whole.parts) - 1
            with card_errors():
                told = whole.telling(place, store.done(), tell)
                one = _Run(concrete, store, told, trainer, began, more)
                outcomes.append(one.go(should_stop, checkpoint_seconds))
            if outcomes[-1] == "stopped":
                break
            del one, concrete  # before the next part's base is loaded
            began = time.monotonic()
        whole.ended(store, outcomes)
        return store


def _outcome_of(error: BaseException) -> str:
    """Return what a manifest says of a run that an error ended."""
    if isinstance(error, CardGone):
        return f"interrupted: {error}"
    return f"refused: {error}" if isinstance(error, InputError) else "interrupted"


@dataclass(slots=True)
class _Stack:
    """A stack of which something is missing, and how far it is."""

    place: int
    """Among those that this run trains, counted from 1."""
    cells: list[CellConfig]
    keys: tuple[str, ...]
    steps: int
    taken: int = 0


class _Run:
    """One run: turns what the executor tells into commits and progress."""

    def __init__(
        self, concrete: Plan, store: Store, tell: OnProgress, executor: Executor, began: float, more: bool
    ) -> None:
        self.plan, self.store, self.tell = concrete, store, tell
        self.executor, self.began, self.more = executor, began, more
        self.bare = zero_shot_key(store.manifest, concrete.base.sha256, concrete.study.precision)
        self.meter = EnergyMeter()
        self.done = store.done()
        self.wanted = {cell.key() for cell in concrete.cells}
        self.missing: dict[int, _Stack] = {}
        for number, cells in enumerate(concrete.stacks):
            if not self.done.issuperset(cell.key() for cell in cells):
                self._await(number, cells)
        self.lost: list[Task] = []
        self.failed: list[Task] = []
        self.too_large: list[Task] = []
        self.rates: Rates | None = None
        self.at = Progress(
            phase="predicting",
            stacks=len(self.missing),
            cells=len(self.wanted),
            cells_done=len(self.wanted & self.done),
        )

    def _await(self, number: int, cells: list[CellConfig]) -> None:
        """Count a stack among those that are to be trained."""
        steps = max(cell.total_steps for cell in cells)
        keys = tuple(cell.key() for cell in cells)
        self.missing[number] = _Stack(len(self.missing) + 1, cells, keys, steps)

    def go(self, should_stop: ShouldStop, checkpoint_seconds: float) -> Ending:
        """Train what is missing, record how it went and return that."""
        # this run holds the lock, so what is half written was left by one that was killed
        for name in (f".{MANIFEST}.*", f"{ADAPTERS}/*/.{WEIGHTS}.*", f"{ADAPTERS}/*/.{CONFIG}.*"):
            for left in self.store.folder.glob(name):
                left.unlink(missing_ok=True)
        if not self.missing and self.bare in self.done:
            # an earlier run was killed after its last cell, or was to train more than this one
            if not self.more:
                if self.store.manifest.outcome != "finished":
                    self.store.update_manifest(outcome="finished")
                shutil.rmtree(self.store.folder / CHECKPOINTS, ignore_errors=True)
            self.tell(replace(self.at, phase=LAST_PHASE["finished"], share=1.0))
            return "finished"
        self.tell(self.at)
        session = self._begin()
        try:
            ending = self._train(should_stop, checkpoint_seconds)
        except BaseException as error:
            with suppress(InputError):  # a full disk has no room for this either; the first sentence counts
                self._end(session, _outcome_of(error))
            raise
        self._end(session, ending)
        self.tell(replace(self.at, phase=LAST_PHASE[ending]))
        return ending

    def _train(self, should_stop: ShouldStop, checkpoint_seconds: float) -> Ending:
        if self.bare not in self.done:
            self.store.commit({self.bare: zero_shot(self.plan.prepared)})
        job = TrainingJob(
            stacks=self.plan.stacks,
            branched=self.plan.branched,
            prepared=self.plan.prepared,
            base=self.plan.base,
            data_sha256=self.plan.dataset.fingerprint,
            folder=self.store.folder,
            arithmetic=self.plan.arithmetic.name,
            threads=self.plan.arithmetic.threads,
            checkpoint_seconds=checkpoint_seconds,
        )
        tasks = [Task(number) for number in self.missing]
        while tasks and not should_stop():
            self.lost, self.too_large = [], []
            self.executor.execute(job, tasks, self._hear, should_stop)
            tasks = [Task(task.stack, task.attempt + 1) for task in self.lost if task.attempt < ATTEMPTS]
            self.failed += [task for task in self.lost if task.attempt >= ATTEMPTS]
            for task in self.too_large:
                for part in cut_in_two(self.missing.pop(task.stack).cells):
                    tasks.append(Task(len(job.stacks)))
                    self._await(len(job.stacks), part)
                    job = job.with_stack(part)
            self.at = replace(self.at, stacks=len(self.missing))
        if self.failed:
            return "incomplete"
        return "finished" if self.wanted <= self.done else "stopped"

    def _hear(self, event: Event) -> None:
        stack = self.missing[event.task.stack]
        match event.kind:
            case "refused":
                raise InputError(event.detail)
            case "note" | "lost" | "error":
                self._note(event.kind, event, stack)
            case "full" if len(cut_in_two(stack.cells)) > 1:
                told = f"the card's memory was full with {len(stack.cells)} cells ({event.detail}); they are "
                told += "trained again, in two stacks"
                self._note("note", replace(event, detail=told), stack)
                self.too_large.append(event.task)
            case "full":
                told = f"the card's memory was full with one cell alone ({event.detail})"
                self._note("error", replace(event, detail=f"{told}; choose --device cpu"), stack)
            case "started" | "step":
                self._move_on(stack, event.step, event.losses)
            case "result":
                self._commit(stack, event.results)
                self._move_on(stack, stack.steps, self.at.losses if self.at.keys == stack.keys else ())

    def _note(self, kind: Literal["note", "lost", "error"], event: Event, stack: _Stack) -> None:
        """Write down what went wrong, tell it, and remember the task where it has to be tried again."""
        self.store.note(stack.keys, event.task.attempt, kind, event.detail)
        if kind == "lost":
            self.lost.append(event.task)
        elif kind == "error":
            self.failed.append(event.task)
        self.tell(replace(self.at, note=event.detail))

    def _move_on(self, stack: _Stack, taken: int, losses: tuple[float | None, ...]) -> None:
        """Tell how far a stack is."""
        stack.taken = taken
        known = [loss for loss in losses if loss is not None]
        missing = self.missing.values()
        self.at = replace(
            self.at,
            phase="training",
            stack=stack.place,
            step=taken,
            steps=stack.steps,
            cells_done=len(self.wanted & self.done),
            share=sum(one.taken for one in missing) / max(1, sum(one.steps for one in missing)),
            keys=stack.keys,
            losses=losses,
            mean_loss=sum(known) / len(known) if known else None,
        )
        self.tell(self.at)

    def _commit(self, stack: _Stack, results: Mapping[str, CellResult]) -> None:
        new = {key: result for key, result in results.items() if key not in self.done}
        for result in new.values():
            if result.cell and result.adapter:
                write_adapter(self.store.folder, result.cell, result.adapter)
        arithmetic = self.plan.arithmetic
        made = {"stack": stack.keys, "arithmetic": arithmetic.name, "threads": arithmetic.threads}
        made["device"] = self.plan.device_name
        self.store.commit(new, {key: self._costs(result) for key, result in new.items()}, made)
        self.done |= set(new)
        self.meter.joules()  # the counters wrap around within minutes
        remove_checkpoint(self.store.folder, stack.cells)

    def _costs(self, result: CellResult) -> dict[str, Any]:
        assert result.cell
        assert self.rates
        by_trunk = result.cell.total_steps - self.plan.own_steps[result.cell.key()]
        steps = max(0, len(result.curves["train_loss"]) - by_trunk)
        flops = training_flops(self.plan, result.cell, steps) + evaluation_flops(self.plan, result.cell)
        flops += generation_flops(self.plan, result.cell, result.curves)
        return {
            "flops": flops,
            "adapter_bytes": sum(tensor.nbytes for tensor in (result.adapter or {}).values()),
            "predicted_seconds": self.rates.cell_seconds(self.plan, result.cell),
        }

    def _begin(self) -> Session:
        """Predict, and record that the run has begun."""
        machine = hardware(self.plan.device)
        here = {
            "processor": machine["processor"],
            "cores": machine["cores"],
            "base": self.plan.base.sha256,
            "executor": type(self.executor).__name__,
            "workers": self.executor.workers,
            "threads": self.plan.arithmetic.threads,
            "card": self.plan.device.card,
        }
        stacks = [stack.cells for stack in self.missing.values()]
        self.rates = self._measured((stacks or self.plan.stacks)[0])
        loading = time.monotonic() - self.began  # with the frozen blocks, which the first step asked for
        raw = predict(self.plan, stacks, self.rates, workers=self.executor.workers, loading=loading)
        prediction = corrected(raw, earlier_sessions(self.store.folder, here))
        self.at = replace(self.at, phase="training", prediction=prediction)
        told = asdict(prediction)
        session = read_facts(Session, {**here, "started": now(), "outcome": "running", "prediction": told})
        sessions = [one.to_json() for one in (*self.store.manifest.sessions, session)]
        self.store.update_manifest(sessions=sessions, prediction=told, outcome="running")
        self.tell(self.at)
        return session

    def _measured(self, stack: list[CellConfig]) -> Rates:
        """Time a step of a stack, or of a part of it for which the card has room."""
        try:
            return measure_rates(self.plan, stack)
        except RuntimeError as error:
            if not is_full(error) or len(cut_in_two(stack)) == 1:
                raise
        free_what_is_cached()
        return self._measured(cut_in_two(stack)[0])

    def _end(self, session: Session, outcome: str) -> None:
        """Record how the run ended: an outcome, and after a colon why."""
        actual = {
            "seconds": time.monotonic() - self.began,
            "peak_bytes": peak_bytes(),
            "card_peak_bytes": card_peak(self.plan.device.torch) if self.executor.workers == 1 else None,
            "joules": self.meter.joules(),
            "shared_flops": shared_flops(self.plan),
        }
        last = {**session.to_json(), "outcome": outcome, "ended": now(), "actual": actual}
        sessions = [*(one.to_json() for one in self.store.manifest.sessions[:-1]), last]
        # a study has finished once its last part has
        shown = "running" if self.more and outcome == "finished" else outcome
        self.store.update_manifest(sessions=sessions, actual=actual, outcome=shown)
        if outcome == "finished":
            shutil.rmtree(self.store.folder / CHECKPOINTS, ignore_errors=True)
