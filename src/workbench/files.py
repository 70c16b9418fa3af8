"""Where files live and how they are written: whole or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import InputError


def cache_folder() -> Path:
    """Return the folder for fetched bases and data: ``WORKBENCH_CACHE``, else the user's cache."""
    if given := os.environ.get("WORKBENCH_CACHE"):
        return Path(given).expanduser()
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "lora-scaling-workbench"


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` holds all of it or is untouched, even when the power fails.

    Raises:
        InputError: If the folder can't be written or the disk is full; the old file, if any, stays.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise InputError(
            f"could not write {path}: {error.strerror or error}. Nothing was changed; free some space or "
            "choose another folder."
        ) from error
    finally:
        if temporary and os.path.exists(temporary):  # an interrupt leaves nothing behind either
            os.unlink(temporary)


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """Yield a new folder on the same disk as ``target``; it is gone afterwards.

    Raises:
        InputError: If the disk is full or can't be written.
    """
    parent = target.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=parent, prefix=f".{target.name}."))
    except OSError as error:
        raise InputError(f"can't write in {parent}: {error.strerror}; choose another folder") from error
    try:
        yield scratch
    except OSError as error:
        raise InputError(
            f"could not write {target}: {error.strerror or error}. Nothing was changed; free some space or "
            "choose another folder."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
