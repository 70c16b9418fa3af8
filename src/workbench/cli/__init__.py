"""The same verbs for a terminal.

Each command is a module with ``add_parser`` and ``run``. Only the module of the command that was typed is
imported, so that help and errors are there at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import workbench
from workbench.errors import InputError

COMMANDS = {
    "run": "run a study: quality x size x seed on one frozen base",
    "audit": "say what is wrong with a file of records, before anybody trains on it",
    "report": "write a study's report: a page, a figure for a paper, a table",
    "site": "write a study as one page to play with, for people who only have a browser",
    "plan": "say which cells the next hour should train, and what a budget should buy",
    "paper": "write every figure, table and number of a study for a paper, or check those written",
    "list": "list studies: cells done, failed and planned, when, and what they cost",
    "costs": "say what a study has cost, cell by cell, and how well that was predicted",
    "replay": "make a study's numbers again and name the first step that differs, if any",
    "mend": "take apart a study that holds cells of several settings, as earlier versions let it happen",
    "diff": "compare two studies: how they were made, and cell by cell",
    "export": "write a study as one file, for a colleague",
    "import": "open a study that somebody else exported, after checking all of it",
    "export-model": "write a base with an adapter in it as GGUF or safetensors, shown to be the same",
    "upcycle": "make a base with experts of a dense one, equal to it at first",
    "score": "score the records of a file, so that qualities can choose by it",
    "filters": "say whether what a scorer keeps is worth more than chance, and worth the scoring",
    "adapters": "list the adapters of a folder or a study, with what is known of each",
    "chain": "train on one file after the other, and measure what each takes from the earlier ones",
    "chat": "talk to a base with a stack of adapters",
    "ladder": "train small bases of many sizes, fit their law, predict the next before it is trained",
    "fit": "fit laws to a table of measurements made elsewhere",
    "adapter": "show an adapter, write it for PEFT or llama.cpp, make one of several",
    "fetch": "fetch a base or data into the cache, from the network or from a file",
    "lab": "open your own copy of the notebooks in JupyterLab",
    "class": "collect what a class guessed: a table of all guesses, a picture of each question",
    "workshop": "write all notebooks for a class: student and solution copies, and the instructor's page",
    "doctor": "say what this machine has and what would help",
}
"""Each command with its line of help; add one: a line here and ``cli/NAME.py``."""

MODULES = {"list": "listing", "import": "import_", "class": "class_", "export-model": "export_model"}
"""Modules that can't have their command's name."""

SYSTEMS = ("posix",)
"""Values of ``os.name``: the lock of a study, files that are replaced in one step and signals are POSIX's."""
NO_POSIX = "the workbench needs Linux or macOS; on Windows, install and run it in WSL (`wsl --install`)"


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the options of ``command`` only."""
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="Should I clean my data, or collect more of it? Trains many small LoRA models over "
        "quality x size x seed on one frozen base and answers with an exchange rate.",
        epilog="Start with: workbench run verbs --budget coffee",
    )
    parser.add_argument("--version", action="version", version=f"workbench {workbench.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, about in COMMANDS.items():
        if name == command:
            import_module(f"workbench.cli.{MODULES.get(name, name)}").add_parser(commands)
        else:
            commands.add_parser(name, help=about)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for bad input, 130 when interrupted."""
    if os.name not in SYSTEMS:
        print(f"workbench: error: {NO_POSIX}", file=sys.stderr)
        return 2
    arguments = sys.argv[1:] if arguments is None else arguments
    command = next((text for text in arguments if not text.startswith("-")), None)
    chosen = build_parser(command).parse_args(arguments)
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
