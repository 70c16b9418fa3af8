"""``workbench export``: a study as one file, for a colleague, or into the MLflow that a team runs."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "export",
        description="Write a study as one zip file: its manifest, results, curves, adapters and a card. "
        "`workbench import` opens it, and so does any zip program. With --mlflow, write it there instead.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: STUDY.zip beside the study")
    parser.add_argument(
        "--mlflow",
        metavar="URI",
        help="of a tracking server, or of a file: sqlite:///mlflow.db needs no network",
    )
    parser.add_argument("--experiment", metavar="NAME", help="of MLflow (default: the study's name)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the archive, or the runs, and say what was written."""
    if arguments.mlflow:
        return _to_mlflow(arguments)
    from workbench.studies.sharing.archive import export_study
    from workbench.views.words import bytes_in_words

    study = arguments.study
    archive = export_study(study, arguments.out or study.with_name(study.absolute().name + ".zip"))
    print(f"{archive}: {bytes_in_words(archive.stat().st_size)}")
    return 0


def _to_mlflow(arguments: argparse.Namespace) -> int:
    from workbench.studies.sharing.mlflow import export_to_mlflow

    new = export_to_mlflow(arguments.study, arguments.mlflow, arguments.experiment)
    print(f"{new} new cells in MLflow at {arguments.mlflow}")
    return 0
