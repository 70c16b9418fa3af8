"""``workbench audit``: what is wrong with a file of records, before anybody trains on it."""

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.shared import add_reading, reading_options
from workbench.studies.defaults import RUNS


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
    add_reading(parser, policies=False)
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
    from workbench.own_files import audit_file
    from workbench.views.audit import audit_json, audit_lines

    found = audit_file(
        arguments.file,
        against=arguments.against,
        base=arguments.base,
        template=arguments.template,
        only=arguments.only,
        **reading_options(arguments),
    )
    page = found.page(arguments.out or RUNS / f"{arguments.file.stem}-audit.html")
    if arguments.json:
        print(
            audit_json(
                found.audit,
                file=str(arguments.file),
                records=found.records,
                notes=found.notes,
                page=str(page),
            )
        )
    else:
        for line in audit_lines(found.audit):
            print(line)
        for note in found.notes:
            print(f"note: {note}")
        print(f"page: {page}")
    return 1 if arguments.strict and found.audit.faults else 0
