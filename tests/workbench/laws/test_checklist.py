"""The points that somebody needs who judges a fit, each against what was done."""

import math
from dataclasses import fields

import pytest

from workbench.laws import read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.checklist import POINT_NAMES, Checklist, checklist
from workbench.laws.forecast import forecast_sizes
from workbench.laws.problems import fit_each, fit_table
from workbench.laws.sweep import best_of

ROWS = [
    {"split": s, "size": n, "seed": k, "lr": lr, "status": "done", "loss": 1 + 3 * n**-0.4 + lr + k / 99 / n}
    for s in ("train", "test")
    for n in (1, 2, 4, 8, 16)
    for k in (0, 1)
    for lr in (0.1, 0.2)
]
LOST = [
    {"split": "train", "size": 32, "seed": 0, "lr": 0.1, "status": "failed", "loss": None},
    {"split": "train", "size": 32, "seed": 1, "lr": 0.1, "status": "censored", "loss": 1.9},
    {"split": "train", "size": 32, "seed": 2, "lr": 0.1, "status": "running", "loss": 9},
    {"split": "train", "size": 16, "seed": 3, "lr": 0.1, "status": "done", "loss": None},
    {"split": "train", "size": 0, "seed": 0, "lr": 0.1, "status": "done", "loss": 5},
]


def points(rows: list[dict], law: str = "power", **options: object) -> Checklist:
    table = read_table(rows)
    fit = fit_table(table, "loss", law, **options)  # type: ignore[arg-type]
    return checklist(table, "loss", fit, bootstrap(fit, 3))


def test_what_was_left_out_is_counted_with_its_reason():
    table = best_of(read_table([*ROWS, *LOST], where={"split": "train"}), ["lr"], "loss")
    fit = fit_table(table, "loss", "power")
    forecast = forecast_sizes(table, "loss")
    said = checklist(table, "loss", fit, bootstrap(fit, 3), forecast=forecast)
    assert set(said.left_out.split("; ")) == {
        "20 other rows than --where asks for",
        "1 not finished",
        "10 not the best of its sweep over lr",
        "1 failed",
        "1 done without loss",
        "1 before any training",
    }
    assert said.points == "5 cells, means of 10 runs, and 1 stopped runs that bound the loss from above"
    assert said.learning_rate == "the best of each sweep over lr"
    assert said.replicates.startswith("2 to 2 runs a cell; the noise is that between them")
    assert "the noise that seeds show" in said.objective
    errors = {score.name: f"{score.error:.2%}" for score in forecast.scores}
    assert errors["power"] != errors["rectified"]
    assert said.held_out.startswith(errors["power"])
    other = fit_table(table, "loss", "rectified")
    assert checklist(table, "loss", other, bootstrap(other, 3), forecast=forecast).held_out.startswith(
        errors["rectified"]
    )
    # every row of the table is accounted for: fitted, a bound, or left out
    left = sum(int(part.split()[0]) for part in said.left_out.split("; "))
    assert left + 10 + 1 == len(ROWS) + len(LOST)


def test_single_runs_and_a_constant_that_is_held():
    rows = [{"size": n, "loss": 1 + 3 * n**-0.4 + 0.01 * math.sin(n)} for n in (1, 2, 4, 8, 16, 32)]
    said = points(rows, fixed={"E": 1.0})
    assert said.parameters == "beta, B fitted; E = 1 held"
    assert said.replicates.startswith("every run stands alone")
    assert said.objective == "squares of the residuals, each relative to its value"
    assert (said.left_out, said.bounds, said.model_size, said.learning_rate) == (
        "none",
        "none",
        None,
        "not said",
    )
    assert "residuals' size" in said.interval
    assert points(rows, delta=0.01).objective.startswith("Huber's loss of the log residual, threshold 0.01")


def test_a_constant_is_held_for_every_quality():
    rows = [
        {"quality": q, "size": n, "loss": 1.1 + b * n**-0.4 + 0.01 * math.sin(n)}
        for q, b in (("a", 3), ("b", 5))
        for n in (1, 2, 4, 8, 16, 32)
    ]
    fits = fit_each(read_table(rows), "loss", "power", fixed={"E": 1.0})
    assert {name: fit.values["E"] for name, fit in fits.items()} == {"a": 1.0, "b": 1.0}
    assert all(fit.free == 2 for fit in fits.values())


def test_a_bound_that_is_hit_is_said_with_its_value():
    rows = [{"size": n, "loss": 3 * n**-0.4 * (1 - 0.02 * math.log(n))} for n in (1, 2, 4, 8, 16, 32)]
    assert points(rows).bounds.startswith("E at its least value, ")


def test_parameters_of_a_model():
    rows = [{"size": n, "model": m, "loss": 1 + 1 / n + 1 / m} for n in (1, 2, 4) for m in (1, 2, 4)]
    table = read_table(rows)
    fit = fit_table(table, "loss", "chinchilla")
    draws = bootstrap(fit, 3)
    assert checklist(table, "loss", fit, draws).model_size == "not said"
    assert (
        checklist(table, "loss", fit, draws, model_counts="without-embeddings").model_size
        == "without embeddings"
    )


def test_every_point_has_a_line_and_a_name():
    assert [field.name for field in fields(Checklist)] == list(POINT_NAMES)
    said = points([{"size": n, "loss": 1 + 3 / n} for n in (1, 2, 4, 8)])
    assert len(list(said.lines())) == len(POINT_NAMES) - 1
    assert all(": " in line and not line.endswith(": ") for line in said.lines())


@pytest.mark.parametrize("law", ["power", "free", "rectified"])
def test_any_law_has_a_checklist(law):
    assert points([{"size": n, "loss": 1 + 3 / n} for n in (1, 2, 4, 8, 16)], law).law
