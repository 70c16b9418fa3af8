"""JSON lists and JSONL to objects, each with the place where it stands.

A list begins with "["; a file that does and is no list is JSONL with a bad first line where more lines are
objects than items of a list. Objects are read as they are; what they have to hold is somebody else's
question. A line that can't be read is a finding, and the lines after it are read; a list is read whole or
not at all.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.data.sources.findings import Finding
from workbench.data.sources.other_kinds import as_table, decoded, decoded_lines, read_bytes
from workbench.errors import InputError

EXPECTED = "Expected one list of objects, or one object on each line"


@dataclass(frozen=True, slots=True)
class JsonItem:
    """One object of a file."""

    place: str
    """"line 3" of JSONL, "item 3" of a list; both count from 1."""
    values: dict[str, Any]


def read_items(path: Path) -> tuple[list[JsonItem], list[Finding]]:
    """Return the objects of a file, of which there is at least one, and what stands where one should.

    Raises:
        InputError: If the file can't be opened, holds no object, or is a list that isn't UTF-8 or JSON.
    """
    data = read_bytes(path)
    is_list = data.lstrip().startswith(b"[")
    found = _list(path, data) if is_list else _lines(path, data)
    if not found:
        what = "holds an empty list" if is_list else "is empty"
        raise InputError(f"{path} {what}; it has to hold at least one record")
    items = [one for one in found if isinstance(one, JsonItem)]
    findings = [one for one in found if isinstance(one, Finding)]
    if not items:
        raise InputError(_no_object(path, data, findings[0]))
    return items, findings


def _list(path: Path, data: bytes) -> list[JsonItem | Finding]:
    text = decoded(path, data)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = _lines(path, data)
        in_a_list = sum(line.rstrip().endswith(("},", "[", "]")) for line in text.split("\n"))
        if sum(isinstance(one, JsonItem) for one in lines) > in_a_list:
            return lines
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise InputError(
            f"{path}, line {line}: this isn't JSON ({_reason(error, text)}). A list is read whole or not at "
            "all, so none of its records can be left out; mend that line, or write one object on each line "
            "instead of a list"
        ) from error
    return [_item(f"item {number}", value) for number, value in enumerate(values, 1)]


def _lines(path: Path, data: bytes) -> list[JsonItem | Finding]:
    found: list[JsonItem | Finding] = []
    for number, line in enumerate(decoded_lines(path, data), 1):
        place = f"line {number}"
        if not isinstance(line, str):
            found.append(Finding(place, "not UTF-8", line.reason))
        elif line.strip():
            try:
                found.append(_item(place, json.loads(line)))
            except (ValueError, RecursionError) as error:
                found.append(Finding(place, "not JSON", _reason(error, line)))
    return found


def _item(place: str, value: object) -> JsonItem | Finding:
    if isinstance(value, dict):
        return JsonItem(place, value)
    return Finding(place, "no object", kind_in_words(value))


def _no_object(path: Path, data: bytes, first: Finding) -> str:
    """Say what a file is in which no object was found."""
    text = decoded(path, data)
    if table := as_table(path, text):
        return table
    if first.what == "not JSON" and _is_json(text):
        return f"{path} holds one value, but not as a list or on one line. {EXPECTED}"
    return f"{path} holds no record; {first.place} is {first.what}: {first.detail}. {EXPECTED}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _reason(error: ValueError | RecursionError, text: str) -> str:
    """Say why something isn't JSON; besides, a number may have too many digits or brackets be too deep."""
    if not isinstance(error, json.JSONDecodeError):
        return f"{error}, near {shortened(text.strip())}"
    near = error.doc.split("\n")[error.lineno - 1].strip()
    return f"{error.msg} at column {error.colno} of {shortened(near)}"


def kind_in_words(value: object) -> str:
    """Name a JSON value that isn't what was expected."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the truth value {json.dumps(value)}"
    if isinstance(value, int | float):
        return f"the number {shortened(json.dumps(value))}"
    if isinstance(value, str):
        return f"the text {shortened(json.dumps(value, ensure_ascii=False))}"
    return "a list" if isinstance(value, list) else "an object"


def shortened(text: str, width: int = 60) -> str:
    """Return ``text``, its end left out where it is long."""
    return text if len(text) <= width else text[: width - 3] + "..."
