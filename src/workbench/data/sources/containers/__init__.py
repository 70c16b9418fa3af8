"""The kinds of file that hold records, found by their contents and, for tables in text, by their names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.data.sources.containers.columnar import is_columnar, read_columnar
from workbench.data.sources.containers.compressed import unpacked
from workbench.data.sources.containers.json_text import read_json_text
from workbench.data.sources.containers.table_text import has_bars, is_table, read_bars, read_table_text
from workbench.data.sources.hub import is_named, read_named
from workbench.data.sources.items import Contents
from workbench.data.sources.other_kinds import as_text, read_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One kind of file."""

    fits: Callable[[Path, bytes], bool]
    """Says whether a file is of this kind, by its name and its bytes."""
    read: Callable[[Path, bytes], Contents]
    text: bool = True
    """Whether it is text, in UTF-8."""


CONTAINERS: dict[str, Container] = {
    "Parquet or Arrow": Container(fits=is_columnar, read=read_columnar, text=False),
    "CSV or TSV": Container(fits=is_table, read=read_table_text),
    "lines with ||": Container(fits=has_bars, read=read_bars),
    "JSON or JSONL": Container(fits=lambda path, data: True, read=read_json_text),
}
"""Every kind of file, in the order in which it is asked; the last one takes what no other one does."""


def read_items(path: Path) -> Contents:
    """Return the objects of a file or of ``hf:NAME``, at least one, and what stands where one should.

    Raises:
        InputError: If the file can't be opened or read, or holds no object.
    """
    if is_named(path):
        return read_named(path)
    data = unpacked(path, read_bytes(path))
    if not any(one.fits(path, data) for one in CONTAINERS.values() if not one.text):
        data = as_text(path, data)
    container = next(one for one in CONTAINERS.values() if one.fits(path, data))
    return container.read(path, data)
