"""The published law of Cerebras-GPT (Dey et al. 2023, arXiv:2304.03208) against its own seven models.

Its numbers aren't ours to copy: they are read beside the repository, and the tests skip without them.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from workbench.laws.fitting import Problem, fit_law
from workbench.laws.library import LAWS

README = Path(__file__).parents[4] / "shared" / "oracles" / "README.md"


@pytest.fixture(scope="module")
def cerebras():
    """Operations and losses of the seven models, losses of the first five in muP, and the law's constants."""
    if not README.exists():
        pytest.skip("the published ladder isn't beside the repository; see tests/oracles/README.md")
    text = README.read_text(encoding="utf-8")
    (standard,) = re.findall(r"FLOPs ((?:[\d.e]+ ?)+); loss ((?:[\d.]+ ?)+);", text)
    (mup,) = re.findall(r"muP, the first five: ((?:[\d.]+ ?)+)\. ", text)
    (law,) = re.findall(r"L = \(f / ([\d.e]+)\)\^-([\d.]+) \+ ([\d.]+)`", text)
    flops, losses = (np.array(part.split(), dtype=float) for part in standard)
    return flops, losses, np.array(mup.split(), dtype=float), tuple(map(float, law))


def constants(scale, exponent, floor):
    """The library's power law, E + B n^-beta, in the constants of (n / scale)^-exponent + floor."""
    return {"E": floor, "beta": exponent, "B": scale**exponent}


def test_its_error_on_its_own_points(cerebras):
    flops, losses, mup, law = cerebras
    assert len(flops) == len(losses) == 7
    predicted = LAWS["power"].predict(constants(*law), {"size": flops})
    errors = losses / predicted - 1
    assert f"{np.std(errors):.2%}" == "0.66%"
    assert f"{np.mean(mup / predicted[:5] - 1):.2%}" == "-0.43%"


def test_our_fitter_finds_its_constants(cerebras):
    flops, losses, _, (_, _, floor) = cerebras
    fit = fit_law(LAWS["power"], Problem({"size": flops}, losses, 1 / losses), fixed={"E": floor})
    beta = fit.values["beta"]
    assert beta == pytest.approx(0.07359, abs=2e-4)
    assert fit.values["B"] ** (1 / beta) == pytest.approx(6.02e22, rel=0.02)


def test_free_it_is_another_law_that_fits_as_well(cerebras):
    """Seven points don't tell floor from exponent: a floor found freely is far from the published one."""
    flops, losses, _, (_, _, floor) = cerebras
    problem = Problem({"size": flops}, losses, 1 / losses)
    free, held = fit_law(LAWS["power"], problem), fit_law(LAWS["power"], problem, fixed={"E": floor})
    assert free.objective <= held.objective * (1 + 1e-9)
    assert held.objective < 1.02 * free.objective
