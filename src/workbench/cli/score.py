"""``workbench score``: a number for each record of a file, in columns that qualities can choose by."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.studies.defaults import OWN_BASE

if TYPE_CHECKING:
    from workbench.scoring.scored import Column

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
    parser.add_argument("--on-empty", choices=("error", "drop"), default="error", help="as for workbench run")
    parser.add_argument("--on-bad", choices=("error", "drop"), default="error", help="as for workbench run")
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
    from workbench.models.loaders import load_base
    from workbench.scoring.scored import read_records, score_columns, write_scored
    from workbench.scoring.scorers import Given
    from workbench.views.progress import share_bar

    path = arguments.file
    out = arguments.out or path.with_name(f"{path.name.split('.')[0]}.scored.jsonl")
    if out.exists():
        raise InputError(f"{out} is there already, and nothing is replaced; give another name with --out")
    records, template, notes = read_records(path, arguments.on_empty, arguments.on_bad)
    needs_base = any(name in SCORERS and SCORERS[name].needs == "base" for name in arguments.scorer)
    judging = () if arguments.against is None else read_records(arguments.against, "error", "error")[0]
    given = Given(
        records=records,
        base=load_base(arguments.base) if needs_base else None,
        template=arguments.template or template,
        evaluation=judging,
    )
    with share_bar() as tell:
        columns = score_columns(given, arguments.scorer, tell)
    write_scored(path, records, columns, out)
    for note in notes:
        print(note)
    for line in _lines(columns):
        print(line)
    print(f"written: {out}")
    return 0


def _lines(columns: "Sequence[Column]") -> list[str]:
    """Return a table of what the scorers said."""
    import numpy as np

    from workbench.scoring.scorers import SCORERS

    rows: list[tuple[str, ...]] = [HEADINGS]
    for column in columns:
        ends = np.quantile(column.known, (0.05, 0.5, 0.95)) if column.known else [float("nan")] * 3
        shown = ["" if np.isnan(end) else f"{end:.3g}" for end in ends]
        scorer = SCORERS[column.name]
        seconds = f"{column.seconds:.2g}" + (" (kept)" if column.kept else "")
        known = f"{len(column.known):,} of {len(column.scores):,}"
        rows.append((column.name, known, *shown, seconds, scorer.good, f"{scorer.about}, {scorer.unit}"))
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
