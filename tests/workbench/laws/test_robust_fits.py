"""The fit by Huber's loss: it leaves a floor of 0, and no unit of the data changes what it finds."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import huber

from workbench.laws.fitting import Fit, Problem, fit_law
from workbench.laws.library import LAWS

DELTA = 1e-3
POINTS = Path(__file__).parents[4] / "shared" / "oracles" / "chinchilla_epoch" / "svg_extracted_data.csv"
SIZE = np.geomspace(10, 1e5, 16)


def loss_at(fit: Fit, problem: Problem) -> float:
    return float(huber(DELTA, np.log(fit.predict(problem.x) / problem.y)).sum())


def curve(floor: float, beta: float, noise: float, seed: int, unit: float = 1.0) -> Problem:
    """A power law in some unit, with two measurements that are far off."""
    rng = np.random.default_rng(seed)
    y = (floor + 4 * SIZE**-beta) * np.exp(noise * rng.standard_normal(len(SIZE)))
    y[rng.integers(len(y), size=2)] *= rng.choice([0.6, 0.7, 1.4], size=2)
    return Problem({"size": SIZE}, unit * y, 1 / (unit * y), delta=DELTA)


@pytest.mark.parametrize("beta", LAWS["power"].shapes[0].starts)
def test_a_floor_of_0_from_least_squares_is_left_again(beta):
    problem = curve(0.4, 0.4, 0.005, seed=0)
    alone = fit_law(LAWS["power"], problem, starts=[{"beta": beta}])
    assert alone.values["E"] == pytest.approx(0.4, rel=0.1)
    assert alone.objective == pytest.approx(fit_law(LAWS["power"], problem).objective, rel=1e-6)


def test_a_floor_that_is_0_ends_at_its_bound():
    problem = Problem({"size": SIZE}, 4 * SIZE**-0.4 * (1 - 0.01 * np.log(SIZE)), np.ones(16), delta=DELTA)
    fit = fit_law(LAWS["power"], problem)
    assert (fit.values["E"], fit.at_bounds) == (0.0, ("E",))


@settings(max_examples=25, deadline=None)
@given(
    floor=st.floats(0.0, 0.6),
    beta=st.floats(0.1, 0.6),
    noise=st.floats(0.001, 0.05),
    seed=st.integers(0, 2**16),
    law=st.sampled_from(["power", "rectified"]),
)
def test_no_start_and_no_fit_by_squares_has_a_lower_loss(floor, beta, noise, seed, law):
    problem = curve(floor, beta, noise, seed)
    starts = [{p.name: value for p, value in zip(LAWS[law].shapes, (30.0, 0.45), strict=False)}]
    starts = starts if law == "rectified" else [{"beta": value} for value in (0.1, 0.45)]
    by_squares = fit_law(LAWS[law], Problem(problem.x, problem.y, problem.root), starts=starts)
    begun = [*starts, {p.name: by_squares.values[p.name] for p in LAWS[law].shapes}]
    fit = fit_law(LAWS[law], problem, starts=begun)
    assert fit.objective == pytest.approx(loss_at(fit, problem), rel=1e-6)
    slack = 1 + 1e-6  # values that nearly cancel give their loss to 4e-8
    assert fit.objective <= loss_at(by_squares, problem) * slack
    for start in starts:
        held = fit_law(LAWS[law], Problem(problem.x, problem.y, problem.root), fixed=start)
        assert fit.objective <= loss_at(held, problem) * slack


def test_a_search_that_gives_up_at_a_kink_keeps_its_start():
    # found among 810 fits: the only one whose line search ended above where it began
    problem, start = curve(0.3, 0.5, 0.01, seed=5), {"learned": 1e6, "beta": 0.1}
    held = fit_law(LAWS["rectified"], Problem(problem.x, problem.y, problem.root), fixed=start)
    fit = fit_law(LAWS["rectified"], problem, starts=[start])
    assert fit.objective <= loss_at(held, problem) * (1 + 1e-9)


@settings(max_examples=15, deadline=None)
@given(unit=st.sampled_from([1e-12, 1e-3, 1.0, 1e3, 1e9]), seed=st.integers(0, 99))
def test_the_unit_of_a_loss_changes_nothing(unit, seed):
    starts = [{"beta": 0.1}, {"beta": 0.45}]
    plain, other = (
        fit_law(LAWS["power"], curve(0.3, 0.4, 0.01, seed, u), starts=starts) for u in (1.0, unit)
    )
    assert other.objective == pytest.approx(plain.objective, rel=1e-5)
    assert other.values["E"] == pytest.approx(unit * plain.values["E"], rel=1e-2)
    assert other.at_bounds == plain.at_bounds


@pytest.mark.parametrize(
    ("models", "sizes", "losses"), [(1.0, 1.0, 1.0), (1e-9, 1e-12, 1.0), (1e6, 1.0, 1e-3), (1.0, 1e3, 1e3)]
)
def test_published_points_give_the_published_constants_in_any_unit(models, sizes, losses):
    if not POINTS.exists():
        pytest.skip(f"{POINTS.name} isn't beside the repository; see tests/oracles/README.md")
    with open(POINTS, newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["loss"]))[5:]
    model, flop, loss = (
        np.array([float(row[k]) for row in rows]) for k in ("Model Size", "Training FLOP", "loss")
    )
    x = {"model": models * model, "size": sizes * flop / (6 * model)}
    # the one start of which least squares makes a floor of 0, and one of the others
    starts = [{"alpha": 0.1, "beta": 0.1}, {"alpha": 0.45, "beta": 0.25}]
    fit = fit_law(LAWS["chinchilla"], Problem(x, losses * loss, np.ones(240), delta=DELTA), starts=starts)
    found = fit.values
    assert fit.agreeing == 1
    assert fit.objective == pytest.approx(1.018274e-3, rel=1e-5)
    published = {"alpha": 0.3478, "beta": 0.3658, "E": 1.82, "A": 482.0, "B": 2085.0}
    plain = {
        "alpha": found["alpha"],
        "beta": found["beta"],
        "E": found["E"] / losses,
        "A": found["A"] / losses / models ** found["alpha"],
        "B": found["B"] / losses / sizes ** found["beta"],
    }
    # the published constants are rounded, and those of the grid fit lie beside them
    assert plain == pytest.approx(published, rel=0.03)
    assert {k: plain[k] for k in ("E", "alpha", "beta")} == pytest.approx(
        {k: published[k] for k in ("E", "alpha", "beta")}, rel=5e-3
    )
