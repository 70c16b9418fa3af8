"""``workbench score``: a number for each record of a file, in columns that qualities can choose by."""

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.shared import add_reading, reading_options
from workbench.columns import Columns
from workbench.errors import InputError
from workbench.showing import padded
from workbench.studies.defaults import OWN_BASE

HEADINGS = ("scorer", "records", "5%", "median", "95%", "seconds", "good end", "what it is")


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "score",
        description="Score a file's records and write them with a column for each scorer. Then choose by it: "
        "workbench run SCORED --quality clean top:30%%@ifd. Without --scorer: list the scorers.",
    )
    parser.add_argument("file", nargs="?", type=Path, help="your own JSON or JSONL file")
    parser.add_argument("--scorer", nargs="+", metavar="NAME", help="one or more scorers")
    parser.add_argument("--base", default=OWN_BASE, help=f"for scorers that need one (default: {OWN_BASE})")
    parser.add_argument("--template", help="how the base is asked (default: what suits the file)")
    parser.add_argument("--against", type=Path, metavar="FILE", help="records that judge, for overlap")
    parser.add_argument("--out", type=Path, help="the new file (default: FILE.scored.jsonl)")
    add_reading(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Score and write the file, and say what was found and what it took; or list the scorers."""
    from workbench.scoring.scorers import SCORERS

    if arguments.file is None or not arguments.scorer:
        if arguments.scorer:
            raise InputError("give the file to score first: workbench score FILE --scorer length")
        for name, scorer in SCORERS.items():
            print(f"{name:12} {scorer.about} ({scorer.unit}; good end: {scorer.good}). {scorer.source}")
        return 0
    from workbench.own_files import score_file

    path = arguments.file
    out = arguments.out or path.with_name(f"{path.name.split('.')[0]}.scored.jsonl")
    found = score_file(
        path,
        arguments.scorer,
        base=arguments.base,
        template=arguments.template,
        against=arguments.against,
        out=out,
        **reading_options(arguments),
    )
    for note in found.notes:
        print(note)
    for line in _lines(found.summary()):
        print(line)
    print(f"written: {out}")
    return 0


def _lines(summary: Columns) -> list[str]:
    """Return a table of what the scorers said."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for row in summary.rows:
        ends = ["" if row[name] is None else f"{row[name]:.3g}" for name in ("5%", "median", "95%")]
        seconds = f"{row['seconds']:.2g}" + (" (kept)" if row["kept"] else "")
        known = f"{row['records']:,} of {row['of']:,}"
        rows.append((row["scorer"], known, *ends, seconds, row["good end"], row["what it is"]))
    return padded(rows)
