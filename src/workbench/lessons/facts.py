"""What a notebook's cell says to people: a few facts, or a sentence, where Python's own form says little."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from textwrap import fill

from workbench.showing import Shown

TERMINAL_COLUMNS = 90
"""Where a sentence is broken in a terminal."""


@dataclass(frozen=True, slots=True, repr=False)
class Facts(Shown):
    """A small table: a title, then a line for each fact.

    Args:
        title: What the facts are about.
        facts: Each fact by its name; a fraction is shown with three digits that count.
    """

    title: str
    facts: Mapping[str, object]

    def _shown(self) -> tuple[str, Mapping[str, str]]:
        return self.title, {name: _words(value) for name, value in self.facts.items()}


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True, repr=False)
class Paragraphs:
    """Plain sentences that a page breaks between words, at any width; printed text would break inside them.

    Args:
        texts: What to say, a paragraph each.
    """

    texts: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(fill(text, TERMINAL_COLUMNS) for text in self.texts)

    def _repr_html_(self) -> str:
        return "".join(f'<p style="margin:0 0 0.5em">{escape(text)}</p>' for text in self.texts)


def say(*texts: str) -> None:
    """Show sentences below a notebook's cell, a paragraph each; in a terminal they are printed.

    Args:
        texts: What to say; no text is read as HTML.
    """
    said = Paragraphs(tuple(texts))
    # only IPython's own front ends have it loaded, and there display also works inside `interact`
    show = getattr(sys.modules.get("IPython.display"), "display", print)
    show(said)
