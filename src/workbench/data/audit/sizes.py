"""How long records are, against what a base can read."""

from statistics import median

from workbench.data.audit.faults import Fault, Sighting, Subject, beginning, fault, whole
from workbench.data.lengths import longest
from workbench.data.records import Record
from workbench.errors import InputError


def too_long(subject: Subject) -> list[Fault]:
    """Find records that are longer than the base can read, with the template and any of their choices."""
    base = subject.base
    assert base is not None

    def tokens(record: Record) -> int | InputError:
        try:
            return longest(record, subject.template, base.tokenizer)
        except InputError as error:
            return error

    shortest = min(subject.records, key=lambda record: len(whole(record)), default=None)
    # no token is shorter than a byte; a template adds no more to a turn than the shortest record has in all
    added = tokens(shortest) if shortest else 0
    long, other, most = [], [], 0
    for record in subject.records:
        answer = max((record.response, *record.choices), key=len)
        size = len(record.asked.encode()) + len(answer.encode())
        turns = 3 + 2 * len(record.history)
        if isinstance(added, int) and base.reads_any_text and size + added * turns <= base.context:
            continue
        count = tokens(record)
        if isinstance(count, InputError):
            other.append(Sighting(record.where, "record", str(count)))
        elif count > base.context:
            most = max(most, count)
            long.append(Sighting(record.where, f"prompt ({count:,} tokens)", beginning(record.prompt)))
    total = len(subject.records)
    return [
        *fault(
            f"longer than the {base.context:,} tokens that the base can read (the longest: {most:,})",
            long,
            total,
            "Leave them out with --on-long drop of `workbench run`, cut their prompts with --on-long "
            "truncate, or choose a base that reads more with --base.",
        ),
        *fault(
            "can't be written for the base",
            other,
            total,
            "The reason stands beside each; take them out, or choose another --base.",
        ),
    ]


def no_base(subject: Subject) -> str:
    """Say how long records are in characters, where there is no base that has tokens."""
    if subject.base is not None:
        return ""
    lengths = [len(whole(record)) for record in subject.records] or [0]
    return (
        f"no base to count tokens for; give one with --base. In characters: {median(lengths):,.0f} in the "
        f"middle, {max(lengths):,} at most"
    )


def about_padding(subject: Subject) -> list[str]:
    """Return what is no fault of the file, but worth knowing about the base."""
    base = subject.base
    if base is None or not base.pads_with_end:
        return []
    return [
        f"the base {base.name} pads with its end mark ({base.end}): whoever leaves padding out of the loss "
        "by its token leaves every end mark out too, and no stop is learnt. The workbench pads nothing"
    ]
