"""A few facts to read at the end of a notebook's cell, where Python's own form of a value says little."""

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.showing import Shown


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
