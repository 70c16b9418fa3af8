"""``workbench export``: a study as one file, for a colleague."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "export",
        description="Write a study as one zip file: its manifest, results, curves, adapters and a card. "
        "`workbench import` opens it, and so does any zip program.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: STUDY.zip beside the study")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the archive and say how large it is."""
    from workbench.studies.sharing import export_study
    from workbench.views.words import bytes_in_words

    study = arguments.study
    archive = export_study(study, arguments.out or study.with_name(study.absolute().name + ".zip"))
    print(f"{archive}: {bytes_in_words(archive.stat().st_size)}")
    return 0
