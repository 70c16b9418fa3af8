"""One run at a time in a study's folder.

The operating system holds the lock and drops it when its process dies, however it dies, so there is no
stale lock to clean up. Reading a study needs no lock.
"""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import InputError
from workbench.files import what_helps


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which is made with the folder if it doesn't exist.

    Raises:
        InputError: If another run holds it, or the folder can't be written.
    """
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(
            f"can't write in the folder {folder}: {error.strerror}; {what_helps(path, error)} with --out"
        ) from error
    try:
        _take(handle, folder)
        yield
        # an empty file says that nobody holds it; deleting it would let two runs lock two files
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 200, 0).decode(errors="replace") or "unknown"
        raise InputError(
            f"another run is writing {folder} ({holder}); wait until it has ended, or stop it"
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {platform.node()}".encode(), 0)
    except OSError as error:
        raise InputError(
            f"can't write in the folder {folder}: {error.strerror}; {what_helps(folder / 'lock', error)}"
        ) from error
