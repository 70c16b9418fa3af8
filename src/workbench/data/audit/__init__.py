"""What is wrong with a file of records, before anybody trains on it.

Each check is a pure function from records to faults, registered in :data:`CHECKS`. What one lacks, such as an
evaluation file, it says, and it is told as not looked at. Among them are the mistakes that the authors of
GPT4All found in their own data after training: records that were there twice, end marks on rows that had been
cut off, and padding that was the end mark, so that leaving padding out of the loss left every stop out
(Anand et al., "GPT4All", 2023, and its training log).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from workbench.data.audit import copies, endings, sizes, wording
from workbench.data.audit.faults import AuditCheck, Fault, OfBase, Sighting, Subject
from workbench.errors import unknown_name

__all__ = ["CHECKS", "Audit", "AuditCheck", "Fault", "OfBase", "Sighting", "Subject", "audit"]

CHECKS: dict[str, AuditCheck] = {
    "unreadable": AuditCheck(about="what isn't a record", look=endings.no_record),
    "empty": AuditCheck(about="empty prompts and responses", look=endings.nothing_said),
    "exact_duplicates": AuditCheck(about="records that are there twice", look=copies.exact_duplicates),
    "near_duplicates": AuditCheck(about="records that are nearly the same", look=copies.near_duplicates),
    "disagreeing_prompts": AuditCheck(
        about="one prompt with several answers, or with contradictory labels", look=copies.disagreeing_prompts
    ),
    "contamination": AuditCheck(
        about="records of the evaluation file that are trained on",
        look=copies.contamination,
        lacking=copies.no_against,
    ),
    "own_split": AuditCheck(
        about="the same between what the file would train on and hold out",
        look=copies.own_split,
        lacking=copies.no_split,
    ),
    "cut_off": AuditCheck(about="answers that stop in the middle", look=endings.cut_off),
    "end_marks": AuditCheck(about="special tokens written out in texts", look=endings.end_marks),
    "padding": AuditCheck(about="padding behind answers", look=endings.padding),
    "refusals": AuditCheck(about="answers that refuse", look=wording.refusals),
    "mojibake": AuditCheck(about="texts in a wrong encoding", look=wording.mojibake),
    "control_characters": AuditCheck(about="control characters", look=wording.control_characters),
    "roles": AuditCheck(
        about="turns with a wrong role, and answers that hold another turn", look=wording.roles
    ),
    "too_long": AuditCheck(
        about="records longer than the base can read", look=sizes.too_long, lacking=sizes.no_base
    ),
    "languages": AuditCheck(
        about="answers in another language than most", look=wording.languages, lacking=wording.no_languages
    ),
}
"""What an audit looks for; add a check: a function and a line here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found."""

    looked: tuple[str, ...]
    """The checks that looked, by their keys."""
    faults: tuple[Fault, ...]
    """In the order of the checks."""
    skipped: dict[str, str]
    """The checks that couldn't look, with what they lack."""
    remarks: tuple[str, ...]
    """What is no fault of the file, but worth knowing."""


def audit(subject: Subject, checks: Iterable[str] | None = None) -> Audit:
    """Look at records with every check, or with some.

    Args:
        subject: The records, and what they are looked at beside.
        checks: Keys of :data:`CHECKS`; None for all.

    Raises:
        InputError: If there is no such check.
    """
    names = list(CHECKS if checks is None else checks)
    for name in names:
        if name not in CHECKS:
            raise unknown_name("check", name, CHECKS, "src/workbench/data/audit/__init__.py")
    skipped = {name: lacks for name in names if (lacks := CHECKS[name].lacking(subject))}
    looked = tuple(name for name in names if name not in skipped)
    faults = tuple(replace(one, check=name) for name in looked for one in CHECKS[name].look(subject))
    return Audit(looked=looked, faults=faults, skipped=skipped, remarks=tuple(sizes.about_padding(subject)))
