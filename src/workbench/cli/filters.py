"""``workbench filters``: what scorers keep against chance, without and with the time that scoring takes."""

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.shared import add_engine, add_reading, engine_options, reading_options
from workbench.config import SIZES_IN
from workbench.errors import InputError
from workbench.studies.defaults import EPOCHS_OF_FILTERS, KEPT_SHARE, OWN_BASE, OWN_CORRUPTION, RUNS


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "filters",
        description="Score a file's records, train on what each scorer keeps, on as many drawn by chance, on "
        "chance with the same lengths of responses, and on all of them; say what a filter is worth against "
        "chance, without and with the time that scoring takes. Given the folder of such a study: say it "
        "again.",
    )
    parser.add_argument("file", type=Path, help="your own file of records, or the folder of such a study")
    parser.add_argument(
        "--scorer",
        nargs="+",
        metavar="NAME",
        help="one or more scorers, which `workbench score` lists; each keeps its good end, or both where "
        "none is known; NAME:top and NAME:bottom name one",
    )
    parser.add_argument(
        "--keep",
        default=KEPT_SHARE,
        metavar="SHARE",
        help=f"share of the records that each filter keeps (default: {KEPT_SHARE.replace('%', '%%')})",
    )
    parser.add_argument("--budget", default="coffee", help="coffee, lunch or night: the same grid, wider")
    parser.add_argument("--base", default=OWN_BASE, help=f"that scores and is trained (default: {OWN_BASE})")
    parser.add_argument("--template", help="how a record becomes text (default: what suits the file)")
    parser.add_argument("--sizes", nargs="+", type=int, metavar="N", help="training examples")
    parser.add_argument(
        "--size-in",
        choices=SIZES_IN,
        default="examples",
        help="what sizes count: examples (default), or tokens of responses, which are those in the loss",
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="S", help="seeds, such as 0 1 2")
    parser.add_argument(
        "--epochs",
        type=float,
        default=EPOCHS_OF_FILTERS,
        help=f"passes over the examples (default: {EPOCHS_OF_FILTERS:g})",
    )
    parser.add_argument(
        "--corruption",
        default=OWN_CORRUPTION,
        help=f"damage that is planted to see which scorer finds it (default: {OWN_CORRUPTION})",
    )
    held = parser.add_mutually_exclusive_group()
    held.add_argument("--heldout", type=int, metavar="N", help="records to hold out for the evaluation")
    held.add_argument("--heldout-file", type=Path, help="another file with the records to hold out")
    parser.add_argument(
        "--without-controls",
        dest="controls",
        action="store_false",
        help="leave out the chance draws with the same lengths: half of the cells",
    )
    parser.add_argument(
        "--without-whole", dest="whole", action="store_false", help="don't train on all records as well"
    )
    add_reading(parser)
    parser.add_argument(
        "--on-long",
        choices=("error", "drop"),
        default="error",
        help="refuse records longer than the base can read (default), or leave them out",
    )
    add_engine(parser)
    parser.add_argument("--out", type=Path, help=f"study folder (default: {RUNS}/NAME-filters-BUDGET)")
    parser.set_defaults(run=run)


OF_ASKED = (
    *("keep", "budget", "base", "template", "epochs", "corruption", "heldout", "heldout_file", "controls"),
    *("whole", "on_long", "size_in"),
)
"""Options that are fields of ``filtering.Asked`` under the same name."""


def run(arguments: argparse.Namespace) -> int:
    """Run the study and say what each filter is worth; or say it of a study that was run."""
    folder = arguments.file if arguments.file.is_dir() else _trained(arguments)
    from workbench.results import open_study
    from workbench.views.report import write_report

    results = open_study(folder)
    for line in results.filters().lines():
        print(line)
    if not arguments.file.is_dir():
        report = write_report(folder)
        print(f"report: {report.page}")
    return 0


def _trained(arguments: argparse.Namespace) -> Path:
    """Run what is missing of the study and return its folder."""
    from workbench.cli.stopping import stop_on_signals
    from workbench.filtering import compare_filters
    from workbench.views.progress import share_bar

    if not arguments.scorer:
        raise InputError(
            f"name at least one scorer, such as workbench filters {arguments.file} --scorer ifd; "
            "`workbench score` lists them"
        )
    choices = {name: getattr(arguments, name) for name in OF_ASKED}
    choices |= {name: tuple(given) for name in ("sizes", "seeds") if (given := getattr(arguments, name))}
    choices |= reading_options(arguments) | engine_options(arguments)
    with stop_on_signals() as should_stop, share_bar() as tell:
        results = compare_filters(
            arguments.file, arguments.scorer, arguments.out, should_stop=should_stop, tell=tell, **choices
        )
    if results.manifest.outcome == "stopped":
        raise KeyboardInterrupt
    return results.folder
