"""``workbench fit TABLE.csv``: the laws for measurements that were made elsewhere."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from workbench.errors import InputError
from workbench.laws.analysis import analyse
from workbench.laws.bootstrap import Resamples, bootstrap
from workbench.laws.exchange import ExchangeRate, rate_of
from workbench.laws.fitting import Fit
from workbench.laws.forecast import Forecast, candidates, forecast_quality, forecast_sizes
from workbench.laws.library import LAWS
from workbench.laws.nested import simpler_laws
from workbench.laws.problems import fit_each, law_named, misfit
from workbench.laws.profiles import profiles
from workbench.laws.table import Table, read_table
from workbench.laws.thresholds import LEVEL, trusted

INTERVAL = f"{LEVEL:.0%} interval"


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
    parser.add_argument("--metric", default="loss", help="loss, exact_match, choice_accuracy or another loss")
    parser.add_argument("--law", default="auto", help=f"auto (best forecast) or one of {', '.join(LAWS)}")
    parser.add_argument("--evaluation", help="which evaluation set, if the table has several")
    parser.add_argument("--reference", help="quality that the exchange rate refers to; by default the first")
    parser.add_argument("--hold-out", type=int, default=1, help="largest sizes held out for the forecast")
    parser.add_argument("--bootstraps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fit and print; return the exit status."""
    for option, least in (("hold-out", 1), ("bootstraps", 1), ("seed", 0)):
        if (value := getattr(args, option.replace("-", "_"))) < least:
            raise InputError(f"--{option} is {value}; the least is {least}: --{option} {least}")
    table = read_table(args.table, columns=_columns(args.columns), evaluation=args.evaluation)
    rows = table.measured(args.metric)
    qualities = list(dict.fromkeys(row.quality for row in rows))
    print(f"{table.name}: {len(rows)} measurements of {args.metric}, qualities: {', '.join(qualities)}.")
    _print_all(table.notes)
    if args.law != "auto":
        law_named(args.law)
    try:
        _print_laws(table, args, qualities)
    except InputError as error:
        if len(qualities) < 2:
            raise
        print(f"\nNo law: {error}")
    if len(qualities) > 1:
        _print_rates(table, args)
    return 0


def _print_laws(table: Table, args: argparse.Namespace, qualities: Sequence[str]) -> None:
    forecast = _forecast(table, args)
    if len(qualities) > 2 and any(LAWS[law].joint for law in candidates(table, args.metric)):
        for quality in qualities:
            print(f"  {forecast_quality(table, args.metric, quality, seed=args.seed).verdict()}")
    name = args.law if args.law != "auto" else _chosen(table, args.metric, forecast)
    for label, fit in fit_each(table, args.metric, name).items():
        resamples = bootstrap(fit, args.bootstraps, seed=args.seed, progress=_progress)
        _print_fit(label, fit, resamples)


def _columns(pairs: Iterable[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise InputError(
                f"--columns {pair!r} can't be read; expected OURS=THEIRS, such as size=tokens if "
                "your column of sizes is called tokens."
            )
        columns[ours] = theirs
    return columns


def _forecast(table: Table, args: argparse.Namespace) -> Forecast | None:
    try:
        forecast = forecast_sizes(table, args.metric, hold_out=args.hold_out, seed=args.seed)
    except InputError as error:
        print(f"\nNo forecast: {error}")
        return None
    heads = f"{'law':34}{'mean error':>12}{INTERVAL:>20}{'worst':>9}{'decided right':>22}{'AICc':>9}"
    print(f"\nForecast of {forecast.held_out}\n  {heads}")
    for s in forecast.scores:
        aicc = "" if s.aicc is None else f"{s.aicc:.1f}"
        name = f"({s.name})" if s.is_baseline else s.name
        decided = "" if s.decisions is None else s.decisions.words
        print(f"  {name:34}{s.error:12.2%}{s.interval:>20}{s.worst:9.1%}{decided:>22}{aicc:>9}  {s.note}")
    _print_all(f"left out: {reason}" for reason in forecast.skipped)
    print(f"  {forecast.verdict()}")
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
    return suited[0]


def _print_fit(label: str, fit: Fit, resamples: Resamples) -> None:
    print(f"\n{label}: {fit.law.formula}   [{fit.law.source}]")
    print(f"  objective {fit.objective:.9g}, {fit.agreeing:.0%} of {fit.starts} starts agree")
    if fit.at_bounds:
        print(f"  at a bound: {', '.join(fit.at_bounds)}; there the value is the bound's, not the data's")
    if len(fit.problem.y) <= fit.free:
        print("  as many parameters as cells: such a fit can't miss, so it is no evidence for the law")
    if (doubt := misfit(fit)) is not None:
        verdict = "" if trusted(doubt) else ": this law is not believed"
        print(f"  misfit by the seeds' noise: p = {doubt:.2g}{verdict}")
    for simpler in simpler_laws(fit):
        print(f"  {simpler.sentence()}")
    print(
        f"  {'parameter':14}{'value':>12}{f'profile {LEVEL:.0%}':>26}{f'bootstrap {LEVEL:.0%}':>26}  verdict"
    )
    for name, found in profiles(fit).items():
        low, high = resamples.interval(name)
        ends = f"{_end(found.low)} to {_end(found.high)}"
        print(f"  {name:14}{found.value:12.5g}{ends:>26}{f'{low:.4g} to {high:.4g}':>26}  {found.verdict}")


def _print_rates(table: Table, args: argparse.Namespace) -> None:
    analysis = analyse(table, args.metric, bootstraps=args.bootstraps, seed=args.seed)
    reference = args.reference or next(iter(analysis.curves))
    _print_all(note for note in analysis.notes if note not in table.notes)
    for other in analysis.curves:
        if other == reference:
            continue
        answer = rate_of(analysis, reference=reference, other=other)
        print(f"\n{answer.sentence()}")
        _print_rate(answer)


def _print_rate(answer: ExchangeRate) -> None:
    rates = answer.rates
    if rates is None:
        return
    print(f"  {'n':>10}{'rate':>14}{INTERVAL:>30}{'P(not reached)':>16}")
    for n, middle, low, high, lost in zip(
        rates.size, rates.median, rates.low, rates.high, rates.not_reached, strict=True
    ):
        least = answer.smallest / n
        ends = f"{_rate(low, least)} to {_rate(high, least)}"
        print(f"  {n:10,.0f}{_rate(middle, least):>14}{ends:>30}{lost:16.0%}")


def _rate(value: float, least: float) -> str:
    """Return a rate; 0 is below what the smallest size tried can tell."""
    if value == 0:
        return f"below {least:.3g}"
    return "not reached" if value == float("inf") else f"{value:.3g}"


def _end(value: float | None) -> str:
    return "no end" if value is None else f"{value:.4g}"


def _print_all(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"  note: {note}")


def _progress(done: int, wanted: int) -> None:
    """Show the bootstrap's progress on a terminal, and nothing in a file."""
    if sys.stderr.isatty():
        print(
            f"\r  bootstrap {done} of {wanted}",
            end="" if done < wanted else "\r" + " " * 40 + "\r",
            file=sys.stderr,
        )
