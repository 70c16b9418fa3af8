"""One row of a table: a model trained once and evaluated once, read from whatever a row says."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.laws.direction import word_set, words_of
from workbench.laws.readers import in_full, number_in
from workbench.laws.statuses import UNFINISHED, neptune_columns, neptune_word, status_column, status_in

ROLES = ("quality", "size", "seed", "status", "evaluation")
"""Columns with a meaning of their own; every other numeric column is a metric or an input of a law."""
INPUTS = ("model", "unique", "share", "raters", "rank", "steps", "epochs")
"""Columns that tell two cells of one quality, size and seed apart."""
LEAST, MOST = 1e-30, 1e30
"""What a size, a loss or another input of a law can be: powers of numbers beyond overflow."""
COUNTED = word_set("size n examples example samples records items tokens data documents rows")
"""Words of columns that count the examples."""
OF_MODELS = word_set("model models params parameters")
"""Words of columns that count something of a model instead."""
WHOLE = "all"
"""The quality of every row of a table that has no quality column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One row: a model trained once and evaluated once."""

    quality: str
    size: float
    """Number of examples (or tokens; one unit for the whole table). 0 is the zero-shot row."""
    seed: int | None
    status: str
    evaluation: str
    values: Mapping[str, float | None]
    """Every other numeric column by name: metrics and inputs of laws. None is missing."""
    text: Mapping[str, str] = field(default_factory=dict)
    """Fields that are no numbers."""
    not_finite: Mapping[str, str] = field(default_factory=dict)
    """Fields that hold NaN or infinity, as they stand; in ``values`` they are missing."""
    line: int
    """Row of the source, counted as a spreadsheet does: the header is line 1."""


def measurements(raw: Sequence[Mapping[str, Any]], kept: Sequence[bool], name: str) -> Iterator[Measurement]:
    """Yield the kept rows but those of runs that are not finished, or failed before their size was known.

    Raises:
        InputError: Naming the line and the column of what can't be read.
    """
    labelled = any(not _is_empty(row.get("quality")) for row in raw)
    for line, (row, keep) in enumerate(zip(raw, kept, strict=True), start=2):
        where = f"{name}, line {line}"
        status = status_in(row.get("status"), where) if keep else UNFINISHED
        if status == UNFINISHED or (status == "failed" and _is_empty(row["size"])):
            continue
        measured = _measurement(row, status, where, line)
        if labelled and measured.size > 0 and _is_empty(row.get("quality")):
            raise InputError(
                f"{where}: quality is empty, and other rows have one. Write this row's quality, or leave the "
                "row out."
            )
        yield measured


def with_our_names(rows: list[dict[str, Any]], columns: Mapping[str, str], name: str) -> list[dict[str, Any]]:
    """Return the rows with our names of the columns; a tracker's "State" is the status without being named.

    Raises:
        InputError: If there is no row, or a column is missing.
    """
    if not rows:
        raise InputError(f"{name}: no rows; expected one per trained model.")
    present = list(rows[0])
    for ours, theirs in columns.items():
        if theirs not in present:
            raise InputError(
                f"{name}: no column {theirs!r} for {ours!r}. The columns are: {', '.join(present)}. Name "
                "one of them."
            )
    state, failed = neptune_columns(rows)
    if (state or failed) and "status" not in present and columns.get("status") in (None, state, failed):
        rows = [{**row, "status": neptune_word(row, state, failed)} for row in rows]
        columns = {ours: theirs for ours, theirs in columns.items() if ours != "status"}
    elif "status" not in columns and (found := status_column(rows)):
        columns = {**columns, "status": found}
    renamed = {theirs: ours for ours, theirs in columns.items()}
    shadowed = set(columns) - set(renamed)
    out = [
        {renamed.get(key, key): value for key, value in row.items() if key not in shadowed or key in renamed}
        for row in rows
    ]
    if "size" not in out[0]:
        raise InputError(
            f"{name}: no column 'size'. The columns are: {', '.join(present)}. {_which_counts(rows, out)}"
        )
    return out


def _which_counts(rows: Sequence[Mapping[str, Any]], renamed: Sequence[Mapping[str, Any]]) -> str:
    """Say which column may hold the sizes: the first of numbers that differ, those that have a role last."""
    names = {name.strip().lower() for name in rows[0]}
    if {"wall time", "step", "value"} <= names or any(name.endswith("__min") for name in names):
        return (
            "It looks like a chart's export of learning curves, with a row a step; a table has a row a "
            "trained model. Export the table of runs instead, or write each run's size and last value in one."
        )
    kept = [name for name in rows[0] if name in renamed[0] and name not in (*ROLES, *INPUTS)]
    named = [
        name
        for name in kept
        if COUNTED.intersection(words := set(words_of(name))) and not OF_MODELS.intersection(words)
    ]
    for name in dict.fromkeys((*named, *kept, *rows[0])):
        try:
            values = {number_in(row[name]) for row in rows if not _is_empty(row[name])}
        except (TypeError, ValueError):
            continue
        if len(values) > 1 and all(value >= 0 and value.is_integer() for value in values):
            option = f"--columns {shlex.quote(f'size={name}')}"
            return f"Say which one counts the examples; if it is {name!r}: {option}."
    return "None of them counts the examples; add one called 'size'."


def failed_early(raw: Sequence[Mapping[str, Any]]) -> int:
    """Return how many rows failed before they had a size."""
    return sum(_is_empty(row["size"]) and status_in(row.get("status"), "") == "failed" for row in raw)


def lost_numbers(raw: Sequence[Mapping[str, Any]], rows: Sequence[Measurement]) -> Iterator[str]:
    """Yield what is missing: rows that failed before they had a size, and numbers that were not finite."""
    if failed := failed_early(raw):
        yield f"{failed} of {len(raw)} rows failed before their size was known; they are left out."
    lost: dict[str, int] = {}
    for row in rows:
        for column in row.not_finite if row.status == "done" else ():
            lost[column] = lost.get(column, 0) + 1
    if lost:
        counts = ", ".join(f"{column} of {count} rows" for column, count in lost.items())
        yield f"Not a finite number and so missing: {counts}."


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def cell_of(row: Measurement) -> tuple[Any, ...]:
    """Return what tells a row's cell from others; seeds of one cell share it."""
    return row.quality, row.size, *(row.values.get(name) for name in INPUTS)


def trained_twice(name: str, one: Measurement, two: Measurement) -> str:
    """Say which settings differ between two cells of a study that share quality, size and seed."""
    differ = [
        f"{setting} {told[0]} and {told[1]}"
        for setting in (field.name for field in fields(CellConfig))
        if (told := [row.values.get(setting, row.text.get(setting)) for row in (one, two)])[0] != told[1]
    ]
    settings = f", with {', '.join(differ)}" if differ else ""
    return (
        f"the cell of quality {two.quality!r}, size {two.size:g} and seed {two.seed} was trained "
        f"twice{settings}, and one curve can't hold both. `workbench mend {name}` sets one of them aside."
    )


def second_row(name: str, one: Measurement, two: Measurement, *, measured_here: bool) -> str:
    """Say that two rows are one cell, and nothing that was set tells them apart."""
    if measured_here:
        return trained_twice(name, one, two)
    of = "" if two.quality == WHOLE else f"quality {two.quality!r}, "
    return (
        f"{name}, lines {one.line} and {two.line}: the same cell twice ({of}size {two.size:g}, seed "
        f"{two.seed}). Remove one, or give the second its own seed."
    )


def _measurement(row: Mapping[str, Any], status: str, where: str, line: int) -> Measurement:
    size = _number(row["size"], "size", where)
    if size is None or size < 0:
        raise InputError(f"{where}: size is {row['size']!r}; expected a count of examples, 0 for zero-shot.")
    if size and not LEAST <= size <= MOST:
        raise InputError(out_of_range(where, "size", size))
    share = _finite_or_none(row.get("share"), "share", where)
    if share is not None and not 0 <= share <= 1:
        raise InputError(
            f"{where}: share is {row['share']}; expected the share left clean, from 0 to 1, not percent."
        )
    seed = _number(row.get("seed"), "seed", where)
    if seed is not None and seed != int(seed):
        raise InputError(f"{where}: seed is {row['seed']!r}; expected a whole number.")
    quality = row.get("quality")
    given = {key: value for key, value in row.items() if key not in ROLES}
    values = {key: _other(value, key, where) for key, value in given.items()}
    return Measurement(
        quality=WHOLE if _is_empty(quality) else str(quality),
        size=size,
        seed=None if seed is None else int(seed),
        status=status,
        evaluation=str(row.get("evaluation") or ""),
        values={key: value for key, value in values.items() if not isinstance(value, str)},
        text={key: value for key, value in values.items() if isinstance(value, str)},
        not_finite={
            key: str(given[key])
            for key, value in values.items()
            if value is None and not _is_empty(given[key])
        },
        line=line,
    )


def out_of_range(where: str, column: str, value: float) -> str:
    """Say that a number is too large, too small or negative for what a law does with it."""
    return (
        f"{where}: {column} is {value:g}; expected a number from {LEAST:g} to {MOST:g}. Write the column in "
        "another unit, or leave the row out."
    )


def not_finite(where: str, column: str, value: object) -> InputError:
    """Return the error that says that a number which is needed is NaN or infinite."""
    return InputError(
        f"{where}: {column} is {value}; expected a finite number. Leave the field empty if it is "
        "missing; if the run diverged, write 'failed' in a column 'status'."
    )


def _number(value: object, column: str, where: str) -> float | None:
    """Read a number that has to be finite; empty is missing."""
    if _is_empty(value):
        return None
    try:
        number = number_in(value)
    except (TypeError, ValueError):
        said = in_full(value) or "expected a number, or nothing if missing."
        raise InputError(f"{where}: {column} is {value!r}; {said}") from None
    if not math.isfinite(number):
        raise not_finite(where, column, value)
    return number


def _finite_or_none(value: object, column: str, where: str) -> float | None:
    """Read a number, of which NaN and infinity are missing, so that nobody fits them."""
    try:
        if not math.isfinite(number_in(value)):
            return None
    except (TypeError, ValueError):
        pass  # what is no number is said below
    return _number(value, column, where)


def _other(value: object, column: str, where: str) -> float | str | None:
    """Read a column without a fixed role: numbers are kept, other text is not ours to judge."""
    if isinstance(value, str) and value.strip():
        try:
            number_in(value)
        except ValueError:
            return value
    return (
        _finite_or_none(value, column, where)
        if isinstance(value, str | int | float | np.number | None)
        else str(value)
    )
