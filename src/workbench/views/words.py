"""Quantities and settings as people say them."""

from collections.abc import Iterator, Mapping
from typing import Any


def seconds_in_words(seconds: float | int) -> str:
    """Return a duration such as "42 s", "7.5 min" or "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bytes_in_words(count: float | int) -> str:
    """Return an amount of memory such as "350 MiB" or "1.5 GiB"."""
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


def flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every fact of a manifest with its path, such as ("versions torch", "2.13.0")."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{path}{name} ")
        elif isinstance(value, list):
            yield path + name, ", ".join(map(_word, value))
        else:
            yield path + name, _word(value)


def _word(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_word(inner)}" for name, inner in value.items() if inner is not None)
    return "none" if value is None else str(value)
