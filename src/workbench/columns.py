"""A small table that any library of data frames takes as it is: a dictionary of columns."""

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.showing import one_line, rows_html

MOST_ROWS = 10
"""Rows that a notebook shows."""


class Columns(dict[str, list[Any]]):
    """Columns by name, each a list with one value a row; None is missing.

    ``pandas.DataFrame(columns)`` and ``polars.DataFrame(columns)`` take it as it is, and so does
    ``workbench.read_table``. A column holds values of one kind, because some of those libraries refuse, or
    cut, a column of whole numbers and fractions: where one is a fraction all are, and the same for texts.

    Args:
        rows: One mapping a row, all with the same names.
        measured_here: Whether the workbench measured the values itself, see ``workbench.read_table``.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = (), *, measured_here: bool = False) -> None:
        rows = list(rows)
        names = dict.fromkeys(name for row in rows for name in row)
        super().__init__({name: _of_one_kind([row.get(name) for row in rows]) for name in names})
        self.measured_here = measured_here

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The same table as a list of rows, each a dictionary."""
        return [dict(zip(self, row, strict=True)) for row in zip(*self.values(), strict=True)]

    @property
    def height(self) -> int:
        """Number of rows."""
        return len(next(iter(self.values()), []))

    def __repr__(self) -> str:
        names = ", ".join(one_line(name, 40) for name in self)
        return f"{self.height} rows of {len(self)} columns: {names}\npandas.DataFrame(table) shows them"

    def _repr_html_(self) -> str:
        given = {name: [value for value in values if value is not None] for name, values in self.items()}
        same = {name: own[0] for name, own in given.items() if own and all(value == own[0] for value in own)}
        shown = [name for name, own in given.items() if own and name not in same] or list(self)
        rows = [[row[name] for name in shown] for row in self.rows[:MOST_ROWS]]
        first = f"the first {len(rows)} of " if self.height > len(rows) else ""
        alike = ", ".join(f"{name} {value}" for name, value in same.items() if name not in shown)
        note = f"{first}{self.height} rows" + (f"; the same wherever given: {alike}" if alike else "")
        return rows_html(shown, rows, note)


def _of_one_kind(values: list[Any]) -> list[Any]:
    """Return a column's values all as fractions, or all as text, where they are of several kinds."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2:
        return values
    kind: type = float if kinds == {int, float} else str
    return [None if value is None else kind(value) for value in values]
