"""Which rows of a table are kept: those with a wanted value, and one of exact copies."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from workbench.errors import InputError
from workbench.laws.measurement import Measurement
from workbench.laws.readers import number_in

MOST_LINES = 4
"""Lines that a note names."""


def rows_where(
    raw: Sequence[Mapping[str, Any]],
    renamed: Sequence[Mapping[str, Any]],
    where: Mapping[str, Sequence[str]],
    name: str,
) -> list[bool]:
    """Say which rows have one of the wanted values in every column that is named.

    Args:
        raw: The rows as they were read.
        renamed: The same with our names of the columns.
        where: The wanted values by column, under its name in the table or ours.
        name: What messages call the table.

    Raises:
        InputError: If there is no such column or value, or no row has all of them.
    """
    kept = [True] * len(raw)
    for column, wanted in where.items():
        rows = raw if column in raw[0] else renamed
        if column not in rows[0]:
            known = list(dict.fromkeys((*raw[0], *renamed[0])))
            raise InputError(
                f"{name}: --where asks for a column {column!r}, which isn't there. The columns are: "
                f"{', '.join(known)}. {or_leave_out(column, known)}"
            )
        there = list(dict.fromkeys(_plain(row[column]) for row in rows))
        for value in wanted:
            if not any(_same(value, one) for one in there):
                near = _nearest(value, there)
                raise InputError(
                    f"{name}: no row has {value!r} in column {column!r}. Its values are: "
                    f"{', '.join(map(repr, there[:12]))}{', ...' if len(there) > 12 else ''}. Choose one of "
                    f"them, as with --where {shlex.quote(f'{column}={near}')}."
                )
        for i, row in enumerate(rows):
            kept[i] &= any(_same(value, _plain(row[column])) for value in wanted)
    if not any(kept):
        asked = ", ".join(f"{column}={value}" for column, values in where.items() for value in values)
        raise InputError(f"{name}: no row has all of {asked}. Leave one --where out.")
    return kept


def without_copies(rows: Sequence[Measurement]) -> tuple[tuple[Measurement, ...], list[int]]:
    """Return the rows without exact copies that no seed tells apart, and the lines of those left out.

    Counted twice a run would make the noise look smaller than it is.
    """
    seen: set[object] = set()
    kept, lines = [], []
    for row in rows:
        said = tuple(sorted(row.values.items())), tuple(sorted(row.text.items()))
        key = (row.quality, row.size, row.seed, row.status, row.evaluation, *said)
        if row.seed is None and row.size > 0 and row.status == "done" and key in seen:
            lines.append(row.line)
            continue
        seen.add(key)
        kept.append(row)
    return tuple(kept), lines


def said_of_copies(lines: Sequence[int]) -> str:
    """Say which rows were left out as copies, and what to do if they are none."""
    named = ", ".join(map(str, lines[:MOST_LINES]))
    more = f" and {len(lines) - MOST_LINES} more" if len(lines) > MOST_LINES else ""
    rows = (
        "row equals an earlier one in every column and is"
        if len(lines) == 1
        else ("rows equal earlier ones in every column and are")
    )
    return (
        f"{len(lines)} {rows} not counted again (line{'s' * (len(lines) > 1)} {named}{more}). If these are "
        "runs that happened to agree, tell them apart by a column 'seed'."
    )


def said_of_statuses(rows: Sequence[Measurement]) -> Iterator[str]:
    """Yield which cells failed or were stopped, and what becomes of them."""
    for status, meaning in (
        ("failed", "left out of the means"),
        ("censored", "a law is held below their last value, a curve leaves them out"),
    ):
        cells = [row for row in rows if row.status == status]
        if cells:
            places = sorted({f"{row.quality} at {row.size:g}" for row in cells})
            shown = ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
            yield f"{len(cells)} of {len(rows)} cells {status} ({meaning}): {shown}."


def alike(labels: Iterable[str]) -> str | None:
    """Say which qualities differ in case, spaces or the writing of a number alone; None where none do."""
    groups: dict[object, list[str]] = {}
    for label in labels:
        try:
            key: object = number_in(label)
        except ValueError:
            key = " ".join(label.split()).casefold()
        groups.setdefault(key, []).append(label)
    same = [own for own in groups.values() if len(own) > 1]
    if not same:
        return None
    pairs = "; ".join(" and ".join(map(repr, own)) for own in same)
    return (
        f"Qualities that differ in case, spaces or the writing of a number alone are taken for different: "
        f"{pairs}. If they are one, write them alike."
    )


def or_leave_out(column: str, known: Sequence[str], option: str = "--where") -> str:
    """Say what to do about a column that isn't there: the nearest one, or none."""
    near = get_close_matches(column, known, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Name one of them, or leave {option} out."


def _nearest(value: str, there: Sequence[str]) -> str:
    near = get_close_matches(value, there, n=1)
    return near[0] if near else there[0]


def _plain(value: object) -> str:
    return "" if value is None else str(value).strip()


def _same(one: str, two: str) -> bool:
    """Say whether two fields hold the same text or number, as 7e9 and 7000000000."""
    if one.strip() == two:
        return True
    try:
        return number_in(one) == number_in(two)
    except ValueError:
        return False
