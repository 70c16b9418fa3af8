"""What a layout of records is: which keys a file's objects have, and how records are made of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.data.records import Record
from workbench.data.sources.findings import Finding, Option
from workbench.data.sources.items import Item, shortened

Keys = Mapping[str, str]
"""A record's fields, each with the key under which a file has it."""

OPTIONAL = ("id", "system", "system_prompt", "history", "choices", "alternatives")
"""Fields that every layout of plain keys may have, under their own names."""
TEXTS = ("prompt", "response")
"""Fields that have to say something."""


@dataclass(slots=True, kw_only=True)
class Row:
    """What a file says of one record, by the names of our fields and not checked yet."""

    place: str
    values: dict[str, Any]
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What else is said of it."""
    names: Keys = field(default_factory=dict)
    """What messages call a field; one that isn't here goes by its own name in quotes."""
    asks: bool = True
    """Whether something is asked; a text alone has no prompt."""
    part: str = ""
    """Which of an object's several records it is, for its id; empty where there is one."""
    findings: list[Finding] = field(default_factory=list)
    remarks: Sequence[str] = ()
    """What was left out of it or is odd, in words that all records of the kind share."""


class Unusable(Exception):
    """An object of which no record can be made."""

    def __init__(self, what: str, detail: str = "", option: Option = "on_bad") -> None:
        super().__init__(what)
        self.what, self.detail, self.option = what, detail, option

    def row(self, place: str) -> Row:
        """Return what stands for the record that couldn't be made."""
        return Row(place=place, values={}, findings=[Finding(place, self.what, self.detail, self.option)])


def count_records(items: Sequence[Item], records: Sequence[Record]) -> str:
    """Say how many records there are."""
    return f"{len(records):,} records"


def counted(unit: str) -> Callable[[Sequence[Item], Sequence[Record]], str]:
    """Return what counts the objects of a file by name, beside the records that were made of them."""
    return lambda items, records: f"{len(items):,} {unit}, {count_records(items, records)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One layout."""

    title: str
    """What a note says that a file was read as; empty for the workbench's own."""
    origin: str
    """Who writes it, or where it is defined."""
    template: str
    """The template that suits it."""
    fits: Callable[[Mapping[str, Any], Keys], bool]
    """Says whether an object has what the layout needs, under these keys."""
    rows: Callable[[Sequence[Item], Keys], Iterator[Row]]
    """Makes rows of a file's objects, each of which gives one, several, or part of one."""
    keys: Keys = field(default_factory=dict)
    """Under which key each field is found, where nobody says otherwise with ``--map``."""
    counts: Callable[[Sequence[Item], Sequence[Record]], str] = count_records
    """Says how many objects and records there are, for the note."""
    known_by: str = ""
    """What its objects have, for people, where ``keys`` doesn't say it."""
    by_name_only: bool = False
    """Whether it is taken only where ``--read-as`` names it."""


def each(
    rows_of: Callable[[Item, Keys], Iterator[Row]],
) -> Callable[[Sequence[Item], Keys], Iterator[Row]]:
    """Return ``rows`` of a layout in which every object stands for itself."""

    def rows(items: Sequence[Item], keys: Keys) -> Iterator[Row]:
        for item in items:
            try:
                # all of an object's records, or none
                found = list(rows_of(item, keys))
            except Unusable as reason:
                found = [reason.row(item.place)]
            yield from found

    return rows


def needed(item: Item, key: str) -> Any:  # noqa: ANN401 - a JSON value
    """Return what an object has under a key.

    Raises:
        Unusable: If it hasn't the key.
    """
    if key not in item.values:
        raise Unusable(f"without the key {key!r}", f"it has {keys_in_words(item.values)}")
    return item.values[key]


def without(values: Mapping[str, Any], *taken: str) -> dict[str, Any]:
    """Return an object's other keys."""
    return {key: value for key, value in values.items() if key not in taken}


def keys_in_words(values: Mapping[str, Any]) -> str:
    """Name an object's keys."""
    return shortened(", ".join(map(repr, values)), 100) or "no keys"
