"""``workbench class``: what a class has guessed, as a table and pictures."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "class",
        description="Collect what the people of a class guessed in the notebooks: a CSV file of all guesses, "
        "and a picture of each question with the truth over them. What each person guessed first counts.",
    )
    parser.add_argument(
        "folder", type=Path, help="the folder that the class shares, as in `workbench lab --class FOLDER`"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: the class's folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the table and the pictures, and say what was guessed and what is so."""
    from workbench.lessons.collected_guesses import class_guesses

    found = class_guesses(arguments.folder)
    if not found.guesses:
        print("Nobody has guessed yet: a guess comes here when its truth is shown.")
    for name, sentence in found.sentences().items():
        print(f"{name}: {sentence}")
    for problem in found.problems:
        print(f"not read: {problem}")
    if found.guesses:
        table, *pictures = found.write(arguments.output or arguments.folder)
        print(f"table: {table}")
        for picture in pictures:
            print(f"picture: {picture}")
    return 0
