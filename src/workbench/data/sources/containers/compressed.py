"""One level of compression around a file: gzip, bzip2, xz and Zstandard, found by the first bytes."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.conversions import compression
from workbench.errors import InputError, how_to_install

MOST_UNPACKED = 1 << 32
"""Bytes that a file may unpack to; a few kilobytes can be made to unpack to more than any memory."""


def unpacked(path: Path, data: bytes) -> bytes:
    """Return what a file holds, unpacked where it is compressed, and as it is otherwise.

    Raises:
        InputError: If it is damaged, unpacks to very much, is packed twice, or is Zstandard and nothing
            here can read that.
    """
    kind = compression(data)
    if kind is None:
        return data
    try:
        with OPENERS[kind](path, io.BytesIO(data)) as file:
            held = file.read(MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, _zstd_error()) as error:
        raise InputError(
            f"{path} is {kind} that can't be unpacked ({error}); it is damaged or was cut off: get it again"
        ) from error
    if len(held) > MOST_UNPACKED:
        raise InputError(f"{path} unpacks to more than {MOST_UNPACKED >> 30} GiB; give it in parts")
    if again := compression(held):
        raise InputError(f"{path} is {kind} around {again}, packed twice; pack its contents once")
    return held


def _zstd_error() -> type[Exception]:
    """Return what a damaged Zstandard file raises; where nothing reads one, nothing is raised either."""
    try:
        from compression.zstd import ZstdError
    except ImportError:
        try:
            from zstandard import ZstdError
        except ImportError:
            return OSError
    return ZstdError


def _zstd(path: Path, file: io.BytesIO) -> Any:  # noqa: ANN401 - of whichever library is there
    try:
        from compression import zstd  # Python 3.14 and later
    except ImportError:
        try:
            import zstandard
        except ImportError as error:
            raise InputError(
                f"{path} is zstd, which the package zstandard reads, and that isn't installed; type "
                f"`{how_to_install('data')}`"
            ) from error
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return zstd.open(file)


OPENERS: dict[str, Callable[[Path, io.BytesIO], Any]] = {
    "gzip": lambda path, file: gzip.GzipFile(fileobj=file),
    "bzip2": lambda path, file: bz2.BZ2File(file),
    "xz": lambda path, file: lzma.LZMAFile(file),  # noqa: SIM115 - closed by who asked for it
    "zstd": _zstd,
}
"""What reads each kind that ``conversions.COMPRESSED`` tells; a new one is a line there and one here."""
