"""Curves of equal arithmetic: a parabola whose least point is known, and one that has none in sight."""

import numpy as np
import pytest

from workbench.columns import Columns
from workbench.laws.isoflop import isoflop_law, valleys
from workbench.laws.table import read_table

MODELS = (50e3, 75e3, 105e3, 150e3, 210e3)


def table_of(optima, noise=0.001, seeds=3):
    """Losses 0.9 + 0.2 ln(N / optimum)^2, one curve for each optimum."""
    chance = np.random.default_rng(1)
    rows = [
        {
            "quality": name,
            "model": model,
            "size": 1e12 / model,
            "seed": seed,
            "loss": 0.9 + 0.2 * np.log(model / optimum) ** 2 + noise * chance.standard_normal(),
        }
        for name, optimum in optima.items()
        for model in MODELS
        for seed in range(seeds)
    ]
    return read_table(Columns(rows, measured_here=True), name="curves")


def test_the_least_point_is_found():
    optima = {"one": 90e3, "two": 130e3}
    found = valleys(table_of(optima), "loss", {"one": 6e11, "two": 6e12}, resamples=200)
    for valley, optimum in zip(found, optima.values(), strict=True):
        assert valley.optimum == pytest.approx(optimum, rel=0.01)
        assert valley.low < optimum < valley.high
        assert valley.high / valley.low < 1.1
        assert valley.least == pytest.approx(0.9, abs=0.002)
        assert valley.inside
        # 6 N D operations: D = C / 6 N tokens, C / 6 N^2 for each parameter
        assert valley.ratio == pytest.approx(valley.flops / 6 / valley.optimum / valley.optimum)
    assert found[0].sentence().startswith("at 6e+11 operations the best model has ")
    assert "tokens for each" in found[0].sentence()


def test_one_curve_alone():
    (valley,) = valleys(table_of({"one": 90e3}), "loss", {"one": 6e11}, resamples=100)
    assert valley.optimum == pytest.approx(90e3, rel=0.02)


def test_no_least_point_is_claimed_beyond_what_was_tried():
    (valley,) = valleys(table_of({"one": 300e3}), "loss", {"one": 6e12}, resamples=100)
    assert not valley.inside
    assert "no least loss is seen among models of 50,000 to 210,000 parameters" in valley.sentence()


def test_noise_that_hides_the_least_point_hides_it():
    (valley,) = valleys(table_of({"one": 100e3}, noise=0.5), "loss", {"one": 6e12}, resamples=100)
    assert not valley.inside


def test_the_law_by_hand():
    law = isoflop_law(np.array(MODELS))
    values = {"N_opt": 100e3, "E": 0.5, "A": 0.1}
    loss = law.predict(values, {"model": np.array([100e3, 100e3 * np.e, 100e3 / np.e**2])})
    assert loss == pytest.approx([0.5, 0.6, 0.9])
