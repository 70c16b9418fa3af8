"""``workbench diff``: two studies side by side, how they were made and cell by cell."""

import argparse
from pathlib import Path
from typing import Any

MOST_DIFFERENCES = 20
"""Lines of one kind that are printed."""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "diff",
        description="Compare two studies: what they were made of, which cells both have, and where those "
        "differ first. Of studies that differ in a setting, each metric is compared at the same "
        "quality, size and seed, with an interval over the seeds.",
    )
    parser.add_argument("first", type=Path, help="a study's folder")
    parser.add_argument("second", type=Path, help="another one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare and print; the status is 0 when both measured the same, 1 when not."""
    from workbench.studies.compare import compare

    found = compare(arguments.first, arguments.second)
    _print(
        "made differently",
        [f"{name}: {a!r} against {b!r}" for name, (a, b) in found.made_differently.items()],
    )
    _print(f"only in {arguments.first}", found.only_first)
    _print(f"only in {arguments.second}", found.only_second)
    _print("measured differently", [str(difference) for difference in found.different])
    if found.paired:
        _print("at the same quality, size and seed", [str(difference) for difference in found.paired])
    print(f"identical to the bit: {len(found.identical)} cells")
    return 1 if found.different or found.only_first or found.only_second else 0


def _print(title: str, lines: list[str]) -> None:
    print(f"{title}: {len(lines)}")
    for line in lines[:MOST_DIFFERENCES]:
        print(f"  {line[:300]}")
    if len(lines) > MOST_DIFFERENCES:
        print(f"  and {len(lines) - MOST_DIFFERENCES} more")
