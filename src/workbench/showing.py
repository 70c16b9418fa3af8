"""How objects show themselves: a few facts as an HTML table in a notebook, one line of text in a terminal.

Names, licences and records come from other people's files. So every text is escaped for the page, and control
characters are written out for the terminal. The tables carry no colour of their own and load nothing: they
take the page's, light or dark.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

LONGEST_CELL = 300
"""Characters of a text that are shown; the rest is cut and the cut is marked."""
LONGEST_FACT = 1000
"""The same for a fact, which may be a sentence."""
LONGEST_NOTE = 3000
"""The same for what stands below a table, which may be a paragraph."""
LEFT = ' style="text-align:left; vertical-align:top"'


def one_line(text: object, most: int = LONGEST_CELL) -> str:
    """Return a text for a terminal: one line, at most so long, with control characters written out."""
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[: most + 1]
    )
    return shown if len(shown) <= most else shown[:most] + " …"


def padded(rows: Sequence[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Return a table's lines for a terminal, every column as wide as its longest cell.

    Args:
        rows: Texts, the headings first, equally many in each.
        numbers: Whether all but the first column are numbers, which end below each other.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if numbers and place else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def facts_html(title: object, facts: Mapping[str, object]) -> str:
    """Return a small HTML table: a title, then a line for each fact."""
    lines = [
        f"<tr><th{LEFT}>{_cell(name)}</th><td{LEFT}>{_cell(fact)}</td></tr>" for name, fact in facts.items()
    ]
    return f'<table><tr><th colspan="2"{LEFT}>{_cell(title)}</th></tr>{"".join(lines)}</table>'


def rows_html(columns: Sequence[object], rows: Iterable[Sequence[object]], note: object = "") -> str:
    """Return an HTML table with a line for each row, which scrolls where it is too wide, and a note below."""
    head = "".join(f"<th{LEFT}>{_cell(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td{LEFT}>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    below = f"<p>{_cell(note, LONGEST_NOTE)}</p>" if note else ""
    return f'<div style="overflow-x:auto"><table><tr>{head}</tr>{body}</table></div>{below}'


def _cell(value: object, most: int = LONGEST_CELL) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return escape(text if len(text) <= most else text[:most] + " …")


class Shown:
    """A class that shows itself by a title and a few facts; a dataclass takes it with ``repr=False``."""

    __slots__ = ()

    def _shown(self) -> tuple[str, Mapping[str, str]]:
        """Return the title and the facts, for people to read."""
        raise NotImplementedError

    def __repr__(self) -> str:
        title, facts = self._shown()
        lines = (f"\n  {one_line(name)}: {one_line(fact, LONGEST_FACT)}" for name, fact in facts.items())
        return one_line(title) + "".join(lines)

    def _repr_html_(self) -> str:
        return facts_html(*self._shown())
