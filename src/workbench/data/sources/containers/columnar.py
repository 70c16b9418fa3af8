"""Parquet and Arrow files to objects, a row each, by pyarrow.

Arrow has two forms: a file, which Feather is too, and a stream, which the library ``datasets`` writes.

Source: https://parquet.apache.org/docs/file-format and https://arrow.apache.org/docs/format/Columnar.html.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.data.sources.items import Contents, Item
from workbench.errors import InputError, how_to_install

PARQUET_MARK = b"PAR1"
ARROW_FILE_MARK = b"ARROW1"
ARROW_STREAM_MARK = b"\xff\xff\xff\xff"
"""First bytes of each form."""


def is_columnar(path: Path, data: bytes) -> bool:
    """Say whether a file is Parquet or Arrow, by its first bytes."""
    return data.startswith((PARQUET_MARK, ARROW_FILE_MARK, ARROW_STREAM_MARK))


def read_columnar(path: Path, data: bytes) -> Contents:
    """Return the rows of a Parquet or Arrow file.

    Raises:
        InputError: If pyarrow isn't installed, or the file is damaged or empty.
    """
    kind = "a Parquet" if data.startswith(PARQUET_MARK) else "an Arrow"
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            f"{path} is {kind} file, which pyarrow reads, and that isn't installed; type "
            f"`{how_to_install('data')}`"
        ) from error
    readers: dict[bytes, Callable[[Any], Any]] = {
        PARQUET_MARK: pyarrow.parquet.read_table,
        ARROW_FILE_MARK: lambda file: pyarrow.ipc.open_file(file).read_all(),
        ARROW_STREAM_MARK: lambda file: pyarrow.ipc.open_stream(file).read_all(),
    }
    read = next(reader for mark, reader in readers.items() if data.startswith(mark))
    try:
        rows = read(io.BytesIO(data)).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{path} is {kind} file that can't be read ({reason}); make it anew") from error
    if not rows:
        raise InputError(f"{path} is {kind} file without a row; it has to hold at least one record")
    return Contents(items=[Item(f"row {number}", row) for number, row in enumerate(rows, 1)], findings=[])
