"""A law that bends otherwise than the data is found out without seeds, and a true one seldom is."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workbench.laws import read_table
from workbench.laws.fitting import Problem, fit_law
from workbench.laws.lack_of_fit import lack_of_fit
from workbench.laws.library import LAWS
from workbench.laws.problems import fit_table
from workbench.laws.simulate import TRUTHS
from workbench.laws.thresholds import DOUBT

DOUBLINGS = 32.0 * 2.0 ** np.arange(7)
FLAN = Path(__file__).parents[2] / "oracles" / "flan.csv"


def refused(
    truth: str, law: str, size: np.ndarray, noise: float, *, studies: int, delta: float | None = None
) -> float:
    """Return the share of studies of single runs in which a law isn't believed."""
    rng = np.random.default_rng(5)
    true = LAWS[truth].predict(TRUTHS[truth].values, {"size": size})
    found = []
    for seed in range(studies):
        y = true * (1 + noise * rng.standard_normal(len(size)))
        fit = fit_law(LAWS[law], Problem({"size": size}, y, 1 / y, delta), starts=[dict(TRUTHS[law].values)])
        found.append(lack_of_fit(fit, draws=99, seed=seed))
    assert None not in found
    return float(np.mean([p < DOUBT for p in found]))


@pytest.mark.parametrize("noise", [0.003, 0.014])
def test_a_true_power_law_is_seldom_refused(noise):
    # 8% of 120: a binomial of 5% is above it once in 20
    assert refused("power", "power", DOUBLINGS, noise, studies=120) <= 0.085


def test_a_false_power_law_is_found_out():
    assert refused("rectified", "power", DOUBLINGS, 0.014, studies=60) > 0.7
    assert refused("rectified", "power", DOUBLINGS, 0.003, studies=20) == 1


def test_many_rows_with_heavy_tails_are_judged_by_the_robust_fit():
    size = np.geomspace(32, 2e4, 60)
    assert refused("power", "power", size, 0.01, studies=40, delta=1e-3) <= 0.15
    assert refused("rectified", "power", size, 0.01, studies=10, delta=1e-3) == 1


def test_the_power_law_bends_otherwise_than_the_public_curves():
    """Lin et al. 2024: fine-tuning curves have a phase before the power law."""
    doubted = 0
    with open(FLAN, newline="") as file:
        for row in csv.DictReader(file):
            sizes = [name for name in row if name.isdigit() and int(name) > 0]
            size, loss = np.array(sizes, dtype=float), np.array([float(row[name]) for name in sizes])
            p = lack_of_fit(fit_law(LAWS["power"], Problem({"size": size}, loss, 1 / loss)), draws=199)
            doubted += p is not None and p < DOUBT
    assert doubted >= 25


def grid(noise: float, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [
        {
            "model": m,
            "size": n,
            "loss": (1 + 200 * m**-0.4 + 3 * n**-0.4) * (1 + noise * rng.standard_normal()),
        }
        for m in (1e6, 4e6, 16e6, 64e6)
        for n in DOUBLINGS[:6]
    ]


def test_a_grid_of_models_is_judged_by_nearest_neighbours():
    right = [
        lack_of_fit(fit_table(read_table(grid(0.01, s)), "loss", "chinchilla"), draws=99) for s in range(20)
    ]
    wrong = [
        lack_of_fit(fit_table(read_table(grid(0.005, s)), "loss", "multiplicative"), draws=99)
        for s in range(10)
    ]
    assert sum(p < DOUBT for p in right if p is not None) <= 3
    assert all(p is not None and p < DOUBT for p in wrong)


def test_the_ratio_is_that_of_von_neumann():
    """By hand: six rows, no constant fitted; the chance of the smallest ratio comes from all orders."""
    size = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    law, held = LAWS["power"], {"E": 1.0, "B": 1.0, "beta": 1.0}
    true = law.predict(held, {"size": size})
    rising = true * (1 + 0.01 * np.array([-3, -2, -1, 1, 2, 3]))
    waving = true * (1 + 0.01 * np.array([-3, 3, -2, 2, -1, 1]))
    low, high = (
        lack_of_fit(fit_law(law, Problem({"size": size}, y, 1 / true), fixed=held), draws=999)
        for y in (rising, waving)
    )
    assert low is not None
    assert high is not None
    # ratios (1 + 1 + 4 + 1 + 1) / 28 and (36 + 25 + 16 + 9 + 4) / 28 against a mean of 2 * 5 / 6
    assert low < 0.01
    assert high > 0.98


def test_nothing_is_said_where_nothing_tells():
    twice = [{"size": n, "seed": s, "loss": 1 + 3 / n + s / 99 * n**0.1} for n in DOUBLINGS for s in (0, 1)]
    assert lack_of_fit(fit_table(read_table(twice), "loss", "power")) is None
    once = [{"size": n, "loss": 1 + 3 / n + 0.01 * np.sin(n)} for n in DOUBLINGS]
    assert lack_of_fit(fit_table(read_table(once[:4]), "loss", "power")) is None
    assert lack_of_fit(fit_table(read_table(once), "loss", "free")) is None
    fit = fit_table(read_table(once), "loss", "power")
    assert lack_of_fit(fit) == lack_of_fit(replace(fit, starts=1))
