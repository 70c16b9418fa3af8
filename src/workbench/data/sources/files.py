"""The user's own records: a JSON list or JSONL, with the keys that people have.

A record is an object with "prompt" and "response", or with Alpaca's "instruction", "input" (may be missing
or empty) and "output"; what most records of the file have is taken for all of them. It may also have

- "id": a text or a whole number, unique in the file;
- "system" (or "system_prompt"): the text that stands before the conversation;
- "history": the turns before the prompt, oldest first, each a list of two texts: asked, answered;
- "choices": the closed set of answers, two or more, the response among them;
- "alternatives": wrong responses.

An optional key that is null or empty is one that is missing. Other keys aren't used, which the data set's
notes say. What can't be used is found in one pass over the file, and told or left out as ``findings.py``
says: an empty prompt or response (null, or nothing but white space) by ``on_empty``, everything else, a
missing key included, by ``on_bad``.

Without an id, a record is known by a hash of what is asked: it keeps its place in every draw when the file is
sorted, other records are added, or its response is corrected, so a file and its cleaned copy can be compared
record by record. Copies of one question are numbered in the file's order.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.data.heldout import both_given, default_count, hold_out, opening
from workbench.data.places import listed
from workbench.data.records import Dataset, Record
from workbench.data.sources.findings import Finding, Findings, Option, Policy, left_out
from workbench.data.sources.json_items import JsonItem, kind_in_words, read_items, shortened
from workbench.errors import InputError
from workbench.files import sha256_of

SYSTEM = ("system", "system_prompt")
"""Names of the system text; the first that isn't empty is taken."""
MOST_KEYS = 10
"""Keys that a note names before it only counts."""
SAME = {
    "prompt": ("prompt", "question", "query", "input"),
    "response": ("response", "completion", "answer", "output", "target", "chosen"),
}
"""Names that other files have for the two texts, for the advice on what to rename."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordKeys:
    """The keys of one kind of file."""

    prompt: str
    response: str
    context: str | None
    template: str
    """The template that suits it."""

    @property
    def keys(self) -> set[str]:
        """Every key that is read."""
        needed = {self.prompt, self.response, "id", *SYSTEM, "history", "choices", "alternatives"}
        return needed if self.context is None else needed | {self.context}


LAYOUTS = (
    RecordKeys(prompt="prompt", response="response", context=None, template="plain"),
    RecordKeys(prompt="instruction", response="output", context="input", template="alpaca"),
)


def load(
    path: Path,
    heldout: int | None = None,
    *,
    heldout_file: Path | None = None,
    on_empty: Policy = "error",
    on_bad: Policy = "error",
) -> Dataset:
    """Return the records of a file; asked for again while its bytes are the same, it isn't parsed again.

    Args:
        path: A JSON list or JSONL, in UTF-8.
        heldout: Records to hold out, chosen by a hash of their prompts; None for 600, or a fifth of a file
            with fewer than 3,000, or what comes nearest below where many records share a prompt.
        heldout_file: A file with the records to hold out instead. Nothing may be asked and answered alike in
            both; a prompt that is in both with another answer is counted in the notes.
        on_empty: What becomes of a record whose prompt or response is empty: "error" refuses the file and
            names every such record, "drop" leaves them out and counts them in the notes.
        on_bad: The same for what else can't be read as a record.

    Raises:
        InputError: If a file can't be read, a record isn't as described above, or too few are left.
    """
    for name, policy in (("on_empty", on_empty), ("on_bad", on_bad)):
        if policy not in ("error", "drop"):
            raise InputError(f"{name} is {policy!r}; it has to be 'error' or 'drop'")
    if heldout is not None and heldout_file is not None:
        raise both_given(heldout, heldout_file)
    given = [path, *([heldout_file] if heldout_file else [])]
    # a pipe can be read only once; what is wrong with another one, reading it says
    if not all(one.is_file() and os.access(one, os.R_OK) for one in given):
        return _parsed(path, heldout, heldout_file, on_empty, on_bad)
    hashes = tuple(sha256_of(one) for one in given)
    return _parsed_once(path, heldout, heldout_file, on_empty, on_bad, hashes)


@lru_cache(maxsize=1)
def _parsed_once(
    path: Path,
    heldout: int | None,
    heldout_file: Path | None,
    on_empty: Policy,
    on_bad: Policy,
    hashes: tuple[str, ...],
) -> Dataset:
    """Keep the last data set: a study's sizes and its cells both come from it. The hashes tell a change."""
    return _parsed(path, heldout, heldout_file, on_empty, on_bad)


def _parsed(
    path: Path, heldout: int | None, heldout_file: Path | None, on_empty: Policy, on_bad: Policy
) -> Dataset:
    policies: dict[Option, Policy] = {"on_empty": on_empty, "on_bad": on_bad}
    own = read(path, prompts_needed=1 if heldout_file else 2)
    separate = read(heldout_file, prompts_needed=1) if heldout_file else None
    files = [own, separate] if separate else [own]
    notes = left_out([one.findings for one in files], policies)
    notes += [one.unused for one in files if one.unused]
    if separate:
        train, held = own.records, separate.records
        notes += overlap(own, separate)
    else:
        train, held = hold_out(own.records, heldout, str(path))
        notes += _other_count(heldout, len(held), len(own.records), path)
    return Dataset(
        name=path.stem,
        train=train,
        heldout=held,
        template=own.layout.template,
        licence="not stated: the user's own file",
        origin=" and ".join(str(one) for one in (path, heldout_file) if one),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """What a file holds, once it is read."""

    path: Path
    layout: RecordKeys
    records: tuple[Record, ...]
    """Those with nothing wrong."""
    findings: Findings
    unused: str
    """A note on the keys that weren't used; empty where all were."""


def read(path: Path, *, prompts_needed: int) -> ReadFile:
    """Read all that a file has; what becomes of that which can't be used is decided elsewhere."""
    items, broken = read_items(path)
    layout, hint = _layout(path, items)
    unusable = [[finding] for finding in broken]
    records: list[Record] = []
    unused: Counter[str] = Counter()
    names: dict[str, str] = {}
    copies: Counter[str] = Counter()
    for item in items:
        reading = _Reading(item, layout)
        values = reading.values()
        if not reading.findings:
            name = reading.own_id() or _hashed(values, copies)
            if (first := names.setdefault(name, item.place)) != item.place:
                reading.wrong("with the 'id' of an earlier record", f"{shortened(name)!r}, as {first} has")
        if reading.findings:
            unusable.append(reading.findings)
        else:
            others = {key: value for key, value in item.values.items() if key not in layout.keys}
            extra = {key: value for key, value in others.items() if isinstance(value, str | int | float)}
            records.append(Record(id=name, place=f"{path.name}, {item.place}", extra=extra, **values))
            unused.update(list(others))
    return ReadFile(
        path=path,
        layout=layout,
        records=tuple(records),
        findings=Findings(
            path=path,
            total=len(items) + len(broken),
            unusable=unusable,
            enough=len(set(map(opening, records))) >= prompts_needed,
            hint=hint,
        ),
        unused=_unused(path, unused),
    )


def _layout(path: Path, items: Sequence[JsonItem]) -> tuple[RecordKeys, str]:
    """Return the layout that most records have, and what to do where none has all of it."""
    whole = [sum({one.prompt, one.response} <= item.values.keys() for item in items) for one in LAYOUTS]
    if any(whole):
        return LAYOUTS[whole.index(max(whole))], ""
    hint = _mending(items[0].values)
    half = [sum(one.prompt in item.values for item in items) for one in LAYOUTS]
    if any(half):
        layout = LAYOUTS[half.index(max(half))]
        return layout, hint or f" Each has to have the texts {layout.prompt!r} and {layout.response!r}."
    known = " or ".join(f"{layout.prompt!r} and {layout.response!r}" for layout in LAYOUTS)
    raise InputError(
        f"{path}, {items[0].place}: expected the keys {known}, found {_keys(items[0].values)}.{hint}"
    )


def _mending(values: Mapping[str, Any]) -> str:
    """Return a sentence on how to make a record of what an object of another layout has, if that is known."""
    wanted = SAME
    if "instruction" in values:
        wanted = {"instruction": (), "output": SAME["response"], "input": ("context",)}
    found = {
        name: next((other for other in (name, *others) if isinstance(values.get(other), str)), None)
        for name, others in wanted.items()
    }
    if all(other for name, other in found.items() if name != "input"):
        renamed = [f"{other!r} to {name!r}" for name, other in found.items() if other not in (None, name)]
        return f" Rename {' and '.join(renamed)}."
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            if value[0].keys() & {"role", "from"}:
                return (
                    f" Conversations ({shortened(key)!r}) aren't read: write each answer as a record with "
                    "'prompt' and 'response', and what came before it as 'system' and 'history'."
                )
            if any({layout.prompt, layout.response} <= value[0].keys() for layout in LAYOUTS):
                return f" The records are under {shortened(key)!r}: give that list as a file of its own."
    if isinstance(values.get("text"), str):
        return " Split 'text' into what is asked ('prompt') and what is to be learnt ('response')."
    return ""


class _Reading:
    """One object read as a record; what is wrong with it is collected."""

    def __init__(self, item: JsonItem, layout: RecordKeys) -> None:
        self.item, self.layout = item, layout
        self.findings: list[Finding] = []

    def wrong(self, what: str, detail: str = "", option: Option = "on_bad") -> None:
        """Note that something is wrong."""
        self.findings.append(Finding(self.item.place, what, detail, option))

    def values(self) -> dict[str, Any]:
        """Return the record's fields without its id; of use only where nothing is wrong."""
        layout = self.layout
        prompt, response = self._needed(layout.prompt), self._needed(layout.response)
        if any(text is not None and not text.strip() for text in (prompt, response)):
            self.wrong(f"empty {layout.prompt!r} or {layout.response!r}", option="on_empty")
        context = self._text(layout.context) if layout.context else ""
        choices, alternatives = self._texts("choices"), self._texts("alternatives")
        if choices and (len(choices) < 2 or (response is not None and response not in choices)):
            self.wrong(
                "with 'choices' that aren't two or more, the response among them",
                f"{shortened(json.dumps(choices, ensure_ascii=False))} and {kind_in_words(response)}",
            )
        if response in alternatives:
            self.wrong(
                "whose response is one of 'alternatives' too, which are wrong", kind_in_words(response)
            )
        self.own_id()
        return {
            "prompt": f"{prompt}\n\n{context}" if context else prompt,
            "response": response,
            "context": context,
            "system": self._system(),
            "history": self._history(),
            "choices": choices,
            "alternatives": alternatives,
        }

    def own_id(self) -> str:
        """Return the record's own id, nothing where it has none."""
        value = self.item.values.get("id")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self._text("id", "a text or a whole number") or ""

    def _needed(self, key: str) -> str | None:
        if key not in self.item.values:
            self.wrong(f"without the key {key!r}", f"it has {_keys(self.item.values)}")
            return None
        return self._text(key)

    def _text(self, key: str, expected: str = "a text") -> str | None:
        """Return a key's text, an empty one for null or a missing key, None for what isn't a text."""
        value = self.item.values.get(key)
        if value is None:
            return ""
        if isinstance(value, str) and not _half_character(value):
            return value
        if isinstance(value, str):
            self.wrong(f"with half a surrogate pair, which is no character, in {key!r}", kind_in_words(value))
        else:
            self.wrong(f"with {key!r} that isn't {expected}", kind_in_words(value))
        return None

    def _system(self) -> str:
        texts = [text for text in map(self._text, SYSTEM) if text and text.strip()]
        if len(set(texts)) > 1:
            self.wrong(f"with different texts in {' and '.join(map(repr, SYSTEM))}")
        return texts[0] if texts else ""

    def _history(self) -> tuple[tuple[str, str], ...]:
        turns = self.item.values.get("history") or []
        pairs = turns if isinstance(turns, list) else [turns]
        for pair in pairs:
            if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_text, pair))):
                wrong = kind_in_words(turns if pairs is not turns else pair)
                self.wrong("with a 'history' that isn't a list of turns, each [asked, answered]", wrong)
                return ()
        return tuple((asked, answered) for asked, answered in pairs)

    def _texts(self, key: str) -> tuple[str, ...]:
        """Return an optional key's list of texts that differ, none where it is missing or empty."""
        values = self.item.values.get(key) or []
        if not isinstance(values, list):
            self.wrong(f"with {key!r} that aren't a list of texts", kind_in_words(values))
            return ()
        if not all(_is_text(value) and value.strip() for value in values) or len(set(values)) < len(values):
            found = shortened(json.dumps(values))
            self.wrong(f"with {key!r} that aren't texts, each another and none empty", found)
            return ()
        return tuple(values)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not _half_character(value)


def _half_character(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _hashed(values: Mapping[str, Any], copies: Counter[str]) -> str:
    """Return a hash of what is asked, with a number from the second copy on."""
    asked = values["prompt"]
    if values["system"] or values["history"]:
        asked = json.dumps([values["system"], values["history"], asked])
    name = hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()
    copies[name] += 1
    return f"{name}-{copies[name]}" if copies[name] > 1 else name


def _unused(path: Path, keys: Counter[str]) -> str:
    if not keys:
        return ""
    named = [
        f"{shortened(key)!r} ({count} record{'s' if count > 1 else ''})"
        for key, count in keys.most_common(MOST_KEYS)
    ]
    more = f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
    return f"{path.name}: ignored key{'s' if len(keys) > 1 else ''} {', '.join(named)}{more}"


def overlap(own: ReadFile, separate: ReadFile) -> list[str]:
    """Refuse what is asked and answered alike in both files, and count what is asked alike."""
    prompts = set(map(opening, own.records))
    answered = {(record.asked, record.response) for record in own.records}
    same = [record for record in separate.records if (record.asked, record.response) in answered]
    if same:
        raise InputError(
            f"{len(same)} of {len(separate.records)} records of {separate.path} are in {own.path} too, with "
            f"the same answer ({listed(record.place for record in same)}); remove them from one of the "
            "files: what was trained on can't judge"
        )
    again = [record for record in separate.records if opening(record) in prompts]
    if not again:
        return []
    return [
        f"{separate.path.name}: {len(again)} of {len(separate.records)} held-out records have a prompt that "
        f"{own.path.name} trains on with other answers; they don't tell how prompts that are new would do"
    ]


def _other_count(heldout: int | None, held: int, total: int, path: Path) -> list[str]:
    if heldout is not None or held == default_count(total):
        return []
    return [
        f"{path.name}: {held} of {total} records held out instead of {default_count(total)}, because records "
        "with the same prompt stay on one side"
    ]


def _keys(values: Mapping[str, Any]) -> str:
    return shortened(", ".join(map(repr, values)), 100) or "no keys"
