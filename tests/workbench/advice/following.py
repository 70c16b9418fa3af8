"""What the tests that do what messages say have in common."""

import argparse
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from follows import follows as follows

import workbench
from workbench.cli.run import add_parser, chosen_study
from workbench.config import Quality
from workbench.errors import InputError
from workbench.studies.grid import Study, verbs
from workbench.studies.plan import plan

SOURCE = Path(workbench.__file__).parent
SMALL = ("--sizes", "8", "--seeds", "0", "--steps", "2", "--heldout", "20", "--quality", "clean")
FEW = ("--bootstraps", "40")


def told(act: Callable, *arguments: object, **options: object) -> str:
    """Return the sentence with which something is refused."""
    with pytest.raises(InputError) as raised:
        act(*arguments, **options)
    return str(raised.value)


def between(message: str, before: str, after: str = "$") -> str:
    """Return what a message says between two of its own words."""
    found = re.search(f"{before}(.*?){after}", message)
    assert found, message
    return found[1]


def planned(*options: str) -> Study:
    """Make the study that `workbench run verbs` would train with these options, and all but train it."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    study = chosen_study(parser.parse_args(["run", "verbs", "--sizes", "8", "--heldout", "20", *options]))
    return plan(study).study


def small_study(**changes: object) -> Study:
    few = {
        "qualities": (Quality(),),
        "sizes": (8,),
        "seeds": (0,),
        "heldout": 20,
        "settings": {"steps": 2, "batch_size": 4, "rank": 2},
    }
    return replace(verbs("coffee"), **{**few, **changes})


def options_in(message: str) -> list[str]:
    """Return the options at the end of a message, as a shell would."""
    return shlex.split(message[message.index(" --") :].rstrip("."))
