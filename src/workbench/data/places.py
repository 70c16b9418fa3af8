"""Many places of a file in a few words, for messages: "mine.jsonl, lines 4, 18 and 32"."""

import re
from collections.abc import Iterable

MOST_PLACES = 5
"""Places that a message names before it only counts."""


def listed(places: Iterable[str]) -> str:
    """Return places such as "line 4" or "mine.jsonl, item 2" as one phrase, the first five by number.

    Places of one file are told together; what isn't a line or an item stands as it is.
    """
    every = list(places)
    more = len(every) - MOST_PLACES
    numbers: dict[str, list[str]] = {}
    for place in every[:MOST_PLACES]:
        found = re.fullmatch(r"(.*\b(?:line|item)) (\d+)", place, re.DOTALL)
        numbers.setdefault(found[1] if found else place, []).extend([found[2]] if found else [])
    told = [_counted(kind, of_kind, last=more <= 0) for kind, of_kind in numbers.items()]
    return "; ".join(told) + (f" and {more} more" if more > 0 else "")


def _counted(kind: str, numbers: list[str], *, last: bool) -> str:
    if len(numbers) < 2:
        return " ".join([kind, *numbers])
    if not last:
        return f"{kind}s {', '.join(numbers)}"
    return f"{kind}s {', '.join(numbers[:-1])} and {numbers[-1]}"
