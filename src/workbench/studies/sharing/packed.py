r"""The files that an archive holds, whoever packed it, before any of them is believed.

``workbench export`` writes a zip file. A colleague unpacks it, and a file manager packs it again in its own
way: in a folder of any name, beside entries of its own (a Mac's Finder adds ``__MACOSX/`` and ``.DS_Store``),
in another order and compression, with "\\" between folders (Windows PowerShell), or as a tar archive. All of
them are read here, and so is the unpacked folder itself. What the files may be called and hold is not decided
here.
"""

import gzip
import io
import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from workbench.errors import InputError

MOST_FILES = 400_000
COPY_BYTES = 1 << 20
GZIP = b"\x1f\x8b"
USTAR, USTAR_PLACE = b"ustar", 257
"""What tells a compressed file and a tar archive apart from a zip file, and where that stands."""
JUNK_FOLDER = "__MACOSX"
JUNK_NAMES = frozenset({".DS_Store", ".localized", "Icon\r", "Thumbs.db", "desktop.ini"})
APPLE_DOUBLE = "._"
"""Begins the name of the file in which macOS keeps what another file can't hold."""
ASK = "ask its sender for one that `workbench export` wrote"


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One file of an archive."""

    name: str
    """Its path, with "/" between folders."""
    size: int
    """Bytes that it declares; it may hold another number."""
    open: Callable[[], IO[bytes]]


@contextmanager
def members(archive: Path, most: int, scratch: Path) -> Iterator[list[Member]]:
    """Yield the files of a zip file, a tar archive or a folder, without those that a file manager adds.

    Where all of them lie in one folder, their names are those inside of it.

    Args:
        archive: The file or folder.
        most: Bytes that a compressed tar archive may unpack to.
        scratch: A folder in which it is unpacked.

    Raises:
        InputError: If it can't be read, or holds something other than ordinary files and folders.
    """
    with ExitStack() as opened:
        plain: IO[bytes] | None = None
        if _begins_with(archive, GZIP):
            plain = opened.enter_context(tempfile.TemporaryFile(dir=scratch))
            _decompress(archive, plain, most)
        # what goes wrong where the files are written, after the yield, is no error of reading
        with reading(archive):
            found = _found(archive, plain, opened)
            listed = _prepared(found, archive)
        yield listed


def _found(archive: Path, plain: IO[bytes] | None, opened: ExitStack) -> Iterator[Member]:
    if archive.is_dir():
        return _in_folder(archive)
    if plain is None and not _begins_with(archive, USTAR, USTAR_PLACE):
        return _in_zip(opened.enter_context(zipfile.ZipFile(archive)), archive)
    if plain is not None:
        plain.seek(0)
    return _in_tar(opened.enter_context(tarfile.open(archive, "r:", plain)), archive)


def _begins_with(archive: Path, magic: bytes, place: int = 0) -> bool:
    with reading(archive):
        if archive.is_dir():
            return False
        with open(archive, "rb") as file:
            file.seek(place)
            return file.read(len(magic)) == magic


def _decompress(archive: Path, plain: IO[bytes], most: int) -> None:
    size = 0
    with gzip.open(archive) as source:
        while True:
            with reading(archive):
                chunk = source.read(COPY_BYTES)
            if not chunk:
                return
            size += len(chunk)
            if size > most:
                raise too_large(archive, size, most)
            plain.write(chunk)


@contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Turn whatever goes wrong while an archive is read into a sentence; errors of writing don't belong here.

    Raises:
        InputError: Instead of the error.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no file {archive}") from None
    except NotImplementedError as error:
        raise InputError(
            f"{archive} can't be unpacked: {error}; unpack it with the program that packed it and give "
            "`workbench import` the folder"
        ) from error
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        ValueError,
        OSError,
    ) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{archive} can't be unpacked: {why}; {ASK}") from error


def _in_folder(folder: Path) -> Iterator[Member]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InputError(f"{folder}: {path.relative_to(folder)} is no ordinary file; {ASK}")
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            yield Member(name=name, size=path.stat().st_size, open=partial(io.FileIO, path))


def _in_zip(file: zipfile.ZipFile, archive: Path) -> Iterator[Member]:
    entries = [entry for entry in file.infolist() if not entry.filename.endswith(("/", "\\"))]
    # one program separates folders in one way; a mixture was made by hand
    windows = not any("/" in entry.filename for entry in entries)
    for entry in entries:
        if entry.external_attr >> 28 not in (0, 8):
            raise InputError(f"{archive}: {entry.filename} is no ordinary file; {ASK}")
        if entry.flag_bits & 1:
            raise InputError(
                f"{archive}: {entry.filename} is encrypted; unpack it with its password and give `workbench "
                "import` the folder"
            )
        name = entry.filename.replace("\\", "/") if windows else entry.filename
        yield Member(name=name, size=entry.file_size, open=partial(file.open, entry))


def _in_tar(tar: tarfile.TarFile, archive: Path) -> Iterator[Member]:
    for entry in tar:
        if entry.isdir():
            continue
        if not entry.isfile():
            raise InputError(f"{archive}: {entry.name} is no ordinary file; {ASK}")
        yield Member(name=entry.name, size=entry.size, open=partial(_extracted, tar, entry))


def _extracted(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> io.BufferedReader:
    file = tar.extractfile(entry)
    assert isinstance(file, io.BufferedReader)  # None only for what is no file
    return file


def too_large(archive: Path, size: int, most: int) -> InputError:
    """Return the error for an archive that unpacks to more than would be taken."""
    return InputError(
        f"{archive} says that it unpacks to {size / 2**20:.0f} MiB; at most {most / 2**20:.0f} MiB would be "
        "taken from a file of its size on this disk"
    )


def _prepared(found: Iterator[Member], archive: Path) -> list[Member]:
    """Leave out what file managers add, and the folders in which everything lies."""
    kept: list[Member] = []
    for number, member in enumerate(found):
        if number >= MOST_FILES:
            raise InputError(f"{archive} holds more than {MOST_FILES} files, which no study has; {ASK}")
        if not _is_junk(member.name):
            kept.append(member)
    outer = _common_folders([member.name for member in kept])
    return [replace(member, name=member.name[len(outer) :]) for member in kept]


def _is_junk(name: str) -> bool:
    *folders, last = name.split("/")
    return JUNK_FOLDER in folders or last in JUNK_NAMES or last.startswith(APPLE_DOUBLE)


def _common_folders(names: Sequence[str]) -> str:
    """Return the folders that all names begin with, such as "study/", or nothing."""
    common = os.path.commonprefix(names)  # noqa: RUF071 - cut at a folder's end below
    return common[: common.rfind("/") + 1]
