"""``workbench audit``: what is wrong with a file of records, before anybody trains on it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.studies.defaults import RUNS

if TYPE_CHECKING:
    from workbench.data.audit import OfBase


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "audit",
        description="Look for duplicates, contamination of an evaluation set, cut-off and empty answers, "
        "end marks in texts, padding, refusals, broken characters, wrong roles, contradictory labels, "
        "records that are too long, and mixed languages. Nothing is changed; a page says what was found and "
        "what to do.",
    )
    parser.add_argument("file", type=Path, help="a file of records, as `workbench run` reads it")
    parser.add_argument(
        "--against", type=Path, metavar="EVAL", help="a file of records to judge by, which it may not hold"
    )
    parser.add_argument("--base", help="count tokens against its context, and look for its end marks")
    parser.add_argument(
        "--template", help="how a record becomes text for the base (default: what suits the file)"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="CHECK", help="look for these alone, by their names on the page"
    )
    parser.add_argument(
        "--out", type=Path, metavar="PAGE", help=f"where the page goes (default: {RUNS}/NAME-audit.html)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON with every place, instead of the table"
    )
    parser.add_argument("--strict", action="store_true", help="end with status 1 if anything is found")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the audit and write its page; with ``--strict`` the status is 1 where something is found."""
    from workbench.data.audit import Subject, audit
    from workbench.data.audit.reading import inspect
    from workbench.files import write_atomically
    from workbench.views.audit import audit_json, audit_lines, audit_page

    own = inspect(arguments.file)
    judge = inspect(arguments.against) if arguments.against else None
    notes = [one.note for one in (own, judge) if one and one.note]
    if judge and judge.unusable:
        notes.append(
            f"{arguments.against.name}: {len(judge.unusable):,} records can't be read and weren't compared"
        )
    subject = Subject(
        records=own.records,
        unusable=own.unusable,
        against=judge.records if judge else None,
        base=_of_base(arguments.base) if arguments.base else None,
        template=own.template,
    )
    found = audit(subject, arguments.only)
    page = arguments.out or RUNS / f"{arguments.file.stem}-audit.html"
    total = len(own.records) + len(own.unusable)
    write_atomically(page, audit_page(found, arguments.file, total, notes).encode())
    if arguments.json:
        print(audit_json(found, file=str(arguments.file), records=total, notes=notes, page=str(page)))
    else:
        for line in audit_lines(found):
            print(line)
        for note in notes:
            print(f"note: {note}")
        print(f"page: {page}")
    return 1 if arguments.strict and found.faults else 0


def _of_base(name: str) -> "OfBase":
    """Load a base and return what an audit has to know about it."""
    from workbench.data.audit import OfBase
    from workbench.models.loaders import load_base
    from workbench.models.tokenizer import CharacterTokenizer

    base = load_base(name)
    tokenizer = base.tokenizer
    stops = [tokenizer.decode([stop]) for stop in tokenizer.stops]
    return OfBase(
        name=base.name,
        tokenizer=tokenizer,
        context=base.decoder.config.context,
        reads_any_text=not isinstance(tokenizer, CharacterTokenizer),
        marks=frozenset((*getattr(tokenizer, "special", ()), *stops)) - {""},
        end="" if tokenizer.eos is None else tokenizer.decode([tokenizer.eos]),
        pads_with_end=tokenizer.pad is not None and tokenizer.pad == tokenizer.eos,
    )
