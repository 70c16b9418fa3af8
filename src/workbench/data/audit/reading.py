"""A file as an audit reads it: what can be used, and what can't with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.data.records import Record
from workbench.data.sources.files import OwnFile
from workbench.data.sources.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What is in a file, with nothing refused."""

    records: Sequence[Record]
    """Those with nothing wrong."""
    unusable: Sequence[Sequence[Finding]]
    """For each other one what is wrong with it."""
    template: str
    """The template that suits the records."""
    note: str
    """What it was read as, and what wasn't used of it."""


def inspect(read: OwnFile) -> Inspected:
    """Return what is in a file that was read, and refuse nothing that can be told as a finding."""
    return Inspected(
        records=read.records,
        unusable=[
            [replace(finding, place=f"{read.path.name}, {finding.place}") for finding in record]
            for record in read.findings.unusable
        ],
        template=read.template,
        note=". ".join(read.notes),
    )
