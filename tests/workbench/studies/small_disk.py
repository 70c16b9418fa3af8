"""A real disk of a few megabytes, and how to fill it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(place: Path, size: str = "16m") -> Iterator[Path]:
    """Mount a disk of a few megabytes.

    Raises:
        PermissionError: If this user may not mount.
    """
    disk = place / "disk"
    disk.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise PermissionError("a small disk can't be mounted by this user") from error
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with open(disk / "filler", "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
