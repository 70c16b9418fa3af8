"""An audit for people: a table for a terminal, a page, and JSON for programs.

Every text comes from other people's files: control characters are written out in all three, and the page
escapes what would be HTML.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workbench.data.audit import CHECKS, Audit, Fault
from workbench.showing import one_line, padded

AUDIT_HEADINGS = ("found", "records", "share")
SHOWN_IN_TERMINAL = 2
"""Examples of a fault that a terminal shows."""
LONGEST_SHOWN = 160
"""Characters of an example in a terminal; a page shows all of it."""


def audit_sentence(found: Audit) -> str:
    """Say what came out, in one sentence."""
    if not found.faults:
        return f"Nothing was found: {len(found.looked)} checks looked."
    records = {sighting.place for one in found.faults for sighting in one.sightings}
    kinds = "1 kind of fault" if len(found.faults) == 1 else f"{len(found.faults)} kinds of faults"
    where = "1 record" if len(records) == 1 else f"{len(records):,} records"
    return f"{kinds} in {where}; {len(found.looked)} checks looked."


def audit_lines(found: Audit) -> Iterator[str]:
    """Yield the lines of the audit for a terminal."""
    yield audit_sentence(found)
    rows = [AUDIT_HEADINGS, *((one_line(one.what), f"{one.count:,}", share(one)) for one in found.faults)]
    if found.faults:
        yield ""
        yield from padded(rows, numbers=True)
    for one in found.faults:
        yield ""
        yield f"{one_line(one.what)}: {one.advice}"
        for example in one.examples[:SHOWN_IN_TERMINAL]:
            text = one_line(example.text, LONGEST_SHOWN)
            yield f"  {one_line(example.place)}, {one_line(example.part)}: {text}"
    if found.skipped or found.remarks:
        yield ""
    for name, lacks in found.skipped.items():
        yield f"not looked for: {CHECKS[name].about}: {lacks}"
    for remark in found.remarks:
        yield f"note: {one_line(remark, 1000)}"


def audit_json(found: Audit, **facts: Any) -> str:  # noqa: ANN401 - what goes into JSON
    """Return the audit as JSON, with every place.

    Args:
        found: The audit.
        facts: What else to say of it, such as the file.
    """
    faults = [
        {
            "check": one.check,
            "what": one.what,
            "count": one.count,
            "total": one.total,
            "of": one.of,
            "share": one.share,
            "advice": one.advice,
            "places": [sighting.place for sighting in one.sightings],
            "examples": [
                {"place": each.place, "part": each.part, "text": each.text} for each in one.examples
            ],
        }
        for one in found.faults
    ]
    return json.dumps(
        {
            **facts,
            "faults": faults,
            "looked": found.looked,
            "skipped": found.skipped,
            "remarks": found.remarks,
        },
        indent=2,
    )


def audit_page(found: Audit, file: Path, records: int, notes: Sequence[str]) -> str:
    """Return the page of an audit; every text that comes from data is escaped.

    Args:
        found: The audit.
        file: What was looked at.
        records: How many records it has.
        notes: What else to say of it.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("audit.html").render(
        title=one_line(f"What is wrong with {file.name}?"),
        about=one_line(f"{file}: {records:,} records"),
        answer=audit_sentence(found),
        remarks=[one_line(remark, 1000) for remark in (*notes, *found.remarks)],
        faults=[
            {
                "check": one.check,
                "what": one_line(one.what),
                "count": f"{one.count:,}",
                "share": share(one),
                "counted": f"{one.count:,} of {one.total:,} {one.of}, {share(one)}",
                "advice": one.advice,
                "examples": [
                    (one_line(each.place), one_line(each.part), one_line(each.text)) for each in one.examples
                ],
            }
            for one in found.faults
        ],
        looked=[(name, CHECKS[name].about) for name in found.looked],
        skipped=[(CHECKS[name].about, one_line(lacks, 1000)) for name, lacks in found.skipped.items()],
    )


def share(one: Fault) -> str:
    """Return a fault's share; what is there is never 0%."""
    return f"{one.share:.1%}" if one.share >= 0.0005 else "<0.1%"
