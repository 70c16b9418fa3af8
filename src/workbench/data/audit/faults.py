"""What an audit looks at, and what it says of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from workbench.data.duplicates import near_clusters
from workbench.data.records import Record
from workbench.data.sources.findings import Finding
from workbench.data.templates import TokenizerProtocol

MOST_EXAMPLES = 5
"""Records of a fault that are shown."""
HALF = 0.5
"""Least similarity of the responses of two records that are nearly the same."""
AROUND = 60
"""Characters that are shown on either side of what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfBase:
    """What an audit has to know about a base."""

    name: str
    tokenizer: TokenizerProtocol
    context: int
    """Tokens that it can read."""
    reads_any_text: bool
    """Whether it has tokens for every character."""
    marks: frozenset[str]
    """Texts of its special tokens."""
    end: str
    """Text of the token that ends a text."""
    pads_with_end: bool
    """Whether its token for empty places is the one that ends a text."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The records of a file, and what they are looked at beside."""

    records: Sequence[Record]
    unusable: Sequence[Sequence[Finding]] = ()
    """For each record that couldn't be read what is wrong with it."""
    against: Sequence[Record] | None = None
    """The records of an evaluation file, if one was given."""
    base: OfBase | None = None
    template: str = "plain"

    @cached_property
    def texts(self) -> list[str]:
        """All of each record in one text."""
        return [whole(record) for record in self.records]

    @cached_property
    def clusters(self) -> list[int]:
        """For each record the first of its near duplicates."""
        return near_records(self.records)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One record in which something is wrong."""

    place: str
    """Where the file has it."""
    part: str
    """Which of its texts is shown: "prompt", "response", ..."""
    text: str
    """That text, where it is wrong; as it stands in the file, so whoever shows it has to escape it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of thing that is wrong, with all records that have it."""

    check: str
    """Key of ``CHECKS``; filled in by the audit."""
    what: str
    """In a few words, such as "near duplicates of an earlier record"."""
    sightings: Sequence[Sighting]
    """One a record, in the file's order."""
    total: int
    """Of how many records."""
    of: str = "records"
    """What the total counts."""
    advice: str
    """What to do; a sentence."""

    @property
    def count(self) -> int:
        """Records that have it."""
        return len(self.sightings)

    @property
    def share(self) -> float:
        """Their share of the total, from 0 to 1."""
        return self.count / self.total

    @property
    def examples(self) -> Sequence[Sighting]:
        """A few of the records, from the whole file."""
        step = max(1, self.count // MOST_EXAMPLES)
        return self.sightings[::step][:MOST_EXAMPLES]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """One thing that an audit looks for."""

    about: str
    """What it looks for, in a few words."""
    look: Callable[[Subject], list[Fault]]
    """Returns what it finds, nothing where all is well."""
    lacking: Callable[[Subject], str] = lambda subject: ""
    """Says what it lacks, so that it can't look, and how to give it; empty where it can."""


def fault(
    what: str, sightings: Sequence[Sighting], total: int, advice: str, *, of: str = "records"
) -> list[Fault]:
    """Return a fault, as a list; an empty one where nothing was sighted."""
    if not sightings:
        return []
    return [Fault(check="", what=what, sightings=sightings, total=total, of=of, advice=advice)]


def whole(record: Record) -> str:
    """Return all of a record in one text."""
    return f"{record.asked}\n{record.response}"


def near_records(records: Sequence[Record]) -> list[int]:
    """Return for each record the place of the first one that says nearly the same.

    Two do whose whole texts are near duplicates, and whose responses have at least half in common: a long
    passage that is asked about twice makes no duplicates of two answers.
    """
    asked = near_clusters([whole(record) for record in records])
    sizes = Counter(asked)
    several = [place for place, cluster in enumerate(asked) if sizes[cluster] > 1]
    answered = near_clusters([records[place].response for place in several], threshold=HALF)
    responses = dict(zip(several, answered, strict=True))
    first: dict[tuple[int, int], int] = {}
    return [
        first.setdefault((cluster, responses.get(place, place)), place) for place, cluster in enumerate(asked)
    ]


def parts(record: Record) -> Iterator[tuple[str, str]]:
    """Yield every text of a record with its name."""
    if record.system:
        yield "system", record.system
    for asked, answered in record.history:
        yield "history", asked
        yield "history", answered
    yield "prompt", record.prompt
    yield "response", record.response


def around(text: str, start: int, end: int) -> str:
    """Return a stretch of a text with some of what stands on either side."""
    before, behind = max(0, start - AROUND), end + AROUND
    return f"{'… ' if before else ''}{text[before:behind]}{' …' if behind < len(text) else ''}"


def beginning(text: str) -> str:
    """Return where a text begins."""
    return around(text, 0, AROUND)


def ending(text: str) -> str:
    """Return where a text ends."""
    return around(text, len(text) - AROUND, len(text))
