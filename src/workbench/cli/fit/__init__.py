"""``workbench fit TABLE.csv``: the laws for measurements that were made elsewhere."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.cli.fit.options import asked_inputs, columns_of, delta_of, fixed_of, where_of
from workbench.cli.fit.printing import (
    print_checklist,
    print_fit,
    print_forecast,
    print_notes,
    print_predictions,
    print_rate,
    progress,
)
from workbench.errors import InputError, unknown_name
from workbench.laws.analysis import analyse
from workbench.laws.bootstrap import bootstrap
from workbench.laws.checklist import COUNTS, Checklist, checklist
from workbench.laws.exchange import rate_of
from workbench.laws.forecast import Forecast, candidates, forecast_quality, forecast_sizes
from workbench.laws.lack_of_fit import lack_of_fit
from workbench.laws.library import LAWS
from workbench.laws.problems import fit_each, law_named, problem_of
from workbench.laws.sweep import best_of
from workbench.laws.table import Table, read_table
from workbench.laws.thresholds import FEWEST_DRAWS, LEVEL
from workbench.laws.varying import OtherSettings, settings_that_vary


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 -- argparse names this type privately
    """Add ``workbench fit`` to a parser's subcommands."""
    parser = subparsers.add_parser(
        "fit",
        help="fit laws to a table of measurements made elsewhere",
        description="Fit laws to a CSV of measurements, with intervals, forecasts and exchange rates.",
    )
    parser.add_argument("table", metavar="TABLE.csv", help="one row per trained model, with a header")
    parser.add_argument(
        "--columns",
        nargs="*",
        default=[],
        action="extend",
        metavar="OURS=THEIRS",
        help="your column names, such as size=tokens loss=val_loss quality=mix seed=run share=clean "
        "status=State; of a tracker's export, runs that failed or are not finished are left out and counted",
    )
    parser.add_argument(
        "--metric", default="loss", help="the column to predict: a loss, or an accuracy in [0, 1]"
    )
    parser.add_argument(
        "--better",
        choices=("lower", "higher"),
        help="which values of the metric are better, where its name doesn't say it",
    )
    parser.add_argument(
        "--where",
        nargs="+",
        default=[],
        action="extend",
        metavar="COLUMN=VALUE",
        help="keep the rows that have this value, such as split=train; a second value of a column adds its "
        "rows, a second column asks for both",
    )
    parser.add_argument(
        "--best-of",
        nargs="+",
        default=[],
        action="extend",
        metavar="COLUMN",
        help="of rows that differ only in this column, such as learning_rate, keep the best",
    )
    parser.add_argument("--law", default="auto", help=f"auto (best forecast) or one of {', '.join(LAWS)}")
    parser.add_argument(
        "--objective",
        metavar="squares|huber:DELTA",
        help="squares, or Huber's loss of the log residual with its threshold, such as huber:1e-3; by "
        "default squares, and huber:1e-3 for 50 or more single runs of a loss",
    )
    parser.add_argument(
        "--fix",
        nargs="+",
        default=[],
        action="extend",
        metavar="CONSTANT=VALUE",
        help="hold a constant of the law, such as E=1.69",
    )
    parser.add_argument("--evaluation", help="which evaluation set, if the table has several")
    parser.add_argument("--reference", help="quality that the exchange rate refers to; by default the first")
    parser.add_argument("--items", type=int, help="held-out items behind an accuracy")
    parser.add_argument(
        "--predict",
        nargs="+",
        default=[],
        action="append",
        metavar="INPUT=VALUE",
        help="predict the metric there, such as model=7e9 size=2e11; may be given several times",
    )
    parser.add_argument(
        "--model-counts", choices=COUNTS, help="how parameters of a model were counted, for the checklist"
    )
    parser.add_argument(
        "--hold-out", type=int, help="largest sizes held out for the forecast; by default one in ten, or one"
    )
    parser.add_argument("--bootstraps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fit and print; return the exit status."""
    for option, least in (("hold-out", 1), ("bootstraps", 1), ("seed", 0), ("items", 1)):
        value = getattr(args, option.replace("-", "_"))
        if value is not None and value < least:
            raise InputError(f"--{option} is {value}; the least is {least}: --{option} {least}")
    if args.law != "auto":
        law_named(args.law)
    delta, fixed = delta_of(args.objective), fixed_of(args.fix, args.law)
    table = read_table(
        args.table,
        columns=columns_of(args.columns),
        evaluation=args.evaluation,
        better=args.better,
        where=where_of(args.where),
    )
    if args.best_of:
        table = best_of(table, args.best_of, args.metric)
    rows = table.measured(args.metric)
    if args.items is not None and table.falling(args.metric):
        raise InputError(
            f"--items counts the items behind an accuracy, and {args.metric!r} is a loss. Leave it out."
        )
    _refuse_other_settings(table, args.metric, args.law)
    if args.law != "auto":
        problem_of(table, args.metric, args.law)  # a law that was asked for and doesn't suit is an error
    qualities = list(dict.fromkeys(row.quality for row in rows))
    if args.reference is not None and args.reference not in qualities:
        raise unknown_name("quality", args.reference, qualities, "the table's column of qualities")
    many = "s" * (len(rows) > 1)
    print(f"{table.name}: {len(rows)} measurement{many} of {args.metric}, qualities: {', '.join(qualities)}.")
    print_notes((*table.notes, *settings_that_vary(rows)))
    if args.bootstraps < FEWEST_DRAWS:
        print_notes(
            [
                f"{args.bootstraps} bootstraps show no interval of {LEVEL:.0%}, which needs at least "
                f"{FEWEST_DRAWS}: those of the laws are too narrow, and the rate takes {FEWEST_DRAWS} draws."
            ]
        )
    refused: InputError | None = None
    try:
        _print_laws(table, args, qualities, delta, fixed)
    except InputError as error:
        if len(qualities) < 2 or args.predict or args.model_counts:
            raise
        refused = error
        print(f"\nNo law: {error}")
    if len(qualities) > 1:
        _print_rates(table, args, refused)
    return 0


def _print_laws(
    table: Table,
    args: argparse.Namespace,
    qualities: Sequence[str],
    delta: float | None,
    fixed: Mapping[str, float],
) -> None:
    forecast = _forecast(table, args, delta, fixed)
    if len(qualities) > 2 and any(LAWS[law].joint for law in candidates(table, args.metric)):
        for quality in qualities:
            print(f"  {forecast_quality(table, args.metric, quality, seed=args.seed).verdict()}")
    name = args.law if args.law != "auto" else _chosen(table, args.metric, forecast)
    law = law_named(name)
    asked = [asked_inputs(pairs, law) for pairs in args.predict]
    if args.model_counts and "model" not in law.inputs:
        raise InputError(
            f"--model-counts says how the size of a model was counted, and law {name!r} doesn't know it. "
            "Leave it out, or take a law that does: --law chinchilla."
        )
    said: Checklist | None = None
    for label, fit in fit_each(table, args.metric, law, fixed=fixed, delta=delta).items():
        resamples = bootstrap(fit, args.bootstraps, seed=args.seed, progress=progress)
        lacking = lack_of_fit(fit, seed=args.seed)
        print_fit(label, fit, resamples, lacking)
        print_predictions(args.metric, resamples, asked, lacking)
        points = checklist(
            table, args.metric, fit, resamples, forecast=forecast, model_counts=args.model_counts
        )
        print_checklist(points, said)
        said = said or points


def _forecast(
    table: Table, args: argparse.Namespace, delta: float | None, fixed: Mapping[str, float]
) -> Forecast | None:
    held = {args.law: fixed}
    try:
        forecast = forecast_sizes(
            table, args.metric, hold_out=args.hold_out, seed=args.seed, fixed=held, delta=delta
        )
    except InputError as error:
        print(f"\nNo forecast: {error}")
        return None
    print_forecast(forecast)
    return forecast


def _chosen(table: Table, metric: str, forecast: Forecast | None) -> str:
    if forecast is not None and forecast.chosen_law is not None:
        return forecast.chosen_law.name
    suited = candidates(table, metric)
    if not suited:
        raise InputError(
            f"{table.name}: every row has one size, and a law tells how the metric changes with it. Add "
            "rows of other sizes, of at least 4 in all."
        )
    return next(name for name in suited if _unknown_to(name, table, metric) is None)


def _refuse_other_settings(table: Table, metric: str, law: str) -> None:
    """Refuse, before anything is fitted, rows that differ in a setting which no law in question knows."""
    laws = candidates(table, metric) if law == "auto" else [law]
    refused = [_unknown_to(name, table, metric) for name in laws]
    if refused and refused[0] is not None and all(refused):
        raise refused[0]


def _unknown_to(law: str, table: Table, metric: str) -> OtherSettings | None:
    """Return the error that names a setting in which rows differ and that a law doesn't know."""
    try:
        problem_of(table, metric, law)
    except OtherSettings as error:
        return error
    except InputError:
        return None  # whatever else is wrong is said where the law is fitted
    return None


def _print_rates(table: Table, args: argparse.Namespace, refused: InputError | None) -> None:
    try:
        draws = max(args.bootstraps, FEWEST_DRAWS)
        analysis = analyse(table, args.metric, bootstraps=draws, seed=args.seed, items=args.items)
    except InputError as error:
        if refused is not None:
            raise
        print(f"\nNo rate: {error}")
        return
    reference = args.reference or next(iter(analysis.curves))
    said = {*table.notes, *settings_that_vary(table.measured(args.metric))}
    print_notes(note for note in analysis.notes if note not in said)
    if args.law != "auto" or args.objective:
        suited = ", ".join(candidate.law.name for candidate in analysis.candidates) or "none does"
        print_notes(
            [
                f"The rate weighs all laws that suit ({suited}) by what the data say; --law, --fix and "
                "--objective hold for the laws above alone."
            ]
        )
    for other in analysis.curves:
        if other != reference:
            print_rate(rate_of(analysis, reference=reference, other=other))
