"""``workbench chain``: tasks one after the other, and what each later one takes from the earlier ones."""

import argparse
import sys
from pathlib import Path
from typing import Any

from workbench.cli.shared import add_reading, reading_options
from workbench.config import KINDS_OF_ADAPTER
from workbench.errors import InputError
from workbench.studies.defaults import RUNS

OF_STAGES = ("adapter", "rank", "alpha", "targets", "learning_rate", "batch_size")
"""Options that every cell takes."""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "chain",
        description="Train an adapter on each file, one after the other, each on the base with all earlier "
        "ones frozen in it, and measure every task after every stage: what a later stage takes from an "
        "earlier one. Beside it, one adapter learns all files at once in as many steps.",
    )
    parser.add_argument("base", help="classroom, smollm2-135m, a .gguf file or a safetensors folder")
    parser.add_argument(
        "tasks",
        nargs="+",
        metavar="NAME=FILE",
        help="the tasks in their order, each with its file of records: ask=alpaca.json talk=chat.jsonl",
    )
    parser.add_argument("--out", type=Path, help=f"where all is kept (default: {RUNS}/chain-NAMES)")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="S", help="a chain for each"
    )
    parser.add_argument("--steps", type=int, default=100, help="optimizer steps of each stage (default: 100)")
    parser.add_argument("--size", type=int, metavar="N", help="most records of each task (default: all)")
    parser.add_argument("--heldout", type=int, metavar="N", help="records of each task to measure on")
    parser.add_argument("--metric", default="loss", help="what the matrix shows (default: loss)")
    parser.add_argument("--template", help="how a record becomes text (default: the base's own, or plain)")
    add_reading(parser)
    cell = parser.add_argument_group("every stage")
    cell.add_argument("--adapter", choices=KINDS_OF_ADAPTER, help="kind of adapter (default: lora)")
    cell.add_argument("--rank", type=int, help="LoRA rank")
    cell.add_argument("--alpha", type=float, help="LoRA alpha")
    cell.add_argument("--targets", nargs="+", help="linear layers with an adapter, such as q_proj v_proj")
    cell.add_argument("--learning-rate", type=float, help="peak rate of AdamW")
    cell.add_argument("--batch-size", type=int, help="examples in a step")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the chain and print the matrix."""
    tasks: dict[str, str] = {}
    for text in arguments.tasks:
        name, sign, file = text.partition("=")
        if not (sign and name and file):
            raise InputError(f"{text!r} says no name and file; write a task as NAME=FILE: talk=chat.jsonl")
        if name in tasks:
            raise InputError(f"two tasks are called {name!r}; give each a name of its own")
        tasks[name] = file
    from workbench.chaining import run_chain

    settings = {name: value for name in OF_STAGES if (value := getattr(arguments, name)) is not None}
    found = run_chain(
        arguments.base,
        tasks,
        arguments.out or RUNS / f"chain-{'-'.join(tasks)}",
        seeds=arguments.seeds,
        steps=arguments.steps,
        size=arguments.size,
        heldout=arguments.heldout,
        template=arguments.template,
        on_stage=lambda what: print(what, file=sys.stderr, flush=True),
        reading=reading_options(arguments),
        **settings,
    )
    if arguments.metric not in found.metrics:
        raise InputError(
            f"--metric {arguments.metric}: measured everywhere were {', '.join(found.metrics)}; choose one"
        )
    for line in found.lines(arguments.metric):
        print(line)
    seeds = "1 seed" if len(found.seeds) == 1 else f"{len(found.seeds)} seeds"
    print(f"Means over {seeds}; forgetting is the last stage less the task's own.")
    return 0
