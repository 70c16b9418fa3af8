"""The user's own records, in whatever layout and kind of file people have them.

``layouts/__init__.py`` lists the layouts, each found by the keys of the file's objects: what most of them
fit is taken for all. ``containers/__init__.py`` lists the kinds of file. Beside what its layout says, a
record may have

- "id": a text or a whole number, unique in the file;
- "system" (or "system_prompt"): the text that stands before the conversation;
- "history": the turns before the prompt, oldest first, each a list of two texts: asked, answered;
- "choices": the closed set of answers, two or more, the response among them;
- "alternatives": wrong responses.

An optional key that is null or empty is one that is missing. Every other key whose value is a text, a
number or a truth value is kept as a column of the record (``Record.extra``), on which nothing is trained;
nested ones are ignored. The data set's notes say which. What can't be used is found in one pass over the
file, and told or left out as ``findings.py`` says: an empty prompt or response (null, or nothing but white
space) by ``on_empty``, everything else, a missing key included, by ``on_bad``.

Without an id, a record is known by a hash of what is asked: it keeps its place in every draw when the file is
sorted, other records are added, or its response is corrected, so a file and its cleaned copy can be compared
record by record. Copies of one question are numbered in the file's order.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from workbench.conversions import PACKED_SUFFIXES
from workbench.data.heldout import both_given, default_count, hold_out, opening
from workbench.data.places import listed
from workbench.data.records import Dataset, Record
from workbench.data.sources.containers import read_items
from workbench.data.sources.findings import Findings, Option, Policy, left_out
from workbench.data.sources.items import shortened
from workbench.data.sources.layouts.choice import check_mapping, choose_layout
from workbench.data.sources.reading import Reading, Scalar, extra_of, hashed, tell_numbers
from workbench.errors import InputError
from workbench.files import sha256_of

MOST_KEYS = 10
"""Keys that a note names before it only counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How files are read, where something isn't left to their keys."""

    on_empty: Policy = "error"
    on_bad: Policy = "error"
    on_shared: Policy = "error"
    mapping: tuple[tuple[str, str], ...] = ()
    """Fields of a record, each with the key under which it is."""
    read_as: str | None = None
    """Key of ``LAYOUTS``; None finds the layout by the keys."""

    def __post_init__(self) -> None:
        """Refuse what is no policy."""
        for name in ("on_empty", "on_bad", "on_shared"):
            if (policy := getattr(self, name)) not in ("error", "drop"):
                raise InputError(f"{name} is {policy!r}; it has to be 'error' or 'drop'")


def load(
    path: Path,
    heldout: int | None = None,
    *,
    heldout_file: Path | None = None,
    on_empty: Policy = "error",
    on_bad: Policy = "error",
    on_shared: Policy = "error",
    mapping: Mapping[str, str] | None = None,
    read_as: str | None = None,
) -> Dataset:
    """Return the records of a file; asked for again while its bytes are the same, it isn't parsed again.

    Args:
        path: A file of one of the kinds of ``containers/__init__.py``, or ``hf:NAME``, see ``hub.py``.
        heldout: Records to hold out, chosen by a hash of their prompts; None for 600, or a fifth of a file
            with fewer than 3,000, or what comes nearest below where many records share a prompt.
        heldout_file: A file with the records to hold out instead. Nothing may be asked and answered alike in
            both; a prompt that is in both with another answer is counted in the notes.
        on_empty: What becomes of a record whose prompt or response is empty: "error" refuses the file and
            names every such record, "drop" leaves them out and counts them in the notes.
        on_bad: The same for what else can't be read as a record.
        on_shared: "error" refuses a held-out file some of whose records are in this one too, with the same
            answer; "drop" leaves out every record whose question is held out.
        mapping: Fields of a record ("prompt", "response", "context", "id", ...) with the keys under which
            the files have them, whatever their layout says.
        read_as: Key of ``LAYOUTS`` by which the files are read; None finds it by their keys.

    Raises:
        InputError: If a file can't be read, a record isn't as described above, or too few are left.
    """
    if heldout is not None and heldout_file is not None:
        raise both_given(heldout, heldout_file)
    how = How(
        on_empty=on_empty,
        on_bad=on_bad,
        on_shared=on_shared,
        mapping=tuple((mapping or {}).items()),
        read_as=read_as,
    )
    check_mapping(dict(how.mapping), read_as)
    given = [path, *([heldout_file] if heldout_file else [])]
    # a pipe can be read only once; what is wrong with another one, reading it says
    if not all(one.is_file() and os.access(one, os.R_OK) for one in given):
        return _parsed(path, heldout, heldout_file, how)
    return _parsed_once(path, heldout, heldout_file, how, tuple(sha256_of(one) for one in given))


@lru_cache(maxsize=1)
def _parsed_once(
    path: Path, heldout: int | None, heldout_file: Path | None, how: How, hashes: tuple[str, ...]
) -> Dataset:
    """Keep the last data set: a study's sizes and its cells both come from it. The hashes tell a change."""
    return _parsed(path, heldout, heldout_file, how)


def _parsed(path: Path, heldout: int | None, heldout_file: Path | None, how: How) -> Dataset:
    policies: dict[Option, Policy] = {"on_empty": how.on_empty, "on_bad": how.on_bad}
    own = read_file(path, how, prompts_needed=1 if heldout_file else 2)
    separate = read_file(heldout_file, how, prompts_needed=1) if heldout_file else None
    files = [own, separate] if separate else [own]
    notes = left_out([one.findings for one in files], policies)
    notes += [note for one in files for note in one.notes]
    if separate:
        train, held = own.records, separate.records
        if how.on_shared == "error":
            refuse_answers_in_both(own.records, str(own.path), separate)
            notes += asked_in_both(own.records, own.path.name, separate, "held-out records")
        else:
            ((train,), gone) = without_held_out([name_of(path)], [own.records], held)
            notes += gone
    else:
        train, held = hold_out(own.records, heldout, str(path))
        notes += _other_count(heldout, len(held), len(own.records), path)
    return Dataset(
        name=name_of(path),
        train=train,
        heldout=held,
        template=own.template,
        licence="not stated: the user's own file",
        origin=" and ".join(str(one) for one in (path, heldout_file) if one),
        notes=tuple(notes),
    )


def name_of(path: Path) -> str:
    """Return what a file's records are called: its name without the endings that say its kind."""
    return Path(path.stem).stem if path.suffix in PACKED_SUFFIXES else path.stem


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """What was read of one file."""

    path: Path
    template: str
    """The template that suits its layout."""
    records: tuple[Record, ...]
    """Those with nothing wrong."""
    findings: Findings
    notes: tuple[str, ...]
    """What it was read as, and what wasn't used of it."""


def read_file(path: Path, how: How, *, prompts_needed: int) -> OwnFile:
    """Read all that a file has; what becomes of that which can't be used is decided elsewhere.

    Args:
        path: The file.
        how: The layout, if its keys aren't to tell.
        prompts_needed: How many different prompts are enough to go on with.

    Raises:
        InputError: If it can't be opened or holds nothing in any known layout.
    """
    contents = read_items(path)
    chosen = choose_layout(path, contents.items, dict(how.mapping), how.read_as)
    unusable = [[finding] for finding in contents.findings]
    records: list[Record] = []
    columns: list[dict[str, Scalar]] = []
    ignored: Counter[str] = Counter()
    names: dict[str, str] = {}
    copies: Counter[str] = Counter()
    remarks: dict[str, list[str]] = {}
    for row in chosen.layout.rows(contents.items, chosen.keys):
        reading = Reading(row)
        values = reading.values()
        if not reading.findings:
            own = reading.own_id()
            name = "-".join(part for part in (own or hashed(values), row.part) if part)
            if not own:
                copies[name] += 1
                name = f"{name}-{copies[name]}" if copies[name] > 1 else name
            if (first := names.setdefault(name, row.place)) != row.place:
                reading.wrong("with the 'id' of an earlier record", f"{shortened(name)!r}, as {first} has")
        if reading.findings:
            unusable.append(reading.findings)
            continue
        place = f"{path.name}, {row.place}"
        columns.append(extra_of(row, ignored))
        records.append(Record(id=name, place=place, extra=columns[-1], **values))
        for remark in row.remarks:
            remarks.setdefault(remark, []).append(row.place)
    if not contents.typed:
        tell_numbers(columns)
    title = chosen.title()
    told = [f"read as {title}: {chosen.layout.counts(contents.items, records)}"] if title else []
    told += [f"{len(of)} of {len(records)} {what} ({listed(of)})" for what, of in remarks.items()]
    told += _keys_told("kept as", "column", Counter(key for one in records for key in one.extra))
    told += _keys_told("ignored", "key", ignored)
    return OwnFile(
        path=path,
        template=chosen.layout.template,
        records=tuple(records),
        findings=Findings(
            path=path,
            total=len(records) + len(unusable),
            unusable=unusable,
            enough=len(set(map(opening, records))) >= prompts_needed,
        ),
        notes=tuple(f"{path.name}: {one}" for one in told),
    )


def read_judging(path: Path, how: How, *, prompts_needed: int) -> OwnFile:
    """Read a file to judge by as the training files are, where it has what they have; else by its own keys.

    Raises:
        InputError: As :func:`read_file`, for what it lacks of what was asked for.
    """
    try:
        return read_file(path, how, prompts_needed=prompts_needed)
    except InputError:
        if not how.mapping and how.read_as is None:
            raise
        try:
            return read_file(path, replace(how, mapping=(), read_as=None), prompts_needed=prompts_needed)
        except InputError:
            pass  # what it lacks of what was asked for is the better message
        raise


def _keys_told(what: str, name: str, keys: Counter[str]) -> list[str]:
    """Return a phrase that names keys with their counts, none where there are none."""
    if not keys:
        return []
    named = [
        f"{shortened(key)!r} ({count} record{'s' if count > 1 else ''})"
        for key, count in keys.most_common(MOST_KEYS)
    ]
    more = f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
    return [f"{what} {name}{'s' if len(keys) > 1 else ''} {', '.join(named)}{more}"]


def refuse_answers_in_both(train: Sequence[Record], source: str, separate: OwnFile) -> None:
    """Refuse what is asked and answered alike in records to train on and in a file to judge by.

    Args:
        train: The records to train on.
        source: Where they are from.
        separate: The file to judge by.

    Raises:
        InputError: If there is any; the message counts it.
    """
    answered = {(record.asked, record.response) for record in train}
    same = [record for record in separate.records if (record.asked, record.response) in answered]
    if same:
        raise InputError(
            f"{len(same)} of {len(separate.records)} records of {separate.path} are in {source} too, with "
            f"the same answer ({listed(record.place for record in same)}); what was trained on can't judge. "
            "Remove them from one of the files, or leave out what is trained on such questions with "
            "on_shared='drop' (--on-shared drop)"
        )


def without_held_out(
    labels: Sequence[str],
    parts: Sequence[Sequence[Record]],
    held: Sequence[Record],
    *,
    in_set: str = "held out",
    advice: str = "give a file to judge by that asks other things: --heldout-file",
) -> tuple[list[tuple[Record, ...]], list[str]]:
    """Return each file's records without those whose questions are held out, and notes of what was left out.

    Args:
        labels: What the files are called.
        parts: The records of each.
        held: Records that judge.
        in_set: Where those are, in words.
        advice: What to do where nothing is left.

    Raises:
        InputError: If none of a file's records is left.
    """
    asked = {opening(record) for record in held}
    judging = set(map(id, held))
    kept_parts, notes = [], []
    for label, part in zip(labels, parts, strict=True):
        kept = tuple(record for record in part if opening(record) not in asked)
        gone = [record for record in part if opening(record) in asked and id(record) not in judging]
        if not kept:
            raise InputError(
                f"every record of {label!r} has a prompt that is {in_set}, so none is left to train on; "
                f"{advice}"
            )
        if gone:
            notes.append(
                f"{len(gone)} of {len(part)} records of {label!r} left out: their prompts are {in_set} "
                f"({listed(record.place for record in gone)})"
            )
        kept_parts.append(kept)
    return kept_parts, notes


def asked_in_both(train: Sequence[Record], source: str, separate: OwnFile, judging: str) -> list[str]:
    """Count what is asked alike in records to train on and in a file to judge by.

    Args:
        train: The records to train on.
        source: Where they are from.
        separate: The file to judge by.
        judging: What its records are called.
    """
    prompts = {opening(record) for record in train if record.prompt}
    again = [record for record in separate.records if record.prompt and opening(record) in prompts]
    if not again:
        return []
    return [
        f"{separate.path.name}: {len(again)} of {len(separate.records)} {judging} have a prompt that "
        f"{source} trains on with other answers; they don't tell how prompts that are new would do"
    ]


def _other_count(heldout: int | None, held: int, total: int, path: Path) -> list[str]:
    if heldout is not None or held == default_count(total):
        return []
    return [
        f"{path.name}: {held} of {total} records held out instead of {default_count(total)}, because records "
        "with the same prompt stay on one side"
    ]
