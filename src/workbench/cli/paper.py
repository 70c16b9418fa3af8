"""``workbench paper``: every figure, table and number of a study, made from its record or checked."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "paper",
        description="Write every figure (PDF, SVG, PNG, for a column and for the text's width), every table "
        "(CSV, LaTeX) and every number (numbers.tex, one macro each) of a study, and a manifest of hashes. "
        "The same record gives the same bytes.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: STUDY/paper")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; make everything again and name each file that differs, is missing or is extra "
        "(exit status 1 if there is one)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write or check; the status is 0, or 1 when a file isn't what the study gives."""
    from workbench.views.manuscript import check_paper, write_paper

    folder = arguments.output or arguments.study / "paper"
    if arguments.check:
        different = check_paper(arguments.study, folder)
        for difference in different:
            print(difference)
        print(
            f"{folder}: {len(different)} files differ" if different else f"{folder}: every byte is the same"
        )
        return 1 if different else 0
    paper = write_paper(arguments.study, folder)
    print(f"{folder}: {paper.figures} figures in two widths, {paper.tables} tables, {paper.numbers} numbers")
    print(
        f"in LaTeX: \\input{{{folder.name}/numbers}} and \\graphicspath{{{{{folder.name}/figures/column/}}}}"
    )
    return 0
