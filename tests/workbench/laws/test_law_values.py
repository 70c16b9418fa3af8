"""Every law at one place, worked by hand from its formula in the paper."""

import math

import numpy as np
import pytest

from workbench.laws import analyse, read_table
from workbench.laws.library import LAWS

VALUES = {
    "power": ({"E": 1.5, "B": 4.0, "beta": 0.5}, {"size": 64.0}, 1.5 + 4 / 8),
    "rectified": ({"E": 1.5, "B": 90.0, "learned": 28.0, "beta": 0.5}, {"size": 64.0}, 1.5 + 90 / (28 + 8)),
    "multiplicative": (
        {"E": 1.5, "A": 96.0, "alpha": 0.25, "beta": 0.5},
        {"model": 81.0, "size": 64.0},
        1.5 + 96 / (3 * 8),
    ),
    "chinchilla": (
        {"E": 1.5, "A": 6.0, "B": 4.0, "alpha": 0.25, "beta": 0.5},
        {"model": 81.0, "size": 64.0},
        1.5 + 6 / 3 + 4 / 8,
    ),
    # half the examples are clean: at gamma 1 the rise doubles
    "quality_exponent": (
        {"E": 1.5, "B": 4.0, "beta": 0.5, "gamma": 1.0},
        {"size": 64.0, "share": 0.5},
        1.5 + 4 / 8 * 2,
    ),
    "noise_floor": (
        {"E": 1.5, "F": 0.8, "B": 4.0, "beta": 0.5},
        {"size": 64.0, "share": 0.75},
        1.5 + 0.8 * 0.25 + 4 / 8,
    ),
    # a quarter is spoiled and a quarter of 0.8 is lost for good; a gamma of 2 makes 4 / 8 * 16 / 9
    "floor_coefficient": (
        {"E": 1.5, "F": 0.8, "B": 4.0, "beta": 0.5, "gamma": 2.0},
        {"size": 64.0, "share": 0.75},
        1.5 + 0.8 * 0.25 + 4 / 8 * 16 / 9,
    ),
    # a quarter is clean: at kappa 1/2 the exponent 1 halves, at gamma -1/2 so does the coefficient
    "coefficient_exponent": (
        {"E": 1.5, "B": 4.0, "beta": 1.0, "gamma": -0.5, "kappa": 0.5},
        {"size": 64.0, "share": 0.25},
        1.5 + 4 / 2 / 8,
    ),
    "floor_coefficient_exponent": (
        {"E": 1.5, "F": 0.8, "B": 4.0, "beta": 1.0, "gamma": 0.5, "kappa": 0.5},
        {"size": 64.0, "share": 0.25},
        1.5 + 0.8 * 0.75 + 4 * 2 / 8,
    ),
    "quality_exponent_model": (
        {"E": 1.5, "A": 6.0, "B": 4.0, "alpha": 0.25, "beta": 0.5, "gamma": 1.0},
        {"model": 81.0, "size": 64.0, "share": 0.5},
        1.5 + 6 / 3 + 4 / 8 * 2,
    ),
    "floor_coefficient_model": (
        {"E": 1.5, "A": 6.0, "F": 0.8, "B": 4.0, "alpha": 0.25, "beta": 0.5, "gamma": 1.0},
        {"model": 81.0, "size": 64.0, "share": 0.25},
        1.5 + 6 / 3 + 0.8 * 0.75 + 4 / 8 * 4,
    ),
    "floor_coefficient_exponent_model": (
        {"E": 1.5, "A": 6.0, "F": 0.8, "B": 4.0, "alpha": 0.25, "beta": 1.0, "gamma": 0.5, "kappa": 0.5},
        {"model": 81.0, "size": 64.0, "share": 0.25},
        1.5 + 6 / 3 + 0.8 * 0.75 + 4 * 2 / 8,
    ),
    # five epochs: four repeats of sixteen examples
    "overfitting": (
        {"E": 1.5, "B": 4.0, "C": 0.6, "beta": 0.5, "rho": 1.5, "delta": 0.25},
        {"size": 80.0, "unique": 16.0},
        1.5 + 4 / math.sqrt(80) + 0.6 * 8 / 2,
    ),
    "noisy_overfitting": (
        {"E": 1.5, "F": 0.8, "B": 4.0, "C": 0.6, "G": 0.4}
        | {"beta": 0.5, "gamma": 1.0, "rho": 1.5, "delta": 0.25},
        {"size": 80.0, "unique": 16.0, "share": 0.25},
        1.5 + 0.8 * 0.75 + 4 / math.sqrt(80) * 4 + (0.6 + 0.4 * 0.75) * 8 / 2,
    ),
    # four epochs: three repeats of sixteen examples, whose worth has fallen by e after two
    "repetition": (
        {"E": 1.5, "B": 4.0, "beta": 0.5, "R_D": 2.0},
        {"size": 64.0, "unique": 16.0},
        1.5 + 4 / math.sqrt(16 * (1 + 2 * (1 - math.exp(-1.5)))),
    ),
    # alpha A = beta B: the model that 16 unique examples can use has 16 parameters, and 64 are three repeats
    "data_constrained": (
        {"E": 1.5, "A": 4.0, "B": 4.0, "alpha": 0.5, "beta": 0.5, "R_D": 2.0, "R_N": 3.0},
        {"size": 64.0, "unique": 16.0, "model": 64.0},
        1.5
        + 4 / math.sqrt(16 * (1 + 3 * (1 - math.exp(-1))))
        + 4 / math.sqrt(16 * (1 + 2 * (1 - math.exp(-1.5)))),
    ),
    "bounded": (
        {"floor": 0.1, "ceiling": 0.9, "half": 16.0, "steepness": 0.5},
        {"size": 64.0},
        0.1 + 0.8 / (1 + (64 / 16) ** -0.5),
    ),
}


@pytest.mark.parametrize("name", sorted(set(LAWS) - {"free"}))
def test_a_law_predicts_what_its_formula_says(name):
    values, at, expected = VALUES[name]
    x = {column: np.array([value]) for column, value in at.items()}
    assert LAWS[name].predict(values, x)[0] == pytest.approx(expected, rel=1e-12)
    assert set(values) == {parameter.name for parameter in LAWS[name].parameters}
    assert set(at) == set(LAWS[name].inputs)


def test_the_published_usable_model_size_depends_on_both_terms():
    # Muennighoff et al. 2023, appendix: the compute-optimal model for U examples, for unequal exponents
    values = {"E": 0.0, "A": 50.0, "B": 300.0, "alpha": 0.3, "beta": 0.4, "R_D": 5.0, "R_N": 3.0}
    ratio = (0.3 * 50 / (0.4 * 300)) ** (1 / 0.7)
    tokens, usable = 1e6, ratio * (ratio * 1e6) ** (0.4 / 0.3)
    x = {"size": np.array([tokens]), "unique": np.array([tokens]), "model": np.array([4 * usable])}
    # four times the usable size: three repeats, whose worth falls by e within them
    worth = usable * (1 + 3 * (1 - math.exp(-1)))
    expected = 50 * worth**-0.3 + 300 * tokens**-0.4
    assert LAWS["data_constrained"].predict(values, x)[0] == pytest.approx(expected, rel=1e-6)


CURVE_TRUTHS = {
    "power": ("loss", lambda n: 1.5 + 4 * n**-0.5),
    "rectified": ("loss", lambda n: 1.5 + 90 / (28 + n**0.6)),
    "bounded": ("exact_match", lambda n: 0.8 / (1 + (n / 300) ** -1.2)),
}


@pytest.mark.parametrize("law", sorted(CURVE_TRUTHS))
def test_a_curve_of_one_quality_has_the_same_formula(law):
    metric, truth = CURVE_TRUTHS[law]
    sizes = (8, 32, 128, 512, 2048, 8192)
    rows = [{"size": n, "seed": k, metric: truth(n) + (k - 0.5) * 1e-6} for n in sizes for k in range(2)]
    curve = analyse(read_table(rows), metric, law=law, bootstraps=40).curve("all")
    between = np.array([12.0, 200.0, 5000.0])
    # the search over two shape parameters ends close to the best curve and not on it
    assert curve.predict(between)[0] == pytest.approx(truth(between), rel=2e-3)
