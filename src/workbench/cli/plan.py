"""``workbench plan``: what a study's next hour should train, and what a budget should buy."""

import argparse
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.showing import padded

if TYPE_CHECKING:
    from workbench.laws.prices import Prices
    from workbench.results import Results
    from workbench.views.advice import Advice

OF_BUYING = (
    *("have", "hours", "price_new", "price_clean", "price_score", "cleaner_right", "price_rater"),
    "price_per_hour",
)
"""Options that mean something with a budget only."""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps this type private
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "plan",
        description="Say which cells narrow a study's answer most for their minutes, how narrow it should "
        "then be, and which command trains them; up to what price cleaning pays; and, with prices, what a "
        "budget should buy. Nothing is trained.",
    )
    parser.add_argument("study", type=Path, help="the study's folder, as `workbench list` shows it")
    parser.add_argument(
        "--of", metavar="QUALITY", help="whose examples are replaced, as the report calls it (the first)"
    )
    parser.add_argument("--by", metavar="QUALITY", help="whose examples replace them (the last)")
    parser.add_argument(
        "--size", type=int, metavar="N", help="examples of the first at which the rate counts (the answer's)"
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, metavar="M", help="of training to plan (default: 60)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the plan as JSON too")
    shop = parser.add_argument_group(
        "what to buy",
        "All prices are in one currency. Training on what there is then is paid out of the budget too.",
    )
    shop.add_argument("--have", metavar="QUALITY=N", help="the examples at hand, such as noisy=2000")
    shop.add_argument("--budget", type=float, metavar="MONEY", help="what may be spent")
    shop.add_argument("--hours", type=float, metavar="H", help="most that training on the result may take")
    shop.add_argument(
        "--price-new",
        nargs="+",
        metavar="QUALITY=PRICE",
        help="of a new example, such as noisy=0.05; several qualities may be for sale",
    )
    shop.add_argument(
        "--price-clean", type=float, metavar="PRICE", help="of making an example at hand one of --of"
    )
    shop.add_argument(
        "--price-score",
        type=float,
        metavar="PRICE",
        help="of looking whether an example is wrong: then only those that are get mended",
    )
    shop.add_argument(
        "--cleaner-right",
        type=float,
        metavar="P",
        help="probability that a mended example is right (default: 1); else it stays as it was",
    )
    shop.add_argument("--price-rater", type=float, metavar="PRICE", help="of one more rater for an example")
    shop.add_argument("--price-per-hour", type=float, metavar="PRICE", help="of training (default: 0)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    from workbench.files import write_atomically
    from workbench.results import open_study

    results = open_study(arguments.study)
    prices = _prices(arguments, results.study.qualities[-1].label)
    advice = results.plan(
        reference=arguments.of,
        other=arguments.by,
        size=arguments.size,
        minutes=arguments.minutes,
        prices=prices,
    )
    for line in _lines(results, advice):
        print(line)
    if arguments.out is not None:
        write_atomically(arguments.out, advice.to_json())
        print(f"plan: {arguments.out}")
    return 0


def _lines(results: "Results", advice: "Advice") -> list[str]:
    from workbench.views.advice import CELL_HEADINGS
    from workbench.views.buying import PURCHASE_HEADINGS

    lines = [advice.now, "", advice.batch]
    if advice.cells:
        lines += [*_table([CELL_HEADINGS, *advice.cell_lines()]), *_command(results, advice)]
    lines += ["", advice.price]
    if advice.purchases:
        lines += ["", *_table([PURCHASE_HEADINGS, *advice.purchase_lines()]), *advice.notes]
    return lines


def _command(results: "Results", advice: "Advice") -> list[str]:
    """Return the lines that say how the cells are trained."""
    from workbench.studies.command import growing_command
    from workbench.studies.identity import Begun
    from workbench.views.advice import size_range

    begun = Begun.read(results.folder)
    assert begun is not None, "the study was opened before"
    by_label = {quality.label: quality for quality in begun.study.qualities}
    pair = (by_label[advice.question.reference], by_label[advice.question.other])
    rule = ["--for", f"{advice.minutes:f}".rstrip("0").rstrip(".") + "m", "--at", str(advice.question.size)]
    rows = [row for row in results.table().rows if row["size"] > 0]
    command, why = growing_command(begun, pair, size_range(begun.manifest, rows), rule)
    if command is None:
        return [f"There is no command that trains them: {why}."]
    return ["This trains them, batch by batch, and asks again after each:", f"  {command}"]


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"  {line}" for line in padded(lines)]


def _prices(arguments: argparse.Namespace, quality: str) -> "Prices | None":
    """Return what can be bought, from the options; None where nothing is asked for.

    Args:
        arguments: The options.
        quality: One of the study's, for examples in messages.
    """
    given = {name: value for name in OF_BUYING if (value := getattr(arguments, name)) is not None}
    example = shlex.quote(f"{quality}=2000")
    if arguments.budget is None:
        if given:
            option = "--" + next(iter(given)).replace("_", "-")
            raise InputError(
                f"{option} is for a plan of what to buy, which needs what is at hand, what may be spent and "
                f"a price: --have {example} --budget 100 --price-clean 0.4"
            )
        return None
    if arguments.have is None:
        raise InputError(
            f"--budget {arguments.budget:g} needs the examples at hand; add them, such as --have {example}"
        )
    from workbench.laws.prices import Prices

    own, count = _pair("--have", arguments.have, example)
    if count != int(count):
        raise InputError(
            f"--have is {arguments.have!r}; expected a whole number of examples, such as --have {example}"
        )
    of_new = shlex.quote(f"{quality}=0.05")
    new = dict(_pair("--price-new", text, of_new) for text in arguments.price_new or ())
    renamed = {
        name.removeprefix("price_").replace("cleaner_", ""): value
        for name, value in given.items()
        if name not in ("have", "price_new")
    }
    return Prices(have=(own, int(count)), budget=arguments.budget, new=new, **renamed)


def _pair(option: str, text: str, example: str) -> tuple[str, float]:
    """Read "QUALITY=NUMBER"."""
    quality, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not quality or not math.isfinite(value):
        raise InputError(f"{option} is {text!r}; expected a quality and a number, such as {option} {example}")
    return quality, value
