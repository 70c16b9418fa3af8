"""A study that grows: after each batch of cells a rule says which ones come next, or that it is enough.

The rule comes from outside, for it reads laws, of which studies know nothing. What it decides goes into the
manifest before a cell of it is trained: the cells into the study's description, the reason into ``growth``.
So a run that was killed goes on with the batch that was chosen, a replay trains the same cells and needs no
rule, and where a rule reads results alone, the cells and their order are those of a run that was never
stopped.
Another rule may go on with the study: its cells are measurements like the others, and each decision names the
rule that took it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, runtime_checkable

from workbench.studies.disk.store import Store
from workbench.studies.grid import Place, Study
from workbench.studies.progress import OnProgress, Progress
from workbench.studies.provenance import now
from workbench.studies.states import LAST_PHASE


@dataclass(frozen=True, kw_only=True, slots=True)
class GrowthDecision:
    """What a rule says after a look at the results."""

    rule: str
    """As the command line says it."""
    why: str
    """A sentence for people."""
    cells: tuple[Place, ...] = ()
    """What is trained next; empty ends the study."""
    size: int | None = None
    """Reference examples at which the rule asks for a rate; None for a rule that asks for none."""
    factor: float | None = None
    """To which its interval is narrowed; None where time alone ends the study."""
    metric: str | None = None
    low: float | None = None
    """End of the interval that the rule saw; None where it is open or there is none."""
    high: float | None = None
    after: int = 0
    """Cells that have a result."""
    minutes: float = 0.0
    """That these have trained."""

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest records; the cells themselves stand in the study's description."""
        return {**asdict(self), "cells": len(self.cells), "at": now()}

    def __str__(self) -> str:
        """Return the line that a run shows."""
        end = f"next: {len(self.cells)} cells" if self.cells else "the end"
        return f"{self.after} cells, {self.minutes:.1f} minutes of training: {self.why}; {end}"


@runtime_checkable
class Grower(Protocol):
    """A rule by which a study grows."""

    def next(self, store: Store, room: int) -> GrowthDecision:
        """Say what is trained next.

        Args:
            store: The study; everything that was planned so far has a result.
            room: Cells that train together at little more than the price of one.

        Raises:
            InputError: If the results can't be judged.
        """


class Growing:
    """Tells the progress of a study that grows: each batch ends, the study only once, each note once."""

    def __init__(self, tell: OnProgress) -> None:
        self.tell = tell
        self.last: Progress | None = None
        self.told: set[str] = set()

    def __call__(self, at: Progress) -> None:
        """Pass a session's progress on."""
        if at.note in self.told:
            return
        self.told |= {at.note} - {""}
        self.last = at
        if at.phase != LAST_PHASE["finished"]:
            self.tell(at)

    def note(self, text: str) -> None:
        """Tell what a rule decided."""
        self.tell(replace(self.last or Progress(phase="loading"), phase="predicting", note=text))

    def end(self) -> None:
        """Tell the last session's end, where it was held back."""
        if self.last and self.last.phase == LAST_PHASE["finished"]:
            self.tell(self.last)


def grow(
    study: Study,
    grower: Grower,
    train: Callable[[Study], Store],
    tell: Callable[[str], None],
    workers: int = 1,
) -> Store:
    """Train a study, then what the rule adds, batch by batch, until it ends or the run is stopped.

    Args:
        study: Where to begin; a folder's own description has what it has grown by already.
        grower: The rule.
        train: Trains what is missing of a study.
        tell: Shown a line after each batch.
        workers: How many stacks train at once.
    """
    while True:
        store = train(study)
        if store.manifest.outcome != "finished":
            return store  # stopped, or cells failed for a reason outside of themselves
        room = max((len(made["stack"]) for made in store.made().values()), default=1) * workers
        decision = grower.next(store, room)
        study = replace(study, grown=store.manifest.study.parsed().grown)
        if decision.cells:
            study = replace(study, grown=(*study.grown, decision.cells))
        _record(store, decision, study)
        tell(str(decision))
        if not decision.cells:
            return store
        store.close()


def _record(store: Store, decision: GrowthDecision, study: Study) -> None:
    """Write a decision down, with its cells, in one step; the same end is not written twice."""
    held = store.manifest.growth.decisions
    last = held[-1] if held else None
    if last and not (last.cells or decision.cells) and (last.rule, last.why) == (decision.rule, decision.why):
        return
    described = store.manifest.study.to_json()
    if study.grown:
        described["grown"] = study.to_dict()["grown"]
    decisions = [*(one.to_json() for one in held), decision.to_json()]
    store.update_manifest(growth={"decisions": decisions}, study=described)
