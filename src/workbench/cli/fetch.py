"""``workbench fetch``: bases and data that the repository doesn't carry, once, into the user's cache."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "fetch",
        description="Fetch a base or data once, checked by its SHA-256. Without a name: list what there is.",
    )
    parser.add_argument("name", nargs="?", help="what to fetch")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="a local copy: no network needed"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch the named file and say where it is and under which licence, or list what can be fetched."""
    from workbench.fetch import FETCHABLE, cache_path, fetch

    if arguments.name is None:
        for name, item in FETCHABLE.items():
            state = "in the cache" if cache_path(name).is_file() else f"{item.size / 1e6:.0f} MB to fetch"
            print(f"{name:14} {state:16} {item.about} ({item.licence})")
        return 0
    path = fetch(arguments.name, arguments.source)
    item = FETCHABLE[arguments.name]
    print(f"{arguments.name}: {path}\nlicence: {item.licence}\nsha256:  {item.sha256}")
    return 0
