"""Where files live and how they are written: whole or not at all."""

import errno
import hashlib
import os
import shlex
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
        InputError: If the file can't be written, with what helps; the old file, if any, stays.
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
        raise not_written(path, error) from error
    finally:
        if temporary and os.path.exists(temporary):  # an interrupt leaves nothing behind either
            os.unlink(temporary)


def not_read(path: Path, error: OSError) -> InputError:
    """Return the error that says that ``path`` could not be read, why, and what helps."""
    helps = "check the path"
    if error.errno in (errno.EACCES, errno.EPERM):
        helps = f"make it readable with `chmod u+r {shlex.quote(str(path))}`, or ask its owner to"
    return InputError(f"could not read {path}: {error.strerror or error}; {helps}")


def not_written(path: Path, error: OSError) -> InputError:
    """Return the error that says that ``path`` could not be written, why, and what helps."""
    why = error.strerror or str(error)
    return InputError(f"could not write {path}: {why}. Nothing was changed; {what_helps(path, error)}.")


def what_helps(path: Path, error: OSError) -> str:
    """Say what lets ``path`` be written after all, by the kind of the error."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "free some space or choose another folder"
        case errno.EISDIR | errno.ENOTEMPTY:
            return f"{path} is a folder; move it away or choose another name"
        case errno.ENOTDIR | errno.EEXIST:
            whole = (*reversed(path.absolute().parents), path.absolute())
            found = next((part for part in whole if os.path.lexists(part) and not part.is_dir()), path)
            return f"{found} is no folder; move it away or choose another folder"
        case errno.EACCES | errno.EPERM:
            return "choose a folder in which you may write"
        case errno.EROFS:
            return "this disk can only be read, so choose a folder on another one"
        case errno.ENAMETOOLONG:
            return "choose a shorter name"
        case errno.EFBIG:
            return "this disk takes no file so large, so choose a folder on another one"
        case _:
            return "choose another folder"


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
        raise not_written(target, error) from error
    try:
        yield scratch
    except OSError as error:
        raise not_written(target, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
