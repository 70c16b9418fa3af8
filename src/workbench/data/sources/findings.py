"""What can't be used of a file: all of it at once, and what becomes of it.

Two policies decide, each "error" or "drop": ``on_empty`` for records whose prompt or response says nothing,
``on_bad`` for everything else that is no record. A record is left out, and counted, where the policy for
anything that is wrong with it says so; otherwise it is an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.data.places import listed
from workbench.errors import InputError

Policy = Literal["error", "drop"]
Option = Literal["on_bad", "on_empty"]
MOST_KINDS = 6
"""Kinds of findings that a message tells of before it only counts."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one record."""

    place: str
    """"line 3" or "item 3"."""
    what: str
    """In words that all findings of the kind share, such as "with 'response' that isn't a text"."""
    detail: str = ""
    """What this record has instead, such as "the number 12"."""
    option: Option = "on_bad"
    """The policy that decides about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is wrong with the records of one file."""

    path: Path
    total: int
    """Records of the file, these included."""
    unusable: Sequence[Sequence[Finding]]
    """For each record that can't be used what is wrong with it, in the file's order; never empty."""
    enough: bool
    """Whether the others are enough to go on with."""
    hint: str = ""
    """A sentence on how to mend the whole file, where that is known."""

    @property
    def usable(self) -> int:
        """Records with nothing wrong."""
        return self.total - len(self.unusable)


def left_out(files: Sequence[Findings], policies: Mapping[Option, Policy]) -> list[str]:
    """Return a sentence for each kind of record that the policies leave out, with its count and places.

    Raises:
        InputError: If something is wrong that they don't leave out, or a file has no other record; one
            message for everything that is wrong with all the files.
    """
    refused = [sentence for one in files if (sentence := _refusal(one, policies))]
    if refused:
        raise InputError(" ".join(refused))
    notes = []
    for one in files:
        dropped = [
            next(finding for finding in record if policies[finding.option] == "drop")
            for record in one.unusable
        ]
        notes += [
            f"{one.path.name}: {len(kind)} of {_records(one.total)} left out: {kind[0].what} "
            f"({listed(finding.place for finding in kind)})"
            for kind in _by_kind(dropped)
        ]
    return notes


def _refusal(file: Findings, policies: Mapping[Option, Policy]) -> str:
    """Return what to tell of a file, with advice that works; nothing where the policies settle it."""
    refused = [
        record for record in file.unusable if all(policies[finding.option] == "error" for finding in record)
    ]
    if not file.usable:
        none = "its only record can't" if file.total == 1 else f"none of its {file.total} records can"
        return f"{file.path}: {none} be used: {_kinds(file.unusable)}.{file.hint}"
    if not refused:
        return ""
    begin = (
        f"{file.path}: {len(refused)} of {_records(file.total)} can't be used: {_kinds(refused)}.{file.hint}"
    )
    left = f"{_records(file.usable)} {'is' if file.usable == 1 else 'are'} left"
    if not file.enough:
        return f"{begin} Mend them; without them {left}, too few to train on some and hold out others."
    options = sorted({record[0].option for record in refused})
    python = ", ".join(f"{option}='drop'" for option in options)
    shell = " ".join(f"--{option.replace('_', '-')} drop" for option in options)
    return f"{begin} Mend them, or have them left out with {python} ({shell}); then {left}."


def _kinds(records: Sequence[Sequence[Finding]]) -> str:
    kinds = _by_kind([finding for record in records for finding in record])
    told = []
    for kind in kinds[:MOST_KINDS]:
        first = kind[0]
        place = f"; {first.place}" if len(kind) > 1 and first.detail else ""
        detail = f"{place}: {first.detail}" if first.detail else ""
        told.append(f"{len(kind)} {first.what} ({listed(one.place for one in kind)}{detail})")
    more = sum(map(len, kinds[MOST_KINDS:]))
    return "; ".join(told) + (f"; and {more} findings of other kinds" if more else "")


def _by_kind(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Return findings grouped by what is wrong, the largest group first."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.what, []).append(finding)
    return sorted(kinds.values(), key=len, reverse=True)


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"
