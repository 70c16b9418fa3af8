"""A quality from the text that people write for it: a pool, one of several files, damage or raters."""

import re
from collections.abc import Sequence

from workbench.config import Quality
from workbench.data.pools import POOLS, parsed, terms_of
from workbench.errors import InputError


def parse_quality(text: str, files: Sequence[str] = ()) -> Quality:
    """Read a quality: a pool, the name of one of several files, or what ``Quality.parse`` reads.

    Args:
        text: Such as "source=wiki", "clean.jsonl" or "typo:0.8".
        files: The labels of the files, where there are several.

    Raises:
        InputError: If it can't be read.
    """
    text = text.strip()
    if (label := _label_in(text, files)) is not None:
        return Quality(pool=f"file:{label}")
    try:
        kind, found = parsed(text)
    except InputError as unreadable:
        try:
            quality = Quality.parse(text)
        except InputError as error:
            # a corruption or clean was meant, unless there is a sign that only pools have
            raise (unreadable if set(text) & set("=<>@*") else error) from None
        if files:
            names = ", ".join(f"file:{label}" for label in files)
            raise InputError(
                f"quality {text!r} isn't one of the files, and damage of several files can't be asked for; "
                f"give one file, or choose pools: {names}"
            ) from None
        return quality
    if kind is POOLS["mixture"]:
        terms = [f"{share}*{parse_quality(pool, files).pool or pool}" for share, pool in terms_of(found)]
        text = "+".join(terms)
        _, found = parsed(text)
    return Quality(pool=kind.name(found) if kind.name else text)


def _label_in(text: str, files: Sequence[str]) -> str | None:
    """Return the label that a text names, itself or as a file's name; None where it names none."""
    return next((label for label in files if text in (label, f"file:{label}") or _stem(text) == label), None)


def _stem(text: str) -> str:
    name = re.split(r"[/\\]", text)[-1]
    return name.split(".")[0] if "." in name else text
