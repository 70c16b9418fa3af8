"""A GGUF that was split into several files, read as one: the names of the parts, and the checks between them.

llama.cpp's `llama-gguf-split` and the `gguf` package name parts NAME-00001-of-00003.gguf. The first holds
the metadata of the model; each says which part it is (`split.no`, from 0), of how many (`split.count`), and
how many tensors there are in all (`split.tensors.count`).

Source: llama.cpp's `tools/gguf-split`.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.models.gguf_container import GgufFile, PackedTensor, read_container

_NAME = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Parts:
    """A GGUF and the files that it lies in, in their order: one, or all parts of a split one."""

    file: GgufFile
    paths: tuple[Path, ...]

    @property
    def sha256(self) -> str:
        """Hash of the bytes of all files, one after the other: for one file that of the file."""
        digest = hashlib.sha256()
        for path in self.paths:
            with open(path, "rb") as opened:
                while chunk := opened.read(_CHUNK):
                    digest.update(chunk)
        return digest.hexdigest()


def is_part(path: Path) -> bool:
    """Say whether a file's name is that of one part of several."""
    return (found := _NAME.match(path.name)) is not None and int(found["count"]) > 1


def read_parts(path: Path) -> Parts:
    """Read a GGUF whole, from the file itself or from any of its parts.

    Raises:
        InputError: If a part is missing, damaged, or doesn't belong to the others.
    """
    given = read_container(path)
    count = given.metadata.get("split.count", 1)
    if type(count) is not int or count <= 1:
        return Parts(given, (path,))
    paths = _paths(path, count)
    first = given if paths[0] == path else read_container(paths[0])
    tensors: dict[str, PackedTensor] = {}
    for number, one in enumerate(paths):
        part = first if number == 0 else given if one == path else read_container(one)
        _check(part, number, first)
        if twice := next((name for name in part.tensors if name in tensors), None):
            raise InputError(
                f"{one}: tensor {twice!r} is in another part, too; get all {count} parts of one model again."
            )
        tensors |= part.tensors
    total = first.metadata.get("split.tensors.count", len(tensors))
    if total != len(tensors):
        raise InputError(
            f"{paths[0]}: the {count} parts hold {len(tensors)} tensors, expected {total!r} "
            "(split.tensors.count); get all parts of one model again."
        )
    return Parts(GgufFile(paths[0], first.metadata, tensors), paths)


def _paths(path: Path, count: int) -> tuple[Path, ...]:
    """Return where all parts lie, after a look whether they are there."""
    found = _NAME.match(path.name)
    if found is None or int(found["count"]) != count:
        raise InputError(
            f"{path} is one of {count} parts of a GGUF that was split, but isn't called so: rename the parts "
            f"to NAME-00001-of-{count:05}.gguf and so on, and give the first."
        )
    names = (f"{found['stem']}-{number:05}-of-{found['count']}" for number in range(1, count + 1))
    paths = tuple(path.with_name(name + path.suffix) for name in names)
    missing = [one.name for one in paths if not one.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{path} is one of {count} parts of a GGUF that was split, and {missing[0]}{more} isn't beside "
            "it; get all parts into one folder."
        )
    return paths


def _check(part: GgufFile, number: int, first: GgufFile) -> None:
    """Refuse a part that says that it is another one, or that contradicts the first."""
    count = first.metadata["split.count"]
    stated = part.metadata.get("split.no"), part.metadata.get("split.count")
    if stated != (number, count):
        raise InputError(
            f"{part.path} says that it is part {_counted(stated[0])} of {stated[1]!r}, expected part "
            f"{number + 1} of {count}; get all parts of one model again, under their own names."
        )
    for key, value in part.metadata.items():
        if not key.startswith("split.") and first.metadata.get(key) != value:
            raise InputError(
                f"{part.path}: {key} isn't what the first part says; get all parts of one model again."
            )
    if part.metadata.get("split.tensors.count") != first.metadata.get("split.tensors.count"):
        raise InputError(
            f"{part.path}: split.tensors.count isn't what the first part says; get all parts of one model "
            "again."
        )


def _counted(number: Any) -> str:  # noqa: ANN401 - whatever the file holds
    return str(number + 1) if type(number) is int else repr(number)
