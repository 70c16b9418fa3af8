"""Which records are held out: decided by a hash, once for all seeds, and never by the order of a file."""

from collections.abc import Callable, Iterable

from workbench.data.chance import number
from workbench.data.records import Record
from workbench.errors import InputError

DEFAULT = 600
"""Enough for a standard error of 0.016 on an accuracy of 0.8."""


def hold_out(
    records: Iterable[Record],
    count: int | None,
    source: str,
    *,
    family: Callable[[Record], str] = lambda record: record.prompt,
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Split records into those to train on and those held out.

    Families stay together: records with one prompt, or whatever else ``family`` says is one thing, are
    never on both sides, so that nothing held out has been trained on. Families are taken in the order of
    their hash; one that would go past ``count`` is left to the training side.

    Args:
        records: All records of the source.
        count: How many to hold out; None holds out 600, or a fifth of fewer than 3,000 records.
        source: Name of the source, for messages.
        family: What must not be on both sides.

    Returns:
        The training records and the held-out ones, each in the order given.

    Raises:
        InputError: If ``count`` leaves nothing to train on or can't be reached without cutting a family.
    """
    kept = list(records)
    wanted = min(DEFAULT, max(1, len(kept) // 5)) if count is None else count
    if wanted < 1:
        raise InputError(
            f"holding out {wanted} records of {source} leaves nothing to judge by; give 1 or more"
        )
    if wanted >= len(kept):
        raise InputError(
            f"{source} has {len(kept)} records: holding out {wanted} leaves none to train on; hold out fewer"
        )
    families: dict[str, list[int]] = {}
    for place, record in enumerate(kept):
        families.setdefault(family(record), []).append(place)
    chosen: set[int] = set()
    for name in sorted(families, key=lambda name: (number(0, "held out", name), name)):
        if len(chosen) + len(families[name]) <= wanted:
            chosen.update(families[name])
    if len(chosen) < wanted:
        raise InputError(
            f"{source} can't hold out exactly {wanted} of its {len(kept)} records, because records with the "
            f"same prompt stay on one side; hold out {len(chosen)}"
        )
    train = tuple(record for place, record in enumerate(kept) if place not in chosen)
    return train, tuple(record for place, record in enumerate(kept) if place in chosen)
