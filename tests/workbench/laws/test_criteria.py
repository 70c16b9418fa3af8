"""Which laws' criteria can be compared, and forecasts of grids of model and size."""

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.laws import read_table
from workbench.laws.criteria import criteria_of
from workbench.laws.forecast import forecast_quality, forecast_sizes
from workbench.laws.library import LAWS, Law, Parameter
from workbench.laws.problems import fit_each, problem_of
from workbench.laws.simulate import TRUTHS, simulated

SIZES = (100, 200, 400, 800, 1600)
MODELS = (2e7, 8e7, 3e8)
MIXES = {"clean": (1.0, 3.0), "mid": (0.7, 3.7), "noisy": (0.4, 5.0)}


def true_loss(model, size, coefficient):
    return 1 + 300 * model**-0.35 + coefficient * size**-0.4


def grid(seeds, *, column, share=True):
    """Mixes by model by size, as most published tables are."""
    rng = np.random.default_rng(0)
    return [
        {"quality": mix, "model": m, "size": n, "loss": true_loss(m, n, b) + 0.004 * rng.standard_normal()}
        | ({"seed": k} if column else {})
        | ({"share": s} if share else {})
        for mix, (s, b) in MIXES.items()
        for m in MODELS
        for n in SIZES
        for k in range(seeds)
    ]


def by_name(forecast):
    return {score.name: score for score in forecast.scores}


def test_a_law_that_takes_models_for_seeds_has_no_criterion():
    forecast = forecast_sizes(read_table(grid(1, column=False, share=False)), "loss")
    found = by_name(forecast)
    # a law that would take models for seeds is not fitted at all
    assert "power" not in found
    assert "power: can't tell rows apart that differ in 'model'" in forecast.skipped
    # one run a cell: nothing tells the noise for the others, which is no fault of theirs
    assert found["chinchilla"].aicc is None
    assert "AICc" not in found["chinchilla"].note
    assert forecast.chosen_law.name == "chinchilla"


def test_a_grid_of_model_and_size_with_seeds_is_forecast():
    forecast = forecast_sizes(read_table(grid(3, column=True)), "loss")
    found = by_name(forecast)
    assert forecast.chosen_law.name == "chinchilla"
    assert found["chinchilla"].aicc is not None
    assert found["chinchilla"].error < 0.005
    assert [one for one in forecast.skipped if one.startswith("power")] == [
        "power: can't tell rows apart that differ in 'model'"
    ]
    # three pairs of mixes in each of three models
    assert found["chinchilla"].decisions.pairs == 9


def test_the_baselines_of_a_grid_stay_with_their_model():
    rows = grid(1, column=False, share=False)
    found = by_name(forecast_sizes(read_table(rows), "loss", laws=["chinchilla"]))
    value = {(r["quality"], r["model"], r["size"]): r["loss"] for r in rows}
    off = [
        abs(value[mix, m, 800] - value[mix, m, 1600]) / value[mix, m, 1600] for mix in MIXES for m in MODELS
    ]
    assert found["last value"].error == pytest.approx(np.mean(off))
    nearest = by_name(forecast_quality(read_table(grid(1, column=False)), "loss", "noisy"))["nearest quality"]
    off = [
        abs(value["mid", m, n] - value["noisy", m, n]) / value["noisy", m, n] for m in MODELS for n in SIZES
    ]
    assert nearest.error == pytest.approx(np.mean(off))


def test_what_was_never_seen_smaller_is_not_scored():
    rows = [row for row in grid(1, column=False, share=False) if row["model"] == 2e7]
    only_large = {"quality": "new", "model": 2e7, "size": 1600, "loss": 9.0}
    with_new = forecast_sizes(read_table([*rows, only_large]), "loss", laws=["power"])
    without = forecast_sizes(read_table(rows), "loss", laws=["power"])
    assert by_name(with_new)["last value"].error == by_name(without)["last value"].error
    assert "1 row above size 800, for no smaller size of them was measured" in with_new.skipped
    alone = [{"quality": f"of {n}", "size": n, "loss": 1 + 1 / n} for n in SIZES]
    with pytest.raises(InputError, match="nothing measured above size 800 was measured at a smaller size"):
        forecast_sizes(read_table(alone), "loss")


def test_laws_of_one_quality_and_of_all_are_judged_by_one_noise():
    # with a coefficient for each quality a joint law can say all that laws of single qualities say
    def terms(_, x):
        own = [(x["share"] == s).astype(float) for s in (1.0, 0.7, 0.4)]
        return np.stack([*own, *(one * 10 / x["size"] for one in own)], axis=-1)

    def linear(name, inputs, count, terms):
        names = [f"{name} {i}" for i in range(count)]
        constants = tuple(Parameter(n, "metric", -np.inf, np.inf, scale="linear") for n in names)
        return Law(name=name, formula="", source="a test", inputs=inputs, metric="loss", shapes=(),
                   coefficients=constants, terms=terms)  # fmt: skip

    joint = linear("joint", ("size", "share"), 6, terms)
    apart = linear(
        "apart", ("size",), 2, lambda _, x: np.stack([np.ones(len(x["size"])), 10 / x["size"]], axis=-1)
    )
    table = simulated(TRUTHS["noise_floor"], 0)
    fits = {law.name: fit_each(table, "loss", law) for law in (joint, apart)}
    assert set(fits["apart"]) == set(table.qualities)
    found = criteria_of(fits, [joint, apart], table.measured("loss"))
    # six constants each, so the criteria differ by the misfit alone: by the whole noise, seeds shared
    problem = problem_of(table, "loss", joint)
    predicted = np.concatenate([fit.predict(fit.problem.x) for fit in fits["apart"].values()])
    squares = np.sum((problem.root @ (problem.y - predicted)) ** 2)
    assert found["apart"].bic - found["joint"].bic == pytest.approx(
        squares - 2 * fits["joint"]["all"].objective
    )
    assert found["apart"].bic >= found["joint"].bic
    # apart from the joint law, each quality's own noise is all there is
    alone = criteria_of({"apart": fits["apart"]}, [apart], table.measured("loss"))["apart"]
    own = 2 * sum(fit.objective for fit in fits["apart"].values())
    assert alone.bic == pytest.approx(own + 6 * np.log(21))


def test_laws_of_the_registry_that_see_the_same_cells_are_compared():
    table = simulated(TRUTHS["noise_floor"], 0)
    forecast = forecast_sizes(table, "loss")
    assert all(score.aicc is not None for score in forecast.scores if not score.is_baseline)
    lowest = min((s for s in forecast.scores if s.aicc is not None), key=lambda s: s.aicc)
    assert lowest.name == "noise_floor"
    assert LAWS["noise_floor"].joint


def test_a_law_that_saw_other_cells_has_no_criterion_beside_the_others():
    rows = grid(2, column=True, share=False)
    table = read_table(rows)
    # models read as seeds, as a table without their column has them
    blind = [{**row, "seed": 2 * MODELS.index(row["model"]) + row["seed"], "model": None} for row in rows]
    blind = read_table([{name: value for name, value in row.items() if name != "model"} for row in blind])
    fits = {"chinchilla": fit_each(table, "loss", "chinchilla"), "power": fit_each(blind, "loss", "power")}
    found = criteria_of(fits, [LAWS["chinchilla"], LAWS["power"]], table.measured("loss"))
    assert found["chinchilla"].aicc is not None
    assert found["power"].aicc is None
    assert found["power"].reason.endswith("for seeds of 15 cells, not of 45")
