"""``workbench workshop``: the exercises of the notebooks, for a class."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.errors import InputError, how_to_install


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "workshop",
        help="write student and solution copies of the notebooks that have exercises",
        description="Write copies of the notebooks with exercises into a new folder: FOLDER/student with "
        "holes to fill in, FOLDER/solution with the holes filled. docs/workshop.md is the instructor's page.",
    )
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument(
        "--notebooks", type=Path, metavar="FOLDER", help="where the notebooks are (default: the checkout's)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write both copies and say where they are."""
    if find_spec("nbformat") is None:
        raise InputError(f"JupyterLab is not installed; run {how_to_install('lab')}")
    from workbench.cli.lab import notebooks_folder
    from workbench.lessons.workshop import write_kit

    written = write_kit(arguments.notebooks or notebooks_folder(), arguments.folder)
    for folder in dict.fromkeys(path.parent for path in written):
        count = sum(path.parent == folder for path in written)
        print(f"{folder}: {count} notebooks. Open them with: workbench lab {folder}")
    return 0
