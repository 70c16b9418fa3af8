"""The parts of a study, planned before any of them is trained: one base and one precision each.

See ``variants`` for what a part is. All parts are planned first, so that whatever is refused is
refused before the long work, the manifest has the hash of every base, and the time of each is predicted.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.studies.disk.manifest import ActualCost, Manifest, PredictedCost
from workbench.studies.disk.store import Store
from workbench.studies.grid import Study
from workbench.studies.made_on import mixed_devices
from workbench.studies.plan import Plan
from workbench.studies.predict import measure_rates, predict
from workbench.studies.progress import OnProgress, Progress
from workbench.studies.provenance import as_recorded, first_manifest
from workbench.studies.states import LAST_PHASE, Ending
from workbench.studies.variants import OF_PART, base_labels

KEPT_WEIGHTS = 2**25
"""Weights that all parts together may have for their plans to be kept; else each is planned again."""

JUDGED_ALIKE = ("sha256", "train_sha256", "heldout_sha256", "evals")
"""Facts of the data in which all parts agree."""

MakePlan = Callable[[Study], Plan]


@dataclass(frozen=True, slots=True)
class StudyPart:
    """A part that was planned once."""

    study: Study
    cells: frozenset[str]
    """Their keys."""
    kept: Plan | None
    """None where it is planned again when its turn comes."""
    seconds: float
    """That training what is missing of it is expected to take; 0 where it is the only one."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All parts of a study, in the order in which they are trained."""

    parts: tuple[StudyPart, ...]
    manifest: dict[str, Any]
    """Of the whole study, as it is about to start."""
    notes: tuple[str, ...]
    device_name: str
    """The device that computes, as a record names it."""

    @property
    def cells(self) -> frozenset[str]:
        """The keys of the cells of all parts."""
        return frozenset().union(*(part.cells for part in self.parts))

    def plans(self, make: MakePlan) -> Iterator[tuple[int, Plan]]:
        """Yield each part's place and plan; one that isn't kept is made again, and freed after its turn."""
        for place, part in enumerate(self.parts):
            yield place, part.kept or make(part.study)

    def telling(self, place: int, done: set[str], tell: OnProgress) -> OnProgress:
        """Return what turns a part's progress into that of the whole study.

        Args:
            place: Of the part.
            done: Keys of the cells that had a result before it began.
            tell: Where the whole study's progress goes.
        """
        if len(self.parts) == 1:
            return tell
        every = self.cells
        beside = len((every - self.parts[place].cells) & done)
        total = sum(part.seconds for part in self.parts) or 1.0
        before = sum(part.seconds for part in self.parts[:place]) / total
        left = sum(part.seconds for part in self.parts[place + 1 :])
        last = place == len(self.parts) - 1

        def tell_all(at: Progress) -> None:
            if at.phase == LAST_PHASE["finished"] and not last:
                return
            share = before + at.share * self.parts[place].seconds / total
            told = at.prediction and replace(at.prediction, seconds=at.prediction.seconds + left)
            done_now = at.cells_done + beside
            tell(replace(at, cells=len(every), cells_done=done_now, share=share, prediction=told))

        return tell_all

    def ended(self, store: Store, outcomes: Sequence[Ending]) -> None:
        """Record what a run of several parts came to: its outcome, and the cost of all of them.

        Args:
            store: The study.
            outcomes: How each part that was begun has ended.
        """
        if len(self.parts) == 1:
            return
        # a part of which nothing was missing has no session
        sessions = store.manifest.sessions[-len(outcomes) :]
        told = [session for session in sessions if session.actual]
        if told and len(told) == len(self.parts):
            costs: dict[str, list[PredictedCost | ActualCost]] = {
                "prediction": [session.prediction for session in told],
                "actual": [session.actual for session in told if session.actual],
            }
            store.update_manifest(
                **{
                    name: {
                        "seconds": sum(one.seconds or 0.0 for one in own),
                        "peak_bytes": max(one.peak_bytes or 0 for one in own),
                    }
                    for name, own in costs.items()
                }
            )
        if "incomplete" in outcomes and outcomes[-1] == "finished":
            store.update_manifest(outcome="incomplete")


def plan_parts(study: Study, make: MakePlan, tell: OnProgress, done: Set[str]) -> Whole:
    """Plan every part of a study.

    Args:
        study: All of it.
        make: Plans one part.
        tell: Told what each is expected to take, where there are several.
        done: Keys of the cells that have a result.

    Raises:
        InputError: If a part can't be trained, or two can't be compared.
    """
    first, *others = study.parts()
    plan = make(first)
    if not others:
        keys = frozenset(cell.key() for cell in plan.cells)
        alone = StudyPart(plan.study, keys, plan, 0.0)
        return Whole((alone,), first_manifest(plan), plan.notes, plan.device_name)
    survey = _Survey(study, plan, done)
    survey.add(first.base, plan)
    device_name, precision, hold = plan.device_name, plan.study.precision, plan.study.hold
    del plan  # one base at a time is in memory, but for those that are small
    for part in others:
        if study.precision == "auto" and "precision" not in study.vary:
            # what is fastest on one base may not be on another, and cells of two would not be compared
            part = replace(part, precision=precision)
        if hold == "packed":
            part = replace(part, hold=hold)
        plan = make(part)
        if plan.study.hold != hold:
            # one of the bases is too large to be decoded: all are held alike
            del plan, survey
            return plan_parts(replace(study, hold="packed"), make, tell, done)
        survey.add(part.base, plan)
        del plan
    for name, made in zip(survey.names, survey.parts, strict=True):
        if missing := len(made.cells - done):
            told = f"{name}: {missing} cells, about {made.seconds:.0f} s"
            tell(Progress(phase="predicting", note=told))
    return Whole(tuple(survey.parts), survey.manifest(), tuple(survey.notes()), device_name)


class _Survey:
    """What several parts come to together."""

    def __init__(self, study: Study, first: Plan, done: Set[str]) -> None:
        self.done = done
        self.study, self.first, self.template = study, first.study, first.template
        self.reader, self.context = first.base.name, first.base.decoder.config.context
        self.labels = base_labels(study.bases)
        self.parts: list[StudyPart] = []
        self.names: list[str] = []
        self.facts: list[dict[str, Any]] = []
        self.bases: dict[str, dict[str, Any]] = {}
        self.told: list[tuple[str, tuple[str, ...]]] = []
        """What each part says to know, with its base's label."""
        self.held = 0

    def add(self, base: str, plan: Plan) -> None:
        """Take one more part.

        Args:
            base: What its base was asked for by.
            plan: Its plan.

        Raises:
            InputError: If its cells couldn't be compared with the first part's, or its base is there already.
        """
        own, label = first_manifest(plan), self.labels[base]
        if self.facts:
            self._check_alike(own["data"], plan)
        known = self.bases.get(plan.base.sha256)
        if known and known["asked"] != base:
            raise InputError(
                f"{known['asked']} and {base} are the same base, of one sha256; leave one of them out"
            )
        facts = {"asked": base, "label": label, "parameters": plan.base.parameters}
        self.bases[plan.base.sha256] = {**own["base"], **facts}
        self.facts.append(own)
        several = [label] if self.study.further_bases else []
        told = [f"{name.replace('_', ' ')} {getattr(plan.study, name)}" for name in self._of_part()]
        self.names.append(", ".join([*several, *told]))
        self.told.append((label, plan.notes))
        missing = [stack for stack in plan.stacks if any(cell.key() not in self.done for cell in stack)]
        # the frozen blocks' output, which this computes, is kept for the training
        rates = measure_rates(plan, missing[0]) if missing else None
        seconds = predict(plan, missing, rates).seconds if rates else 0.0
        self.held += plan.base.packed_bytes
        keys = frozenset(cell.key() for cell in plan.cells)
        self.parts.append(StudyPart(plan.study, keys, plan if self.held <= KEPT_WEIGHTS else None, seconds))

    def notes(self) -> list[str]:
        """Return what a reader has to know: what all parts say once, the rest with the base's label."""
        every = {note for _, own in self.told for note in own}
        shared = {note for note in every if all(note in own for _, own in self.told)}
        return list(
            dict.fromkeys(
                note if note in shared or not self.study.further_bases else f"{label}: {note}"
                for label, own in self.told
                for note in own
            )
        )

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of the whole study."""
        first = self.first
        whole = replace(
            self.study,
            sizes=first.sizes,
            grown=first.grown,
            device=first.device,
            precision=self.study.precision if "precision" in self.study.vary else first.precision,
            hold=first.hold,
            date=next((part.study.date for part in self.parts if part.study.date), None),
        )
        found = {
            **self.facts[0],
            "study": as_recorded(whole, self.template),
            "subsets": {key: digest for own in self.facts for key, digest in own["subsets"].items()},
            **({"bases": list(self.bases.values())} if self.study.further_bases else {}),
        }
        if notes := self.notes():
            found["data"] = {**found["data"], "notes": notes}
        return found

    def _of_part(self) -> list[str]:
        return [name for name in self.study.vary if name in OF_PART]

    def _check_alike(self, data: dict[str, Any], plan: Plan) -> None:
        """Refuse a part whose cells would be trained or judged on other records than the first part's."""
        first = self.facts[0]["data"]
        same = all(data.get(name) == first.get(name) for name in JUDGED_ALIKE)
        if not same or plan.study.sizes != self.first.sizes:
            context = plan.base.decoder.config.context
            raise InputError(
                f"{self.reader} and {plan.base.name} can't read the same records ({self.context:,} and "
                f"{context:,} tokens), so their cells would be trained and judged on different ones; leave "
                "the long records out of the file, or give each base a study of its own"
            )


def opened(whole: Whole, folder: Path, tell: OnProgress) -> Store:
    """Open the study's folder, or make it, and record what is new."""
    wanted = whole.manifest
    if not Store.exists(folder):
        return Store.create(folder, wanted)
    store = Store.open(folder)
    recorded = store.manifest.to_json()
    # a study of an older format learns what it didn't record
    new = {part: value for part, value in wanted.items() if part not in recorded}
    # the grid may have grown
    new |= {part: wanted[part] for part in ("study", "subsets", "examples")}
    if "bases" in wanted:
        new["bases"] = _all_bases(store.manifest, wanted["bases"])
    mixed = list(mixed_devices(whole.device_name, whole.cells, store))
    for note in mixed:
        tell(Progress(phase="loading", note=note))
    if notes := [*whole.notes, *mixed]:
        new["data"] = store.manifest.data.to_json() | {"notes": notes}
    store.update_manifest(**new)
    if damaged := store.damaged():
        store.set_aside(damaged)
    return store


def _all_bases(held: Manifest, wanted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the bases that are asked for, and those of cells that an earlier run has trained."""
    known = {one["sha256"] for one in wanted}
    return [*wanted, *(one.to_json() for one in held.bases if one.sha256 not in known)]
