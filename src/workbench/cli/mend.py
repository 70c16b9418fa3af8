"""``workbench mend``: give each settings in a study a study of its own."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.studies.mend import Mended


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "mend",
        description="Take apart a study that holds cells of several settings, such as two learning rates, "
        "which earlier versions let happen. The cells of one settings stay; those of each other move into a "
        "study of their own beside it, with their adapters and curves. Nothing is lost.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.add_argument(
        "--keep",
        type=int,
        default=1,
        metavar="N",
        help="which settings stay, counted as `workbench report` names them (default: 1, those begun first)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Mend the study and say which cells are where."""
    from workbench.studies.mend import mend

    found = mend(arguments.study, arguments.keep)
    for line in _lines(found, arguments.study):
        print(line)
    return 0


def _lines(found: "Mended", study: Path) -> list[str]:
    from workbench.conversions import quoted

    lines = []
    if found.damaged:
        count = len(found.damaged)
        lines.append(f"{count} damaged cells taken out, which `workbench run` trains again: {found.damaged}")
    if len(found.parts) == 1:
        return [*lines, f"{study}: all {found.parts[0].cells} cells have the same settings; nothing to mend"]
    lines.append(f"{study} held cells of {len(found.parts)} settings:")
    for number, part in enumerate(found.parts):
        where = "stay in" if number == found.kept else "moved to"
        lines.append(f"  {number + 1}. {part.settings}: {part.cells} cells {where} {part.folder}")
    lines.append("Make their reports with:")
    lines += [f"  workbench report {quoted(part.folder)}" for part in found.parts]
    lines.append("To go on with one, add its folder to its command: workbench run ... --out FOLDER")
    return lines
