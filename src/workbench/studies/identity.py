"""What a folder's study was begun as. Going on with it means the same settings, data and base, or refusal.

A study may grow along its axes: quality, size, seed. Anything else that decides a number is compared before
anything is trained, because cells of two settings in one table would be compared with each other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from workbench.config import CellConfig
from workbench.conversions import quoted
from workbench.data.pools import columns_read
from workbench.data.records import Dataset, digest_of
from workbench.errors import InputError
from workbench.metrics import OWN
from workbench.models.base import Base
from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.store import Store
from workbench.studies.disk.variant_rows import varied_fields
from workbench.studies.grid import Study
from workbench.studies.settings import SettingDifference, differing, folder_suffix, settings_of
from workbench.training.text_metrics import own_hashes

NOT_COMPARED = {
    "name": "a label, on which no number depends",
    "qualities": "an axis, along which a study may grow",
    "sizes": "an axis, along which a study may grow",
    "seeds": "an axis, along which a study may grow",
    "data": "a place; the records are compared by their hash",
    "others": "places; the records are compared by their hash",
    "pair_key": "what it comes to, the records with that column, is compared by their hash",
    "heldout": "what it comes to, the held-out records, is compared by their hash",
    "heldout_file": "a place; its records are compared by their hash",
    "evals": "places; the sets are compared by their names and the hashes of their records",
    "on_empty": "what it comes to, the records, is compared by their hash",
    "on_bad": "what it comes to, the records, is compared by their hash",
    "on_shared": "what it comes to, the records, is compared by their hash",
    "mapping": "what it comes to, the records, is compared by their hash",
    "read_as": "what it comes to, the records, is compared by their hash",
    "base": "a name or a place; the weights are compared by their hash",
    "size_in": "compared in the cells, which all have it",
    "template": "compared in the cells, which all have it",
    "loss_on": "compared in the cells, which all have it",
    "adapted_layers": "compared in the cells, which all have the first adapted block",
    "precision": "compared in the cells, which all have it",
    "device": "a place; a run that goes on elsewhere says so",
    "settings": "compared in the cells, which all have them",
    "grown": "cells beside the axes, by which a study may grow",
    "further_bases": "an axis, along which a study may grow; see `_dropped`",
    "vary": "an axis, along which a study may grow; see `_dropped`",
    "date": "compared with the day of the folder's study, where a template writes it",
}
"""Fields of a study that aren't compared by what they say, each with the reason. Every other one is."""
READING_POLICIES = ("on_empty", "on_bad", "on_shared", "mapping", "read_as")
UNKNOWN = ("data_fingerprint", "base_sha256")
"""Settings of a cell that aren't known before data and base are loaded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """The study that a folder holds."""

    folder: Path
    manifest: Manifest
    study: Study
    cell: CellConfig
    """One of its cells, whose settings are those of all."""
    done: frozenset[str] = frozenset()
    """Keys of the cells that have a result."""

    @classmethod
    def read(cls, folder: Path) -> "Begun | None":
        """Read what a folder's study was begun as; None where the folder holds none.

        Raises:
            InputError: If it can't be read, or holds cells of several settings.
        """
        if not Store.exists(folder):
            return None
        with Store.open(folder, read_only=True) as store:
            return cls.of(store)

    @classmethod
    def of(cls, store: Store) -> "Begun":
        """Read it from an open store; cells that are damaged say nothing.

        Raises:
            InputError: If the store holds cells of several settings.
        """
        planned = store.manifest.planned()
        first = store.lead(without=store.damaged()) or next(iter(planned.values()))
        study = store.manifest.study.parsed()
        return cls(
            folder=store.folder,
            manifest=store.manifest,
            study=study,
            cell=first,
            done=frozenset(store.done()),
        )

    def settled(self, study: Study) -> Study:
        """Return ``study`` with what it leaves open taken as the folder's was begun.

        A number that equals the folder's is written as it is there (8 or 8.0), because the keys of cells
        tell the two apart.
        """
        kept = {
            name: held if (held := getattr(self.cell, name)) == value else value
            for name, value in study.settings.items()
        }
        return replace(
            study,
            settings=kept,
            precision=self.cell.precision if study.precision == "auto" else study.precision,
            hold=self.study.hold if study.hold == "auto" else study.hold,
            date=self.manifest.day if study.date is None else study.date,
            grown=study.grown or self.study.grown,
        )

    def check_of(self, whole: Study) -> Callable[[Study, Dataset, Base, list[CellConfig]], None]:
        """Return what checks each part of a study, as :meth:`check` does, once data and base are loaded."""
        return lambda part, dataset, base, cells: self.check(part, dataset, base, cells, whole=whole)

    def check(
        self,
        study: Study,
        dataset: Dataset | None = None,
        base: Base | None = None,
        cells: Sequence[CellConfig] = (),
        whole: Study | None = None,
    ) -> None:
        """Refuse another study than the folder's, as far as is known by now.

        Args:
            study: What is asked for, as :meth:`settled` gives it.
            dataset: Its data, once they are read.
            base: Its base, once it is loaded.
            cells: Its cells, once both are known.
            whole: All of the study, where this is a part of it.

        Raises:
            InputError: If the two differ; the message says in what and names a folder that would do.
        """
        found = self.differences(study, dataset, base, cells, whole)
        if not found:
            return

        def fits(folder: Path) -> bool:
            try:
                other = Begun.read(folder)
            except InputError:
                return False  # damaged, or in need of mending itself
            if other is None or (base is None and other.study.base != study.base):
                return False
            records = dataset or study.dataset()
            return not other.differences(other.settled(study), records, base, cells, whole)

        place = folder_beside(self.folder, folder_suffix(found), fits)
        raise InputError(
            f"{self.folder} holds a study with other settings ({', '.join(map(str, found))}), and one table "
            f"can't compare cells of both; give this run a folder of its own: --out {quoted(place)}"
        )

    def differences(
        self,
        study: Study,
        dataset: Dataset | None = None,
        base: Base | None = None,
        cells: Sequence[CellConfig] = (),
        whole: Study | None = None,
    ) -> list[SettingDifference]:
        """Return in what a study differs from the folder's; the arguments are those of :meth:`check`."""
        whole = whole or study
        layers = base.decoder.config.layers if base else self.manifest.base.layers
        varied = varied_fields(whole)
        now = self._settings(study, layers, cells)
        now = {name: value for name, value in now.items() if name not in varied}
        found = [*self._dropped(whole), *differing(settings_of(self.cell, layers), now)]
        found += [
            SettingDifference(one.name, then, now)
            for one in fields(Study)
            if one.name not in NOT_COMPARED
            and (then := getattr(self.study, one.name)) != (now := getattr(study, one.name))
        ]
        found += changed_functions(self.manifest, study)
        if base is not None and study.date not in (None, day := self.manifest.day):
            found.append(SettingDifference("date", day, study.date))
        if dataset is not None:
            found += self._of_records(study, dataset)
        if base is not None:
            found += self._of_base(base, whole)
        return found

    def _dropped(self, whole: Study) -> Iterator[SettingDifference]:
        """Yield the axes that the folder has and a study lacks: its cells stay, and would be mixed."""
        held = self.study
        if held.further_bases and not whole.further_bases:
            yield SettingDifference("base", held.bases, whole.bases)
        for name, values in held.vary.items():
            if name not in whole.vary:
                now = whole.settings.get(name, getattr(whole, name, None))
                yield SettingDifference(f"varied {name}", values, now)

    def _settings(self, study: Study, layers: int | None, cells: Sequence[CellConfig]) -> dict[str, Any]:
        if cells:
            known = settings_of(cells[0], layers)
            return {name: value for name, value in known.items() if name not in UNKNOWN}
        cell = study.cells(
            template=study.template or "",
            first_layer=study.first_layer(layers or 0),
        )[0]
        unknown = [*UNKNOWN, *(["template"] if study.template is None else [])]
        unknown += [] if layers else ["first_layer"]
        return {name: value for name, value in settings_of(cell, layers).items() if name not in unknown}

    def _of_base(self, base: Base, whole: Study) -> Iterator[SettingDifference]:
        held = self.manifest.base_of(base.sha256)
        if whole.further_bases and held.sha256 != base.sha256:
            same = [one for one in (*self.manifest.bases, self.manifest.base) if one.name == base.name]
            if not same:
                return  # one more base
            held = same[0]
        then, now = held.text_sha256, base.text_sha256
        if then and now and then != now and held.sha256 == base.sha256:
            name = f"the sha256 of the files of {base.name} that say how a text begins, ends and is a chat"
            yield _of_hashes(name, "base-text", then, now)
        if held.sha256 != base.sha256:
            if held.name != base.name:
                yield SettingDifference("base", held.name, base.name)
            else:
                yield _of_hashes(f"the sha256 of the base {base.name}", "base", held.sha256, base.sha256)

    def _of_records(self, study: Study, dataset: Dataset) -> list[SettingDifference]:
        """Say which records differ, and which options made them differ."""
        held = self.manifest.data
        if held.sha256 == dataset.fingerprint:
            return []
        then = self.study
        found = [
            SettingDifference(name, getattr(then, name), getattr(study, name))
            for name in READING_POLICIES
            if getattr(then, name) != getattr(study, name)
        ]
        columns = [columns_read(one.qualities) for one in (then, study)]
        if columns[0] != columns[1]:
            name = "what its qualities read of a record"
            slug = f"columns-{'-'.join(columns[1]) or 'none'}"
            found.append(SettingDifference(name, columns[0] or None, columns[1] or None, slug=slug))
        same_heldout = held.heldout_sha256 == digest_of(dataset.heldout)
        if then.heldout_file != study.heldout_file and not same_heldout:
            found.append(SettingDifference("heldout_file", then.heldout_file, study.heldout_file))
        elif then.heldout != study.heldout and not same_heldout:
            found.append(SettingDifference("heldout", held.heldout_records, len(dataset.heldout)))
        sets = dict(dataset.evals)
        if held.evals.keys() != sets.keys():
            then_named, now_named = (", ".join(sorted(one)) or None for one in (held.evals, sets))
            found.append(SettingDifference("evals", then_named, now_named))
        if found and self._same_records(study):
            return found
        for name in held.evals.keys() & sets.keys():
            then_hash, now_hash = held.evals[name].sha256, digest_of(sets[name])
            if then_hash != now_hash:
                found.append(
                    _of_hashes(f"the sha256 of the evaluation set {name!r}", name, then_hash, now_hash)
                )
        if found and same_heldout and held.train_sha256 == digest_of(dataset.train):
            return found
        if held.name != dataset.name:
            return [*found, SettingDifference("data", held.name, dataset.name)]
        what = "records"  # an earlier version didn't tell the parts apart
        if same_heldout:
            what = "training records"
        elif held.train_sha256 is not None:
            same_train = held.train_sha256 == digest_of(dataset.train)
            what = "held-out records" if same_train else "training and held-out records"
        name = f"the sha256 of {dataset.name}, in its {what},"
        return [*found, _of_hashes(name, "data", held.sha256, dataset.fingerprint)]

    def _same_records(self, study: Study) -> bool:
        """Say whether the data, read with the folder's options, are the folder's."""
        # the columns that qualities read count in the fingerprint
        names = (*READING_POLICIES, "heldout", "heldout_file", "evals", "others", "pair_key", "qualities")
        options = {name: getattr(self.study, name) for name in names}
        try:
            return replace(study, **options).dataset().fingerprint == self.manifest.data.sha256
        except InputError:
            return False  # what can't be read so any more was another file then


def changed_functions(held: Manifest, study: Study) -> list[SettingDifference]:
    """Return which of the study's own metrics are other functions than those that a folder was begun with.

    Only what both have a hash of is compared.
    """
    return [
        _of_hashes(f"the sha256 of the function {name.removeprefix(OWN)}()", name, then, now)
        for name, now in own_hashes(study.metrics).items()
        if now and (then := held.own_metrics.get(name)) and then != now
    ]


def _of_hashes(name: str, slug: str, then: str | None, now: str) -> SettingDifference:
    return SettingDifference(name, then and then[:12], now[:12], slug=f"{slug}-{now[:8]}")


def folder_beside(folder: Path, suffix: str, fits: Callable[[Path], bool]) -> Path:
    """Return a folder beside another: one that isn't there yet, or that fits what it is wanted for.

    Args:
        folder: The other one; the name begins with its.
        suffix: What the name says besides.
        fits: Asked about a folder that is there and holds a study.
    """
    place = folder if folder.name not in ("", "..") else folder.resolve()
    number = 1
    while True:
        name = f"{place.name[:100]}-{suffix}" + (f"-{number}" if number > 1 else "")
        found = place.with_name(name)
        there = found.exists() or found.is_symlink()
        if not there or (Store.exists(found) and fits(found)):
            return found
        number += 1
