"""Records that are in Python already: a table of pandas, polars or pyarrow, a ``datasets.Dataset``, a list.

They are written as JSONL into the cache, under a name that is the hash of their content, and read from
there: a study has to be able to read its data again, also after Python has ended.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.files import cache_folder, write_atomically

FRAMES: dict[str, Callable[[Any], Iterable[Mapping[str, Any]]]] = {
    "pandas": lambda frame: frame.to_dict("records"),
    "polars": lambda frame: frame.iter_rows(named=True),
    "datasets": lambda frame: frame,
    "pyarrow": lambda frame: frame.to_pylist(),
}
"""How the rows are taken out of a table, by the package that it is of."""


def is_frame(data: object) -> bool:
    """Say whether something is a table, or a list of records, instead of a name or a path."""
    if isinstance(data, list | tuple):
        return bool(data) and isinstance(data[0], Mapping)
    return package_of(data) in FRAMES


def package_of(data: object) -> str:
    """Return the package that an object's class is of."""
    return type(data).__module__.partition(".")[0]


def as_file(data: Any) -> Path:  # noqa: ANN401 - whichever package it is of
    """Write the records of a table or a list as JSONL and return the file; the same records, the same file.

    Raises:
        InputError: If it isn't a table of records, or holds a value that JSON can't say.
    """
    package = package_of(data)
    kind = f"{package}.{type(data).__name__}" if package in FRAMES else "a list of records"
    if package in FRAMES and not _is_table(data):
        named = f", such as data[{next(iter(data))!r}]" if isinstance(data, Mapping) and data else ""
        raise InputError(f"{kind} isn't one table of records; give one of its parts{named}")
    rows = FRAMES[package](data) if package in FRAMES else data
    lines = [_line(row, number, kind) for number, row in enumerate(rows, 1)]
    content = "".join(lines).encode()
    if not content:
        raise InputError(f"{kind} has no row; it has to hold at least one record")
    name = hashlib.sha256(content).hexdigest()[:16]
    path = cache_folder() / "given" / f"{package if package in FRAMES else 'records'}-{name}.jsonl"
    if not path.is_file():
        write_atomically(path, content)
    return path


def _is_table(data: Any) -> bool:  # noqa: ANN401 - whichever package it is of
    return type(data).__name__ in ("DataFrame", "Dataset", "Table")


def _line(row: object, number: int, kind: str) -> str:
    """Return a row as a line of JSON; a missing value is null."""
    if not isinstance(row, Mapping):
        raise InputError(f"{kind}: row {number} is {type(row).__name__}; each has to be a dict")
    values = {str(key): _plain(value, str(key), number, kind) for key, value in row.items()}
    return json.dumps(values) + "\n"


def _plain(value: Any, key: str, number: int, kind: str) -> Any:  # noqa: ANN401 - a table's value
    """Return a value as JSON has it."""
    if isinstance(value, list | tuple):
        return [_plain(one, key, number, kind) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one, key, number, kind) for name, one in value.items()}
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if value != value else value  # pandas says a missing value so
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return _plain(value.tolist(), key, number, kind)
    if hasattr(value, "isoformat"):
        return value.isoformat() if str(value) != "NaT" else None
    if type(value).__name__ == "NAType":  # pandas' own missing value
        return None
    raise InputError(
        f"{kind}: row {number} has a value of the type {type(value).__name__} in {key!r}; make it a text or "
        "a number, or leave the column out"
    )
