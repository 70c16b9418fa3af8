"""Which records are held out: decided by a hash, once for all seeds, and never by the order of a file."""

from collections.abc import Callable, Iterable, Sequence

from workbench.data.chance import number
from workbench.data.records import Record
from workbench.errors import InputError

MOST_HELDOUT = 600
"""Enough for a standard error of 0.016 on an accuracy of 0.8."""


def opening(record: Record) -> str:
    """Return what is asked first in a record's conversation; the text itself, where nothing is asked."""
    return record.history[0][0] if record.history else record.prompt or record.response


def hold_out(
    records: Iterable[Record],
    count: int | None,
    source: str,
    *,
    family: Callable[[Record], str] = opening,
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Split records into those to train on and those held out.

    Families stay together: records with one prompt, conversations that begin with one, or whatever else
    ``family`` says is one thing, are never on both sides, so that nothing held out has been trained on.
    Families are taken in the order of their hash; one that would go past ``count`` is left to the training
    side.

    Args:
        records: All records of the source.
        count: How many to hold out; None holds out :func:`default_count` of them, or the nearest number
            below that whole families make, or else the smallest family.
        source: Name of the source, for messages.
        family: What must not be on both sides.

    Returns:
        The training records and the held-out ones, each in the order given.

    Raises:
        InputError: If ``count`` leaves nothing to train on or can't be reached without cutting a family, or
            all records are one family.
    """
    kept = list(records)
    places: dict[str, list[int]] = {}
    for place, record in enumerate(kept):
        places.setdefault(family(record), []).append(place)
    families = [places[name] for name in sorted(places, key=lambda name: (number(0, "held out", name), name))]
    if len(families) < 2:
        raise InputError(_one_family(kept, source))
    wanted = default_count(len(kept)) if count is None else count
    chosen = _taken(families, wanted)
    if count is None and not chosen:
        chosen = min(families, key=len)
    if count is not None and (len(chosen) != count or not 0 < count < len(kept)):
        raise InputError(_unreachable(count, families, source))
    held = set(chosen)
    train = tuple(record for place, record in enumerate(kept) if place not in held)
    return train, tuple(record for place, record in enumerate(kept) if place in held)


def both_given(count: int, file: object) -> InputError:
    """Say that a number and a file are given for what is held out."""
    return InputError(
        f"--heldout {count} and --heldout-file {file} can't both be used; give only one of them"
    )


def default_count(total: int) -> int:
    """Return how many of so many records are held out where nobody says: 600, or a fifth of a few."""
    return min(MOST_HELDOUT, max(1, total // 5))


def _taken(families: Sequence[Sequence[int]], wanted: int) -> list[int]:
    """Return the records of the families that go into ``wanted``, each taken if it still fits."""
    chosen: list[int] = []
    for one in families:
        if len(chosen) + len(one) <= wanted:
            chosen.extend(one)
    return chosen


def _one_family(records: Sequence[Record], source: str) -> str:
    first = "first prompt" if any(record.history for record in records) else "prompt"
    what = "has 1 record" if len(records) == 1 else f"has {len(records)} records, all with the same {first}"
    return (
        f"{source} {what}, so it can't be split into records to train on and records to judge by; give "
        "a file of records to judge by as heldout_file (--heldout-file)"
    )


def _unreachable(wanted: int, families: Sequence[Sequence[int]], source: str) -> str:
    """Say why a number can't be held out, and the nearest one that can."""
    total = sum(map(len, families))
    below = len(_taken(families, min(wanted, total - 1)))
    # what fits a number exactly is found in the same way; the smallest family alone is one such number
    above = next((more for more in range(max(1, wanted), total) if len(_taken(families, more)) == more), None)
    nearest = min((one for one in (below, above) if one), key=lambda one: abs(one - wanted))
    why = (
        "leaves nothing to judge by"
        if wanted < 1
        else "leaves none to train on"
        if wanted >= total
        else "isn't possible, because records with the same prompt stay on one side"
    )
    held = f"holding out {wanted} of the {total} records of {source}"
    return f"{held} {why}; hold out {nearest} (--heldout {nearest})"
