"""Where records come from: built-in sources by name, and the user's own files by path."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from workbench.data.records import Dataset
from workbench.data.sources import raters, verbs
from workbench.errors import unknown_name

SOURCES: dict[str, Callable[[int | None], Dataset]] = {
    "verbs": verbs.load,
    "raters": raters.load,
    **{f"raters-{domain}": partial(raters.load, domains=(domain,)) for domain in raters.DOMAINS},
}
"""Built-in sources by name: each takes the number of records to hold out, or None for its default."""


def load_dataset(name_or_path: str | Path, *, heldout: int | None = None) -> Dataset:
    """Return a built-in source.

    Raises:
        InputError: If there is no such source.
    """
    if str(name_or_path) in SOURCES:
        return SOURCES[str(name_or_path)](heldout)
    raise unknown_name("data", str(name_or_path), SOURCES, "src/workbench/data/sources/__init__.py")
