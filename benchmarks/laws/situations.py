"""Situations of real studies, of known truth: which answers are true, and how often.

Few sizes, few seeds, little noise, truths at the edge of every law, qualities that are the same, one run a
cell, grids of sizes and models. Each simulated study is answered as a user would get it, every default as
it is; counted are the rates whose interval holds the truth, and the claims of the sentences that are true.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.laws.analysis import analyse
from workbench.laws.claims import Claim
from workbench.laws.exchange import fewest, rate_of
from workbench.laws.simulate import TRUTHS, Truth, simulated
from workbench.laws.table import Table, read_table

NOISES = (0.014, 0.007, 0.003)
FACTOR = {"loss": 1.0, "exact_match": 25 / 14}
"""Noise of an accuracy beside that of a loss, as measured in the shipped study."""
PLATEAU = replace(
    TRUTHS["rectified"],
    values={"learned": 200.0**4, "beta": 4.0, "E": 1.0, "B": 200.0**4},
    own={"noisy": {"learned": 500.0**4, "E": 1.05, "B": 0.95 * 500.0**4}},
    sizes=(32.0, 2048.0),
)
"""A plateau, a steep drop and a plateau."""
SHAPES: Mapping[str, Truth] = {
    "power": TRUTHS["power"],
    "rectified": TRUTHS["rectified"],
    "bounded": TRUTHS["bounded"],
    "plateau, drop, plateau": PLATEAU,
}


@dataclass(frozen=True)
class Situation:
    """A truth, and how it is measured."""

    name: str
    truth: Truth
    seeds: int = 3

    def table(self, seed: int) -> Table:
        """Return one simulated study."""
        return simulated(self.truth, seed, seeds=self.seeds)


def measured_at(truth: Truth, sizes: int, noise: float) -> Truth:
    """Return a truth measured at so many sizes between its ends, with a noise."""
    ends = truth.sizes[0], truth.sizes[-1]
    between = tuple(float(n) for n in np.unique(np.round(np.geomspace(*ends, sizes))))
    return replace(truth, sizes=between, spread=noise * FACTOR[truth.metric])


def alike(qualities: int, noise: float) -> Truth:
    """Return a truth of so many qualities that are the same."""
    truth = replace(TRUTHS["power"], spread=noise)
    names = {f"mix {k + 1}": {} for k in range(qualities)}
    return replace(truth, settings=names, own={}, reference="mix 1", other="mix 2")


def crossing(noise: float) -> Truth:
    """Return a truth whose better quality changes."""
    return replace(TRUTHS["power"], spread=noise, own={"noisy": {"beta": 0.8, "B": 12.0, "E": 1.08}})


SITUATIONS: tuple[Situation, ...] = (
    *(
        Situation(
            f"{name}, {sizes} sizes, {seeds} seeds, noise {noise:g}", measured_at(truth, sizes, noise), seeds
        )
        for name, truth in SHAPES.items()
        for sizes in (3, 4, 7)
        for seeds in (3, 2)
        for noise in NOISES
    ),
    *(
        Situation(f"{count} qualities that are the same, noise {noise:g}", alike(count, noise))
        for count in (2, 3, 6, 9)
        for noise in (0.014, 0.003)
    ),
    *(Situation(f"curves that cross, noise {noise:g}", crossing(noise)) for noise in (0.014, 0.003)),
    Situation("power, 2 sizes, 3 seeds, noise 0.007", measured_at(TRUTHS["power"], 2, 0.007)),
    Situation(
        "power, 7 sizes, one run a cell, noise 0.007",
        replace(TRUTHS["power"], spread=0.007, sizes=tuple(16.0 * 2**k for k in range(9))),
        1,
    ),
)


def true_rate(truth: Truth, size: float, other: str | None = None) -> float:
    """Return the true rate at a reference size; infinity where none tried is enough, 0 where the least is."""
    grid = np.geomspace(truth.sizes[0], truth.sizes[-1], 20001)
    curve = truth.predict(other or truth.other, grid)[None]
    target = truth.predict(truth.reference, [size])
    return float(fewest(grid, curve, target, falling=truth.metric == "loss")[0] / size)


def is_true(claim: Claim, truth: Truth, other: str) -> bool | None:
    """Say whether a claim is true; None for one that claims nothing that can be false."""
    rate = true_rate(truth, claim.size, other)
    close = 1e-3
    match claim.kind:
        case "better" | "worse" | "alike" | "open":
            beside = rate > 1 if claim.kind == "better" else rate < 1 if claim.kind == "worse" else True
            return beside and claim.low * (1 - close) <= rate <= claim.high * (1 + close)
        case "never" | "beyond":
            return math.isinf(rate)
        case "crossing":
            grid = np.geomspace(truth.sizes[0], truth.sizes[-1], 20001)
            sign = np.sign(truth.predict(truth.reference, grid) - truth.predict(other, grid))
            places = grid[1:][np.diff(sign) != 0]
            return bool(np.any((claim.low * (1 - close) <= places) & (places <= claim.high * (1 + close))))
        case _:
            return None


def tell(situation: Situation, seed: int, draws: int) -> dict[str, tuple[int, int]]:
    """Answer one simulated study; return for each quantity how often it held, and of how many."""
    truth = situation.truth
    analysis = analyse(situation.table(seed), truth.metric, bootstraps=draws, seed=seed)
    found: dict[str, list[bool]] = {}
    wrong = False
    for other in truth.settings:
        if other == truth.reference:
            continue
        answer = rate_of(analysis, reference=truth.reference, other=other)
        found.setdefault("an answer", []).append(answer.rates is not None)
        if answer.rates is None:
            continue
        rates = answer.rates
        same = np.allclose(truth.predict(other, truth.sizes), truth.predict(truth.reference, truth.sizes))
        for j, size in enumerate(rates.size):
            rate = true_rate(truth, float(size), other)
            if 0 < rate < math.inf:
                low, high = rates.low[j] * (1 - 1e-9), rates.high[j] * (1 + 1e-9)
                found.setdefault("rate inside its interval", []).append(bool(low <= rate <= high))
                inverted = rates.low[j] > 1 > rate or rates.high[j] < 1 < rate
                found.setdefault("not the wrong way round", []).append(not inverted)
        for claim in answer.claims():
            verdict = is_true(claim, truth, other)
            if verdict is not None:
                found.setdefault("sentences that are true", []).append(verdict)
            if claim.kind in ("never", "beyond"):
                found.setdefault("'no amount was enough' that is true", []).append(bool(verdict))
            wrong |= same and claim.kind in ("better", "worse", "never", "beyond")
        if same:
            found["no difference claimed where there is none"] = [not wrong]
    return {name: (sum(held), len(held)) for name, held in found.items()}


def grid_of_models(seed: int, noise: float = 0.004) -> Table:
    """Return an N x D grid of two mixes, one run a cell and no seed column."""
    rng = np.random.default_rng(seed)
    rows: Sequence[Mapping[str, object]] = [
        {
            "quality": mix,
            "size": size,
            "model": model,
            "loss": float(
                (1.6 + 400 * model**-0.34 + 500 * (size / worth) ** -0.3)
                * (1 + noise * rng.standard_normal())
            ),
        }
        for mix, worth in (("clean", 1.0), ("noisy", 1.92))
        for model in (2e7, 6e7, 18e7, 54e7)
        for size in (1e8 * 2.0 ** np.arange(7)).tolist()
    ]
    return read_table(rows, name="grid")
