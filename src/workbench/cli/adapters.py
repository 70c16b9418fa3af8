"""``workbench adapters``: the adapters that a folder or a study holds."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.showing import padded
from workbench.studies.defaults import RUNS

if TYPE_CHECKING:
    from workbench.studies.shelf import OnShelf

SHELF_HEADINGS = ("adapter", "kind", "rank", "base", "trained on", "scores", "training", "licences")


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "adapters",
        description="List the adapters in a study, or in a folder and all folders below it: base, data and "
        "quality, rank, scores, cost and licences, as far as their files and studies say.",
    )
    parser.add_argument("folder", nargs="?", type=Path, help=f"default: {RUNS}")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line an adapter; the status is 1 where one can't be read."""
    from workbench.studies.shelf import find_adapters

    folder = arguments.folder or RUNS
    found = find_adapters(folder) if arguments.folder or folder.is_dir() else []
    if not found:
        print(f"{folder} holds no adapter yet; every cell of a study leaves one: workbench run verbs")
        return 0
    for line in padded([SHELF_HEADINGS, *(_line(one) for one in found if one.problem is None)]):
        print(line)
    broken = [one for one in found if one.problem is not None]
    for one in broken:
        print(f"can't be read: {one.problem}")
    return 1 if broken else 0


def _line(one: "OnShelf") -> tuple[str, ...]:
    from workbench.views.words import seconds_in_words

    base = one.base or "not stated"
    if one.base_sha256:
        base += f" ({one.base_sha256[:8]})"
    data = "not stated"
    if one.trained_on is not None:
        data = f"{one.trained_on}, {one.quality}, {one.size:,}, seed {one.seed}"
    scores = ", ".join(f"{name} {value:.3g}" for name, value in list(one.scores.items())[:2])
    licences = " + ".join(dict.fromkeys(filter(None, (one.base_licence, one.data_licence))))
    return (
        str(one.path),
        one.kind or "",
        one.rank or "",
        base,
        data,
        scores or "not measured",
        "not known" if one.seconds is None else seconds_in_words(one.seconds),
        licences or "not stated",
    )
