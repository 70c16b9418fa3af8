"""JSON lists and JSONL to objects.

A list begins with "["; a file that does and is no list is JSONL with a bad first line where more lines are
objects than items of a list. Objects are read as they are; what they have to hold is somebody else's
question. A line that can't be read is a finding, and the lines after it are read; a list is read whole or
not at all.
"""

import json
from pathlib import Path

from workbench.data.sources.findings import Finding
from workbench.data.sources.items import Contents, Item, kind_in_words, shortened
from workbench.data.sources.other_kinds import decoded, decoded_lines
from workbench.errors import InputError

EXPECTED = "Expected one list of objects, or one object on each line"


def read_json_text(path: Path, data: bytes) -> Contents:
    """Return the objects of a JSON list or JSONL, of which there is at least one.

    Args:
        path: Its name, for messages.
        data: Its text, in UTF-8.

    Raises:
        InputError: If it holds no object, or is a list that isn't UTF-8 or JSON.
    """
    is_list = data.lstrip().startswith(b"[")
    found = _list(path, data) if is_list else _lines(path, data)
    if not found:
        what = "holds an empty list" if is_list else "is empty"
        raise InputError(f"{path} {what}; it has to hold at least one record")
    items = [one for one in found if isinstance(one, Item)]
    findings = [one for one in found if isinstance(one, Finding)]
    if not items:
        raise InputError(_no_object(path, data, findings[0]))
    return Contents(items=items, findings=findings)


def _list(path: Path, data: bytes) -> list[Item | Finding]:
    text = decoded(path, data)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = _lines(path, data)
        in_a_list = sum(line.rstrip().endswith(("},", "[", "]")) for line in text.split("\n"))
        if sum(isinstance(one, Item) for one in lines) > in_a_list:
            return lines
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise InputError(
            f"{path}, line {line}: this isn't JSON ({_reason(error, text)}). A list is read whole or not at "
            "all, so none of its records can be left out; mend that line, or write one object on each line "
            "instead of a list"
        ) from error
    return [_item(f"item {number}", value) for number, value in enumerate(values, 1)]


def _lines(path: Path, data: bytes) -> list[Item | Finding]:
    found: list[Item | Finding] = []
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


def _item(place: str, value: object) -> Item | Finding:
    if isinstance(value, dict):
        return Item(place, value)
    return Finding(place, "no object", kind_in_words(value))


def _no_object(path: Path, data: bytes, first: Finding) -> str:
    """Say what a file is in which no object was found."""
    text = decoded(path, data)
    if first.what == "not JSON" and _is_json(text):
        return f"{path} holds one value, but not as a list or on one line. {EXPECTED}"
    told = f"{path} holds no record; {first.place} is {first.what}: {first.detail}. {EXPECTED}"
    if first.what == "not JSON" and not text.lstrip().startswith(("{", "[", '"')):
        told += ", or a table (CSV or TSV) whose first line names its columns, 'prompt' and 'response'"
    return told


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
