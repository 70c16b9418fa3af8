"""``workbench report``: a study's page, figure and table, made again from its folder."""

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.saying import print_sentence


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "report",
        description="Write STUDY/report from the study's folder, without training anything.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the report, say the answer and where the files are."""
    from workbench.views.report import write_report

    report = write_report(arguments.study)
    for sentence in (report.sentence, *report.further):
        print_sentence(sentence)
    for silence in report.silences:
        print_sentence(f"note: {silence}")
    print(f"report: {report.page}")
    print(f"figure: {report.figure}")
    print(f"table:  {report.table}")
    return 0
