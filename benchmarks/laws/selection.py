"""Is a wrong law believed? Studies simulated from each law, analysed with all laws that suit their columns.

For every true law: how often each law is nearest on the two largest sizes, how often it is then chosen (a law
that the sizes seen refuse isn't, nor a larger one than they ask for), how often AICc would choose it, and how
often its misfit on the whole study gives it away; and how often law and single-scale ranking decide right.
The page is made by

    python benchmarks/laws/selection.py --studies 40 --output docs/selection.md
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.laws.forecast import Forecast, candidates, forecast_sizes
from workbench.laws.nested import refused
from workbench.laws.problems import fit_each
from workbench.laws.simulate import TRUTHS, simulated
from workbench.laws.table import Table
from workbench.laws.thresholds import DOUBT


@dataclass
class Choices:
    """How often each law was chosen or refused, over studies of one true law."""

    truth: str
    studies: int = 0
    tried: tuple[str, ...] = ()
    nearest: Counter[str] = field(default_factory=Counter)
    chosen: Counter[str] = field(default_factory=Counter)
    by_aicc: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    decided: list[tuple[float, float]] = field(default_factory=list)
    """Decision accuracy of the law chosen and of single-scale ranking, by study."""


def choose(truth: str, studies: int) -> Choices:
    """Simulate studies of one true law and count which laws are chosen and refused."""
    found = Choices(truth)
    for seed in range(studies):
        table, metric = simulated(TRUTHS[truth], 10_000 + seed), TRUTHS[truth].metric
        found.tried = tuple(law for law in candidates(table, metric) if law != "data_constrained")
        forecast = forecast_sizes(table, metric, laws=found.tried, hold_out=2)
        found.nearest[forecast.scores[0].name] += 1
        found.chosen[forecast.chosen.name] += 1
        _note_decisions(found, forecast)
        scored = [score for score in forecast.scores if score.aicc is not None]
        if scored:
            found.by_aicc[min(scored, key=lambda score: score.aicc or 0.0).name] += 1
        for law in found.tried:
            found.refused[law] += _is_refused(table, metric, law)
        found.studies += 1
        print(f"\r{truth}: {seed + 1} of {studies}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def _is_refused(table: Table, metric: str, law: str) -> bool:
    """Say whether any of the law's fits misses the measurements by more than the seeds explain."""
    try:
        fits = fit_each(table, metric, law)
    except InputError:
        return True
    return refused(fits.values())


def _note_decisions(found: Choices, forecast: Forecast) -> None:
    law, order = forecast.chosen_law, forecast.single_scale
    if law is None or law.decisions is None or order is None:
        return
    if law.decisions.accuracy is not None and order.accuracy is not None:
        found.decided.append((law.decisions.accuracy, order.accuracy))


def page(found: list[Choices]) -> str:
    """Return the table as a Markdown page."""
    lines = [
        "# Is a wrong law believed?",
        "",
        "Studies are simulated from each law (as for `calibration.md`) and fitted with every law that",
        "suits their columns. Nearest: smallest mean error on the two largest sizes, baselines included.",
        "Chosen: the same among laws that the sizes before those don't refuse, and no larger one than they",
        "ask for. By AICc: among laws, on the sizes before those. Decided: pairs of data sets whose order at",
        "the largest size is clear, told right by the law chosen and by the order at the largest size seen.",
        f"Refused: misfit at the {DOUBT:.0%} level on the whole study. A law of one quality (power,",
        "rectified) is fitted to each quality apart and is true there as well, so its being chosen is no",
        "mistake but a less economical truth. The data-constrained law is left out: a study this small",
        "doesn't tell its seven constants.",
        "",
        "Made by `python benchmarks/laws/selection.py --output docs/selection.md`.",
        "",
        "| true law | studies | nearest | chosen | by AICc | decided: law, order | refused |",
        "|---|---:|---|---|---|---|---|",
    ]
    for f in found:
        missed = ", ".join(f"{law} {f.refused[law] / f.studies:.0%}" for law in f.tried)
        decided = ", ".join(f"{fmean(column):.0%}" for column in zip(*f.decided, strict=True))
        lines.append(
            f"| {f.truth} | {f.studies} | {_shares(f.nearest)} | {_shares(f.chosen)} | {_shares(f.by_aicc)} "
            f"| {decided} | {missed} |"
        )
    return "\n".join(lines) + "\n"


def _shares(counts: Counter[str]) -> str:
    total = sum(counts.values())
    return ", ".join(f"{name} {count / total:.0%}" for name, count in counts.most_common())


def main(arguments: list[str] | None = None) -> int:
    """Simulate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument(
        "--truths", nargs="*", default=[name for name in TRUTHS if name != "data_constrained"]
    )
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = []
    for truth in options.truths:
        found.append(choose(truth, options.studies))
        write_atomically(options.output, page(found).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
