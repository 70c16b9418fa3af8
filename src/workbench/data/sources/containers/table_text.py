"""Tables in text: CSV, TSV and E2E's ``slots||reference``.

The first line of a table names its columns; every row is an object of texts. A row that has another number
of fields is a finding, and the rows after it are read.

Source of the E2E form: https://github.com/microsoft/LoRA, ``examples/NLG/data/e2e``.
"""

import csv
import io
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.data.sources.findings import Finding
from workbench.data.sources.items import Contents, Item, shortened
from workbench.data.sources.other_kinds import decoded
from workbench.errors import InputError

SEPARATORS = ",\t;"
TABLE_COLUMNS = {"prompt", "response", "instruction", "input", "output", "question", "answer", "completion"}
"""Names by which the first line of a table shows; without one, a table has to be called .csv or .tsv."""
SLOTS, REFERENCE = "slots", "reference"
"""What the two sides of an E2E line are called here."""
BARS = "||"

_limit = threading.Lock()


def is_table(path: Path, data: bytes) -> bool:
    """Say whether a text is a table, by its name or by the columns that its first line names."""
    if data.lstrip()[:1] in (b"{", b"["):
        return False
    if {suffix.lower() for suffix in path.suffixes[-2:]} & {".csv", ".tsv"}:
        return True
    header = data.lstrip().split(b"\n", 1)[0].decode("utf-8", "replace")
    names = {cell.strip(' "\r').lower() for cell in header.split(_separator(header))}
    return len(names) > 1 and bool(names & TABLE_COLUMNS)


def read_table_text(path: Path, data: bytes) -> Contents:
    """Return the rows of a CSV or TSV, each an object of texts.

    Raises:
        InputError: If it isn't UTF-8, has no row, names a column twice or leaves a quote open.
    """
    text = decoded(path, data)
    header = text.lstrip("\r\n").split("\n", 1)[0]
    items: list[Item] = []
    findings: list[Finding] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(header), strict=True)
    names: list[str] = []
    begin = 1
    with _long_fields():
        try:
            for fields in reader:
                place, begin = f"line {begin}", reader.line_num + 1
                if not fields:  # an empty line
                    continue
                if not names:
                    names = _columns(path, fields)
                elif len(fields) == len(names):
                    items.append(Item(place, dict(zip(names, fields, strict=True))))
                else:
                    what = f"with another number of fields than the {len(names)} columns"
                    findings.append(Finding(place, what, f"{len(fields)} fields"))
        except csv.Error as error:
            raise InputError(
                f"{path}, line {begin}: this row of a table can't be read ({error}); put quotes around a "
                "text that has a separator, a quote or a new line in it, and write each quote inside twice"
            ) from error
    if not items:
        if not names:
            raise InputError(f"{path} is empty; it has to hold at least one record")
        why = "is no other line" if not findings else f"is no line with {len(names)} fields, as it has"
        raise InputError(
            f"{path} is a table whose first line names its columns, and there {why}; it has to hold at least "
            "one record"
        )
    return Contents(items=items, findings=findings, typed=False)


def has_bars(path: Path, data: bytes) -> bool:
    """Say whether most lines of a text are E2E's, such as "name : Alimentum||A place ."."""
    if data.lstrip()[:1] in (b"{", b"["):
        return False
    lines = [line for line in data.split(b"\n") if line.strip()]
    return bool(lines) and 2 * sum(BARS.encode() in line for line in lines) > len(lines)


def read_bars(path: Path, data: bytes) -> Contents:
    """Return each line as an object of its two sides.

    Raises:
        InputError: If it isn't UTF-8.
    """
    items: list[Item] = []
    findings: list[Finding] = []
    for number, line in enumerate(decoded(path, data).split("\n"), 1):
        if not line.strip():
            continue
        slots, bars, reference = line.partition(BARS)
        if bars:
            items.append(Item(f"line {number}", {SLOTS: slots.strip(), REFERENCE: reference.strip()}))
        else:
            findings.append(Finding(f"line {number}", f"without {BARS!r}", shortened(line.strip())))
    return Contents(items=items, findings=findings)


def _separator(header: str) -> str:
    return max(SEPARATORS, key=header.count)


def _columns(path: Path, names: list[str]) -> list[str]:
    """Return the columns' names, which have to differ."""
    stripped = [name.strip() for name in names]
    twice = [name for name, count in Counter(stripped).items() if count > 1]
    if twice:
        raise InputError(
            f"{path}, line 1: two columns are called {twice[0]!r}; rename one of them, so that each row says "
            "one thing by it"
        )
    return stripped


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let a field be as long as it is; the limit is one for the whole process, and others rely on it."""
    with _limit:
        before = csv.field_size_limit(sys.maxsize)
        try:
            yield
        finally:
            csv.field_size_limit(before)
