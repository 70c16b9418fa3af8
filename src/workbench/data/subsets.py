"""Which examples a cell trains on, and which of them are spoiled.

Each record has two numbers in [0, 1) from (seed, record id). One orders the records: a smaller draw is the
beginning of a larger one. The other decides corruption: a record is spoiled when it lies below the rate, so
whatever is spoiled at a low rate is spoiled, identically, at a higher one, and the same records are spoiled
by every kind of corruption. The share of spoiled ones in a draw is therefore the rate on average, not
exactly. A quality may draw from a pool of the records; see ``pools``.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate

from workbench.config import Quality
from workbench.data.chance import generator, number
from workbench.data.corruptions import CORRUPTIONS, spoil
from workbench.data.pools import ordered
from workbench.data.records import Dataset, Record
from workbench.errors import InputError, unknown_name

FEWEST_COUNTED = 64
"""Records whose tokens are counted at first where sizes count them; twice as many where those are too few."""


def draw(dataset: Dataset, quality: Quality, size: int, seed: int) -> list[Record]:
    """Return ``size`` training records at ``quality``; a pure function of its arguments.

    Args:
        dataset: Where to draw from; what it holds out is never drawn.
        quality: Which records, which damage on which share, or how many raters.
        size: Number of records.
        seed: Seed of the cell.

    Raises:
        InputError: If the data has fewer records, too few raters, or can't be damaged in this way.
    """
    if size < 1:
        raise InputError(f"size is {size}; draw at least 1 record")
    if quality.pool:
        return list(_of_pool(dataset, quality.pool, size, seed))
    if size > len(dataset.train):
        raise InputError(
            f"size {size} is larger than the data: {dataset.name} has {len(dataset.train)} records to train "
            f"on and {len(dataset.heldout)} held out; choose sizes of at most {len(dataset.train)}, such as "
            f"--sizes {len(dataset.train)}"
        )
    if quality.corruption != "none" and quality.corruption not in CORRUPTIONS:
        raise unknown_name("corruption", quality.corruption, CORRUPTIONS, "src/workbench/data/corruptions.py")
    pool = [dataset.train[place] for place in _order(tuple(one.id for one in dataset.train), seed)]
    chosen = pool[:size]
    if quality.raters is not None:
        if few := next((record for record in chosen if quality.raters > _raters(record)), None):
            raise _too_many_raters(few, quality.raters, min(map(_raters, dataset.train)))
        chosen = [rated(record, quality.raters, seed) for record in chosen]
    if quality.corruption == "none":
        return chosen
    return _spoiled(chosen, pool, quality, seed)


def records_to_draw(dataset: Dataset, quality: Quality, seed: int) -> int:
    """Return how many records a quality has to draw from."""
    return len(_ordered(dataset, quality.pool, seed)) if quality.pool else len(dataset.train)


def draw_tokens(
    dataset: Dataset, quality: Quality, sizes: Sequence[int], seed: int, tokens: Callable[[Record], int]
) -> tuple[dict[int, list[Record]], int | None]:
    """Return the beginnings of a quality's order that come closest to so many response tokens.

    Each has at least one record. They are parts of one another, like draws of so many examples.

    Args:
        dataset: Where to draw from.
        quality: As in :func:`draw`.
        sizes: In response tokens.
        seed: Seed of the cells.
        tokens: How many of a record's tokens count in the loss.

    Returns:
        The draw of each size that can be had; and how many tokens all records have, where some can't.
    """
    most, wanted, count = records_to_draw(dataset, quality, seed), max(sizes), FEWEST_COUNTED
    while True:
        records = draw(dataset, quality, min(count, most), seed)
        ends = list(accumulate(map(tokens, records)))
        if ends[-1] >= wanted or count >= most:
            break
        count *= 2
    drawn = {size: records[: _closest(ends, size)] for size in sizes if size <= ends[-1]}
    return drawn, ends[-1] if wanted > ends[-1] else None


def _closest(ends: Sequence[int], size: int) -> int:
    """Return how many records come closest to a size, the fewer of two that are as close."""
    after = bisect_left(ends, size)
    before = after - 1
    nearer = before if before >= 0 and size - ends[before] <= ends[after] - size else after
    return nearer + 1


def rated(record: Record, raters: int, seed: int) -> Record:
    """Return a record as so many of its raters would label it.

    The raters come in an order that hangs on (seed, record id), and the first ``raters`` of them decide by
    the sign of their sum: the second rater is asked after the first, whoever that was. A tie is settled by a
    coin, also from (seed, record id). Dropping tied items or asking one rater more would be a better
    label than so many raters buy, and it would make the draw smaller or its price higher.

    Raises:
        InputError: If the record has fewer raters, or isn't one of two choices.
    """
    if raters > _raters(record):
        raise _too_many_raters(record, raters, _raters(record))
    chance = generator(seed, "raters", record.id)
    turns = [chance.random() for _ in record.ratings]
    asked = sorted(zip(turns, record.ratings, strict=True))[:raters]
    score = sum(rating for _, rating in asked)
    if score == 0:
        score = number(seed, "tie", record.id) - 0.5
    return replace(record, response=record.choices[score > 0])


def _raters(record: Record) -> int:
    """Return how many raters can decide between a record's two choices."""
    return len(record.ratings) if len(record.choices) == 2 else 0


def _too_many_raters(record: Record, raters: int, most: int) -> InputError:
    """Say that a record has too few raters, and how many the data has for each."""
    found = (
        f"{record.where} has {len(record.ratings)} raters and {len(record.choices)} choices, where {raters} "
        f"raters and 2 choices are needed"
    )
    if not most:
        return InputError(
            f"{found}; choose another quality, such as --quality typo:0.5, or the data that has raters: "
            "`workbench run raters`"
        )
    return InputError(f"{found}; ask for at most {most}, such as --quality raters:{most}")


def _spoiled(chosen: Sequence[Record], pool: Sequence[Record], quality: Quality, seed: int) -> list[Record]:
    drawn_only = CORRUPTIONS[quality.corruption].drawn_only
    drawn: list[Record] = []
    for record in chosen:
        hit = number(seed, "spoil", record.id) < 1.0 - quality.share
        # the first of a draw has nothing before it that it could be a copy of
        if hit and not (drawn_only and not drawn):
            record = spoil(record, quality.corruption, drawn if drawn_only else pool, seed)
        drawn.append(record)
    return drawn


def _of_pool(dataset: Dataset, pool: str, size: int, seed: int) -> Sequence[Record]:
    found = _ordered(dataset, pool, seed)
    if size > len(found):
        raise InputError(
            f"size {size} is larger than the pool {pool!r}, which has {len(found)} of the "
            f"{len(dataset.train)} records to train on, {size - len(found)} too few; choose sizes of at most "
            f"{len(found)}, such as --sizes {len(found)}"
        )
    return found[:size]


@lru_cache(maxsize=256)
def _ordered(dataset: Dataset, pool: str, seed: int) -> Sequence[Record]:
    """Keep a pool's order, as a study's sizes share it."""
    return ordered(dataset, pool, seed)


@lru_cache(maxsize=32)
def _order(ids: tuple[str, ...], seed: int) -> tuple[int, ...]:
    """Return the places of ``ids`` in the order of the draws; kept, as a study's cells share few seeds."""
    return tuple(sorted(range(len(ids)), key=lambda place: (number(seed, "order", ids[place]), ids[place])))
