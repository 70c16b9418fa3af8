"""Is a wrong law believed? Studies simulated from each law, analysed with all laws that suit their columns.

For every true law: how often each law is chosen by its forecast of the two largest sizes, how often by AICc,
and how often its misfit gives it away. The page is made by

    python benchmarks/laws/selection.py --studies 40 --output docs/selection.md
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.laws.forecast import candidates, forecast_sizes
from workbench.laws.problems import fit_each, misfit
from workbench.laws.simulate import TRUTHS, simulated
from workbench.laws.table import Table
from workbench.laws.thresholds import DOUBT


@dataclass
class Choices:
    """How often each law was chosen or refused, over studies of one true law."""

    truth: str
    studies: int = 0
    tried: tuple[str, ...] = ()
    by_forecast: Counter[str] = field(default_factory=Counter)
    by_aicc: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


def choose(truth: str, studies: int) -> Choices:
    """Simulate studies of one true law and count which laws are chosen and refused."""
    found = Choices(truth)
    for seed in range(studies):
        table, metric = simulated(TRUTHS[truth], 10_000 + seed), TRUTHS[truth].metric
        found.tried = tuple(law for law in candidates(table, metric) if law != "data_constrained")
        forecast = forecast_sizes(table, metric, laws=found.tried, hold_out=2)
        found.by_forecast[forecast.chosen.name] += 1
        scored = [score for score in forecast.scores if score.aicc is not None]
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
    doubts = [p for fit in fits.values() if (p := misfit(fit)) is not None]
    # several fits give several chances of a false alarm
    return bool(doubts) and min(doubts) < DOUBT / len(doubts)


def page(found: list[Choices]) -> str:
    """Return the table as a Markdown page."""
    lines = [
        "# Is a wrong law believed?",
        "",
        "Studies are simulated from each law (as for `calibration.md`) and fitted with every law that",
        "suits their columns. Chosen by forecast: smallest mean error on the two largest sizes, baselines",
        "included. Chosen by AICc: among laws, on the sizes before those. Refused: misfit at the",
        f"{DOUBT:.0%} level on the whole study. A law of one quality (power, rectified) is fitted to each",
        "quality apart and is true there as well, so its being chosen is no mistake but a less economical",
        "truth. The data-constrained law is left out: a study this small doesn't tell its seven constants.",
        "",
        "Made by `python benchmarks/laws/selection.py --output docs/selection.md`.",
        "",
        "| true law | studies | chosen by forecast | chosen by AICc | refused |",
        "|---|---:|---|---|---|",
    ]
    for f in found:
        refused = ", ".join(f"{law} {f.refused[law] / f.studies:.0%}" for law in f.tried)
        lines.append(
            f"| {f.truth} | {f.studies} | {_shares(f.by_forecast)} | {_shares(f.by_aicc)} | {refused} |"
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
