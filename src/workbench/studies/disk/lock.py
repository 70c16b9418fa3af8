"""One run at a time in a study's folder.

The operating system holds the lock and drops it when its process dies, however it dies, so there is no
stale lock to clean up. Reading a study needs no lock.
"""

import fcntl
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from workbench.errors import InputError
from workbench.files import what_helps
from workbench.studies.disk.manifest import MANIFEST

LOCK = "lock"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of a folder, held by this process."""

    folder: Path
    handle: int

    def check(self) -> None:
        """Refuse to go on in a folder that is no longer the one that was locked: another run may own it now.

        Raises:
            InputError: If the folder was deleted, moved or replaced.
        """
        if not _is_at(self.handle, self.folder / LOCK):
            raise InputError(
                f"the folder {self.folder} was deleted, moved or replaced while this run was writing it, so "
                "its results have no place; put it back, or begin anew"
            )

    def checked(self, tell: Callable[[T], None]) -> Callable[[T], None]:
        """Return ``tell`` with a :meth:`check` before each call, for a run that tells how far it is."""

        def told(at: T) -> None:
            self.check()
            tell(at)

        return told


@contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Hold the folder's lock, which is made with the folder if it doesn't exist.

    Where an error ends the block before the folder holds a study, the lock and the folders that were made
    for it are taken away again: input that is refused leaves nothing behind.

    Raises:
        InputError: If another run holds it, or the folder can't be written.
    """
    path = folder / LOCK
    new: list[Path] = []
    try:
        new += [place for place in (path, folder, *folder.parents) if not place.exists()]
        handle = _held(path)
    except OSError as error:
        _remove(new)
        raise InputError(
            f"can't write in the folder {folder}: {error.strerror}; {what_helps(path, error)} with --out"
        ) from error
    try:
        _sign(handle, folder)
        yield Lock(folder, handle)
    except BaseException:
        if _is_at(handle, path) and not (folder / MANIFEST).exists():
            _remove(new)
        raise
    finally:
        try:
            os.ftruncate(handle, 0)  # an empty file says that nobody holds it
        finally:
            os.close(handle)


def refuse_if_locked(folder: Path) -> None:
    """Refuse a folder that a run is writing, before any work is done for it; makes nothing.

    Raises:
        InputError: If a run holds its lock, or the folder can't be written.
    """
    if (folder / LOCK).exists():
        with locked(folder):
            pass


def is_locked(folder: Path) -> bool:
    """Say whether a run is writing a folder; makes and changes nothing."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _held(path: Path) -> int:
    """Open the lock's file, take the lock and return the handle."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(handle, path)
        except BaseException:
            os.close(handle)
            raise
        if _is_at(handle, path):
            return handle
        os.close(handle)  # a run that was refused has just taken its file away


def _take(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 200, 0).decode(errors="replace") or "unknown"
        raise InputError(
            f"another run is writing {path.parent} ({holder}); wait until it has ended, or stop it"
        ) from None


def _is_at(handle: int, path: Path) -> bool:
    """Say whether the file that is open is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _sign(handle: int, folder: Path) -> None:
    """Write into the lock's file who holds it."""
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {platform.node()}".encode(), 0)
    except OSError as error:
        raise InputError(
            f"can't write in the folder {folder}: {error.strerror}; {what_helps(folder / LOCK, error)}"
        ) from error


def _remove(places: list[Path]) -> None:
    """Take away the lock's file and the folders that were made for it; a folder that holds more stays."""
    for place in places:
        try:
            place.unlink() if place.name == LOCK and place.is_file() else place.rmdir()
        except FileNotFoundError:
            continue  # it was never made
        except OSError:
            return
