"""A clean file of records, and one with a known number of each fault."""

import re
from random import Random

from workbench.data.records import Record

SYLLABLES = re.findall("..", "babebidodufafigokakelilomaminonupaperarisosutativowa")
COUNT = 80
PLACES = (3, 11, 17, 29, 41, 55, 70)
"""Where faults are planted; the split of a file holds some of them out."""


def sentence(rng, words):
    drawn = ["".join(rng.choices(SYLLABLES, k=rng.randrange(2, 4))) for _ in range(words)]
    return " ".join(drawn).capitalize()


def clean(seed=0, count=COUNT, name="mine.jsonl"):
    """Return records with nothing wrong, of which no two have much in common."""
    rng = Random(seed)
    return [
        Record(
            id=f"{seed}-{at}",
            place=f"{name}, line {at + 1}",
            prompt=f"{sentence(rng, 9)}?",
            response=f"{sentence(rng, 12)}. {sentence(rng, 10)}.",
        )
        for at in range(count)
    ]


def changed(record, **values):
    fields = ("id", "place", "prompt", "response", "choices", "history", "system")
    return Record(**{name: getattr(record, name) for name in fields} | values)


def plant(plan, records=None):
    """Return a file with ``plan(record, an earlier record)`` planted at each place."""
    records = list(records or clean())
    for at in PLACES:
        records[at] = changed(records[at], **plan(records[at], records[at - 2]))
    return records


GERMAN = (
    "Diese kleine Stadt liegt an einem Fluss, und viele Menschen leben und arbeiten dort seit langen Jahren "
    "gerne, weil die Straßen ruhig sind."
)
ENGLISH = (
    "This small town lies by a river, and many people have lived and worked there gladly for many years, "
    "because the streets are quiet."
)


def whole_words(text):
    """Return a text cut in the middle of its last sentence, at a word's end and at none."""
    return text[: len(text) - 20].rstrip(" .")


PLANS = {
    "exact_duplicates": lambda own, other: {
        "prompt": other.prompt,
        "response": other.response.replace(" ", "  "),
    },
    "near_duplicates": lambda own, other: {
        "prompt": other.prompt,
        "response": other.response[:-1] + "!",
    },
    "disagreeing_prompts": lambda own, other: {"prompt": other.prompt},
    "cut_off": lambda own, other: {"response": whole_words(own.response)},
    "end_marks": lambda own, other: {"response": f"{own.response}</s>"},
    "padding": lambda own, other: {"response": own.response + "<|endoftext|>" * 3},
    "refusals": lambda own, other: {"response": f"As an AI language model, I can't say. {own.response}"},
    "mojibake": lambda own, other: {"response": f"{own.response} Un cafÃ© dÃ©jÃ  vu."},
    "control_characters": lambda own, other: {"response": f"\x1b[31m{own.response}"},
    "roles": lambda own, other: {"response": f"Human: {own.response}"},
}
"""Faults of a file alone: how each is planted, by its check."""
BESIDE = {"near_duplicates": {"disagreeing_prompts"}}
"""What a planted fault is too, by its check: an answer that differs a little is a second answer."""
