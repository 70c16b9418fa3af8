"""A file that is written from start to end, whose every failure is an error, and that the disk then has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def sink(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file to write to; leaving it waits until the disk has all of it.

    Raises:
        OSError: If the disk takes no more, at whatever byte that is.
    """
    with open(path, "xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
