"""Published tables, published fits: a fitter that is right reproduces their numbers.

Two tables are in ``tests/oracles``. The third isn't free to be copied: it is read beside the repository, and
its tests skip without it.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from workbench.laws import read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.fitting import Problem, fit_law
from workbench.laws.library import LAWS
from workbench.laws.profiles import profile

ORACLES = Path(__file__).parents[2] / "oracles"
CHINCHILLA = Path(__file__).parents[4] / "shared" / "oracles" / "chinchilla_epoch" / "svg_extracted_data.csv"


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def chinchilla():
    """The 240 points of Besiroglu et al., without the 5 highest losses, and the fit."""
    if not CHINCHILLA.exists():
        pytest.skip(f"{CHINCHILLA.name} isn't beside the repository; see tests/oracles/README.md")
    rows = sorted(rows_of(CHINCHILLA), key=lambda r: -float(r["loss"]))[5:]
    model, flop, loss = (
        np.array([float(r[k]) for r in rows]) for k in ("Model Size", "Training FLOP", "loss")
    )
    problem = Problem({"model": model, "size": flop / (6 * model)}, loss, np.ones(len(loss)), delta=1e-3)
    return fit_law(LAWS["chinchilla"], problem)


def test_chinchilla_coefficients_and_objective(chinchilla):
    published = {"A": 477.84, "B": 2143.86, "E": 1.81724, "alpha": 0.347313, "beta": 0.367183}
    assert chinchilla.values == pytest.approx(published, rel=1e-3)
    assert f"{chinchilla.objective:.5e}" == "1.01827e-03"
    assert chinchilla.objective <= 0.00101827402 * (1 + 1e-8)
    assert chinchilla.agreeing >= 0.8
    assert chinchilla.at_bounds == ()


@pytest.mark.slow
def test_chinchilla_bootstrap_agrees_with_the_published_4000(chinchilla):
    draws = bootstrap(chinchilla, 400, seed=1)
    published = {"A": 124.5, "B": 1293.3, "E": 0.026, "alpha": 0.015, "beta": 0.021}
    for name, deviation in published.items():
        assert np.std(draws.values[name]) == pytest.approx(deviation, rel=0.2), name
    assert draws.interval("alpha") == pytest.approx((0.317, 0.373), abs=0.005)
    assert draws.interval("beta") == pytest.approx((0.331, 0.415), abs=0.008)


@pytest.fixture(scope="module")
def constrained():
    """The 182 runs of Muennighoff et al. and their fixed constants."""
    rows = rows_of(ORACLES / "datablations_fit182.csv")
    names = {"model": "N_params", "size": "D_tokens", "unique": "U_unique_tokens", "loss": "val_loss"}
    table = read_table(rows, columns=names)
    measured = table.measured("loss")
    x = {name: table.column(name, measured) for name in ("model", "size", "unique")}
    problem = Problem(x, table.column("loss", measured), np.ones(len(measured)), delta=1e-3)
    fixed = {"A": np.exp(6.255414), "B": np.exp(7.3049974), "E": np.exp(0.6254804)}
    return problem, {k: float(v) for k, v in fixed.items()} | {"alpha": 0.3526596, "beta": 0.3526596}


def test_data_constrained_objective_and_worked_values(constrained):
    problem, fixed = constrained
    at = fixed | {"R_D": 15.387756, "R_N": 5.309743}
    assert fit_law(LAWS["data_constrained"], problem, fixed=at).objective == pytest.approx(
        0.015825935, rel=5e-8
    )
    for model, size, expected in (
        (6.34e9, 242e9, 2.2256440889984477),
        (8.67e9, 178e9, 2.2269634075087867),
    ):
        x = {"model": np.array([model]), "size": np.array([size]), "unique": np.array([25e9])}
        assert LAWS["data_constrained"].predict(at, x)[0] == pytest.approx(expected, abs=1e-9)


def test_the_famous_constant_is_not_identified(constrained):
    problem, fixed = constrained
    fit = fit_law(LAWS["data_constrained"], problem, fixed=fixed)
    assert fit.objective < 0.015806
    found = profile(fit, "R_D")
    assert not found.identified
    assert found.verdict == "not identified: no upper end up to 5000"
    assert 5 < found.low < 15.387756


def flan():
    rows = rows_of(ORACLES / "flan.csv")
    sizes = [name for name in rows[0] if name.isdigit() and int(name) > 0]
    size = np.array([float(name) for name in sizes])
    for row in rows:
        yield size, np.array([float(row[name]) for name in sizes])


FEW = [{"learned": learned, "beta": 0.45} for learned in (1.0, 30.0, 1e3, 3e4)]
"""Four of the rectified law's twenty starts."""


@pytest.mark.parametrize(
    ("law", "starts", "low", "high"), [("rectified", FEW, 0.0063, 0.0065), ("power", None, 0.034, 0.036)]
)
def test_rectified_law_on_thirty_curves(law, starts, low, high):
    errors = []
    for size, loss in flan():
        fit = fit_law(LAWS[law], Problem({"size": size}, loss, 1 / loss), starts=starts)
        assert fit.agreeing == 1, "the few starts tell no more than one"
        errors.append(np.sqrt(np.mean(np.log(fit.predict({"size": size}) / loss) ** 2)))
    assert len(errors) == 30
    assert low < np.mean(errors) < high
