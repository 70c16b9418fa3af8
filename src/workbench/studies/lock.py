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
            f"can't write in the folder {folder}: {error.strerror}; choose another one with --out"
        ) from error
    with os.fdopen(handle, "r+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = file.read(200).strip() or "unknown"
            raise InputError(
                f"another run is writing {folder} ({holder}); wait until it has ended, or stop it"
            ) from None
        file.truncate()
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield
        # an empty file says that nobody holds it; deleting it would let two runs lock two files
        file.seek(0)
        file.truncate()
