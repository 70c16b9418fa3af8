"""Do the intervals and the sentences hold what they promise? Simulated studies of known truth.

For every law: how often the 95% interval of each parameter (profile), of predictions and of the exchange
rate, as a user gets it, contains the truth. For every situation of ``situations``: how often the rate's
interval holds the truth, and which share of the sentences is true.

    python benchmarks/laws/calibration.py --studies 300 --output docs/calibration.md
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from situations import SITUATIONS, grid_of_models, tell, true_rate

from workbench.files import write_atomically
from workbench.laws.analysis import analyse
from workbench.laws.bootstrap import bootstrap
from workbench.laws.claims import RateCurve
from workbench.laws.exchange import exchange_rate, rate_of
from workbench.laws.fitting import Fit
from workbench.laws.problems import fit_each, fit_table
from workbench.laws.profiles import profile
from workbench.laws.simulate import ACCURACY_SPREAD, LOSS_SPREAD, TRUTHS, Truth, simulated
from workbench.laws.thresholds import LEVEL, TAILS

ALLOWED = (0.90, 0.98)
ENOUGH = 300
"""Studies per law that the rates need."""
NOT_IDENTIFIED = "not identified: "


@dataclass(frozen=True)
class Tally:
    """How often something held, over simulated studies."""

    law: str
    quantity: str
    held: int
    studies: int

    @property
    def share(self) -> float:
        """Observed coverage."""
        return self.held / self.studies


def check(law: str, seed: int, resamples: int) -> dict[str, bool]:
    """Analyse one simulated study; say for each quantity whether its interval held the truth."""
    truth = TRUTHS[law]
    table = simulated(truth, seed)
    ends = np.array([truth.sizes[len(truth.sizes) // 2], truth.sizes[-1]])
    judged = truth.judged or truth.reference
    expected = truth.predict(judged, ends)
    asked = [truth.reachable, truth.unreachable]
    held: dict[str, bool] = {}
    analysed = analyse(table, truth.metric, bootstraps=max(resamples, 400), seed=seed)
    if analysed.law is not None and analysed.law.inputs == ("size",) and truth.law in OF_SIZE:
        held |= _parameters(truth, fit_each(table, truth.metric, law)[truth.reference])
        low, high = np.quantile(analysed.curve(judged).predict(ends)[1:], TAILS, axis=0)
    else:
        fixed = {name: truth.values[name] for name in truth.fixed}
        fit = fit_table(table, truth.metric, law, fixed=fixed)
        held |= _parameters(truth, fit)
        boot = bootstrap(fit, resamples, seed=seed, workers=1)
        low, high = boot.band({"size": ends, **{k: np.full(2, v) for k, v in truth.settings[judged].items()}})
    held |= {
        f"prediction at {n:,.0f}": bool(a <= y <= b)
        for n, a, y, b in zip(ends, low, expected, high, strict=True)
    }
    answer = rate_of(analysed, reference=truth.reference, other=truth.other, sizes=asked)
    assert answer.rates is not None
    return held | _rates(truth, answer.rates)


OF_SIZE = ("power", "rectified", "bounded")
"""The laws of one quality's own curve."""


def _parameters(truth: Truth, fit: Fit) -> dict[str, bool]:
    held = {}
    for parameter in fit.law.parameters:
        if parameter.name in fit.fixed:
            continue
        found = profile(fit, parameter.name)
        low = -np.inf if found.low is None else found.low
        high = np.inf if found.high is None else found.high
        held[f"parameter {parameter.name}"] = bool(low <= truth.values[parameter.name] <= high)
        held[NOT_IDENTIFIED + parameter.name] = not found.identified
    return held


def _rates(truth: Truth, rates: RateCurve) -> dict[str, bool]:
    rate = true_rate(truth, truth.reachable)
    assert np.isfinite(rate)
    assert np.isinf(true_rate(truth, truth.unreachable))
    return {
        f"rate at {truth.reachable:,.0f}": bool(rates.low[0] <= rate <= rates.high[0]),
        f"'not reached' at {truth.unreachable:,.0f}": bool(np.isinf(rates.high[1])),
    }


State = dict[str, dict[str, int]]
"""By law: studies done, under the key STUDIES, and how many of them held each quantity."""
STUDIES = "studies"
FIRST_SEED = 100_000
"""Studies with lower seeds were looked at while the intervals were made; these judge them."""
BLOCK = 20
"""Studies of one law before the next one has its turn, so that an interrupted run covers all laws."""


def calibrate(laws: Sequence[str], studies: int, resamples: int, state: State) -> Iterator[str]:
    """Add studies to ``state`` until every law has as many as wanted; yield after each block."""
    while waiting := [law for law in laws if state.setdefault(law, {STUDIES: 0})[STUDIES] < studies]:
        for law in waiting:
            counts = state[law]
            for seed in range(counts[STUDIES], min(counts[STUDIES] + BLOCK, studies)):
                for quantity, is_held in check(law, FIRST_SEED + seed, resamples).items():
                    counts[quantity] = counts.get(quantity, 0) + is_held
                counts[STUDIES] = seed + 1
            yield law


def calibrate_situations(studies: int, draws: int, state: State) -> Iterator[str]:
    """Add studies to every situation's ``state`` until each has as many as wanted; yield after each block."""
    for situation in SITUATIONS:
        counts = state.setdefault(situation.name, {STUDIES: 0})
        while counts[STUDIES] < studies:
            for seed in range(counts[STUDIES], min(counts[STUDIES] + BLOCK, studies)):
                _count(counts, tell(situation, FIRST_SEED + seed, draws))
                counts[STUDIES] = seed + 1
            yield situation.name
    counts = state.setdefault(GRID, {STUDIES: 0})
    while counts[STUDIES] < studies:
        for seed in range(counts[STUDIES], min(counts[STUDIES] + BLOCK, studies)):
            rates = exchange_rate(
                grid_of_models(FIRST_SEED + seed),
                "loss",
                reference="clean",
                other="noisy",
                sizes=[8e8],
                bootstraps=draws,
                seed=seed,
            ).rates
            assert rates is not None
            _count(counts, {INSIDE: (int(rates.low[0] <= 1.92 <= rates.high[0]), 1)})
            counts[STUDIES] = seed + 1
        yield GRID


def _count(counts: dict[str, int], held: dict[str, tuple[int, int]]) -> None:
    for quantity, (yes, of) in held.items():
        counts[quantity] = counts.get(quantity, 0) + yes
        counts[OF + quantity] = counts.get(OF + quantity, 0) + of


GRID = "a grid of 4 models and 7 sizes, one run a cell, no seed column"
INSIDE = "rate inside its interval"
OF = "of: "
"""How often a quantity was judged in all."""
QUANTITIES = (
    "an answer",
    INSIDE,
    "not the wrong way round",
    "sentences that are true",
    "'no amount was enough' that is true",
    "no difference claimed where there is none",
)


def situation_page(state: State) -> list[str]:
    """Return the table of situations in Markdown."""
    lines = [
        "",
        "## Situations, and the sentences",
        "",
        "Each study is answered as a user gets it. A rate counts where the truth lies between the smallest",
        "and the largest size tried; a claim counts where it can be false (`workbench.laws.claims`). A star",
        f"marks intervals outside {ALLOWED[0]:.0%} to {ALLOWED[1]:.0%}, and sentences true in fewer than",
        f"{LEVEL:.0%}. Noise is that of a loss; an accuracy has {25 / 14:.2g} times as much.",
        "",
        f"| situation | studies | {' | '.join(QUANTITIES)} |",
        f"|---|---:|{'---:|' * len(QUANTITIES)}",
    ]
    for name in [*(situation.name for situation in SITUATIONS), GRID]:
        counts = state.get(name)
        if counts is None:
            continue
        cells = []
        for quantity in QUANTITIES:
            of = counts.get(OF + quantity, 0)
            share = counts.get(quantity, 0) / of if of else float("nan")
            low, high = ALLOWED if quantity == INSIDE else (LEVEL, 1.0)
            star = "" if quantity == "an answer" or low <= share <= high else " *"
            cells.append(f"{share:.1%}{star}" if of else "none")
        lines.append(f"| {name} | {counts[STUDIES]} | {' | '.join(cells)} |")
    return lines


def tallies_of(state: State) -> list[Tally]:
    """Return the state as tallies, law by law."""
    return [
        Tally(law, quantity, held, counts[STUDIES])
        for law, counts in state.items()
        for quantity, held in counts.items()
        if quantity != STUDIES
    ]


def page(tallies: list[Tally], resamples: int, situations: State | None = None) -> str:
    """Return the table as a Markdown page."""
    low, high = ALLOWED
    lines = [
        "# Do the intervals hold what they promise?",
        "",
        "Simulated studies of known truth (`workbench.laws.simulate`), each analysed as any table is: 3",
        f"seeds, a noise of {LOSS_SPREAD:g} of a loss and {ACCURACY_SPREAD:g} of an accuracy at the largest",
        "size and twice as much at the smallest, as measured in the shipped `verbs` study. A quarter of its",
        "variance is shared by all cells of a seed and a seventh by the cells of a seed and quality.",
        "",
        f"The share of studies whose nominal {LEVEL:.0%} interval holds the truth; for 'not reached', the",
        "share in which the answer is 'not reached' where that is true. The last column is the standard",
        "error of the share itself. Parameters by profile likelihood, predictions by draws of the curves (of",
        f"joint laws by {resamples} resamples), rates as a user gets them. An interval without an end",
        "is counted as reaching to infinity on that side; the end of the page says how often a parameter was",
        "'not identified'.",
        "",
        "Made by `python benchmarks/laws/calibration.py --output docs/calibration.md`. A star marks a share",
        f"outside {low:.0%} to {high:.0%} (below {LEVEL:.0%} for 'not reached').",
        "",
        "| law | quantity | studies | share | ± |",
        "|---|---|---:|---:|---:|",
    ]
    open_ended = [t for t in tallies if t.quantity.startswith(NOT_IDENTIFIED)]
    for t in [t for t in tallies if t not in open_ended]:
        reached = t.quantity.startswith("'not")
        fine = t.share >= LEVEL if reached else low <= t.share <= high
        error = np.sqrt(max(t.share * (1 - t.share), 1e-9) / t.studies)
        lines.append(
            f"| {t.law} | {t.quantity} | {t.studies} | {t.share:.1%}{'' if fine else ' *'} | {error:.1%} |"
        )
    if often := [t for t in open_ended if t.held]:
        lines += ["", "| law | not identified | of studies |", "|---|---|---:|"]
        lines += [f"| {t.law} | {t.quantity.removeprefix(NOT_IDENTIFIED)} | {t.share:.1%} |" for t in often]
    elif open_ended:
        lines += ["", "Every parameter was identified in every study."]
    if any(t.studies < ENOUGH for t in tallies):
        lines += ["", f"Laws with fewer than {ENOUGH} studies are a first look."]
    done = {t.law for t in tallies}
    if waiting := [law for law in (*TRUTHS,) if law not in done]:
        lines += ["", f"Not simulated yet: {', '.join(waiting)}."]
    return "\n".join([*lines, *situation_page(situations or {})]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the simulations and write the page; studies in the state file are not run again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--studies", type=int, default=ENOUGH)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--laws", nargs="*", default=[*TRUTHS])
    parser.add_argument("--situations", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--draws", type=int, default=400, help="draws behind a rate")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--state", type=Path, help="JSON file that keeps what is done")
    options = parser.parse_args(arguments)
    kept = json.loads(options.state.read_text()) if options.state and options.state.exists() else {}
    laws, told = kept.setdefault("laws", {}), kept.setdefault("situations", {})
    work = chain(
        calibrate(options.laws, options.studies, options.resamples, laws),
        calibrate_situations(options.studies, options.draws, told) if options.situations else (),
    )
    for name in work:
        done = (laws if name in laws else told)[name][STUDIES]
        print(f"{name}: {done} of {options.studies}", file=sys.stderr, flush=True)
        if options.state:
            write_atomically(options.state, json.dumps(kept).encode())
        write_atomically(options.output, page(tallies_of(laws), options.resamples, told).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
