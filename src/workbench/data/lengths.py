"""Records that are longer than a base can read: refused together, left out, or cut from the prompt's left."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from workbench.data.places import listed
from workbench.data.records import Dataset, Record
from workbench.data.templates import TokenizerProtocol, continuation
from workbench.errors import InputError

OnLong = Literal["error", "drop", "truncate"]
POLICIES: tuple[OnLong, ...] = ("error", "drop", "truncate")


def fit_context(
    dataset: Dataset, template: str, tokenizer: TokenizerProtocol, context: int, policy: OnLong
) -> Dataset:
    """Return the data set as a base can read it whole, with a note on what was left out or cut.

    Args:
        dataset: Training and held-out records.
        template: Key of ``TEMPLATES``.
        tokenizer: The base's.
        context: Tokens that the base can read.
        policy: What becomes of records that are longer, with any of their choices: "error" refuses all of
            them at once, "drop" leaves them out, "truncate" cuts their prompts from the left, earlier turns
            first.

    Raises:
        InputError: If records are too long and may not be changed, or none would be left.
    """
    everything = (*dataset.train, *dataset.heldout)
    shortest = min(everything, key=lambda one: len(one.prompt) + len(one.response))
    surely_short = _surely_short(longest(shortest, template, tokenizer), context)

    def tokens(record: Record) -> int:
        return longest(record, template, tokenizer)

    def fits(record: Record) -> bool:
        return tokens(record) <= context

    found = [one for one in everything if not surely_short(one) and not fits(one)]
    long = {id(one): one for one in sorted(found, key=_in_order)}
    if not long:
        return dataset
    parts = (dataset.train, dataset.heldout)
    dropped = [tuple(one for one in part if id(one) not in long) for part in parts]
    cut = {} if policy == "drop" and all(dropped) else {n: cut_prompt(one, fits) for n, one in long.items()}
    hopeless = [record for name, record in long.items() if cut and cut[name] is None]
    limit = f"longer than the {context:,} tokens that the base can read"
    settled = {"error": False, "drop": all(dropped), "truncate": not hopeless}[policy]
    if not settled:
        named = hopeless if policy == "truncate" else list(long.values())
        most = max(map(tokens, named))
        ways = ["leave them out with --on-long drop (on_long='drop')"] if all(dropped) else []
        ways += [] if hopeless else ["cut their prompts from the left with --on-long truncate"]
        ways = ways or [f"choose a base that reads {most:,} tokens with --base"]
        raise InputError(
            f"{dataset.name}: {len(named):,} of {len(everything):,} records are {limit}"
            f"{', even without their prompts' if policy == 'truncate' else ''}"
            f"{'' if all(dropped) else f', and without them none is left {_for_what(dropped)}'} "
            f"({listed(one.where for one in named)}; the longest has {most:,} tokens); {', or '.join(ways)}"
        )
    kept = dropped
    if policy == "truncate":
        kept = [tuple(cut.get(id(one)) or one for one in part) for part in parts]
    done = "cut from the prompt's left" if policy == "truncate" else "left out"
    counted = f"{dataset.name}: {len(long):,} of {len(everything):,} records"
    note = f"{counted} {done}: {limit} ({listed(one.where for one in long.values())})"
    return replace(dataset, train=kept[0], heldout=kept[1], notes=(*dataset.notes, note))


def _for_what(left: Sequence[Sequence[Record]]) -> str:
    train, heldout = left
    return " or ".join(["to train on"] * (not train) + ["to judge by"] * (not heldout))


def _in_order(record: Record) -> list[tuple[str, int]]:
    """Order places as their files do: line 4 before line 18."""
    parts = re.findall(r"(\D*)(\d*)", record.place)
    return [(text, int(number or 0)) for text, number in parts]


def longest(record: Record, template: str, tokenizer: TokenizerProtocol) -> int:
    """Return the tokens of a record with its response, or with the longest of its choices."""
    answers = dict.fromkeys((record.response, *record.choices))
    return max(len(continuation(template, record, answer, tokenizer).token_ids) for answer in answers)


def cut_prompt(record: Record, fits: Callable[[Record], bool]) -> Record | None:
    """Return a record with as much of its prompt as fits, cut from the left; None if nothing of it does.

    Earlier turns go first, the oldest before the others; the system text stays.
    """
    for left in range(1, len(record.history) + 1):
        shorter = replace(record, history=record.history[left:])
        if fits(shorter):
            return shorter
    low, high = 1, len(record.prompt)
    while low < high:  # the fewest characters to cut
        middle = (low + high) // 2
        if fits(_without(record, middle)):
            high = middle
        else:
            low = middle + 1
    shortest = _without(record, low)
    return shortest if shortest.prompt and fits(shortest) else None


def _without(record: Record, characters: int) -> Record:
    prompt = record.prompt[characters:]
    context = record.context if prompt.endswith(f"\n\n{record.context}") else ""
    return replace(record, history=(), prompt=prompt, context=context)


def _surely_short(around: int, context: int) -> Callable[[Record], bool]:
    """Return a quick check that needs no tokens: none is shorter than a byte.

    Args:
        around: At least the tokens that a template adds to a turn.
        context: Tokens that the base can read.
    """

    def check(record: Record) -> bool:
        turns = [text for turn in record.history for text in turn]
        answer = max((record.response, *record.choices), key=len)
        size = sum(len(text.encode()) for text in (record.system, *turns, record.prompt, answer))
        return size + around * (2 + len(turns)) <= context

    return check
