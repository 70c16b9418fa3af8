"""What does a study cost that chooses its own cells? Simulated studies of known truth, grown to one width.

Each study begins with three sizes, two seeds and two qualities, and grows until the 95% interval of its rate
spans no more than a factor to each side, in two looks in a row. A cell costs as many minutes as it has
examples. Compared are the rule of ``workbench run --until`` (laws/next_cells.py), random cells of the full
grid, alternating the two cells of the full grid nearest the question, and the full grid itself: every size,
three seeds. The width to reach is the median width of the full grids.

    python benchmarks/laws/planning.py --studies 50
"""

import argparse
import math
from collections.abc import Callable, Sequence

import numpy as np
from situations import true_rate

from workbench.laws import stopping
from workbench.laws.analysis import Analysis, analyse
from workbench.laws.next_cells import Interval, Room, interval_of
from workbench.laws.simulate import TRUTHS, Truth, grown
from workbench.laws.stopping import Look, RateQuestion, next_step

Cell = tuple[str, float, int]
Chooser = Callable[[Truth, Analysis, Interval, list[Cell], list[Look], float], list[Cell]]
GIVEN_UP = 3.0
"""Full grids after whose cost a study is given up."""
RESAMPLES = 200
STACK = 12
"""Cells that fit one stack."""


def full_grid(truth: Truth) -> list[Cell]:
    """Return every size with three seeds, both qualities."""
    return [(q, n, k) for q in (truth.reference, truth.other) for n in truth.sizes for k in range(3)]


def start_grid(truth: Truth) -> list[Cell]:
    """Return the question's size and the two below it, two seeds, both qualities."""
    sizes = [truth.reachable / 4, truth.reachable / 2, truth.reachable]
    return [(q, n, k) for q in (truth.reference, truth.other) for n in sizes for k in range(2)]


def cost(cells: Sequence[Cell]) -> float:
    """Return what cells cost: their examples."""
    return sum(cell[1] for cell in cells)


def look(truth: Truth, study: int, cells: list[Cell]) -> tuple[Analysis, Interval]:
    """Analyse a study and return its interval."""
    analysis = analyse(grown(truth, study, cells), truth.metric, bootstraps=RESAMPLES)
    found = interval_of(analysis, reference=truth.reference, other=truth.other, size=truth.reachable)
    assert found is not None
    return analysis, found


def fresh(cells: Sequence[Cell], quality: str, size: float) -> int:
    """Return the first seed that a quality and size hasn't."""
    used = {seed for q, n, seed in cells if (q, n) == (quality, size)}
    return next(seed for seed in range(len(used) + 1) if seed not in used)


def by_rule(
    truth: Truth, analysis: Analysis, now: Interval, cells: list[Cell], looks: list[Look], goal: float
) -> list[Cell]:
    """Choose as ``workbench run --until`` does."""
    used: dict[tuple[str, int], set[int]] = {}
    for quality, size, seed in cells:
        used.setdefault((quality, int(size)), set()).add(seed)
    room = Room(int(truth.sizes[0]), int(truth.sizes[-1]), used, lambda _, size: float(size), STACK)
    question = RateQuestion(truth.reference, truth.other, int(truth.reachable), goal)
    step = next_step(question, analysis, room, looks)
    return [(cell.quality, cell.size, cell.seed) for cell in step.cells]


def at_random(
    truth: Truth, analysis: Analysis, now: Interval, cells: list[Cell], looks: list[Look], goal: float
) -> list[Cell]:
    """Choose a random quality and size of the full grid, and a new seed."""
    chance = np.random.default_rng([len(cells), round(1e6 * analysis.curve(truth.reference).mean[0])])
    quality = (truth.reference, truth.other)[chance.integers(2)]
    size = truth.sizes[chance.integers(len(truth.sizes))]
    return [(quality, size, fresh(cells, quality, size))]


def two_nearest(
    truth: Truth, analysis: Analysis, now: Interval, cells: list[Cell], looks: list[Look], goal: float
) -> list[Cell]:
    """Alternate the reference at the question's size and the other quality at the size that matches it."""
    if len(cells) % 2:
        quality, size = truth.reference, truth.reachable
    else:
        tried = max(n for q, n, _ in cells if q == truth.other)
        match = now.middle * truth.reachable if math.isfinite(now.middle) else 2 * tried
        quality, size = truth.other, min(truth.sizes, key=lambda n: abs(math.log(n / match)))
    return [(quality, size, fresh(cells, quality, size))]


CHOOSERS: dict[str, Chooser] = {"the rule": by_rule, "two nearest": two_nearest, "random": at_random}


def grow(truth: Truth, study: int, choose: Chooser, goal: float) -> tuple[float, bool, bool, int]:
    """Grow one study; return its cost in full grids, whether width and truth were reached, and its cells."""
    cells, looks = start_grid(truth), list[Look]()
    whole = cost(full_grid(truth))
    while True:
        analysis, now = look(truth, study, cells)
        looks.append(Look(len(cells), now.factor))
        lately = looks[-stopping.LOOKS :]
        reached = len(lately) == stopping.LOOKS and max(one.factor for one in lately) <= goal
        if reached or cost(cells) > GIVEN_UP * whole:
            break
        new = choose(truth, analysis, now, cells, looks[:-1], goal)
        if not new:
            break
        cells += new
    held = now.low <= true_rate(truth, truth.reachable) <= now.high
    return cost(cells) / whole, reached, held, len(cells)


def main() -> None:
    """Print a line for each truth and way to choose."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--truths", nargs="+", default=["power", "bounded", "rectified"])
    parser.add_argument("--choosers", nargs="+", default=list(CHOOSERS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--factor", type=float, help="width to reach, instead of the full grids' median")
    arguments = parser.parse_args()
    studies = range(arguments.first, arguments.first + arguments.studies)
    for name in arguments.truths:
        truth = TRUTHS[name]
        true = true_rate(truth, truth.reachable)
        whole = [look(truth, study, full_grid(truth))[1] for study in studies]
        goal = arguments.factor or float(np.median([one.factor for one in whole]))
        held = np.mean([one.low <= true <= one.high for one in whole])
        print(f"{name}: width {goal:.3f}; the full grid holds the truth in {held:.0%}", flush=True)
        for words in arguments.choosers:
            found = np.array([grow(truth, study, CHOOSERS[words], goal) for study in studies])
            paid, reached, held, cells = found.T
            print(
                f"  {words}: cost {np.median(paid):.2f} of the full grid (10% to 90%: "
                f"{np.quantile(paid, 0.1):.2f} to {np.quantile(paid, 0.9):.2f}), {np.median(cells):.0f} "
                f"cells, reached {np.mean(reached):.0%}, holds the truth {np.mean(held):.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
