"""What ``workbench fit`` prints."""

import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from workbench.cli.saying import print_sentence
from workbench.laws.bootstrap import Resamples
from workbench.laws.bounds import of_resamples
from workbench.laws.checklist import Checklist
from workbench.laws.claims import rate_in_words
from workbench.laws.exchange import ExchangeRate
from workbench.laws.fitting import Fit
from workbench.laws.forecast import Forecast
from workbench.laws.in_words import percent_in_words, size_in_words
from workbench.laws.nested import simpler_laws
from workbench.laws.problems import misfit
from workbench.laws.profiles import profiles
from workbench.laws.thresholds import LEVEL, trusted

INTERVAL = f"{LEVEL:.0%} interval"


def print_notes(notes: Iterable[str]) -> None:
    """Print what has to be known about a result, a line each."""
    for note in notes:
        print(f"  note: {note}")


def print_forecast(forecast: Forecast) -> None:
    """Print how laws and baselines predicted the largest sizes."""
    heads = f"{'law':34}{'mean error':>12}{INTERVAL:>20}{'worst':>9}{'decided right':>22}{'AICc':>9}"
    print(f"\nForecast of {forecast.held_out}\n  {heads}")
    for s in forecast.scores:
        aicc = "" if s.aicc is None else f"{s.aicc:.1f}"
        name = f"({s.name})" if s.is_baseline else s.name
        decided = "" if s.decisions is None else s.decisions.words
        print(f"  {name:34}{s.error:12.2%}{s.interval:>20}{s.worst:9.1%}{decided:>22}{aicc:>9}  {s.note}")
    print_notes(f"left out: {reason}" for reason in forecast.skipped)
    print(f"  {forecast.verdict()}")


def print_fit(label: str, fit: Fit, resamples: Resamples, lacking: float | None) -> None:
    """Print a fitted law.

    Args:
        label: The quality, or "all".
        fit: The fit.
        resamples: Its bootstrap.
        lacking: The probability of its lack of fit where every run stands alone; None where nothing tells.
    """
    print(f"\n{label}: {fit.law.formula}   [{fit.law.source}]")
    print(f"  objective {fit.objective:.9g}, {fit.agreeing:.0%} of {fit.starts} starts agree")
    for hit in of_resamples(resamples):
        if hit.fitted:
            print(f"  at a bound: {hit.where}; there the value is the bound's, not the data's")
        if hit.cuts:
            share = f"{hit.resamples:.0%} of the bootstraps"
            print(f"  at a bound in {share}: {hit.where}; there their interval is cut")
    if len(fit.problem.y) <= fit.free:
        print("  as many parameters as cells: such a fit can't miss, so it is no evidence for the law")
    if (doubt := misfit(fit)) is not None:
        print(f"  misfit by the seeds' noise: p = {doubt:.2g}{_belief(doubt)}")
    if lacking is not None:
        print(f"  lack of fit, by neighbouring residuals: p = {lacking:.2g}{_belief(lacking)}")
    for simpler in simpler_laws(fit):
        print(f"  {simpler.sentence()}")
    print(
        f"  {'parameter':14}{'value':>12}{f'profile {LEVEL:.0%}':>26}{f'bootstrap {LEVEL:.0%}':>26}  verdict"
    )
    for name, found in profiles(fit).items():
        low, high = resamples.interval(name)
        ends = f"{_end(found.low)} to {_end(found.high)}"
        print(f"  {name:14}{found.value:12.5g}{ends:>26}{f'{low:.4g} to {high:.4g}':>26}  {found.verdict}")


def print_predictions(
    metric: str, resamples: Resamples, asked: Sequence[Mapping[str, float]], lacking: float | None
) -> None:
    """Print what a law predicts at the inputs asked for, with the band of its bootstrap.

    Args:
        metric: What is predicted.
        resamples: The fit's bootstrap.
        asked: The inputs.
        lacking: The probability of the law's lack of fit, as for :func:`print_fit`.
    """
    believed = trusted(misfit(resamples.fit)) and trusted(lacking)
    for inputs in asked:
        at = {name: np.array([value]) for name, value in inputs.items()}
        value, (low, high) = resamples.fit.predict(at), resamples.band(at)
        where = ", ".join(f"{name} {number:g}" for name, number in inputs.items())
        far = [
            words for name in resamples.fit.problem.x if (words := _beyond(resamples.fit, name, inputs[name]))
        ]
        said = [f"{LEVEL:.0%} of the law", *far]
        if not believed:
            said.append("the law is not believed, so the truth may well lie outside")
        band = f"{low[0]:.7g} to {high[0]:.7g}"
        print(f"  predicted {metric} at {where}: {value[0]:.7g} ({band}, {'; '.join(said)})")


def _beyond(fit: Fit, name: str, value: float) -> str:
    """Say how far an input lies beyond what was measured; nothing where it doesn't."""
    measured = fit.problem.x[name]
    low, high = float(measured.min()), float(measured.max())
    if low <= value <= high:
        return ""
    if value > high:
        return f"{name} is {value / high:.3g} times the largest measured, {high:g}"
    return f"{name} is below the smallest measured, {low:g}"


def print_checklist(points: Checklist, said: Checklist | None) -> None:
    """Print what somebody has to know who judges the fit; of a further quality what differs from the first's.

    Args:
        points: The checklist.
        said: That of the first quality; None for the first.
    """
    before = set() if said is None else set(said.lines())
    own = [line for line in points.lines() if line not in before]
    print("  checklist" + ("" if said is None else ": as above" + (", but for" if own else "")))
    for line in own:
        print(f"    {line}")


def print_rate(answer: ExchangeRate) -> None:
    """Print an exchange rate: the sentence, and the rate by size."""
    print()
    print_sentence(answer.sentence())
    if answer.rates is None:
        return
    print(f"  {'n':>14}  {f'rate and its {INTERVAL}':42}{'P(not reached)':>14}")
    for at, (n, lost) in enumerate(zip(answer.rates.size, answer.rates.not_reached, strict=True)):
        told = "" if np.isnan(lost) else percent_in_words(lost)
        print(f"  {size_in_words(n):>14}  {rate_in_words(answer, at):42}{told:>14}")


def progress(done: int, wanted: int) -> None:
    """Show the bootstrap's progress on a terminal, and nothing in a file."""
    if sys.stderr.isatty():
        print(
            f"\r  bootstrap {done} of {wanted}",
            end="" if done < wanted else "\r" + " " * 40 + "\r",
            file=sys.stderr,
        )


def _belief(probability: float) -> str:
    return "" if trusted(probability) else ": this law is not believed"


def _end(value: float | None) -> str:
    return "no end" if value is None else f"{value:.4g}"
