"""``workbench workshop``: the notebooks, for a class."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from workbench.errors import InputError, how_to_install


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "workshop",
        description="Write copies of the notebooks into a new folder, with an index and a glossary: "
        "FOLDER/student with holes to fill in, FOLDER/solution with the holes filled. The plan of a morning "
        "is in FOLDER/INSTRUCTOR.md.",
    )
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument(
        "--notebooks",
        type=Path,
        metavar="FOLDER",
        help="where the notebooks are (default: those that came with the package)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write both copies and say where they are."""
    if find_spec("nbformat") is None:
        raise InputError(f"JupyterLab is not installed; run {how_to_install('lab')}")
    from workbench.lessons.library import masters_folder
    from workbench.lessons.workshop import write_kit

    written = write_kit(arguments.notebooks or masters_folder(), arguments.folder)
    for folder in dict.fromkeys(path.parent for path in written):
        count = sum(path.parent == folder for path in written)
        print(f"{folder}: {count} notebooks. Open them with: workbench lab {folder}")
    print(f"The instructor's page is {arguments.folder / 'INSTRUCTOR.md'}.")
    return 0
