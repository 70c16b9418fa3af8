"""The one kind of error a user can cause and can mend."""

import re
import shlex
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

ANOTHER_BASE = "choose another base, such as --base smollm2-135m"
"""What to do with a base that can't be used: the end of a sentence."""


class InputError(ValueError):
    """Bad input: the message names file, field and value, what was expected and what to do.

    The command line prints it as one sentence and exits with status 2; anything else is a defect of
    ours and keeps its traceback.
    """


def unknown_name(kind: str, got: str, known: Iterable[str], add_in: str) -> InputError:
    """Say that ``got`` is no known ``kind``, offer the nearest one, and name all that are known.

    Where another one is added is a note, which a traceback shows and the command line doesn't: whoever
    mistyped a name has nothing to add to our source.
    """
    names = sorted(known)
    lower = {name.lower(): name for name in reversed(names)}
    near = get_close_matches(got.lower(), lower, n=1)
    hint = f" Did you mean {lower[near[0]]!r}?" if near else ""
    error = InputError(f"unknown {kind} {got!r}.{hint} Known: {', '.join(names)}.")
    error.add_note(f"To add a new {kind}, see {add_in}.")
    return error


def how_to_install(extra: str) -> str:
    """Return the command that brings the packages of an optional part, from whatever folder it is typed."""
    try:
        wanted = requires("lora-scaling-workbench") or []
    except PackageNotFoundError:
        wanted = []
    marked = (re.fullmatch(r"(.*); extra == '(.*)'", line) for line in wanted)
    packages = [found[1].strip() for found in marked if found and found[2] == extra]
    if not packages:  # run from a checkout that was never installed, or not since it has this part
        packages = ["-e", f"{Path(__file__).parents[2]}[{extra}]"]
    return shlex.join([sys.executable, "-m", "pip", "install", *packages])
