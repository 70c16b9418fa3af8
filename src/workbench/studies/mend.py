"""Taking apart a study that holds cells of several settings, as earlier versions let it happen.

The cells of one settings stay; those of each other become a study of their own beside it. That study is
written whole, under another name, and renamed; only then are its cells taken out of the old one, in one
transaction. Whatever dies when, every cell is in a study, and the same command goes on.
"""

import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.files import scratch_beside, write_atomically
from workbench.studies.disk.adapters import CONFIG, WEIGHTS, adapter_folder
from workbench.studies.disk.checkpoints import CHECKPOINTS
from workbench.studies.disk.lock import locked
from workbench.studies.disk.manifest import (
    MANIFEST,
    BaseFacts,
    DataFacts,
    Manifest,
    Session,
    read_manifest,
)
from workbench.studies.disk.store import DATABASE, ZERO_SHOT, Store
from workbench.studies.disk.variant_rows import varied_fields
from workbench.studies.grid import Study, place_of
from workbench.studies.identity import folder_beside
from workbench.studies.provenance import now
from workbench.studies.settings import (
    AXES,
    SHARED,
    Group,
    differing,
    folder_suffix,
    grouped,
    settings_in_words,
    settings_of,
)
from workbench.studies.variants import CELL_SETTINGS

JUDGED_BY = ("template", "precision", "first_layer", "data_fingerprint", "base_sha256")
"""Settings that decide what the base scores without an adapter, to the bit."""

CLOCK_SET = 10.0
"""By how many seconds a clock may be set during a study, as those of machines on a network are."""


@dataclass(frozen=True, slots=True)
class Part:
    """The cells of one settings, and the study that holds them now."""

    settings: str
    """In what they differ from the others', in words."""
    cells: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Mended:
    """What came of mending a study."""

    parts: list[Part]
    """In the order in which they were begun; one for a study that needed no mending."""
    kept: int
    """Place of the one that stayed."""
    damaged: list[str]
    """Keys of cells that didn't match their hashes: taken out, to be trained again by the next run."""


def mend(folder: Path, keep: int = 1) -> Mended:
    """Leave the cells of one settings in a study and give those of each other a study of their own.

    Args:
        folder: The study.
        keep: Which settings stay, counted from 1 in the order in which they were begun.

    Raises:
        InputError: If the study can't be read, a run is writing it, ``keep`` counts further than there are
            settings, or the disk is full; no cell is lost then.
    """
    read_manifest(folder)  # the lock would make the folder
    with locked(folder), Store.open(folder) as store:
        if damaged := store.damaged():
            store.set_aside(damaged)
        cells = store.configurations()
        study = store.manifest.study
        groups = grouped(cells, varied_fields(study.parsed()) if study.variants > 1 else ())
        if not 1 <= keep <= max(1, len(groups)):
            raise InputError(
                f"keep is {keep}, but {folder} holds cells of {len(groups)} settings; give 1 to {len(groups)}"
            )
        if len(groups) < 2:
            return Mended([Part("", len(cells), folder)], 0, damaged)
        whole = _Whole(store, groups, cells)
        kept = groups[keep - 1]
        folders = [folder if group is kept else whole.set_apart(group, kept) for group in groups]
        shutil.rmtree(folder / "report", ignore_errors=True)  # it may be of cells that have moved
        moved = [key for key in cells if key not in kept.keys]
        store.update_manifest(**whole.parts(kept))
        store.remove([*moved, *whole.foreign_zero_shot(kept)])
        for key in moved:
            shutil.rmtree(adapter_folder(folder, key), ignore_errors=True)
        words = settings_in_words(groups, store.layers)
        counts = [len(group.keys) for group in groups]
        parts = [Part(*values) for values in zip(words, counts, folders, strict=True)]
        return Mended(parts, keep - 1, damaged)


class _Whole:
    """The study before it is taken apart."""

    def __init__(self, store: Store, groups: Sequence[Group], cells: Mapping[str, CellConfig]) -> None:
        self.store, self.groups, self.cells = store, groups, cells
        self.was = store.manifest
        self.sessions = self.was.sessions
        self.committed = store.committed()
        self.latest = next(iter(self.was.planned().values()))
        self.times = _times(self.was)
        self.zero_shot = self._zero_shot_of()

    def set_apart(self, group: Group, kept: Group) -> Path:
        """Write the study of a group, if it isn't there from an earlier try, and return its folder."""
        store, layers = self.store, self.store.layers
        differences = differing(settings_of(kept.lead, layers), settings_of(group.lead, layers))
        suffix = folder_suffix(differences) or f"settings-{self.groups.index(group) + 1}"
        folder = folder_beside(store.folder, suffix, lambda other: _holds(other, store, group.keys))
        if Store.exists(folder):
            return folder
        with scratch_beside(folder) as scratch:
            study = scratch / "study"  # one deeper than where `workbench list` looks
            study.mkdir()
            store.copy_to(study / DATABASE)
            write_atomically(study / MANIFEST, self.was.with_(**self.parts(group)).to_bytes())
            others = [key for key in self.cells if key not in group.keys]
            with Store.open(study) as new:
                new.remove([*others, *self.foreign_zero_shot(group)])
            for key in group.keys:
                for name in (WEIGHTS, CONFIG):
                    source = adapter_folder(store.folder, key) / name
                    if source.is_file():
                        write_atomically(adapter_folder(study, key) / name, source.read_bytes())
            if (store.folder / CHECKPOINTS).is_dir():  # whose they are shows only when they are read
                shutil.copytree(store.folder / CHECKPOINTS, study / CHECKPOINTS)
            study.replace(folder)
            # on the disk, as its files are, before anything is taken out of the old study
            for path in (folder.absolute().parent, folder, *folder.rglob("*")):
                if path.is_dir():
                    _sync(path)
        return folder

    def foreign_zero_shot(self, group: Group) -> list[str]:
        """Return the key of the zero-shot line if it wasn't measured with a group's settings."""
        if self.zero_shot is None:
            return [ZERO_SHOT]
        lead = self.zero_shot.lead
        same = all(getattr(group.lead, name) == getattr(lead, name) for name in JUDGED_BY)
        return [] if same else [ZERO_SHOT]

    def parts(self, group: Group) -> dict[str, Any]:
        """Return the parts of the manifest that a group's study has for itself, as JSON values."""
        lead, was = group.lead, self.was
        made = self.store.made().get(group.keys[0], {})
        arithmetic = was.arithmetic.to_json()
        if was.arithmetic.precision not in (None, lead.precision):
            arithmetic = {
                name: value
                for name, value in arithmetic.items()
                if name not in ("precision_because", "layers_in_other_precisions")
            }
        if made:
            arithmetic = {**arithmetic, "name": made["arithmetic"], "threads": made["threads"]}
        parts: dict[str, Any] = {
            "study": self._study(group).to_dict(),
            "data": _of_hash(was.data, lead.data_fingerprint),
            "base": _of_hash(was.base, lead.base_sha256),
            "subsets": self._subsets(group),
            "arithmetic": {**arithmetic, "precision": lead.precision},
            "mended": {"from": self.store.folder.name, "on": now()},
        }
        sessions = self._sessions_of(group)
        if self.sessions:
            last = sessions[-1].to_json() if sessions else {}
            parts |= {
                "sessions": [session.to_json() for session in sessions],
                "started": sessions[0].started if sessions else was.started,
                "outcome": last.get("outcome", "stopped"),
                "prediction": last.get("prediction", {}),
                "actual": last.get("actual", {}),
            }
        return parts

    def _study(self, group: Group) -> Study:
        lead = group.lead
        own = self.was.study.parsed()
        default = CellConfig(data="", base="", size=1)
        grown = own.grown if self._is_latest(group) else ()
        beside = {place for batch in grown for place in batch}
        cells = [cell for key in group.keys if place_of(cell := self.cells[key]) not in beside]
        study = replace(
            own,
            template=lead.template,
            precision=lead.precision,
            adapted_layers=self._adapted_layers(group),
            settings={
                name: value
                for name in CELL_SETTINGS
                if (value := getattr(lead, name)) != getattr(default, name)
            },
        )
        if self._is_latest(group):  # what it was to have besides is still to be trained
            cells += replace(own, grown=()).cells()
        return replace(
            study,
            qualities=_ordered(own.qualities, (cell.quality for cell in cells)),
            sizes=_ordered(own.sizes, sorted(cell.size for cell in cells)),
            seeds=_ordered(own.seeds, sorted(cell.seed for cell in cells)),
            grown=grown,
        )

    def _is_latest(self, group: Group) -> bool:
        """Say whether the manifest speaks of this group: it keeps the grid of the latest run."""
        names = [name for name in SHARED if name != "first_layer" or self.store.layers]
        return all(getattr(group.lead, name) == getattr(self.latest, name) for name in names)

    def _adapted_layers(self, group: Group) -> int | None:
        if group.lead.first_layer == 0:
            return None
        layers = self.store.layers or self._layers_of_adapters()
        if layers is None:
            raise InputError(
                f"{self.store.folder} says neither in its manifest nor in an adapter how many blocks its "
                "base has, so its studies can't be written; copy its adapters back from a backup"
            )
        return layers - group.lead.first_layer

    def _layers_of_adapters(self) -> int | None:
        """Return how many blocks the base has; every adapter reaches up to the last."""
        for key in self.cells:
            path = adapter_folder(self.store.folder, key) / CONFIG
            if path.is_file():
                return max(json.loads(path.read_bytes())["layers_to_transform"]) + 1
        return None

    def _subsets(self, group: Group) -> dict[str, str]:
        """Return the hashes of the draws of a group's cells: equal ones of other settings drew the same."""
        known = self.was.subsets
        by_draw = {_draw(cell): known[key] for key, cell in self.cells.items() if key in known}
        found = {key: by_draw[draw] for key in group.keys if (draw := _draw(self.cells[key])) in by_draw}
        still = known if self._is_latest(group) else {}
        return {**{key: digest for key, digest in still.items() if key not in self.cells}, **found}

    def _sessions_of(self, group: Group) -> list[Session]:
        """Return the runs that trained a group's cells: one run had one settings."""
        mine = {max(self._sessions_at(self.committed[key]), default=None) for key in group.keys}
        return [session for number, session in enumerate(self.sessions) if number in mine]

    def _sessions_at(self, moment: float) -> set[int]:
        """Return the numbers of the runs that may have stored something at a moment.

        Runs of one folder follow each other, but their times are whole seconds: two can share one. And a
        clock that was set between two readings tells of a moment just outside of its run.
        """
        off = {
            number: max(start - moment, moment - (end + 1), 0.0)
            for number, (start, end) in enumerate(self.times)
        }
        nearest = min(off.values(), default=math.inf)
        return {number for number, seconds in off.items() if seconds == nearest <= CLOCK_SET}

    def _zero_shot_of(self) -> Group | None:
        """Return the group whose run measured the zero-shot line; None if it can't be told."""
        if ZERO_SHOT not in self.committed:
            return None
        order = list(self.committed)
        at = order.index(ZERO_SHOT)
        nearest = next(key for key in [*order[at + 1 :], *reversed(order[:at])] if key in self.cells)
        (group,) = (group for group in self.groups if nearest in group.keys)
        # a run that was stopped right after it may have had yet other settings
        runs = self._sessions_at(self.committed[ZERO_SHOT])
        same = runs & self._sessions_at(self.committed[nearest])
        return group if same or not self.sessions else None


def _times(manifest: Manifest) -> list[tuple[float, float]]:
    """Return when each run began and ended; one that was killed ended before the next one began."""
    times: list[tuple[float, float]] = []
    following = math.inf
    for number, session in reversed(list(enumerate(manifest.sessions))):
        if session.started is None:
            raise manifest.lacks(f"sessions[{number}].started")
        try:
            start = datetime.fromisoformat(session.started).timestamp()
            end = datetime.fromisoformat(session.ended).timestamp() if session.ended else following
        except ValueError as error:
            raise InputError(
                f"{manifest.place} is damaged: in sessions[{number}], {error}; copy it back from a backup"
            ) from error
        times.insert(0, (start, end))
        following = start
    return times


def _holds(folder: Path, store: Store, keys: Iterable[str]) -> bool:
    """Say whether a folder's study has these cells as they are in ``store``, and none of other settings."""
    keys = list(keys)
    try:
        with Store.open(folder, read_only=True) as other:
            other.lead()
            return _content(other, keys) == _content(store, keys)
    except InputError:
        return False  # damaged, or in need of mending itself


def _content(store: Store, keys: Sequence[str]) -> list[Any]:
    measured = {key: values for key, *values in store.measurements()}
    return [(key, measured.get(key), store.curves(key)) for key in keys]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _ordered(asked: Iterable[Any], used: Iterable[Any]) -> tuple[Any, ...]:
    """Return the values of an axis that are used: those that were asked for first, in that order."""
    used = list(dict.fromkeys(used))
    return tuple(value for value in dict.fromkeys([*asked, *used]) if value in used)


def _draw(cell: CellConfig) -> tuple[Any, ...]:
    return tuple(getattr(cell, name) for name in (*AXES, "data_fingerprint"))


def _of_hash(part: DataFacts | BaseFacts, sha256: str) -> dict[str, Any]:
    """Return what a manifest says about data or a base, for the one that has this hash."""
    if not sha256 or sha256 == part.sha256:
        return part.to_json()
    return {"name": part.name, "licence": None, "sha256": sha256}
