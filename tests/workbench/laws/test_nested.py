"""Laws inside laws: the F test by hand, its level by simulation, and who is chosen."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import f as fisher

from workbench.laws import read_table
from workbench.laws.forecast import Forecast, ForecastScore, forecast_sizes
from workbench.laws.library import LAWS, Law, Parameter
from workbench.laws.nested import gain_by_noise, simpler_laws
from workbench.laws.problems import fit_table
from workbench.laws.profiles import profiles
from workbench.laws.simulate import SHARES, TRUTHS, simulated

FAMILY = (
    "noise_floor",
    "quality_exponent",
    "floor_coefficient",
    "coefficient_exponent",
    "floor_coefficient_exponent",
)

STRAIGHT = Law(
    name="straight",
    formula="E + F (1 - share) + G / n",
    source="a test",
    inputs=("size", "share"),
    metric="loss",
    shapes=(),
    coefficients=tuple(Parameter(n, "metric", -np.inf, np.inf, scale="linear") for n in "EFG"),
    terms=lambda _, x: np.stack([np.ones(len(x["size"])), 1 - x["share"], 10 / x["size"]], axis=-1),
    nests={"flat": {"F": 0.0}, "constant": {"F": 0.0, "G": 0.0}},
)


def test_without_seeds_the_test_is_the_textbooks():
    rng = np.random.default_rng(3)
    size, share = np.tile([10.0, 20.0, 40.0, 80.0], 3), np.repeat([1.0, 0.7, 0.4], 4)
    loss = 2 + 0.1 * (1 - share) + 5 / size + 0.05 * rng.standard_normal(12)
    made = read_table({"size": size, "share": share, "loss": loss, "quality": [f"{s:g}" for s in share]})
    found = {one.name: one for one in simpler_laws(fit_table(made, "loss", STRAIGHT))}

    def squares(*columns):
        # single losses are fitted by their relative error
        a = np.stack(columns, axis=1) / loss[:, None]
        return np.sum((a @ np.linalg.lstsq(a, np.ones(12), rcond=None)[0] - 1) ** 2)

    whole = squares(np.ones(12), 1 - share, 1 / size)
    for name, k, less in (
        ("flat", 1, squares(np.ones(12), 1 / size)),
        ("constant", 2, squares(np.ones(12))),
    ):
        expected = fisher.sf((less - whole) / k / (whole / 9), k, 9)
        assert found[name].probability == pytest.approx(expected, rel=1e-4)
    assert found["flat"].held == "F = 0"
    assert found["constant"].held == "F = 0, G = 0"
    assert not found["constant"].enough
    assert "that is too little" in found["constant"].sentence()


def test_a_fit_that_cannot_miss_tests_nothing():
    made = read_table({"size": [10, 20, 40], "share": [1, 0.5, 0.7], "loss": [3.0, 2.0, 1.5]})
    assert simpler_laws(fit_table(made, "loss", STRAIGHT)) == ()


def test_a_constant_that_is_held_anyway_is_not_tested():
    fit = fit_table(simulated(TRUTHS["noise_floor"], 0), "loss", "floor_coefficient", fixed={"F": 0.3})
    assert {one.name for one in simpler_laws(fit)} == {"noise_floor"}


@pytest.mark.parametrize("name", ["floor_coefficient", "floor_coefficient_exponent"])
def test_the_true_law_is_told_from_those_inside_it(name):
    found = simpler_laws(fit_table(simulated(TRUTHS[name], 1), "loss", name))
    assert {one.name for one in found} == set(LAWS[name].nests)
    assert all(one.probability < 0.01 and not one.enough for one in found)


def test_a_larger_law_than_the_true_one_is_not_asked_for():
    fit = fit_table(simulated(TRUTHS["noise_floor"], 1), "loss", "floor_coefficient")
    found = {one.name: one for one in simpler_laws(fit)}
    assert found["noise_floor"].enough
    assert "against noise_floor (gamma = 0): p = " in found["noise_floor"].sentence()
    assert "the cells don't ask for more" in found["noise_floor"].sentence()
    assert not found["quality_exponent"].enough


@pytest.mark.slow
def test_the_test_of_a_true_simpler_law_refuses_it_as_often_as_it_says():
    studies = 120
    refused = 0
    for seed in range(studies):
        table = simulated(TRUTHS["quality_exponent"], 500 + seed)
        larger = fit_table(table, "loss", "coefficient_exponent")
        simpler = fit_table(table, "loss", "quality_exponent")
        refused += gain_by_noise(larger, simpler.objective, ["kappa"]) < 0.05
    # 6 are expected; more than 14 would come once in a thousand times
    assert refused <= 14


def score(name, error, *, baseline=False, refused=False, enough=()):
    return ForecastScore(
        *(name, baseline, error, error / 2, error * 2, error, None, None, None),
        is_refused=refused,
        enough=enough,
    )


def test_the_nearest_law_is_chosen_unless_its_own_cells_speak_against_it():
    line = score("line", 0.5, baseline=True)
    near, far = score("near", 0.1), score("far", 0.2)
    assert Forecast((near, far, line), "", ()).chosen_law is near
    refused = replace(near, is_refused=True)
    chosen = Forecast((refused, far, line), "sizes above 8", ())
    assert (chosen.chosen_law, chosen.chosen) == (far, far)
    assert "'near' is 10.0% off, but the sizes seen refuse it." in chosen.verdict()
    # where all are refused the nearest is chosen
    assert Forecast((refused, replace(far, is_refused=True), line), "", ()).chosen_law is refused
    larger = replace(near, enough=("far", "unheard of"))
    chosen = Forecast((larger, far, line), "sizes above 8", ())
    assert chosen.chosen_law is far
    assert "'near' is 10.0% off, but the sizes seen don't ask for more than 'far'." in chosen.verdict()
    # a chain is followed to its end, past none that is refused
    inside = score("inside", 0.3)
    between = replace(far, enough=("inside",))
    assert Forecast((larger, between, inside, line), "", ()).chosen_law is inside
    assert Forecast((larger, replace(between, is_refused=True), inside, line), "", ()).chosen_law is larger
    # a baseline that is nearer than the law chosen wins
    line = replace(line, error=0.15)
    assert Forecast((refused, line, far), "sizes above 8", ()).chosen is line


@pytest.mark.parametrize("truth", FAMILY)
def test_the_true_law_of_the_family_is_chosen(truth):
    forecast = forecast_sizes(simulated(TRUTHS[truth], 0), "loss", laws=FAMILY)
    assert forecast.chosen_law.name == truth
    assert forecast.chosen is forecast.chosen_law


@pytest.mark.slow
@pytest.mark.parametrize("truth", FAMILY)
def test_the_true_law_of_the_family_is_chosen_in_most_studies(truth):
    studies = [forecast_sizes(simulated(TRUTHS[truth], 40 + s), "loss", laws=FAMILY) for s in range(20)]
    assert sum(forecast.chosen_law.name == truth for forecast in studies) >= 12


def test_what_a_table_does_not_tell_is_said():
    # with two qualities that are nearly alike, floor, coefficient and exponent can't be told apart
    truth = TRUTHS["floor_coefficient_exponent"]
    near = replace(truth, settings={"clean": {"share": 1.0}, "spoiled": {"share": 0.9}})
    found = profiles(fit_table(simulated(near, 0), "loss", truth.law))
    for name in ("gamma", "kappa"):
        assert not found[name].identified
        assert "it may be anything from -" in found[name].verdict
    assert found["F"].verdict == "identified from above only: it may as well be 0"
    # with qualities that differ they can
    found = profiles(fit_table(simulated(replace(truth, settings=SHARES), 0), "loss", truth.law))
    assert found["kappa"].verdict == "identified"
    # and where the exponent is the same for all, 0 lies inside
    found = profiles(fit_table(simulated(TRUTHS["quality_exponent"], 1), "loss", "coefficient_exponent"))
    assert found["kappa"].verdict == "identified, and it may as well be 0"
