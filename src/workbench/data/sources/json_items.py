"""JSON lists and JSONL to objects, each with the place where it stands.

Which of the two a file is shows in its first character: a list begins with "[". Objects are read as they
are; what they have to hold is somebody else's question.
"""

import codecs
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InputError


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a file."""

    path: Path
    place: str
    """"line 3" of JSONL, "item 3" of a list; both count from 1."""
    values: dict[str, Any]

    def __str__(self) -> str:
        """Say where it stands."""
        return f"{self.path}, {self.place}"


def read_items(path: Path) -> list[Item]:
    """Return the objects of a file; there is at least one.

    Raises:
        InputError: If the file can't be opened, isn't UTF-8 or JSON, holds anything but objects, or
            nothing.
    """
    text = _text(path)
    if not text.strip():
        raise InputError(f"{path} is empty; it has to hold at least one record")
    items = _list(path, text) if text.lstrip().startswith("[") else _lines(path, text)
    if not items:
        raise InputError(f"{path} holds an empty list; it has to hold at least one record")
    return items


def _text(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give one of its files, a JSON list or JSONL")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path} is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} isn't UTF-8; save the file as UTF-8"
        ) from error


def _list(path: Path, text: str) -> list[Item]:
    values = _parsed(path, text, 1)
    return [_item(path, f"item {number}", value) for number, value in enumerate(values, 1)]


def _lines(path: Path, text: str) -> list[Item]:
    # not splitlines(): JSON allows the rarer line separators that it splits at inside a text
    return [
        _item(path, f"line {number}", _parsed(path, line, number))
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]


def _parsed(path: Path, text: str, line: int) -> Any:  # noqa: ANN401 - whatever the file holds
    """Parse ``text``, which begins at ``line`` of the file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line += error.lineno - 1
        reason = f"{error.msg} at column {error.colno}"
        near = error.doc.split("\n")[error.lineno - 1]
    except (ValueError, RecursionError) as error:  # a number with thousands of digits, thousands of brackets
        reason, near = str(error), text
    raise InputError(
        f"{path}, line {line}: this isn't JSON ({reason}): {shortened(near.strip())}. Expected one list of "
        "objects, or one object on each line"
    )


def _item(path: Path, place: str, value: object) -> Item:
    if not isinstance(value, dict):
        raise InputError(
            f'{path}, {place}: expected an object such as {{"prompt": "...", "response": "..."}}, '
            f"found {shortened(json.dumps(value, ensure_ascii=False))}"
        )
    return Item(path, place, value)


def shortened(text: str, width: int = 60) -> str:
    """Return ``text``, its end left out where it is long."""
    return text if len(text) <= width else text[: width - 3] + "..."
