"""One level of compression around a file: gzip, bzip2, xz and Zstandard, found by the first bytes."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench.conversions import compression
from workbench.errors import InputError, how_to_install

MOST_UNPACKED = 1 << 32
"""Bytes that a file may unpack to; a few kilobytes can be made to unpack to more than any memory."""
PIECE = 1 << 14
"""Bytes that are unpacked at once, which even then become a few hundred megabytes at most."""


def unpacked(path: Path, data: bytes) -> bytes:
    """Return what a file holds, unpacked where it is compressed, and as it is otherwise.

    Raises:
        InputError: If it is damaged, unpacks to very much, is packed twice, or is Zstandard and nothing
            here can read that.
    """
    kind = compression(data)
    if kind is None:
        return data
    held = bytearray()
    try:
        for piece in UNPACKERS[kind](path, data):
            held += piece
            if len(held) > MOST_UNPACKED:
                raise InputError(f"{path} unpacks to more than {MOST_UNPACKED:,} bytes; give it in parts")
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            f"{path} is {kind} that can't be unpacked ({error}); it is damaged or was cut off: get it again"
        ) from error
    if again := compression(held):
        raise InputError(f"{path} is {kind} around {again}, packed twice; pack its contents once")
    return bytes(held)


def _pieces(open_file: Callable[[io.BytesIO], Any]) -> Callable[[Path, bytes], Iterator[bytes]]:
    """Return what unpacks by a file of Python's library, which says where the packed one was cut off."""

    def pieces(path: Path, data: bytes) -> Iterator[bytes]:
        with open_file(io.BytesIO(data)) as file:
            while piece := file.read(1 << 20):
                yield piece

    return pieces


def _zstd(path: Path, data: bytes) -> Iterator[bytes]:
    """Unpack Zstandard, frame by frame."""
    try:
        from compression.zstd import ZstdDecompressor, ZstdError  # Python 3.14 and later

        frame = ZstdDecompressor
    except ImportError:
        try:
            from zstandard import ZstdDecompressor, ZstdError
        except ImportError as error:
            raise InputError(
                f"{path} is zstd, which the package zstandard reads, and that isn't installed; type "
                f"`{how_to_install('data')}`"
            ) from error

        def frame() -> Any:  # noqa: ANN401 - a class of a library that may be missing
            return ZstdDecompressor().decompressobj()

    place, begun = 0, None
    try:
        while place < len(data):
            begun = begun or frame()
            piece = data[place : place + PIECE]
            yield begun.decompress(piece)
            place += len(piece)
            if begun.eof:
                place -= len(begun.unused_data)
                begun = None
    except ZstdError as error:
        raise OSError(str(error)) from error
    # the package's own file ends in silence where the data do
    if begun is not None:
        raise EOFError("it ends within a frame")


UNPACKERS: dict[str, Callable[[Path, bytes], Iterator[bytes]]] = {
    "gzip": _pieces(lambda file: gzip.GzipFile(fileobj=file)),
    "bzip2": _pieces(bz2.BZ2File),
    "xz": _pieces(lzma.LZMAFile),
    "zstd": _zstd,
}
"""What unpacks each kind that ``conversions.COMPRESSED`` tells; a new one is a line there and one here."""
