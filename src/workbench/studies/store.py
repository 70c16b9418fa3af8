"""A study on disk: one folder, a manifest and one SQLite file of results.

    STUDY/manifest.json   what the study is: configuration, hashes, versions, prediction
    STUDY/cells.sqlite    one row a cell, one blob a curve
    STUDY/report/         made from the two above, safe to delete

A stack of cells is stored in one transaction, and a cell's key is unique, so a cell is there once and
whole, or not at all, whatever dies when. The rollback journal with ``synchronous=FULL`` is chosen over
a write-ahead log because it survives a power cut, needs no side files and can be read from a read-only
disk. Curves are little-endian float64. A number that doesn't exist is NULL or absent, never 0.
"""

import json
import sqlite3
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sys import byteorder
from typing import Any

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.training.results import CellResult

FORMAT = 1
"""Version of the manifest and of the tables; a newer one is refused, never guessed at."""
APPLICATION_ID = 0x574B4243
"""Marks our files among all SQLite files: "WKBC"."""
ZERO_SHOT = "zero-shot"
"""Key of the base without any adapter, stored with an empty configuration."""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS cell(
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        config TEXT NOT NULL,
        status TEXT NOT NULL CHECK(status IN ('done', 'failed', 'censored')),
        metrics TEXT NOT NULL,
        failure TEXT,
        seconds REAL,
        committed REAL NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS curve(
        id INTEGER PRIMARY KEY,
        cell INTEGER NOT NULL REFERENCES cell(id),
        name TEXT NOT NULL,
        points BLOB NOT NULL,
        UNIQUE(cell, name)) STRICT""",
)

REMEDIES = {
    "SQLITE_NOTADB": "is no study: it is not an SQLite file; name the folder that `workbench run` wrote",
    "SQLITE_CORRUPT": "is damaged; copy it back from a backup, or delete the study's folder and run it again",
    "SQLITE_READONLY": "can't be written; choose a folder that you may write to",
    "SQLITE_CANTOPEN": "can't be opened; check that the folder exists and that you may write to it",
    "SQLITE_FULL": "could not be written because the disk is full; free some space and run the same "
    "command again, which keeps every finished cell",
    "SQLITE_IOERR": "could not be read or written because the disk failed or is full; free some space and "
    "run the same command again, which keeps every finished cell",
    "SQLITE_BUSY": "is being written by another process; wait until that run has ended",
}
"""What to tell the user, by the beginning of SQLite's name for the error."""


class Store:
    """The results of one study. Made by :meth:`create` or :meth:`open`; a context manager.

    Attributes:
        folder: The study's folder.
        manifest: What ``manifest.json`` says; change it with :meth:`update_manifest`.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], database: sqlite3.Connection) -> None:
        self.folder = folder
        self.manifest = manifest
        self._database = database

    @staticmethod
    def exists(folder: Path | str) -> bool:
        """Say whether ``folder`` holds a study."""
        return (Path(folder) / "manifest.json").is_file()

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
        contents = {"format": FORMAT, **manifest}
        data = _manifest_bytes(contents)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"can't make the folder {folder}: {error.strerror}; choose another one"
            ) from error
        database = _connect(folder / "cells.sqlite", "rwc")
        # the manifest comes last: a folder that has one is a whole study
        write_atomically(folder / "manifest.json", data)
        return cls(folder, contents, database)

    @classmethod
    def open(cls, folder: Path | str, *, read_only: bool = False) -> "Store":
        """Open the study in ``folder``, to go on with it or only to read it.

        Raises:
            InputError: If there is no study, if it is damaged, foreign or of a newer format, or if it
                can't be written and ``read_only`` is not asked for.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        path = folder / "cells.sqlite"
        if not path.is_file():
            raise InputError(
                f"{folder} has a manifest but no cells.sqlite; copy the whole folder of the study"
            )
        return cls(folder, manifest, _connect(path, "ro" if read_only else "rw"))

    def done(self) -> set[str]:
        """Return the keys that have a result, whatever its status: a diverged cell is a result too."""
        return {key for (key,) in self._read("SELECT key FROM cell")}

    def commit(self, results: Mapping[str, CellResult]) -> int:
        """Store a stack of cells by key in one transaction and return how many of them were new.

        A key that is there already keeps its first result, so a repeated commit changes nothing.

        Raises:
            InputError: If the disk is full or can't be written; then nothing of this stack is stored.
            ValueError: If a metric is not finite: a number that doesn't exist is None.
        """
        with self._transaction() as database:
            return sum(_insert(database, key, result) for key, result in results.items())

    def rows(self) -> list[dict[str, Any]]:
        """Return the table: one row a cell, with its configuration, its metrics and its status.

        Rows are ordered by quality, size and seed, not by when they were trained, so that one study
        gives one table. ``steps`` and ``epochs`` are what the cell really trained. The zero-shot line
        is no cell; see :meth:`zero_shot`.
        """
        query = "SELECT key, config, metrics, status, failure, seconds FROM cell WHERE key != ?"
        rows = [_row(*values) for values in self._read(query, ZERO_SHOT)]
        columns = dict.fromkeys(name for row in rows for name in row)
        complete = [{name: row.get(name) for name in columns} for row in rows]
        return sorted(complete, key=_place)

    def table(self) -> list[dict[str, Any]]:
        """Return the cells and, before them, the zero-shot line as a row of size 0, if it was measured."""
        rows, zero = self.rows(), self.zero_shot()
        if not zero:
            return rows
        columns = dict.fromkeys([*(rows[0] if rows else ()), "size", "evaluation", "status", *zero])
        given = {"size": 0, "evaluation": "heldout", "status": "done", **zero}
        return [{name: given.get(name) for name in columns}, *rows]

    def zero_shot(self) -> dict[str, float | None]:
        """Return the metrics of the base without an adapter; empty if they were not measured."""
        for (metrics,) in self._read("SELECT metrics FROM cell WHERE key = ?", ZERO_SHOT):
            return json.loads(metrics)
        return {}

    def curves(self, key: str) -> dict[str, list[float]]:
        """Return the curves of one cell by name, such as ``train_loss`` with one value a step."""
        query = (
            "SELECT name, points FROM curve WHERE cell = (SELECT id FROM cell WHERE key = ?) ORDER BY name"
        )
        return {name: _unpack(points) for name, points in self._read(query, key)}

    def counts(self) -> dict[str, int]:
        """Return how many cells there are of each status, the zero-shot line not counted."""
        query = "SELECT status, count(*) FROM cell WHERE key != ? GROUP BY status ORDER BY status"
        return dict(self._read(query, ZERO_SHOT))

    def update_manifest(self, **fields: Any) -> None:  # noqa: ANN401 - any JSON value
        """Add or replace fields of the manifest, whole or not at all."""
        contents = {**self.manifest, **fields}
        write_atomically(self.folder / "manifest.json", _manifest_bytes(contents))
        self.manifest = contents

    def close(self) -> None:
        """Close the file; the store can't be used afterwards."""
        self._database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, query: str, *values: str) -> list[Any]:
        with _explained(self.folder / "cells.sqlite"):
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _explained(self.folder / "cells.sqlite"):
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


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """Read a study's manifest without opening its results.

    Raises:
        InputError: If there is none, or if it is damaged or of a newer format.
    """
    path = Path(folder) / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no study: it has no manifest.json; `workbench list` finds them"
        ) from None
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(
            f"{path} is damaged: it is not JSON ({error}); copy it back from a backup"
        ) from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise InputError(f"{path} is no manifest of a study: it has no format number")
    if version > FORMAT:
        raise InputError(
            f"{path} has format {version}; this version reads up to {FORMAT}. Install a newer workbench."
        )
    return manifest


def _manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file in SQLite's mode "ro", "rw" or "rwc", and refuse one that isn't ours."""
    with _explained(path):
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=60.0)
        database.isolation_level = None
        try:
            _prepare(database, path, mode)
        except BaseException:
            database.close()
            raise
        return database


def _prepare(database: sqlite3.Connection, path: Path, mode: str) -> None:
    for setting in ("foreign_keys=ON", "trusted_schema=OFF", "cell_size_check=ON"):
        database.execute(f"PRAGMA {setting}")
    empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not (empty and mode == "rwc"):
        _check_owner(database, path)
    if mode == "ro":
        return
    database.execute("PRAGMA journal_mode=DELETE")
    database.execute("PRAGMA synchronous=FULL")
    # SQLite opens a file on a read-only disk without a word: write now, not after an hour of training
    database.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        database.execute(statement)
    database.execute(f"PRAGMA application_id={APPLICATION_ID}")
    database.execute(f"PRAGMA user_version={FORMAT}")
    database.execute("COMMIT")


def _check_owner(database: sqlite3.Connection, path: Path) -> None:
    if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise InputError(
            f"{path} was not written by the workbench; name the folder that `workbench run` wrote"
        )
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        raise InputError(
            f"{path} has format {version}; this version reads up to {FORMAT}. Install a newer workbench."
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an error of SQLite that the user can mend into a sentence; a defect of ours stays as it is."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        for beginning, remedy in REMEDIES.items():
            if name.startswith(beginning):
                raise InputError(f"{path} {remedy}") from error
        raise


def _insert(database: sqlite3.Connection, key: str, result: CellResult) -> bool:
    cursor = database.execute(
        "INSERT INTO cell(key, config, status, metrics, failure, seconds, committed) "
        "VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(key) DO NOTHING",
        (
            key,
            json.dumps(result.cell.to_dict() if result.cell else {}, sort_keys=True),
            result.status,
            json.dumps(result.metrics, sort_keys=True, allow_nan=False),
            result.failure,
            result.seconds,
            time.time(),
        ),
    )
    if cursor.rowcount != 1:
        return False
    database.executemany(
        "INSERT INTO curve(cell, name, points) VALUES(?, ?, ?)",
        [(cursor.lastrowid, name, _pack(points)) for name, points in result.curves.items()],
    )
    return True


def _pack(points: Sequence[float]) -> bytes:
    values = array("d", points)
    if byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _unpack(points: bytes) -> list[float]:
    values = array("d", points)
    if byteorder == "big":
        values.byteswap()
    return values.tolist()


def _row(
    key: str, config: str, metrics: str, status: str, failure: str | None, seconds: float | None
) -> dict[str, Any]:
    cell = CellConfig.from_dict(json.loads(config))
    fields = {**cell.to_dict(), "targets": ",".join(cell.targets)}
    del fields["quality"]
    return {
        "key": key,
        "quality": cell.quality.label,
        "corruption": cell.quality.corruption,
        "share": cell.quality.share,
        "raters": cell.quality.raters,
        **fields,
        "steps": cell.total_steps,
        "epochs": cell.passes,
        "evaluation": "heldout",
        **json.loads(metrics),
        "status": status,
        "failure": failure,
        "seconds": seconds,
    }


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Order by quality, best first, then size and seed."""
    raters = row["raters"] if row["raters"] is not None else float("inf")
    return (
        row["corruption"] != "none",
        row["corruption"],
        -row["share"],
        -raters,
        row["size"],
        row["seed"],
        row["key"],
    )
