"""The same verbs for a terminal.

Each command is a module with ``add_parser`` and ``run``; what is slow to import is imported by ``run``,
so that help is there at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import workbench
from workbench.cli import doctor, fetch, listing, report, run
from workbench.errors import InputError

COMMANDS = {
    "run": run.add_parser,
    "report": report.add_parser,
    "list": listing.add_parser,
    "fetch": fetch.add_parser,
    "doctor": doctor.add_parser,
}
"""Each command and the function that adds it to the parser; add one: a module and a line here."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="Should I clean my data, or collect more of it? Trains many small LoRA models over "
        "quality x size x seed on one frozen base and answers with an exchange rate.",
        epilog="Start with: workbench run verbs --budget coffee",
    )
    parser.add_argument("--version", action="version", version=f"workbench {workbench.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_parser in COMMANDS.values():
        add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for bad input, 130 when interrupted."""
    chosen = build_parser().parse_args(arguments)
    try:
        return chosen.run(chosen)
    except InputError as error:
        print(f"workbench: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nworkbench: stopped. What was finished is kept; the same command goes on from there.",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        # the reader of our output has gone, as in `workbench list | head`: nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
