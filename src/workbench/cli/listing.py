"""``workbench list``: the studies in a folder and how far each one is."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.showing import padded
from workbench.studies.defaults import RUNS

if TYPE_CHECKING:
    from workbench.studies.disk.listing import Summary

STUDY_HEADINGS = ("study", "state", "done", "failed", "planned", "training", "started")


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "list",
        description="List the studies in a folder, the newest first.",
    )
    parser.add_argument("folder", nargs="?", type=Path, help=f"default: {RUNS}")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line a study."""
    from workbench.studies.disk.listing import find_studies

    folder = arguments.folder or RUNS
    studies = find_studies(folder) if arguments.folder or folder.is_dir() else []
    if not studies:
        print(f"{folder} holds no study yet; start with: workbench run verbs --budget coffee")
        return 0
    lines = [STUDY_HEADINGS, *(_line(study) for study in studies if study.problem is None)]
    if any(study.rule for study in studies):
        rules = ["grown by", *(study.rule for study in studies if study.problem is None)]
        lines = [(*line, rule) for line, rule in zip(lines, rules, strict=True)]
    for line in padded(lines):
        print(line)
    for study in studies:
        if study.problem is not None:
            print(f"can't be read: {study.problem}")
    return 0


def _line(study: "Summary") -> tuple[str, ...]:
    from workbench.views.words import seconds_in_words

    counts = (str(count) for count in (study.done, study.failed, study.planned))
    return (
        str(study.folder),
        study.state,
        *counts,
        seconds_in_words(study.seconds),
        study.started[:16].replace("T", " "),
    )
