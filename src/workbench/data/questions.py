"""What a record asks, and the order in which questions are drawn: the same for every answer to one."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable

from workbench.data.chance import number
from workbench.data.records import Record


def question_of(record: Record) -> str:
    """Return a name of what is asked, the same for every answer to it."""
    if record.turn:
        return record.turn
    asked = record.prompt or record.response  # a text alone is what is asked and answered in one
    if record.system or record.history:
        asked = json.dumps([record.system, record.history, asked])
    return hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()


def paired(one: Iterable[Record], other: Iterable[Record]) -> int:
    """Return how many questions are answered in both pools."""
    return len({*map(question_of, one)} & {*map(question_of, other)})


def in_turn(records: Iterable[Record], seed: int) -> list[Record]:
    """Return records in the order of what they are asked; further answers to one have their own turn."""
    copies: Counter[str] = Counter()
    turns = []
    for record in sorted(records, key=lambda one: one.id):
        question = question_of(record)
        copies[question] += 1
        turn = question if copies[question] == 1 else f"{question}-{copies[question]}"
        turns.append((number(seed, "order", turn), turn, record))
    return [record for *_, record in sorted(turns, key=lambda one: one[:2])]
