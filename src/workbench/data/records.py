"""What the workbench trains on: records, and data sets of them with a part held out."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from workbench.showing import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One example: a prompt and the response that is to be learnt."""

    id: str
    """Unique and stable within its source; every chance decision about the record hangs on it."""
    prompt: str
    """All that is asked, the context included."""
    response: str
    context: str = ""
    """The prompt's last paragraph where the source keeps it apart (Alpaca's "input"); else empty."""
    choices: tuple[str, ...] = ()
    """The closed set of answers, if there is one."""
    alternatives: tuple[str, ...] = ()
    """Plausible wrong responses, if known."""
    ratings: tuple[float, ...] = ()
    """Every rater's score, if known: above 0 speaks for the last of two choices, below 0 for the first."""
    system: str = ""
    """What stands before the conversation, such as a role that the assistant is given; else empty."""
    history: tuple[tuple[str, str], ...] = ()
    """Earlier turns, oldest first: what was asked and what was answered."""
    spoiled: str | None = None
    """Name of the corruption that was applied; None when the record is as its source has it."""
    source: str = ""
    """Which of several files it comes from, by the file's label; empty where there is one."""
    turn: str = field(default="", compare=False)
    """What decides its place in every draw, the same for answers to one question; the id where it is empty.
    It follows from what is asked, so it is no part of what the record is."""
    extra: Mapping[str, str | int | float | bool] = field(default_factory=dict, hash=False)
    """What else the source says of it, by the names of its columns, such as a score; no part of what is
    trained, and of the fingerprint only where a quality reads it. A missing value is absent."""
    place: str = field(default="", compare=False)
    """Where the source has it, such as "mine.jsonl, line 4", for messages; no part of what the record is."""

    def __post_init__(self) -> None:
        """Hold what the templates rely on."""
        if self.context and not self.prompt.endswith(f"\n\n{self.context}"):
            raise ValueError(f"record {self.id!r}: the prompt has to end with an empty line and the context")

    @property
    def instruction(self) -> str:
        """The prompt without its context."""
        return self.prompt.removesuffix(f"\n\n{self.context}") if self.context else self.prompt

    @property
    def asked(self) -> str:
        """All that is asked, for people to read: the system text and the earlier turns before the prompt."""
        if not self.system and not self.history:
            return self.prompt
        turns = [f"user: {asked}\n\nassistant: {answered}" for asked, answered in self.history]
        system = [f"system: {self.system}"] if self.system else []
        return "\n\n".join([*system, *turns, f"user: {self.prompt}"])

    @property
    def where(self) -> str:
        """Where to find it, for messages: its place in the source, or its id where there is none."""
        return self.place or f"record {self.id!r}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Dataset(Shown):
    """Records to train on and records held out, which no corruption ever touches."""

    name: str
    train: tuple[Record, ...]
    heldout: tuple[Record, ...]
    template: str
    """Key of ``TEMPLATES`` that suits the records; "chat" needs a base with a chat template."""
    licence: str
    origin: str
    """One line: where the records come from."""
    notes: tuple[str, ...] = ()
    """What was left out or changed while reading, a sentence each, with counts."""
    evals: tuple[tuple[str, tuple[Record, ...]], ...] = ()
    """Further evaluation sets, each with its name; see ``sources/evaluation_sets.py``."""
    columns: tuple[str, ...] = ()
    """Columns of the records on which qualities rest, so that they count in the fingerprint."""
    fingerprint: str = field(init=False)
    """SHA-256 over the records, whatever their order."""

    def __post_init__(self) -> None:
        """Refuse ids that occur twice and take the fingerprint."""
        for part in (self.train, self.heldout, *(records for _, records in self.evals)):
            doubled = [name for name, count in Counter(record.id for record in part).items() if count > 1]
            if doubled:
                raise ValueError(f"{self.name}: id {doubled[0]!r} occurs more than once")
        found = _fingerprint(self.columns, self.evals, self.train, self.heldout)
        object.__setattr__(self, "fingerprint", found)

    def __hash__(self) -> int:
        """Return a hash in which the records needn't be looked at."""
        return hash(self.fingerprint)

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {"to train on": f"{len(self.train):,} records", "held out": f"{len(self.heldout):,} records"}
        facts |= {f"judged by {name}": f"{len(records):,} records" for name, records in self.evals}
        if self.train:
            facts |= {"such as": self.train[0].asked, "answered": self.train[0].response}
        facts |= {"origin": self.origin, "licence": self.licence}
        return f"Dataset {self.name}", facts | ({"notes": "; ".join(self.notes)} if self.notes else {})


def _fingerprint(
    columns: Sequence[str], evals: Iterable[tuple[str, Iterable[Record]]], *parts: Iterable[Record]
) -> str:
    """Hash records part by part, each part in the order of its ids, then what further sets there are."""
    digest = hashlib.sha256()
    named = [("", part) for part in parts] + sorted(evals, key=lambda one: one[0])
    for name, part in named:
        digest.update(name.encode())
        lines = [json.dumps(_content(record, columns)) for record in sorted(part, key=lambda one: one.id)]
        digest.update(json.dumps(len(lines)).encode() + "\n".join(lines).encode() + b"\n")
    return digest.hexdigest()


def _content(record: Record, columns: Sequence[str]) -> dict[str, object]:
    """Return the fields that say something; one that is added later then changes no older fingerprint."""
    named = [one.name for one in fields(record) if one.compare and one.name != "extra"]
    values = {name: getattr(record, name) for name in named}
    values["columns"] = [[name, record.extra[name]] for name in columns if name in record.extra]
    return {name: value for name, value in values.items() if value}


def digest_of(records: Iterable[Record]) -> str:
    """Return a hash of records in their order: ids, all that is asked, and responses."""
    sha256 = hashlib.sha256()
    for record in records:
        # only what there is, so that records without them keep the hash that older studies recorded
        before = [part for part in (record.system, record.history) if part]
        sha256.update(json.dumps([record.id, record.prompt, record.response, *before]).encode() + b"\n")
    return sha256.hexdigest()[:16]
