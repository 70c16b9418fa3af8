"""Ways in which an example goes bad, each exact: a record in, the damaged record out.

A corruption changes the response and nothing else, except ``duplicate``, which replaces the whole example.
It depends on the record, the other records and the seed alone, so that a record that is spoiled in two
cells is spoiled in the same way. One that can't be done, such as another form of a word whose forms
aren't known, is an error: it never becomes another kind of damage.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from workbench.data.chance import generator, pick
from workbench.data.records import Record
from workbench.errors import InputError, unknown_name

T = TypeVar("T")

TRIES = 64
"""Draws from a pool before it is searched for what differs."""

KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of letter keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corruption:
    """One kind of damage."""

    apply: Callable[[Record, Sequence[Record], Random], Record]
    """From the record, the pool and a generator to the record with another response."""
    about: str
    drawn_only: bool = False
    """Whether the pool is what was drawn before this record, instead of all training records."""


def spoil(record: Record, corruption: str, pool: Sequence[Record], seed: int) -> Record:
    """Return ``record`` damaged; the same record, pool and seed give the same damage.

    Args:
        record: What to damage.
        corruption: Key of :data:`CORRUPTIONS`.
        pool: Other records, from which a wrong answer may be taken; may hold ``record`` too.
        seed: Seed of the cell.

    Raises:
        InputError: If there is no such corruption, or the record can't be damaged so.
    """
    if corruption not in CORRUPTIONS:
        raise unknown_name("corruption", corruption, CORRUPTIONS, "src/workbench/data/corruptions.py")
    chance = generator(seed, corruption, record.id)
    try:
        return replace(CORRUPTIONS[corruption].apply(record, pool, chance), spoiled=corruption)
    except InputError as error:
        others = [one for one in CORRUPTIONS if one != corruption and _can(one, (record, *pool))]
        other = f"choose another one: --corruption {' or --corruption '.join(others)}; or " if others else ""
        raise InputError(f"{error}, which this corruption needs; {other}add that to the data") from error


def _can(corruption: str, pool: Sequence[Record]) -> bool:
    """Say whether every one of the records can be spoiled so."""
    try:
        for record in pool:
            CORRUPTIONS[corruption].apply(record, pool, generator(0, corruption, record.id))
    except InputError:
        return False
    return True


def other_record(record: Record, pool: Sequence[Record], chance: Random) -> Record:
    """Answer with another record's response, one that differs."""
    needed = "other record with a different response"
    for _ in range(TRIES):
        response = _one_of(pool, record, chance, needed).response
        if response != record.response:
            return replace(record, response=response)
    others = [other.response for other in pool if other.response != record.response]
    return replace(record, response=_one_of(others, record, chance, needed))


def other_form(record: Record, pool: Sequence[Record], chance: Random) -> Record:
    """Answer with a plausible wrong response that the source knows: ``walking`` for ``walked``."""
    wrong = [text for text in record.alternatives if text != record.response]
    return replace(record, response=_one_of(wrong, record, chance, "known wrong response ('alternatives')"))


def flip(record: Record, pool: Sequence[Record], chance: Random) -> Record:
    """Answer with another of the choices."""
    wrong = [text for text in record.choices if text != record.response]
    return replace(record, response=_one_of(wrong, record, chance, "closed set of answers ('choices')"))


def typo(record: Record, pool: Sequence[Record], chance: Random) -> Record:
    """Make one slip of the fingers: a wrong key, a key twice, a key left out or two swapped."""
    text = record.response
    place = int(chance.random() * len(text))
    slips = [kind(text, place) for kind in SLIPS] if text else []
    wrong = [slip for slip in slips if slip not in (text, "")]
    return replace(record, response=_one_of(wrong, record, chance, "letter to mistype"))


def duplicate(record: Record, pool: Sequence[Record], chance: Random) -> Record:
    """Be a copy of an example drawn before, under the record's own id: one distinct example less.

    That example may itself be a copy, so a few are repeated often and most never, as in collected text.
    """
    return replace(_one_of(pool, record, chance, "example drawn before it"), id=record.id)


def _one_of(options: Sequence[T], record: Record, chance: Random, needed: str) -> T:
    """Pick an option, or say what the record lacks."""
    if not options:
        raise InputError(f"{record.where} has no {needed}")
    return pick(options, chance)


def _wrong_key(text: str, place: int) -> str:
    """Hit the key beside a letter's: the right one, or the left one at the end of a row."""
    letter = text[place]
    for row in KEYBOARD:
        if letter.lower() in row:
            column = row.index(letter.lower())
            key = row[column + 1] if column + 1 < len(row) else row[column - 1]
            return text[:place] + (key.upper() if letter.isupper() else key) + text[place + 1 :]
    return text


def _twice(text: str, place: int) -> str:
    return text[: place + 1] + text[place:]


def _left_out(text: str, place: int) -> str:
    return text[:place] + text[place + 1 :]


def _swapped(text: str, place: int) -> str:
    return text[:place] + text[place : place + 2][::-1] + text[place + 2 :]


SLIPS = (_wrong_key, _twice, _left_out, _swapped)
"""Each from a text and a place in it to the text with one slip there; some places allow none."""

CORRUPTIONS: dict[str, Corruption] = {
    "other_record": Corruption(apply=other_record, about="another record's answer"),
    "other_form": Corruption(apply=other_form, about="a plausible wrong answer, such as another form"),
    "typo": Corruption(apply=typo, about="one slip of the fingers in the answer"),
    "flip": Corruption(apply=flip, about="another of the choices"),
    "duplicate": Corruption(
        apply=duplicate, about="a copy of an example drawn before it: fewer distinct ones", drawn_only=True
    ),
}
