"""``workbench replay``: make a study's numbers again and name the first step that differs, if any."""

import argparse
from pathlib import Path
from typing import Any

from workbench.config import DEVICES


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "replay",
        description="Train a study's cells again, compare every bit with what is stored, and name the first "
        "step that differs, if any. The study isn't changed.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.add_argument(
        "cell", nargs="?", help="a cell's key, or its beginning, or zero-shot (default: all of them)"
    )
    parser.add_argument("--threads", type=int, help="torch threads (default: as the cells were made)")
    parser.add_argument(
        "--device", choices=DEVICES, help="where to train (default: the kind of device that the study names)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay; the status is 0 when every bit is the same and 1 when one isn't."""
    from workbench.studies.replay import replay

    def on_stack(number: int, of: int) -> None:
        print(f"stack {number} of {of}", flush=True)

    found = replay(arguments.study, arguments.cell, arguments.threads, arguments.device, on_stack)
    print(f"{len(found.identical)} results identical to the bit, {len(found.different)} different")
    for difference in found.different:
        print(f"  {difference}")
    if found.made_on != (found.device,):
        print(f"Made on {', '.join(found.made_on)}, again on {found.device}: there bits may differ.")
    if found.different and not found.same_arithmetic:
        print("The processor, the threads, torch or the code are not those that the cells were made with.")
    return 1 if found.different else 0
