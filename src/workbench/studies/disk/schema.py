"""The SQLite file of a study: its tables, how older ones are brought up to date, what its errors mean.

Rollback journal and full synchronization: SQLite before 3.51.3 can lose commits in the other mode when two
connections race, and one file without companions is easier to share.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from workbench.errors import InputError

FORMAT = 2
"""Version of the manifest and of the tables; a newer one is refused, never guessed at."""
APPLICATION_ID = 0x574B4243
"""Marks our files among all SQLite files: "WKBC"."""

MIGRATIONS = {
    0: (
        """CREATE TABLE cell(
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            config TEXT NOT NULL,
            status TEXT NOT NULL CHECK(status IN ('done', 'failed', 'censored')),
            metrics TEXT NOT NULL,
            failure TEXT,
            seconds REAL,
            committed REAL NOT NULL) STRICT""",
        """CREATE TABLE curve(
            id INTEGER PRIMARY KEY,
            cell INTEGER NOT NULL REFERENCES cell(id),
            name TEXT NOT NULL,
            points BLOB NOT NULL,
            UNIQUE(cell, name)) STRICT""",
    ),
    1: (
        # what a cell cost, as JSON; missing for cells of format 1
        "ALTER TABLE cell ADD COLUMN costs TEXT NOT NULL DEFAULT '{}'",
        # how to make it again, as JSON: the stack it was trained in, threads, arithmetic
        "ALTER TABLE cell ADD COLUMN made TEXT NOT NULL DEFAULT '{}'",
        # over everything that was measured; missing for cells of format 1
        "ALTER TABLE cell ADD COLUMN sha256 TEXT",
        """CREATE TABLE attempt(
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL,
            number INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            detail TEXT NOT NULL,
            host TEXT NOT NULL,
            noted REAL NOT NULL) STRICT""",
    ),
}
"""What brings a file of each format to the next one; 0 is an empty file."""

REMEDIES = {
    "SQLITE_NOTADB": "is no study: it is not an SQLite file; name the folder that `workbench run` wrote",
    "SQLITE_CORRUPT": "is damaged; copy it back from a backup, or move the study's folder away and run it "
    "again",
    "SQLITE_READONLY": "can't be written; choose a folder that you may write to",
    "SQLITE_CANTOPEN": "can't be opened; check that the folder exists and that you may write to it",
    "SQLITE_FULL": "could not be written because the disk is full; free some space and run the same "
    "command again, which keeps every finished cell",
    "SQLITE_IOERR": "could not be read or written because the disk failed or is full; free some space and "
    "run the same command again, which keeps every finished cell",
    "SQLITE_BUSY": "is being written by another process; wait until that run has ended",
}
"""What to tell the user, by the beginning of SQLite's name for the error."""


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file in SQLite's mode "ro", "rw" or "rwc", in the newest format.

    An older file that may only be read is brought up to date in memory and stays as it is.

    Raises:
        InputError: If it isn't ours, is damaged or newer, or can't be written where ``mode`` asks for it.
    """
    with explained(path):
        try:
            return _prepared(_opened(path, mode), path, mode)
        except sqlite3.OperationalError as error:
            if mode != "ro" or error.sqlite_errorname != "SQLITE_READONLY_ROLLBACK":
                raise
        # a run that was killed in mid-commit left its journal, which only a writer rolls back
        with closing(_opened(path, "rw")) as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return _prepared(_opened(path, mode), path, mode)


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    database = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=60.0, check_same_thread=False
    )
    database.isolation_level = None
    return database


def _prepared(database: sqlite3.Connection, path: Path, mode: str) -> sqlite3.Connection:
    """Return the connection once the file is known to be ours and in the newest format, or close it."""
    try:
        return _checked(database, path, mode)
    except BaseException:
        database.close()
        raise


def _checked(database: sqlite3.Connection, path: Path, mode: str) -> sqlite3.Connection:
    _protect(database)
    empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not (empty and mode == "rwc"):
        _check_owner(database, path)
    if mode == "ro":
        return database if _format(database) == FORMAT else _migrated_copy(database)
    database.execute("PRAGMA journal_mode=DELETE")
    database.execute("PRAGMA synchronous=FULL")
    # SQLite opens a file on a read-only disk without a word: write now, not after an hour of training
    database.execute("BEGIN IMMEDIATE")
    _migrate(database)
    database.execute("COMMIT")
    return database


def _protect(database: sqlite3.Connection) -> None:
    for setting in ("foreign_keys=ON", "trusted_schema=OFF", "cell_size_check=ON"):
        database.execute(f"PRAGMA {setting}")


def _check_owner(database: sqlite3.Connection, path: Path) -> None:
    if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise InputError(
            f"{path} was not written by the workbench; name the folder that `workbench run` wrote"
        )
    if (version := _format(database)) > FORMAT:
        raise InputError(
            f"{path} has format {version}; this version reads up to {FORMAT}. Install a newer workbench."
        )
    if version < 1 or _layout(database) != _expected_layout(version):
        raise InputError(
            f"{path} doesn't have the tables of format {version} and nothing else, so it was not written by "
            "the workbench alone; ask its sender for what `workbench export` wrote"
        )


def _migrated_copy(database: sqlite3.Connection) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    copy.isolation_level = None
    database.backup(copy)
    database.close()
    _protect(copy)
    _migrate(copy)
    return copy


def _migrate(database: sqlite3.Connection) -> None:
    for version in range(_format(database), FORMAT):
        for statement in MIGRATIONS[version]:
            database.execute(statement)
    database.execute(f"PRAGMA application_id={APPLICATION_ID}")
    database.execute(f"PRAGMA user_version={FORMAT}")


def _layout(database: sqlite3.Connection) -> list[tuple[str, str, str]]:
    query = "SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name"
    # SQLite keeps a statement's line breaks, which mean nothing
    return [(kind, name, " ".join(sql.split())) for kind, name, sql in database.execute(query)]


@cache
def _expected_layout(version: int) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:")) as database:
        for older in range(version):
            for statement in MIGRATIONS[older]:
                database.execute(statement)
        return _layout(database)


def _format(database: sqlite3.Connection) -> int:
    return database.execute("PRAGMA user_version").fetchone()[0]


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of SQLite that the user can mend into a sentence; a defect of ours stays as it is."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        for beginning, remedy in REMEDIES.items():
            if name.startswith(beginning):
                raise InputError(f"{path} {remedy}") from error
        # no name: raised by Python's module, of text that is no text
        if not name or str(error) == "unsupported file format":
            raise InputError(f"{path} {REMEDIES['SQLITE_CORRUPT']}") from error
        raise
    except UnicodeDecodeError as error:
        raise InputError(f"{path} {REMEDIES['SQLITE_CORRUPT']}") from error
