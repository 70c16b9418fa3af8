"""A study on disk: one folder, a manifest and one SQLite file of results.

    STUDY/manifest.json   what the study is: configuration, hashes, versions, prediction
    STUDY/cells.sqlite    one row a cell, one blob a curve
    STUDY/adapters/       each cell's trained adapter, as PEFT reads it
    STUDY/checkpoints/    stacks in mid-training; empty once the study is done
    STUDY/report/         made from the first two, safe to delete

A stack of cells is stored in one transaction, and a cell's key is unique, so a cell is there once and
whole, or not at all, whatever dies when. The rollback journal with ``synchronous=FULL`` is chosen over
a write-ahead log because it survives a power cut, needs no side files and can be read from a read-only
disk. Curves are little-endian float64. A number that doesn't exist is NULL or absent, never 0.
"""

import json
import platform
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.studies.disk.manifest import MANIFEST, Manifest, read_manifest
from workbench.studies.disk.rows import (
    delete,
    digest,
    insert,
    made_of,
    metrics_of,
    table_row,
    unpack_curve,
)
from workbench.studies.disk.schema import FORMAT, connect, explained
from workbench.studies.disk.variant_rows import ZERO_SHOT, rows_in_order, varied_fields, with_bare_bases
from workbench.studies.settings import grouped, mixed
from workbench.studies.states import AttemptOutcome
from workbench.training.results import CellResult

__all__ = ["DATABASE", "ZERO_SHOT", "Store"]

DATABASE = "cells.sqlite"
IS_CELL = f"key NOT LIKE '{ZERO_SHOT}%'"
"""What is true of a cell, and not of a base without an adapter."""
EVERYTHING = "SELECT id, key, config, status, metrics, failure, sha256 FROM cell"


class Store:
    """The results of one study. Made by :meth:`create` or :meth:`open`; a context manager.

    Attributes:
        folder: The study's folder.
        manifest: What ``manifest.json`` says; change it with :meth:`update_manifest`.
    """

    def __init__(self, folder: Path, manifest: Manifest, database: sqlite3.Connection) -> None:
        self.folder = folder
        self.manifest = manifest
        self._database = database
        self._inode = (folder / DATABASE).stat().st_ino

    @staticmethod
    def exists(folder: Path | str) -> bool:
        """Say whether ``folder`` holds a study."""
        return (Path(folder) / MANIFEST).is_file()

    @classmethod
    def create(cls, folder: Path | str, manifest: Mapping[str, Any]) -> "Store":
        """Start a study in ``folder``, which is made if it doesn't exist.

        Args:
            folder: Where the study will live.
            manifest: JSON values that say what the study is.

        Raises:
            InputError: If the folder holds a study already or can't be written.
        """
        folder = Path(folder)
        if cls.exists(folder):
            raise InputError(f"{folder} already holds a study; open it, or name another folder")
        made = Manifest.of({"format": FORMAT, **manifest}, str(folder / MANIFEST))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"can't make the folder {folder}: {error.strerror}; choose another one"
            ) from error
        database = connect(folder / DATABASE, "rwc")
        # the manifest comes last: a folder that has one is a whole study
        write_atomically(folder / MANIFEST, made.to_bytes())
        return cls(folder, made, database)

    @classmethod
    def open(cls, folder: Path | str, *, read_only: bool = False) -> "Store":
        """Open the study in ``folder``, to go on with it or only to read it.

        Raises:
            InputError: If there is no study, if it is damaged, foreign or of a newer format, or if it
                can't be written and ``read_only`` is not asked for.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        path = folder / DATABASE
        if not path.is_file():
            raise InputError(
                f"{folder} has a manifest but no cells.sqlite; copy the whole folder of the study"
            )
        store = cls(folder, manifest, connect(path, "ro" if read_only else "rw"))
        if not read_only and manifest.format < FORMAT:
            store.update_manifest(format=FORMAT)
        return store

    def done(self) -> set[str]:
        """Return the keys that have a result, whatever its status: a diverged cell is a result too."""
        return {key for (key,) in self._read("SELECT key FROM cell")}

    def commit(
        self,
        results: Mapping[str, CellResult],
        costs: Mapping[str, Mapping[str, Any]] | None = None,
        made: Mapping[str, Any] | None = None,
    ) -> int:
        """Store a stack of cells by key in one transaction and return how many of them were new.

        A key that is there already keeps its first result, so a repeated commit changes nothing.

        Args:
            results: By key.
            costs: By key; JSON values, one column of the table each.
            made: How to make these results again; JSON values.

        Raises:
            InputError: If the disk is full or can't be written; then nothing of this stack is stored.
            ValueError: If a metric is not finite: a number that doesn't exist is None.
        """
        with self._transaction() as database:
            return sum(
                insert(database, key, result, (costs or {}).get(key, {}), made or {})
                for key, result in results.items()
            )

    def copy_to(self, path: Path) -> None:
        """Write the results to a new file: one consistent state, even while others commit.

        Raises:
            InputError: If the disk is full or can't be written.
        """
        with explained(path):
            self._database.execute("VACUUM INTO ?", (str(path),))

    def check_whole(self) -> None:
        """Check every page, and every cell against its hash.

        Raises:
            InputError: If one doesn't match.
        """
        (found,) = self._read("PRAGMA integrity_check(1)")[0]
        if found != "ok":
            raise InputError(f"{self.folder / DATABASE} is damaged: {found}")
        if damaged := self.damaged():
            raise InputError(
                f"{self.folder}: {len(damaged)} cells don't match their hashes, {damaged[0][:40]!r} first"
            )

    def note(self, keys: Iterable[str], number: int, outcome: AttemptOutcome, detail: str) -> None:
        """Write down that an attempt at these cells gave no result, and why."""
        with self._transaction() as database:
            database.executemany(
                "INSERT INTO attempt(key, number, outcome, detail, host, noted) VALUES(?, ?, ?, ?, ?, ?)",
                [(key, number, outcome, detail[:4000], platform.node(), time.time()) for key in keys],
            )

    def attempts(self) -> list[dict[str, Any]]:
        """Return what :meth:`note` wrote, in its order."""
        names = ("key", "number", "outcome", "detail", "host", "noted")
        query = f"SELECT {', '.join(names)} FROM attempt ORDER BY id"
        return [dict(zip(names, row, strict=True)) for row in self._read(query)]

    def damaged(self) -> list[str]:
        """Return the keys of the cells that don't match their hash; cells of format 1 have none and do."""
        curves: dict[int, list[tuple[str, bytes]]] = {}
        for cell, name, points in self._read("SELECT cell, name, points FROM curve"):
            curves.setdefault(cell, []).append((name, points))
        return [
            key
            for number, key, config, status, metrics, failure, sha256 in self._read(EVERYTHING)
            if sha256 not in (None, digest(key, config, status, metrics, failure, curves.get(number, [])))
        ]

    def set_aside(self, keys: Iterable[str]) -> None:
        """Take cells out of the table, so that they are trained again, and note it."""
        keys = list(keys)
        with self._transaction() as database:
            delete(database, keys)
        self.note(keys, 1, "damaged", "the stored record did not match its hash; the cell is trained again")

    def remove(self, keys: Iterable[str]) -> None:
        """Delete cells with all that was noted about them, in one transaction."""
        keys = list(keys)
        with self._transaction() as database:
            delete(database, keys)
            database.executemany("DELETE FROM attempt WHERE key = ?", [(key,) for key in keys])

    def rows(self, *, of_one: bool = True) -> list[dict[str, Any]]:
        """Return the table: one row a cell, with its configuration, its metrics and its status.

        Rows are ordered by quality, size and seed, not by when they were trained, so that one study
        gives one table. ``steps`` and ``epochs`` are what the cell really trained. The zero-shot line
        is no cell; see :meth:`zero_shot`.

        Args:
            of_one: Refuse cells of several settings, which one table can't compare.

        Raises:
            InputError: If a record can't be understood, or the cells are of several settings.
        """
        query = "SELECT key, config, metrics, status, failure, seconds, costs FROM cell"
        query += f" WHERE {IS_CELL} ORDER BY id"
        with self._understood():
            found = [
                (key, CellConfig.from_dict(json.loads(config)), *values)
                for key, config, *values in self._read(query)
            ]
            rows = [table_row(*values) for values in found]
            cells = {key: cell for key, cell, *_ in found}
            groups = grouped(cells, self._varied()) if of_one else []
        if len(groups) > 1:
            raise mixed(self.folder, groups, self.layers)
        columns = dict.fromkeys(name for row in rows for name in row)
        complete = [{name: row.get(name) for name in columns} for row in rows]
        with self._understood():
            return rows_in_order(complete, cells, self.manifest)

    def table(self, *, of_one: bool = True) -> list[dict[str, Any]]:
        """Return the cells and, before them, the zero-shot line as a row of size 0, if it was measured.

        The argument and what is raised are those of :meth:`rows`.
        """
        return with_bare_bases(self.rows(of_one=of_one), self.zero_shots(), self.manifest)

    def measurements(self) -> list[tuple[str, str, dict[str, float | None]]]:
        """Return (key, status, metrics) of everything that was measured, the zero-shot line with it."""
        query = "SELECT key, status, metrics FROM cell ORDER BY id"
        with self._understood():
            return [(key, status, metrics_of(metrics)) for key, status, metrics in self._read(query)]

    def configurations(self, without: Collection[str] = ()) -> dict[str, CellConfig]:
        """Return what each cell is, by its key, in the order of their commits, but not those ``without``.

        The zero-shot line is no cell.
        """
        found = self._read(f"SELECT key, config FROM cell WHERE {IS_CELL} ORDER BY id")
        with self._understood():
            return {
                key: CellConfig.from_dict(json.loads(config)) for key, config in found if key not in without
            }

    def lead(self, without: Collection[str] = ()) -> CellConfig | None:
        """Return the cell that was stored first, whose settings are those of all; None without any cell.

        Args:
            without: Keys of cells that are passed over, such as damaged ones.

        Raises:
            InputError: If the cells are of several settings.
        """
        cells = self.configurations(without)
        with self._understood():
            groups = grouped(cells, self._varied())
        if len(groups) > 1:
            raise mixed(self.folder, groups, self.layers)
        return groups[0].lead if groups else None

    @property
    def layers(self) -> int | None:
        """Blocks of the base; None where an earlier version didn't record them."""
        return self.manifest.base.layers

    def committed(self) -> dict[str, float]:
        """Return when each result was stored, in seconds since 1970, in that order; zero-shot line too."""
        return dict(self._read("SELECT key, committed FROM cell ORDER BY id"))

    def made(self) -> dict[str, dict[str, Any]]:
        """Return how to make each cell again: ``stack``, ``threads``, ``arithmetic``.

        Cells of format 1, and the zero-shot line, don't say.
        """
        with self._understood():
            found = {key: json.loads(made) for key, made in self._read("SELECT key, made FROM cell")}
            return {key: made_of(made) for key, made in found.items() if made}

    def zero_shot(self) -> dict[str, float | None]:
        """Return the metrics of the base without an adapter; empty if they were not measured."""
        return self.zero_shots().get(ZERO_SHOT, {})

    def zero_shots(self) -> dict[str, dict[str, float | None]]:
        """Return the metrics of every base without an adapter, by the keys of ``zero_shot_key``."""
        found = self._read(f"SELECT key, metrics FROM cell WHERE NOT ({IS_CELL}) ORDER BY id")
        with self._understood():
            return {key: metrics_of(metrics) for key, metrics in found}

    def _varied(self) -> tuple[str, ...]:
        study = self.manifest.study
        return varied_fields(study.parsed()) if study.variants > 1 else ()

    def curves(self, key: str) -> dict[str, list[float]]:
        """Return the curves of one cell by name, such as ``train_loss`` with one value a step."""
        query = (
            "SELECT name, points FROM curve WHERE cell = (SELECT id FROM cell WHERE key = ?) ORDER BY name"
        )
        with self._understood():
            return {name: unpack_curve(points) for name, points in self._read(query, key)}

    def curve_arrays(self, name: str) -> tuple[list[str], np.ndarray]:
        """Return one curve of every cell that has it, as (keys, array), quickly.

        The array has a row for each key and is as wide as the longest curve; a shorter one ends in NaN.
        """
        query = (
            "SELECT cell.key, curve.points FROM curve JOIN cell ON cell.id = curve.cell "
            f"WHERE curve.name = ? AND cell.{IS_CELL}"
        )
        found = self._read(query, name)
        lengths = np.fromiter((len(points) // 8 for _, points in found), np.int64, len(found))
        array = np.full((len(found), int(lengths.max(initial=0))), np.nan)
        array[np.arange(array.shape[1]) < lengths[:, None]] = np.frombuffer(
            b"".join(points for _, points in found), "<f8"
        )
        return [key for key, _ in found], array

    def counts(self) -> dict[str, int]:
        """Return how many cells there are of each status, the zero-shot line not counted."""
        query = f"SELECT status, count(*) FROM cell WHERE {IS_CELL} GROUP BY status ORDER BY status"
        return dict(self._read(query))

    def update_manifest(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON value
        """Add or replace parts of the manifest, whole or not at all.

        Raises:
            InputError: If one isn't what it has to be, or the disk is full or can't be written.
        """
        self._check_in_place()
        manifest = self.manifest.with_(**fields)
        write_atomically(self.folder / MANIFEST, manifest.to_bytes())
        self.manifest = manifest

    def close(self) -> None:
        """Close the file; the store can't be used afterwards."""
        self._database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_in_place(self) -> None:
        """Refuse to write into a file that nobody can find any more."""
        path = self.folder / DATABASE
        if not path.exists() or path.stat().st_ino != self._inode:
            raise InputError(
                f"{path} was deleted or replaced while this run had it open, so its results have no place; "
                "put the folder back, or run the study again"
            )

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn a record that no workbench has written into a sentence."""
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise InputError(
                f"{self.folder / DATABASE} holds a record that can't be understood ({str(error)[:200]}); "
                "copy it back from a backup"
            ) from error

    def _read(self, query: str, *values: str) -> list[Any]:
        with explained(self.folder / DATABASE):
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._check_in_place()
        with explained(self.folder / DATABASE):
            # IMMEDIATE takes the write lock now, so that two writers wait instead of deadlocking
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                # a full disk has SQLite roll back by itself
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
