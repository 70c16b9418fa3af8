"""Which records a quality draws from: all of them, or a pool that a short text names.

    file:clean              the records of one of several files, by the file's label
    source=wiki             those with this value in a column
    ifd>=0.6                those with such a number in a column (also >, <=, <)
    top:30%@ifd             the 30% with the largest numbers in a column; bottom: the smallest
    dedup:exact             one record of each that is asked and answered alike; dedup:near: nearly alike
    chance                  all of them, whatever their source or score
    same-lengths:top:30%@ifd            drawn by chance, with responses as long as those of another pool
    0.7*file:clean+0.3*file:scraped     each example from one of the pools, with these probabilities

The records of a pool come in an order that hangs on (seed, what is asked). Answers to one question have one
place, whichever pool they are in: where two pools answer the same questions, their draws are pairs that
differ in the answer alone.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from workbench.config import Quality
from workbench.data.chance import number
from workbench.data.matching import CHANCE, TOKENS, same_lengths
from workbench.data.places import listed
from workbench.data.questions import in_turn, question_of
from workbench.data.records import Dataset, Record
from workbench.errors import InputError

NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
VALUES_NAMED = 8
"""Values of a column that a message names."""
TOLERANCE = 1e-9
"""By which the shares of a mixture may miss 1."""

Found = tuple[str, ...]
"""What a kind's pattern found in a text: its groups."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolKind:
    """One way to choose records."""

    pattern: str
    """The whole text of such a pool, as a regular expression."""
    order: Callable[[Dataset, Found, int], Sequence[Record]]
    """From the data, what was found in the text, and a seed to the records in the order of the draws."""
    about: str
    columns: Callable[[Found], Iterable[str]] = lambda found: ()
    """The columns that it reads."""
    name: Callable[[Found], str] | None = None
    """The text in its shortest form, so that one pool has one name; None takes it as it is."""


def ordered(dataset: Dataset, pool: str, seed: int) -> Sequence[Record]:
    """Return the records of a pool in the order of the draws.

    Raises:
        InputError: If there is no such pool, or none of the records is in it.
    """
    kind, found = parsed(pool)
    records = kind.order(dataset, found, seed)
    if not records:
        raise InputError(f"no record of {dataset.name} is in {pool!r}{_offered(dataset, pool)}")
    return records


def records_of_each(
    dataset: Dataset, qualities: Iterable[Quality], seeds: Iterable[int]
) -> dict[Quality, int]:
    """Return how many records each quality has, with whichever of the seeds.

    Raises:
        InputError: If a pool can't be read, or is empty.
    """
    several = list(seeds)
    return {
        quality: min(len(ordered(dataset, quality.pool, seed)) for seed in several)
        if quality.pool
        else len(dataset.train)
        for quality in qualities
    }


def with_columns(dataset: Dataset, columns: Sequence[str], pair_key: str | None) -> Dataset:
    """Return a data set whose identity has the columns that qualities read, and its questions' names.

    Args:
        dataset: As it was read.
        columns: Those that pools read.
        pair_key: The column that says which records answer one question; None takes what is asked.

    Raises:
        InputError: If a record has no such key.
    """
    if pair_key is None:
        return replace(dataset, columns=tuple(columns)) if columns else dataset
    check_column(dataset, pair_key)
    if lacking := [record.where for record in dataset.train if pair_key not in record.extra]:
        raise InputError(
            f"{len(lacking)} of {len(dataset.train)} records of {dataset.name} have no {pair_key!r} "
            f"({listed(lacking)}), which says what they answer; give each one, or another --pair-key"
        )
    train = tuple(replace(one, turn=f"{pair_key}={one.extra[pair_key]}") for one in dataset.train)
    return replace(dataset, train=train, columns=tuple(sorted({*columns, pair_key})))


def columns_read(qualities: Iterable[Quality]) -> tuple[str, ...]:
    """Return the columns that the pools of qualities read, each once, in the order of their names.

    Raises:
        InputError: If a pool can't be read.
    """
    pools = [quality.pool for quality in qualities if quality.pool]
    return tuple(sorted({column for pool in pools for column in _columns(pool)}))


def _file(dataset: Dataset, found: Found, seed: int) -> Sequence[Record]:
    return in_turn((one for one in dataset.train if one.source == found[0]), seed)


def _column(dataset: Dataset, found: Found, seed: int) -> Sequence[Record]:
    column, value = found
    check_column(dataset, column)
    chosen = (r for r in dataset.train if column in r.extra and is_value(r.extra[column], value))
    return in_turn(chosen, seed)


def is_value(held: str | int | float | bool, wanted: str) -> bool:
    """Say whether a value is the one that was written: numbers as numbers, truth values as true and false."""
    if isinstance(held, bool):
        return wanted.lower() == str(held).lower()
    if isinstance(held, str):
        return held == wanted
    return bool(re.fullmatch(f"[+-]?{NUMBER}", wanted)) and float(wanted) == held


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda value, limit: value >= limit,
    "<=": lambda value, limit: value <= limit,
    ">": lambda value, limit: value > limit,
    "<": lambda value, limit: value < limit,
}


def _score(dataset: Dataset, found: Found, seed: int) -> Sequence[Record]:
    column, sign, limit = found
    scores = scores_of(dataset, column)
    return in_turn(
        (r for r, score in zip(dataset.train, scores, strict=True) if COMPARISONS[sign](score, float(limit))),
        seed,
    )


def _best(dataset: Dataset, found: Found, seed: int) -> Sequence[Record]:
    end, percent, column = found
    count = round(len(dataset.train) * float(percent) / 100)
    if not 0 < float(percent) <= 100:
        raise InputError(f"{end}:{percent}%@{column} takes {percent}%; give more than 0 and at most 100")
    sign = -1.0 if end == "top" else 1.0
    scored = zip(scores_of(dataset, column), dataset.train, strict=True)
    # of equal scores, chance decides, and the same chance for every seed and share
    chosen = sorted(scored, key=lambda one: (sign * one[0], number(0, "tie", one[1].id)))[:count]
    return in_turn((record for _, record in chosen), seed)


def _dedup(dataset: Dataset, found: Found, seed: int) -> Sequence[Record]:
    return in_turn((record for record, kept in kept_of_each(dataset, found[0]) if record is kept), seed)


@lru_cache(maxsize=4)
def kept_of_each(dataset: Dataset, how: str) -> Sequence[tuple[Record, Record]]:
    """Return each record, in the order of the ids, with the one that is kept of those that are alike.

    Args:
        dataset: The records.
        how: "exact" or "near".
    """
    records = sorted(dataset.train, key=lambda one: one.id)
    texts = [f"{record.asked}\n{record.response}" for record in records]
    if how == "near":
        from workbench.data.duplicates import near_clusters  # it loads a library that others don't need

        first = near_clusters(texts)
    else:
        seen: dict[str, int] = {}
        first = [seen.setdefault(text, place) for place, text in enumerate(texts)]
    return [(record, records[place]) for record, place in zip(records, first, strict=True)]


def _same_lengths(dataset: Dataset, found: Found, seed: int) -> Sequence[Record]:
    scores = scores_of(dataset, TOKENS)
    tokens = {record.id: score for record, score in zip(dataset.train, scores, strict=True)}
    return same_lengths(ordered(dataset, found[0], seed), in_turn(dataset.train, seed), tokens)


def _mixture(dataset: Dataset, found: Found, seed: int) -> Sequence[Record]:
    return [record for _, record in drawn_by_part(dataset, found, seed)]


def drawn_by_part(dataset: Dataset, found: Found, seed: int) -> list[tuple[int, Record]]:
    """Fill place after place from the pool that chance gives it, until the first pool has no more.

    Each record comes with the place of its pool in the text.

    A place goes to a later pool of the text where its number in [0, 1) lies below that pool's share, so that
    a mixture with more of it has it wherever one with less has. A question is asked once.
    """
    terms = terms_of(found)
    shares = [float(share) for share, _ in terms]
    if abs(sum(shares) - 1) > TOLERANCE:
        raise InputError(
            f"the shares of {found[0]!r} come to {sum(shares):g}; they have to come to 1, such as "
            f"{mixture_text(shares, [pool for _, pool in terms])}"
        )
    parts = [iter(ordered(dataset, pool, seed)) for _, pool in terms]
    ends = [sum(shares[place:]) for place in range(len(shares))]  # of the last pool, its own share
    drawn: list[tuple[int, Record]] = []
    asked: set[str] = set()
    while True:
        chance = number(seed, "mixture", str(len(drawn)))
        part = max(place for place, end in enumerate(ends) if chance < end or place == 0)
        record = next((r for r in parts[part] if question_of(r) not in asked), None)
        if record is None:
            return drawn
        asked.add(question_of(record))
        drawn.append((part, record))


def mixture_text(shares: Sequence[float], pools: Sequence[str]) -> str:
    """Return a mixture's text, with shares that come to 1."""
    whole = sum(shares)
    exact = [round(share / whole, 4) for share in shares[:-1]]
    return "+".join(
        f"{share:g}*{pool}" for share, pool in zip([*exact, round(1 - sum(exact), 4)], pools, strict=True)
    )


def terms_of(found: Found) -> list[tuple[str, str]]:
    """Return the shares and pools of a mixture, as they are written."""
    return [
        (share, pool.strip())
        for share, pool in re.findall(rf"({NUMBER})\*([^*]+?)(?=\+{NUMBER}\*|$)", found[0])
    ]


def _shortest(found: Found) -> str:
    return "+".join(f"{float(share):g}*{pool}" for share, pool in terms_of(found))


def _columns(pool: str) -> Iterable[str]:
    kind, found = parsed(pool)
    return kind.columns(found)


def _name(pool: str) -> str:
    kind, found = parsed(pool)
    return kind.name(found) if kind.name else pool


POOLS: dict[str, PoolKind] = {
    "mixture": PoolKind(
        pattern=rf"({NUMBER}\*.+)",
        order=_mixture,
        about="each example from one of several pools: 0.7*file:clean+0.3*file:scraped",
        columns=lambda found: [column for _, pool in terms_of(found) for column in _columns(pool)],
        name=_shortest,
    ),
    "file": PoolKind(
        pattern="file:(.+)", order=_file, about="the records of one of several files: file:clean"
    ),
    "best": PoolKind(
        pattern=rf"(top|bottom):({NUMBER})%@(?:score\.)?(.+)",
        order=_best,
        about="the share with the largest or smallest numbers in a column: top:30%@ifd",
        columns=lambda found: [found[2]],
        name=lambda found: f"{found[0]}:{float(found[1]):g}%@{found[2]}",
    ),
    "dedup": PoolKind(
        pattern="dedup:(exact|near)",
        order=_dedup,
        about="one of each that is asked and answered nearly alike, or exactly: dedup:near",
    ),
    "chance": PoolKind(
        pattern=f"({CHANCE})",
        order=lambda dataset, found, seed: in_turn(dataset.train, seed),
        about="all of them, as chance draws them: chance",
    ),
    "same-lengths": PoolKind(
        pattern="same-lengths:(.+)",
        order=_same_lengths,
        about="chance, with responses as long as another pool's (needs the scorer tokens): "
        "same-lengths:top:30%@ifd",
        columns=lambda found: [*_columns(found[0]), TOKENS],
        name=lambda found: f"same-lengths:{_name(found[0])}",
    ),
    "score": PoolKind(
        pattern=rf"(?:score\.)?([^<>=]+?)\s*(>=|<=|>|<)\s*([+-]?{NUMBER})",
        order=_score,
        about="the records with such a number in a column: ifd>=0.6",
        columns=lambda found: [found[0]],
        name=lambda found: f"{found[0]}{found[1]}{float(found[2]):g}",
    ),
    "column": PoolKind(
        pattern="([^=<>]+?)=(.*)",
        order=_column,
        about="the records with this value in a column: source=wiki",
        columns=lambda found: [found[0]],
    ),
}
"""The kinds by name, in the order in which a text is compared with them."""


@lru_cache(maxsize=1024)
def parsed(pool: str) -> tuple[PoolKind, Found]:
    """Return the kind of a pool, and what its pattern found in the text.

    Raises:
        InputError: If it is of no kind.
    """
    for kind in POOLS.values():
        if match := re.fullmatch(kind.pattern, pool, re.DOTALL):
            return kind, match.groups()
    known = "; ".join(kind.about for kind in POOLS.values())
    raise InputError(f"quality {pool!r} chooses no records that are known; expected one of: {known}")


def check_column(dataset: Dataset, column: str) -> None:
    """Refuse a column that no record has."""
    if any(column in record.extra for record in dataset.train):
        return
    known = sorted({name for record in dataset.train for name in record.extra})
    told = f"its columns are {', '.join(known)}" if known else "its records have none beside their texts"
    raise InputError(f"{dataset.name} has no column {column!r}; {told}")


def scores_of(dataset: Dataset, column: str) -> list[float]:
    """Return a column's numbers, one for each record.

    Raises:
        InputError: If a record has none, or another value.
    """
    check_column(dataset, column)
    values = [record.extra.get(column) for record in dataset.train]
    odd = [
        record
        for record, value in zip(dataset.train, values, strict=True)
        if isinstance(value, str | bool) or value is None or not math.isfinite(value)
    ]
    if odd:
        raise InputError(
            f"{len(odd)} of {len(values)} records of {dataset.name} have no number in {column!r} "
            f"({listed(record.where for record in odd)}), so they are neither in nor out; give each one, or "
            "leave those records out of the file"
        )
    return [float(value) for value in values if value is not None]


def _offered(dataset: Dataset, pool: str) -> str:
    """Return what might have been meant by a pool that holds nothing."""
    kind, found = parsed(pool)
    if kind is POOLS["file"]:
        return f"; the files are {', '.join(sorted({record.source for record in dataset.train}))}"
    if kind is POOLS["column"]:
        counted = Counter(str(r.extra[found[0]]) for r in dataset.train if found[0] in r.extra)
        named = ", ".join(f"{value!r} ({count})" for value, count in counted.most_common(VALUES_NAMED))
        more = f" and {len(counted) - VALUES_NAMED} more" if len(counted) > VALUES_NAMED else ""
        return f"; the values of {found[0]!r} are {named}{more}"
    if kind is POOLS["score"]:
        scores = scores_of(dataset, found[0])
        return f"; {found[0]!r} goes from {min(scores):g} to {max(scores):g}"
    return "; ask for a larger share"
