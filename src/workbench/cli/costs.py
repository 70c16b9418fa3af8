"""``workbench costs``: what a study has cost, cell by cell, and how well that was predicted."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.showing import padded

if TYPE_CHECKING:
    from workbench.studies.bill import Bill

COST_HEADINGS = ("cell", "seconds", "predicted", "operations", "joules", "bytes", "money")


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "costs",
        description="Say what each cell and the whole study have cost: time, floating-point operations, "
        "energy where the machine has a meter, disk, and money at your price; and how well it was predicted.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.add_argument(
        "--price-per-hour", type=float, metavar="PRICE", help="of the machine, in your currency"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the costs."""
    from workbench.studies.bill import CostLine, bill

    def line(item: CostLine) -> tuple[str, ...]:
        amounts = (item.seconds, item.predicted_seconds, item.flops, item.joules, item.bytes, item.money)
        forms = ("{:,.2f}", "{:,.2f}", "{:.3g}", "{:,.1f}", "{:,.0f}", "{:.4f}")
        told = zip(forms, amounts, strict=True)
        return (item.name, *("-" if amount is None else form.format(amount) for form, amount in told))

    found = bill(arguments.study, arguments.price_per_hour)
    lines = [COST_HEADINGS, *map(line, found.cells), *_rest(found), line(found.total)]
    columns = [column for column in zip(*lines, strict=True) if set(column[1:]) != {"-"}]
    for text in padded(list(zip(*columns, strict=True)), numbers=True):
        print(text)
    for run in found.estimates:
        off, raw = run.predicted / run.actual - 1, run.raw / run.actual - 1
        learned = f"; without the {run.learned_from} earlier runs, by {raw:+.0%}" if run.learned_from else ""
        print(
            f"run of {run.started[:16]}: predicted {run.predicted:.0f} s, took {run.actual:.0f} s, "
            f"off by {off:+.0%}{learned}"
        )
    return 0


def _rest(found: "Bill") -> list[tuple[str, ...]]:
    """Return the line for the seconds that are no cell's; none where cells were trained side by side."""
    each = [item.seconds for item in found.cells]
    known = [seconds for seconds in each if seconds is not None]
    if found.total.seconds is None or len(known) < len(each) or found.total.seconds <= sum(known):
        return []
    rest = found.total.seconds - sum(known)
    return [("loading and planning", f"{rest:,.2f}", *["-"] * (len(COST_HEADINGS) - 2))]
