"""What every kind of file gives: objects, each with the place where it stands."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.data.sources.findings import Finding


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a file, or one row of a table."""

    place: str
    """"line 3" of JSONL or a CSV, "item 3" of a list, "row 3" of a Parquet file; all count from 1."""
    values: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file holds, before anybody asks what it means."""

    items: Sequence[Item]
    findings: Sequence[Finding]
    """What stands where an object should."""
    typed: bool = True
    """Whether numbers are told from texts; a CSV doesn't tell."""


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
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    return f"a value of the type {type(value).__name__}"


def shortened(text: str, width: int = 60) -> str:
    """Return ``text``, its end left out where it is long."""
    return text if len(text) <= width else text[: width - 3] + "..."
