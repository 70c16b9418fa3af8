"""The container of GGUF files: metadata by key and tensors as packed bytes, memory-mapped.

Nothing in a file is believed before it is checked against the bytes that are there, so that a file that is
cut off, foreign or malicious ends in one sentence, and never in a large allocation. Types and block sizes
are the `gguf` package's; its own reader builds several arrays for every token, which takes seconds.

Source: the GGUF specification, versions 2 and 3, little-endian.
"""

import mmap
import shlex
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGUF_MAGIC, GGMLQuantizationType, GGUFValueType

from workbench.errors import ANOTHER_BASE, InputError
from workbench.files import not_read

_SCALARS: dict[int, str] = {
    GGUFValueType.UINT8: "<u1",
    GGUFValueType.INT8: "<i1",
    GGUFValueType.UINT16: "<u2",
    GGUFValueType.INT16: "<i2",
    GGUFValueType.UINT32: "<u4",
    GGUFValueType.INT32: "<i4",
    GGUFValueType.UINT64: "<u8",
    GGUFValueType.INT64: "<i8",
    GGUFValueType.FLOAT32: "<f4",
    GGUFValueType.FLOAT64: "<f8",
    GGUFValueType.BOOL: "?",
}
LARGEST_ALIGNMENT = 65_536


@dataclass(frozen=True, slots=True)
class PackedTensor:
    """A tensor as it lies in the file: rows of packed blocks."""

    name: str
    format: GGMLQuantizationType
    shape: tuple[int, ...]
    """Of the decoded tensor, rows first (the file counts the other way)."""
    data: np.ndarray
    """Bytes, one row for each row of the tensor; a read-only view of the file."""


@dataclass(frozen=True, slots=True)
class GgufFile:
    """What a GGUF file holds."""

    path: Path
    metadata: dict[str, Any]
    """Numbers, texts, or lists of either, by key."""
    tensors: dict[str, PackedTensor]


def read_container(path: Path) -> GgufFile:
    """Read a GGUF file's metadata and map its tensors.

    Raises:
        InputError: If the file can't be opened, isn't GGUF, is cut off, or contradicts itself.
    """
    try:
        with open(path, "rb") as file:
            if path.stat().st_size == 0:
                raise InputError(
                    f"{path} is empty; expected a GGUF file. Get the file again, or {ANOTHER_BASE}."
                )
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise not_read(path, error) from error
    cursor = _Cursor(path, mapped)
    tensor_count, field_count = _read_preamble(cursor)
    metadata = _read_metadata(cursor, field_count)
    return GgufFile(path, metadata, _read_tensors(cursor, tensor_count, _alignment(cursor, metadata)))


def command_without(path: Path, keys: Iterable[str]) -> str:
    """Return the command, of the package ``gguf``, that copies a file without some metadata fields."""
    removals = " ".join(f"--remove-metadata {shlex.quote(key)}" for key in keys)
    copy = path.with_name(f"{path.stem}-without.gguf")
    return f"gguf-new-metadata --force {removals} {shlex.quote(str(path))} {shlex.quote(str(copy))}"


class _Cursor:
    """A place in the file that moves forward and never past the end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.place = 0

    def fail(self, what: str) -> NoReturn:
        """Say what is wrong with a file that has bytes missing or bytes changed."""
        raise InputError(f"{self.path}: {what}. Get the file again, or {ANOTHER_BASE}.")

    def fail_as_another_format(self, what: str) -> NoReturn:
        """Say in which format a file is that is whole and can't be read."""
        raise InputError(
            f"{self.path}: {what}. Take the model in GGUF version 3, little-endian, or {ANOTHER_BASE}."
        )

    @property
    def left(self) -> int:
        return len(self.data) - self.place

    def skip(self, size: int, what: str) -> int:
        """Move over ``size`` bytes and return where they begin."""
        if size > self.left:
            self.fail(
                f"the file is cut off in {what}: {size} bytes belong there and {self.left} are left of "
                f"{len(self.data)}"
            )
        self.place += size
        return self.place - size

    def number(self, code: str, what: str) -> Any:  # noqa: ANN401 - an int, a float or a bool
        return struct.unpack_from(f"<{code}", self.data, self.skip(struct.calcsize(code), what))[0]

    def count(self, smallest: int, what: str) -> int:
        """Read how many items follow; each takes at least ``smallest`` bytes, or the number is a lie."""
        count = self.number("Q", what)
        if count * smallest > self.left:
            self.fail(f"it declares {count} {what}, more than the remaining {self.left} bytes can hold")
        return count

    def texts(self, count: int, what: str) -> list[str]:
        """Read texts that lie end to end; a vocabulary has 100,000, so each takes one check."""
        found = []
        for _ in range(count):
            start = self.place + 8
            end = start + int.from_bytes(self.data[self.place : start], "little")
            if end > len(self.data):
                self.skip(end - self.place, what)
            try:
                found.append(self.data[start:end].decode())
            except UnicodeDecodeError as error:
                self.fail(f"{what} at byte {start} isn't UTF-8 text ({error.reason})")
            self.place = end
        return found

    def text(self, what: str) -> str:
        return self.texts(1, what)[0]


def _read_preamble(cursor: _Cursor) -> tuple[int, int]:
    """Check magic and version, and return the numbers of tensors and metadata fields."""
    magic = cursor.data[:4]
    if magic != struct.pack("<I", GGUF_MAGIC):
        raise InputError(
            f"{cursor.path} isn't a GGUF file: it begins with {magic!r}, expected b'GGUF'. Give a .gguf "
            "file, or a folder with safetensors."
        )
    cursor.skip(4, "the magic")
    version = cursor.number("I", "the version")
    if version & 0xFFFF == 0 and version:
        cursor.fail_as_another_format(f"it is big-endian (its version reads {version:#x})")
    if version not in (2, 3):
        cursor.fail_as_another_format(f"its GGUF version is {version}, expected 2 or 3")
    # a tensor's entry takes at least 24 bytes, a field's at least 13
    return cursor.count(24, "tensors"), cursor.count(13, "metadata fields")


def _read_metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.text("a metadata key")
        if key in metadata:
            cursor.fail(f"metadata field {key!r} is there twice")
        metadata[key] = _read_value(cursor, key, cursor.number("I", f"the type of {key!r}"))
    return metadata


def _read_value(cursor: _Cursor, key: str, kind: int) -> Any:  # noqa: ANN401 - see GgufFile.metadata
    what = f"metadata field {key!r}"
    if kind == GGUFValueType.STRING:
        return cursor.text(what)
    if kind == GGUFValueType.ARRAY:
        return _read_array(cursor, key)
    if kind not in _SCALARS:
        cursor.fail(f"{what} has the type {kind}, which GGUF doesn't define")
    return _numbers(cursor, kind, 1, what)[0]


def _read_array(cursor: _Cursor, key: str) -> list[Any]:
    what = f"metadata field {key!r}"
    kind = cursor.number("I", f"the type of {key!r}")
    if kind == GGUFValueType.STRING:
        return cursor.texts(cursor.count(8, f"texts in {what}"), what)
    if kind not in _SCALARS:
        cursor.fail(f"{what} is a list of the type {kind}; expected numbers or texts")
    size = np.dtype(_SCALARS[kind]).itemsize
    return _numbers(cursor, kind, cursor.count(size, f"numbers in {what}"), what)


def _numbers(cursor: _Cursor, kind: int, count: int, what: str) -> list[Any]:
    dtype = np.dtype(_SCALARS[kind])
    if kind == GGUFValueType.BOOL:
        dtype = np.dtype("u1")
    start = cursor.skip(count * dtype.itemsize, what)
    values = np.frombuffer(cursor.data, dtype, count, start).tolist()
    if kind == GGUFValueType.BOOL:
        if any(value > 1 for value in values):
            cursor.fail(f"{what} is a truth value other than 0 and 1")
        return [bool(value) for value in values]
    return values


def _alignment(cursor: _Cursor, metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", 32)
    powers = {1 << exponent for exponent in range(LARGEST_ALIGNMENT.bit_length())}
    if type(alignment) is not int or alignment not in powers:
        cursor.fail(f"general.alignment is {alignment!r}, expected a power of two up to {LARGEST_ALIGNMENT}")
    return alignment


def _read_tensors(cursor: _Cursor, count: int, alignment: int) -> dict[str, PackedTensor]:
    entries: dict[str, Callable[[int], PackedTensor]] = {}
    for _ in range(count):
        name, entry = _read_entry(cursor, alignment)
        if name in entries:
            cursor.fail(f"tensor {name!r} is there twice")
        entries[name] = entry
    start = -(-cursor.place // alignment) * alignment
    return {name: entry(start) for name, entry in entries.items()}


def _read_entry(cursor: _Cursor, alignment: int) -> tuple[str, Callable[[int], PackedTensor]]:
    """Read one tensor's entry; its bytes can be mapped once the end of all entries is known."""
    name = cursor.text("a tensor's name")
    what = f"tensor {name!r}"
    axes = cursor.number("I", what)
    if not 1 <= axes <= 4:
        cursor.fail(f"{what} has {axes} axes, expected 1 to 4")
    shape = tuple(cursor.number("Q", what) for _ in range(axes))[::-1]
    kind, offset = cursor.number("I", what), cursor.number("Q", what)
    if kind not in GGML_QUANT_SIZES:
        cursor.fail(f"{what} has the block type {kind}, which isn't known")
    format = GGMLQuantizationType(kind)
    block, block_bytes = GGML_QUANT_SIZES[format]
    if 0 in shape or shape[-1] % block:
        cursor.fail(f"{what} has the shape {shape}, which {format.name} can't store in blocks of {block}")
    if offset % alignment:
        cursor.fail(f"{what} begins at {offset}, which isn't a multiple of the alignment {alignment}")
    row_bytes = shape[-1] // block * block_bytes
    size = prod(shape[:-1]) * row_bytes

    def view(start: int) -> PackedTensor:
        end = start + offset + size
        if end > len(cursor.data):
            cursor.fail(
                f"the file is cut off: {what} ends at byte {end} and the file has {len(cursor.data)} bytes"
            )
        data = np.frombuffer(cursor.data, np.uint8, size, start + offset)
        return PackedTensor(name, format, shape, data.reshape(-1, row_bytes))

    return name, view
