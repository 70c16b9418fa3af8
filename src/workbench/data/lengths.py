"""Records that are longer than a base can read: refused, left out, cut from the prompt's left, or split."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from workbench.data.places import listed
from workbench.data.records import Dataset, Record
from workbench.data.templates import TokenizerProtocol, continuation
from workbench.errors import InputError

OnLong = Literal["error", "drop", "truncate", "split"]
POLICIES: tuple[OnLong, ...] = ("error", "drop", "truncate", "split")


def fit_context(
    dataset: Dataset,
    template: str,
    tokenizer: TokenizerProtocol,
    context: int,
    policy: OnLong,
    loss_on: str = "last",
) -> Dataset:
    """Return the data set as a base can read it whole, with a note on what was left out, cut or split.

    Args:
        dataset: Training and held-out records, those of further evaluation sets too.
        template: Key of ``TEMPLATES``.
        tokenizer: The base's.
        context: Tokens that the base can read.
        policy: What becomes of records that are longer, with any of their choices: "error" refuses all of
            them at once, "drop" leaves them out, "truncate" cuts their prompts from the left, earlier turns
            first, "split" makes several records of each, as :func:`split_turns` does.
        loss_on: Which answers count in the loss, "last" or "all".

    Raises:
        InputError: If records are too long and may not be changed, or none would be left.
    """
    parts = (dataset.train, dataset.heldout, *(records for _, records in dataset.evals))
    everything = tuple(one for part in parts for one in part)
    shortest = min(everything, key=lambda one: len(one.prompt) + len(one.response))

    def tokens(record: Record) -> int:
        return longest(record, template, tokenizer, loss_on)

    surely_short = _surely_short(tokens(shortest), context)

    def fits(record: Record) -> bool:
        return tokens(record) <= context

    found = [one for one in everything if not surely_short(one) and not fits(one)]
    long = {id(one): one for one in sorted(found, key=_in_order)}
    if not long:
        return dataset
    dropped = [tuple(one for one in part if id(one) not in long) for part in parts]
    made = _changed(policy, long, fits)
    hopeless = [] if policy == "drop" else [one for name, one in long.items() if not made[name]]
    limit = f"longer than the {context:,} tokens that the base can read"
    if hopeless or (policy == "drop" and not all(dropped)):
        named = hopeless or list(long.values())
        most = max(map(tokens, named))
        ways = ["leave them out with --on-long drop (on_long='drop')"] if all(dropped) else []
        if all(_changed("truncate", long, fits).values()):
            ways += ["cut their prompts from the left with --on-long truncate"]
        if any(one.history for one in named) and all(_changed("split", long, fits).values()):
            ways += ["make several records of each conversation with --on-long split"]
        ways = ways or [f"choose a base that reads {most:,} tokens with --base"]
        alone = {"truncate": ", even without their prompts", "split": ", even one turn without its prompt"}
        raise InputError(
            f"{dataset.name}: {_counted(named, everything)} are {limit}{alone.get(policy, '')}"
            f"{'' if all(dropped) else f', and without them none is left {_for_what(dataset, dropped)}'} "
            f"({listed(one.where for one in named)}; the longest has {most:,} tokens); {', or '.join(ways)}"
        )
    train, heldout, *sets = [tuple(new for one in part for new in made.get(id(one), [one])) for part in parts]
    done = _done(policy, list(made.values()))
    counted = f"{dataset.name}: {_counted(list(long.values()), everything)}"
    note = f"{counted} {done}: {limit} ({listed(one.where for one in long.values())})"
    if policy == "split" and loss_on == "last":
        note += "; of each part the last answer is learnt"
    evals = tuple((name, own) for (name, _), own in zip(dataset.evals, sets, strict=True))
    return replace(dataset, train=train, heldout=heldout, evals=evals, notes=(*dataset.notes, note))


def _changed(
    policy: OnLong, long: Mapping[int, Record], fits: Callable[[Record], bool]
) -> dict[int, list[Record]]:
    """Return what a policy makes of each long record: none where it can't make it fit, or leaves it out."""
    if policy in ("error", "drop"):
        return {name: [] for name in long}
    change = split_turns if policy == "split" else _truncated
    return {name: change(record, fits) for name, record in long.items()}


def _truncated(record: Record, fits: Callable[[Record], bool]) -> list[Record]:
    shorter = cut_prompt(record, fits)
    return [] if shorter is None else [shorter]


def _counted(some: Sequence[Record], everything: Sequence[Record]) -> str:
    percent = round(100 * len(some) / len(everything), 1)
    share = f"{percent:g}%" if percent else "less than 0.1%"
    return f"{len(some):,} of {len(everything):,} records ({share})"


def _done(policy: OnLong, made: Sequence[Sequence[Record]]) -> str:
    if policy == "drop":
        return "left out"
    if policy == "truncate":
        return "cut from the prompt's left"
    return (
        f"split into {sum(map(len, made)):,} parts of whole turns, and what is too long as one turn cut from "
        "the prompt's left"
    )


def _for_what(dataset: Dataset, left: Sequence[Sequence[Record]]) -> str:
    further = (f"to judge by in the evaluation set {name!r}" for name, _ in dataset.evals)
    words = ("to train on", "to judge by", *further)
    return " or ".join(what for what, own in zip(words, left, strict=True) if not own)


def _in_order(record: Record) -> list[tuple[str, int]]:
    """Order places as their files do: line 4 before line 18."""
    parts = re.findall(r"(\D*)(\d*)", record.place)
    return [(text, int(number or 0)) for text, number in parts]


def longest(record: Record, template: str, tokenizer: TokenizerProtocol, loss_on: str = "last") -> int:
    """Return the tokens of a record with its response, or with the longest of its choices."""
    answers = dict.fromkeys((record.response, *record.choices))
    return max(
        len(continuation(template, record, answer, tokenizer, loss_on).token_ids) for answer in answers
    )


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


def split_turns(record: Record, fits: Callable[[Record], bool]) -> list[Record]:
    """Return a conversation as several, each with as many whole turns as fit; none if one turn can't fit.

    Each part keeps the system text, and its history is what this part has before its last turn, so that a
    part begins as a conversation does. All have the same ``turn``, by which draws are ordered. Of a turn that
    is too long by itself the prompt is cut, as :func:`cut_prompt` does. So is a record with choices or other
    answers, of which only the last turn is known. A part doesn't end with an answer that says nothing.

    Source: FastChat (``data/split_long_conversation.py``) splits in the same way.
    """
    if not record.history or record.choices or record.alternatives:
        return _truncated(record, fits)
    turns = (*record.history, (record.prompt, record.response))
    parts: list[Record] = []
    begin = 0
    while begin < len(turns):
        end = begin + 1
        while end < len(turns) and fits(_part(record, turns, begin, end + 1)):
            end += 1
        answered = [place for place in range(begin, end) if turns[place][1].strip()]
        if answered:
            part = _part(record, turns, begin, answered[-1] + 1)
            fitting = [part] if fits(part) else _truncated(part, fits)
            if not fitting:
                return []
            parts += fitting
        begin = end
    turn, count = record.turn or record.id, len(parts)
    return [
        replace(part, id=f"{record.id} part {number} of {count}", turn=turn)
        for number, part in enumerate(parts, start=1)
    ]


def _part(record: Record, turns: Sequence[tuple[str, str]], begin: int, end: int) -> Record:
    """Return the turns from ``begin`` up to, without, ``end`` as a record."""
    history = tuple(turns[begin : end - 1])
    if end == len(turns):
        return replace(record, history=history)
    prompt, response = turns[end - 1]
    return replace(record, history=history, prompt=prompt, response=response, context="")


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
