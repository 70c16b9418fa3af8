"""Why a record is in a pool, or isn't: for people who look at what a quality draws from."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from workbench.config import Quality
from workbench.data.pools import (
    COMPARISONS,
    POOLS,
    TOKENS,
    Found,
    check_column,
    drawn_by_part,
    is_value,
    kept_of_each,
    parsed,
    scores_of,
    terms_of,
)
from workbench.data.questions import question_of
from workbench.data.records import Dataset, Record

LIMITS_IN_WORDS = {">=": "{} and more", "<=": "{} and less", ">": "more than {}", "<": "less than {}"}
"""What a comparison keeps, in words."""
DIGITS = 4
"""Digits of a number that is told, unless it would then seem to lie elsewhere."""
MOST_DIGITS = 17
"""Digits that tell any two numbers apart."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Whether a record is in a pool, and why."""

    taken: bool
    why: str
    """In words, such as "ifd is 0.71, kept are 0.6 and more"; texts of the data stand in it as they are."""

    @property
    def words(self) -> str:
        """The reason with what came of it, such as "out: source is forum"."""
        return f"{'in' if self.taken else 'out'}: {self.why}"


def reasons_of(dataset: Dataset, pool: str, seed: int) -> list[Reason]:
    """Say of every record to train on whether it is in a pool, and why.

    Args:
        dataset: The records.
        pool: As a quality names it.
        seed: Of the draws; only a mixture hangs on it.

    Returns:
        One reason a record, in the order of ``dataset.train``.

    Raises:
        InputError: If there is no such pool or column, or a number is missing.
    """
    kind, found = parsed(pool)
    name = next(name for name, one in POOLS.items() if one is kind)
    return REASONS[name](dataset, found, seed)


def judged_by_all_kinds(dataset: Dataset, qualities: Iterable[Quality]) -> tuple[str, ...]:
    """Say what kinds of records judge, where qualities choose and the records were held out before that.

    Args:
        dataset: Whose held-out records are of the same file.
        qualities: Those that are compared.

    Returns:
        One sentence, or none where no quality chooses.
    """
    pools = [quality for quality in qualities if quality.pool]
    if not pools:
        return ()
    kinds = [quality for quality in pools if parsed(quality.pool)[0] in (POOLS["column"], POOLS["score"])]
    within = [[_is_in(record, quality.pool) for quality in kinds] for record in dataset.heldout]
    counted = [f"{sum(row[place] for row in within)} {quality.label}" for place, quality in enumerate(kinds)]
    if kinds and (rest := sum(not any(row) for row in within)):
        counted.append(f"{rest} of {'another kind' if len(kinds) == 1 else 'other kinds'}")
    told = f": {', '.join(counted)}" if counted else ", whichever a quality chooses"
    return (
        f"judged by {len(dataset.heldout)} records held out of all kinds{told}; --heldout-file gives another "
        "file to judge by",
    )


def _is_in(record: Record, pool: str) -> bool:
    """Say whether a record is of a kind that its own columns decide; one without the column isn't."""
    kind, found = parsed(pool)
    if kind is POOLS["column"]:
        return _of_value(record, *found).taken
    value = record.extra.get(found[0])
    return not (value is None or isinstance(value, str | bool)) and _of_number(float(value), *found).taken


def _of_file(dataset: Dataset, found: Found, seed: int) -> list[Reason]:
    return [Reason(one.source == found[0], f"from {one.source or 'no file'}") for one in dataset.train]


def _of_column(dataset: Dataset, found: Found, seed: int) -> list[Reason]:
    check_column(dataset, found[0])
    return [_of_value(record, *found) for record in dataset.train]


def _of_value(record: Record, column: str, value: str) -> Reason:
    if column not in record.extra:
        return Reason(False, f"it has no {column}")
    held = record.extra[column]
    said = str(held).lower() if isinstance(held, bool) else held
    return Reason(is_value(held, value), f"{column} is {said}")


def _of_score(dataset: Dataset, found: Found, seed: int) -> list[Reason]:
    return [_of_number(score, *found) for score in scores_of(dataset, found[0])]


def _of_number(score: float, column: str, sign: str, limit: str) -> Reason:
    shown, border = _apart(score, float(limit))
    told = f"{column} is {shown}, kept are {LIMITS_IN_WORDS[sign].format(border)}"
    return Reason(COMPARISONS[sign](score, float(limit)), told)


def _of_best(dataset: Dataset, found: Found, seed: int) -> list[Reason]:
    end, percent, column = found
    scores = scores_of(dataset, column)
    kept = {record.id for record in POOLS["best"].order(dataset, found, seed)}
    taken = [record.id in kept for record in dataset.train]
    inside = [score for score, within in zip(scores, taken, strict=True) if within]
    if not inside:
        whole = f"the {end} {percent}% of {len(scores)} records are none"
        return [Reason(False, whole)] * len(scores)
    border = min(inside) if end == "top" else max(inside)
    tie = {score for score, within in zip(scores, taken, strict=True) if not within} & {border}
    reasons = []
    for score, within in zip(scores, taken, strict=True):
        shown, last = _apart(score, border)
        told = f"{column} is {shown}, the {end} {percent}% go {'down' if end == 'top' else 'up'} to {last}"
        chance = ", and of equal ones chance chose" if score in tie else ""
        reasons.append(Reason(within, told + chance))
    return reasons


def _of_dedup(dataset: Dataset, found: Found, seed: int) -> list[Reason]:
    alike = "alike" if found[0] == "exact" else "nearly alike"
    kept_of = {record.id: kept for record, kept in kept_of_each(dataset, found[0])}
    counts = Counter(kept.id for kept in kept_of.values())
    reasons = []
    for record in dataset.train:
        kept = kept_of[record.id]
        if kept.id != record.id:
            told = f"one of {counts[kept.id]} that are {alike}, of which {kept.where} is kept"
        elif counts[record.id] > 1:
            told = f"the one that is kept of {counts[record.id]} that are {alike}"
        else:
            told = f"no other one is {alike}"
        reasons.append(Reason(kept.id == record.id, told))
    return reasons


def _of_mixture(dataset: Dataset, found: Found, seed: int) -> list[Reason]:
    terms = terms_of(found)
    parts = [reasons_of(dataset, pool, seed) for _, pool in terms]
    drawn = drawn_by_part(dataset, found, seed)
    part_of = {record.id: part for part, record in drawn}
    asked = {question_of(record): record for _, record in drawn}
    reasons = []
    for place, record in enumerate(dataset.train):
        own = [part[place] for part in parts]
        if record.id in part_of:
            part = part_of[record.id]
            share, pool = terms[part]
            told = f"drawn by {float(share):g}*{pool.replace('file:', '')}: {own[part].why}"
        elif not any(one.taken for one in own):
            told = "; ".join(dict.fromkeys(one.why for one in own))
        elif (other := asked.get(question_of(record))) is not None:
            told = f"its question is drawn with another answer, {other.where}"
        else:
            told = "a pool of the mixture had no more records before its turn came"
        reasons.append(Reason(record.id in part_of, told))
    return reasons


def _of_chance(dataset: Dataset, found: Found, seed: int) -> list[Reason]:
    return [Reason(True, "chance draws from all")] * len(dataset.train)


def _of_same_lengths(dataset: Dataset, found: Found, seed: int) -> list[Reason]:
    drawn = {record.id for record in POOLS["same-lengths"].order(dataset, found, seed)}
    reasons = []
    for record, tokens in zip(dataset.train, scores_of(dataset, TOKENS), strict=True):
        within = record.id in drawn
        chose = "one that chance drew" if within else "not one that chance drew"
        told = f"{TOKENS} is {tokens:g}, {chose} for the lengths of {found[0]}"
        reasons.append(Reason(within, told))
    return reasons


REASONS: dict[str, Callable[[Dataset, Found, int], list[Reason]]] = {
    "mixture": _of_mixture,
    "file": _of_file,
    "best": _of_best,
    "dedup": _of_dedup,
    "chance": _of_chance,
    "same-lengths": _of_same_lengths,
    "score": _of_score,
    "column": _of_column,
}
"""For each kind of pool what says why: from the data, what was found in the text, and a seed."""


def partners(records: Sequence[Record], taken: Sequence[bool]) -> list[int | None]:
    """Return for each record the place of one with the same question on the other side of a pool, if any.

    Args:
        records: All of them.
        taken: Which of them are in the pool.
    """
    sides = [(question_of(record), within) for record, within in zip(records, taken, strict=True)]
    first: dict[tuple[str, bool], int] = {}
    for place, side in enumerate(sides):
        first.setdefault(side, place)
    return [first.get((question, not within)) for question, within in sides]


def _apart(value: float, limit: float) -> tuple[str, str]:
    """Return two numbers in as few digits as show which one is larger."""
    for digits in range(DIGITS, MOST_DIGITS):
        shown = _digits(value, digits), _digits(limit, digits)
        one, other = map(float, shown)
        if (one > other) - (one < other) == (value > limit) - (value < limit):
            return shown
    return repr(value), repr(limit)


def _digits(value: float, digits: int) -> str:
    whole = len(str(abs(int(value))))  # so that 12345 isn't 1.234e+04
    return f"{value:.{max(digits, min(whole, MOST_DIGITS))}g}"
