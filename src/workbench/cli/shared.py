"""Options that several commands have, each defined once."""

import argparse
from typing import Any

from workbench.studies.defaults import CHECKPOINT_SECONDS, EXECUTOR


def add_reading(parser: Any, *, policies: bool = True) -> None:  # noqa: ANN401 - or a group of one
    """Add how a file of records is read; :func:`reading_options` takes the values.

    Args:
        parser: Of the command.
        policies: Whether what can't be used may be left out.
    """
    parser.add_argument(
        "--map",
        nargs="+",
        dest="mapping",
        metavar="FIELD=KEY",
        help="under which keys the file has the fields of a record, whatever its layout says: "
        "prompt=question response=answer (also context, system, history, choices, alternatives, id; messages "
        "is a conversation)",
    )
    parser.add_argument(
        "--read-as",
        metavar="LAYOUT",
        help="the layout by name, instead of the one that the keys tell: alpaca, sharegpt, "
        "oasst-trees-all, ...",
    )
    if not policies:
        return
    parser.add_argument(
        "--on-empty",
        choices=("error", "drop"),
        help="records whose prompt or response is empty (null, or only white space): tell them all and stop "
        "(default), or leave them out",
    )
    parser.add_argument(
        "--on-bad",
        choices=("error", "drop"),
        help="what else can't be read as a record, such as a line that isn't JSON, a missing key or a number "
        "as response: tell it all and stop (default), or leave it out",
    )


def reading_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what was said about how a file is read, as functions of Python take it.

    Raises:
        InputError: If ``--map`` isn't written as it should be.
    """
    from workbench.data.sources.layouts.choice import mapping_of

    names = ("read_as", "on_empty", "on_bad")
    said = {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
    return said | ({"mapping": mapping_of(arguments.mapping)} if arguments.mapping else {})


def add_engine(parser: Any) -> None:  # noqa: ANN401 - or a group of one
    """Add where cells are trained; :func:`engine_options` takes the values."""
    parser.add_argument(
        "--executor",
        default=EXECUTOR,
        help=f"{EXECUTOR} (default), processes on this machine, or ray; see docs/executors.md",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="how many stacks train at once")
    parser.add_argument("--threads", type=int, metavar="N", help="torch threads of each that trains")
    parser.add_argument(
        "--checkpoint-every",
        type=float,
        default=CHECKPOINT_SECONDS,
        metavar="SECONDS",
        help=f"between two checkpoints of a stack (default: {CHECKPOINT_SECONDS:g})",
    )


def engine_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return where cells are trained, as ``workbench.run`` takes it."""
    names = ("executor", "workers", "threads")
    return {name: getattr(arguments, name) for name in names} | {
        "checkpoint_seconds": arguments.checkpoint_every
    }
