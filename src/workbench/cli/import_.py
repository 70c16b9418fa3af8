"""``workbench import``: open a study that somebody else has exported, after checking all of it."""

import argparse
from pathlib import Path
from typing import Any

from workbench.studies.defaults import RUNS

ENDINGS = (".gz", ".tgz", ".tar", ".zip")
"""Of an archive's name, in the order in which they are taken off."""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "import",
        description="Open a study that `workbench export` wrote; a file manager may have unpacked it and "
        "packed it again. Whatever isn't as it should be is refused, and then nothing is left behind.",
    )
    parser.add_argument("archive", type=Path, help="the file, or its unpacked folder")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"default: {RUNS}/NAME-OF-THE-FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Unpack the archive and say where."""
    from workbench.studies.sharing.archive import import_study

    name = arguments.archive.absolute().name
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    folder = import_study(arguments.archive, arguments.out or RUNS / name)
    print(f"{folder}; its card: {folder / 'CARD.md'}")
    return 0
