"""Rows of a table of measurements, from whatever it is kept in: files, rows, columns or a data frame.

A spreadsheet writes numbers in its country's manner. In a file with semicolons the comma is the decimal mark
unless the file itself shows otherwise; what could be read in two ways is refused.
"""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.laws.not_a_table import text_of_table

GROUPED = re.compile(r"[+-]?\d{1,3}([,' \u00a0\u202f])\d{3}(\1\d{3})*(\.\d+)?")
"""A number with separators between thousands."""
ONE_GROUP = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""A number that is a thousand times smaller where the comma is a decimal mark."""
POINT_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
"""A number with points between thousands, where the comma is the decimal mark."""
DECIMAL_COMMA = re.compile(r"[+-]?(\d+),(\d+)([eE][+-]?\d+)?")
DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
SHORTENED = re.compile(r"(\d+(?:[.,]\d+)?)\s*([kKmMbBgGtT])")
"""A number whose thousands, millions or more are a letter."""
SHORT = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
JSON = re.compile(r"\s*(\[\s*)?\{")
EXAMPLE = '{"size": 32, "seed": 0, "loss": 1.5}'
"""A row in JSON."""


def number_in(value: object) -> float:
    """Read a number, with or without separators between thousands.

    Raises:
        ValueError: If it is none.
        TypeError: If it is neither text nor a number.
    """
    if isinstance(value, str) and GROUPED.fullmatch(value.strip()):
        value = re.sub(r"[,' \u00a0\u202f]", "", value.strip())
    return float(value)  # type: ignore[arg-type]


def in_full(value: object) -> str:
    """Say how to write a number whose end is shortened, such as "7B" or "2k"; nothing for other text."""
    found = SHORTENED.fullmatch(str(value).strip())
    if not found:
        return ""
    number = float(found[1].replace(",", ".")) * SHORT[found[2].lower()]
    return f"expected a number written in full, such as {number:.12g}."


def raw_rows(source: object, name: str) -> list[dict[str, Any]]:
    """Return the rows of a file, of a list of rows, of a mapping of columns or of a data frame, as they are.

    Raises:
        InputError: If it can't be read as a table.
    """
    if isinstance(source, str | Path):
        return _file_rows(Path(source))
    if hasattr(source, "to_dicts"):  # polars
        source = source.to_dicts()
    elif hasattr(source, "to_dict") and not isinstance(source, Mapping):  # pandas, where NaN means missing
        source = {
            name: [None if isinstance(value, float) and math.isnan(value) else value for value in values]
            for name, values in source.to_dict("list").items()
        }
    if isinstance(source, Mapping):
        lengths = {key: len(values) for key, values in source.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(
                f"{name}: columns differ in length: {lengths}. Give every column one value per row."
            )
        keys = list(source)
        return [dict(zip(keys, row, strict=True)) for row in zip(*source.values(), strict=True)]
    if isinstance(source, Iterable):
        return [dict(row) for row in source]
    raise InputError(
        f"{name}: a {type(source).__name__} is no table. Give a file, a list of rows, or columns by name."
    )


def _file_rows(path: Path) -> list[dict[str, Any]]:
    text = text_of_table(path)
    if not text.strip():
        raise InputError(f"{path}: the file is empty; expected a header line and one row per model.")
    return _json_rows(text, path) if JSON.match(text) else _csv_rows(text, path)


def _json_rows(text: str, path: Path) -> list[dict[str, Any]]:
    lines = text.splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: not JSON ({error}). Write one object per line, such as {EXAMPLE}."
            ) from error
        if not isinstance(row, dict):
            raise InputError(
                f"{path}, line {number}: a {type(row).__name__}, not an object with columns. Write one "
                f"object per line, such as {EXAMPLE}."
            )
        rows.append(row)
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _csv_rows(text: str, path: Path) -> list[dict[str, Any]]:
    mark = max(",;\t", key=text.splitlines()[0].count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=mark)
    header = [name.strip() for name in next(reader)]
    if twice := [name for name in dict.fromkeys(header) if header.count(name) > 1]:
        raise InputError(f"{path}: two columns are called {twice[0]!r}. Rename one of them.")
    rows = []
    for cells in _split(reader, path):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            if len(header) == 1:
                raise InputError(
                    f"{path}, line 1: {header[0]!r} has no {mark!r} in it, and line {reader.line_num} has "
                    f"{len(cells)} fields. Make the names of the columns the first line of the file."
                )
            raise InputError(
                f"{path}, line {reader.line_num}: {len(cells)} fields under a header of {len(header)}. "
                f"Write a field for every column, and put quotes around a text that has {mark!r} in it."
            )
        rows.append(dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    return _with_points(rows, path) if mark == ";" else rows


def _split(reader: Any, path: Path) -> Iterator[list[str]]:  # noqa: ANN401 -- csv names this type privately
    """Yield the fields of each row."""
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: {error}. Close the quotes that are open there, or leave "
            "the column of long texts out of the table."
        ) from error


def _with_points(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Write decimal commas as points, in a file whose columns are separated by semicolons."""
    cells = [cell for row in rows for cell in row.values()]
    commas = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
    points = [cell for cell in cells if DECIMAL_POINT.fullmatch(cell)]
    if not commas or any(not POINT_GROUPED.fullmatch(cell) for cell in points):
        return rows
    if all(ONE_GROUP.fullmatch(cell) for cell in commas):
        raise InputError(
            f"{path}: {commas[0]!r} may mean {commas[0].replace(',', '.')} or {commas[0].replace(',', '')}, "
            "and nothing in the file tells which. Write decimal points, or thousands without a separator."
        )
    return [{name: _with_point(cell) for name, cell in row.items()} for row in rows]


def _with_point(cell: str) -> str:
    if POINT_GROUPED.fullmatch(cell):
        return cell.replace(".", "")
    return cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell
