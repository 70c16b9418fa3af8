"""Evaluation sets beside a study's own held-out records: files of the user's, each with a name.

Every cell is judged on each of them. They are never trained on and never spoiled, and they are read as files
to train on are: by the layout and the mapping that are asked for where these fit, else by their own keys.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.data.records import Dataset, Record
from workbench.data.sources import files, hub
from workbench.data.sources.findings import left_out
from workbench.errors import InputError
from workbench.metrics import HELDOUT

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""What an evaluation set may be called: its name begins the names of its metrics."""


def parse_sets(given: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the names and files of evaluation sets, each given as ``NAME=FILE``.

    ``heldout`` alone means the records that every study holds out, and adds nothing.

    Raises:
        InputError: If one isn't written so.
    """
    found = []
    for text in given:
        name, sign, path = text.partition("=")
        if not sign and name == HELDOUT:
            continue
        if not (sign and name and path):
            raise InputError(
                f"--eval {text} doesn't say both a name and a file; write it as --eval NAME=FILE, such as "
                f"--eval references={text.strip('=') or 'references.jsonl'}"
            )
        found.append((name, path))
    return check_sets(found)


def check_sets(sets: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return names and files of evaluation sets as they are.

    Raises:
        InputError: If a name can't be one or is given twice.
    """
    for place, (name, path) in enumerate(sets):
        if name == HELDOUT:
            raise InputError(
                f"the evaluation set {HELDOUT!r} is what every study holds out; give {path} another name, or "
                f"hold its records out instead: --heldout-file {path}"
            )
        if not NAME.fullmatch(name):
            proper = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-0123456789_") or "references"
            raise InputError(
                f"an evaluation set can't be called {name!r}, because its name begins the names of its "
                "metrics: it is made of letters, digits, '-' and '_', and begins with a letter; such as "
                f"--eval {proper}={path}"
            )
        if name in (earlier := [other for other, _ in sets[:place]]):
            first = sets[earlier.index(name)][1]
            raise InputError(
                f"two evaluation sets are called {name!r} ({first} and {path}); give one of them another name"
            )
    return tuple((name, path) for name, path in sets)


def with_sets(dataset: Dataset, sets: Sequence[tuple[str, str]], how: files.How) -> Dataset:
    """Return a data set that is judged on further files, too.

    Args:
        dataset: Records to train on and held out.
        sets: The name and the file of each.
        how: How they are read. ``on_shared`` says what becomes of a record that is trained on too.

    Raises:
        InputError: If a file can't be used, or shares records with those to train on.
    """
    for name, given in sets:
        path = Path(given).expanduser()
        if not path.exists() and not hub.is_named(path):
            raise InputError(
                f"there is no file {path.name!r} in {path.absolute().parent} for the evaluation set "
                f"{name!r}; give the path of one: --eval {name}=FILE"
            )
        dataset = _with_set(dataset, name, files.read_judging(path, how, prompts_needed=1), how)
    return dataset


def _with_set(dataset: Dataset, name: str, own: files.OwnFile, how: files.How) -> Dataset:
    notes = left_out([own.findings], {"on_empty": how.on_empty, "on_bad": how.on_bad})
    notes += own.notes
    train: tuple[Record, ...] = dataset.train
    if how.on_shared == "error":
        files.refuse_answers_in_both(train, dataset.name, own)
        notes += files.asked_in_both(train, dataset.name, own, f"records of {name!r}")
    else:
        advice = f"give another file to judge by: --eval {name}=FILE"
        ((train,), gone) = files.without_held_out(
            [dataset.name], [train], own.records, in_set=f"in the evaluation set {name!r}", advice=advice
        )
        notes += gone
    return replace(
        dataset,
        train=train,
        evals=(*dataset.evals, (name, own.records)),
        origin=f"{dataset.origin}; {name} from {own.path}",
        notes=(*dataset.notes, *notes),
    )
