"""Advice about tables of measurements that were made elsewhere, and about laws."""

import re
from dataclasses import replace

import numpy as np
import pytest
from following import FEW, between, follows, options_in, told

from workbench.laws import analyse, read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.fitting import Problem, fit_law
from workbench.laws.forecast import forecast_quality, forecast_sizes
from workbench.laws.formula import tree_of
from workbench.laws.library import LAWS
from workbench.laws.noise import estimate_noise
from workbench.laws.planner import detectable, smallest_difference
from workbench.laws.problems import fit_table
from workbench.laws.purchases import Offer, Purse, plan_purchases
from workbench.laws.replicates import arrange
from workbench.laws.simulate import TRUTHS, simulated

GRID = [(q, n, s) for q in "ab" for n in (4, 8, 16, 32) for s in (0, 1)]


def loss(quality: str, size: int, seed: int) -> float:
    return round(3 / size + (quality == "b") + seed / 50, 4)


@follows("can't be read; expected OURS=THEIRS")
def test_columns_without_a_name(write, refused, fits):
    path = write("tokens,loss", *[(n, 1 / n) for n in (1, 2, 4, 8)])
    message = refused("fit", path, "--columns", "size")
    fits(path, "--columns", between(message, "such as ", " if"))


@follows("the least is {least}")
@pytest.mark.parametrize("option", ["--hold-out", "--bootstraps", "--seed"])
def test_a_number_too_small(write, refused, fits, option):
    path = write("size,loss", *[(n, 1 / n) for n in (1, 2, 4, 8)])
    message = refused("fit", path, option, "-1")
    fits(path, *between(message, "least is .*: ").split())


@follows("Say which one counts the examples", "--columns {shlex.quote(f'size={name}')}")
def test_no_sizes(write, refused, fits):
    path = write("mix,n seen,loss", *[(q, n, loss(q, n, 0)) for q, n, s in GRID if not s])
    message = refused("fit", path, "--columns", "quality=mix")
    assert options_in(message) == ["--columns", "size=n seen"]
    assert "qualities: a, b" in fits(path, "--columns", "quality=mix", *options_in(message))


@follows("None of them counts the examples; add one called 'size'")
def test_nothing_counts(write, refused, fits):
    refused("fit", write("name,loss", *[(f"run {n}", 1 / n) for n in (1, 2, 4, 8)]))
    fits(write("size,loss", *[(n, 1 / n) for n in (1, 2, 4, 8)]))


@follows("The columns are: {', '.join(present)}. Name one of them")
def test_a_mistyped_column(write, refused, fits):
    path = write("tokens,loss", *[(n, 1 / n) for n in (1, 2, 4, 8)])
    message = refused("fit", path, "--columns", "size=tokns")
    fits(path, "--columns", f"size={between(message, 'are: ', ',')}")


@follows("expected a finite number. Leave the field empty")
def test_a_loss_that_is_not_finite(write, refused, fits):
    rows = [(n, 1 / n) for n in (1, 2, 4, 8)]
    assert "'failed' in a column 'status'" in refused("fit", write("size,loss", *rows, (16, "nan")))
    fits(write("size,loss", *rows, (16, "")))
    fits(write("size,loss,status", *[(*row, "") for row in rows], (16, "nan", "failed")))


@follows("Write one of them there, or leave the row out")
def test_an_unknown_status(write, refused, fits):
    rows = [(n, 1 / n, "done") for n in (1, 2, 4, 8)]
    message = refused("fit", write("size,loss,status", *rows, (16, 0.1, "ok")))
    known = between(message, "one of ", ", or a").split(", ")
    for word in [*known, *re.split(", | or ", between(message, "such as ", r"\."))]:
        fits(write("size,loss,status", *rows, (16, 0.1, word)))
    fits(write("size,loss,status", *rows))


def test_no_run_is_finished(write, refused, fits):
    rows = [(n, 1 / n) for n in (1, 2, 4, 8)]
    message = refused("fit", write("size,loss,status", *[(*row, "running") for row in rows]))
    assert "Add rows of runs that are." in message
    more = [(n, 1 / n, "finished") for n in (16, 32, 64, 128)]
    fits(write("size,loss,status", *[(*row, "running") for row in rows], *more))


@follows("choose it, as with --evaluation", "choose one of them, as with --evaluation")
def test_several_evaluations(write, refused, fits):
    rows = [(n, e, 1 / n) for n in (1, 2, 4, 8) for e in ("my test", "")]
    path = write("size,evaluation,loss", *rows)
    for wrong in ([], ["--evaluation", "tset"]):
        message = refused("fit", path, *wrong)
        fits(path, *options_in(message))
    for name in re.findall("'(.*?)'", between(message, "There are: ", ";")):
        fits(path, "--evaluation", name)


@follows("Leave --evaluation out, or")
def test_an_evaluation_without_a_column(write, refused, fits):
    path = write("size,judge,loss", *[(n, "x", 1 / n) for n in (1, 2, 4, 8)])
    message = refused("fit", path, "--evaluation", "x")
    fits(path)
    fits(path, *options_in(message)[-2:][:1], "evaluation=judge", "--evaluation", "x")


@follows("the same cell twice")
def test_a_cell_twice(write, refused, fits):
    rows = [(n, 0, 1 / n) for n in (1, 2, 4, 8)]
    refused("fit", write("size,seed,loss", *rows, (8, 0, 0.126)))
    fits(write("size,seed,loss", *rows))
    fits(write("size,seed,loss", *rows, (8, 1, 0.126)))


@follows("judge by it: --metric {shlex.quote(first)}")
@pytest.mark.parametrize("wrong", [[], ["--metric", "exact_match"]])
def test_another_metric(write, refused, fits, wrong):
    path = write("size,lr,val loss,exact_match", *[(n, n * 2, 1 / n, 0.5) for n in (1, 2, 4, 8)])
    message = refused("fit", path, *wrong)
    assert options_in(message) == ["--metric", "val loss"]
    assert "of val loss" in fits(path, *options_in(message))


@follows("a loss is above 0")
def test_an_accuracy_called_loss(write, refused, fits):
    rows = [(n, 1 - 1 / n) for n in (1, 2, 4, 8, 16)]
    message = refused("fit", write("size,loss", *rows))
    options = between(message.replace("NAME", "loss"), "accuracy: ", ";").split()
    fits(write("size,loss", *rows), *options)
    fits(write("size,loss", (1, ""), *rows[1:]))


@follows("Write shares, not percent", "--columns {ours}=NAME --metric {ours}")
def test_percent(write, refused, fits):
    rows = [(n, 100 - 100 / n) for n in (2, 4, 8, 16)]
    message = refused("fit", write("size,acc", *rows), "--metric", "acc")
    fits(write("size,acc", *[(n, value / 100) for n, value in rows]), "--metric", "acc")
    path = write("size,acc", *[(n, 10 + 10 / n) for n in (1, 2, 4, 8)])
    message = refused("fit", path, "--metric", "acc")
    fits(path, *options_in(message.replace("NAME", "acc")))


@follows("Use one unit for the whole column")
def test_two_units(write, refused, fits):
    rows = [(n, s, 1 / n + s / 50) for n in (1, 2, 4, 8) for s in (0, 1)]
    refused("fit", write("size,seed,loss", *rows[:-1], (8, 1, 14.5)))
    fits(write("size,seed,loss", *rows))
    fits(write("size,seed,loss", *rows[:-1], (8, 1, "")))


@follows("which this law needs. ")
def test_a_column_that_the_law_needs(write, refused, fits):
    rows = [(n, p, m, 1 / n + 1 / m) for n in (1, 2, 4, 8) for p, m in ((1, 10), (2, 20))]
    plain = write("size,seed,params,loss", *[(n, p, m, value) for n, p, m, value in rows])
    message = refused("fit", plain, "--law", "multiplicative")
    column = between(message, r"it \(--columns ", r"=NAME\)")
    fits(plain, "--law", "multiplicative", "--columns", f"{column}=params")
    fits(plain, *options_in(message)[-2:])
    holes = write("size,seed,model,loss", *rows[:-1], (8, 2, "", 0.2))
    refused("fit", holes, "--law", "multiplicative")
    fits(write("size,seed,model,loss", *rows), "--law", "multiplicative")


@follows("Add rows in which it differs", "every row has one size")
@pytest.mark.parametrize("law", ["auto", "power"])
def test_one_size(write, refused, fits, law):
    rows = [(8, 1 + k / 9) for k in range(5)]
    message = refused("fit", write("size,loss", *rows), "--law", law)
    wanted = int(between(message, "at least ", " "))
    more = [(2**k, 9 / 2**k) for k in range(4, 3 + wanted)]
    fits(write("size,loss", *rows, *more), "--law", law)
    if law != "auto":
        fits(write("size,loss", *rows), *options_in(message))


def test_one_model(write, refused, fits):
    rows = [(n, 10, 1 / n) for n in (1, 2, 4, 8)]
    message = refused("fit", write("size,model,loss", *rows), "--law", "chinchilla")
    fits(write("size,model,loss", *rows), *options_in(message))
    fits(write("size,model,loss", *rows, (8, 20, 0.1)), "--law", "chinchilla")


@follows("more size{'s' * (lacking > 1)}{instead}")
@pytest.mark.parametrize(("law", "cells"), [("power", 2), ("rectified", 3), ("bounded", 3)])
def test_too_few_cells(write, refused, fits, law, cells):
    metric = LAWS[law].metric.replace("accuracy", "exact_match")
    rows = [(2**k, 0.5**k if metric == "loss" else 1 - 0.5**k) for k in range(1, 9)]
    options = ["--metric", metric]
    path = write(f"size,{metric}", *rows[:cells])
    message = refused("fit", path, *options, "--law", law)
    fits(path, *options, *options_in(message))
    more = int(between(message, "Add rows of ", " more"))
    fits(write(f"size,{metric}", *rows[: cells + more]), *options, "--law", law)


def test_the_quality_with_too_few_cells_is_named(write, followed, fits):
    rows = [(q, n, loss(q, n, 0)) for q, n, s in GRID if not s]
    said = followed("fit", write("quality,size,loss", *rows[:-2]), *FEW, "--law", "power")
    message = between(said, "No law: ", "\n")
    assert "here are 2 of quality 'b'" in message
    fits(write("quality,size,loss", *rows[:-2]), *options_in(message))
    fits(write("quality,size,loss", *rows[:-1]), "--law", "power")


@follows("{' or '.join(suited)}", "Choose another law, such as ")
def test_a_law_or_a_curve_of_the_other_kind(write, refused, fits):
    path = write("size,f1", *[(n, 1 - 0.9 / n) for n in (1, 2, 4, 8)])
    message = refused("fit", path, "--metric", "f1", "--law", "power")
    fits(path, "--metric", "f1", *options_in(message))
    message = refused("fit", write("size,loss", (1, 2), (2, 1), (4, 0.7)), "--law", "bounded")
    fits(write("size,loss", (1, 2), (2, 1), (4, 0.7)), *options_in(message))
    table = read_table([{"size": n, "loss": 1 / n} for n in (1, 2, 4, 8)])
    for law in between(told(analyse, table, "loss", law="bounded"), "choose ", r"\.").split(" or "):
        analyse(table, "loss", law=law)


@follows("a share of 0 means no effective data")
def test_a_share_of_0(write, fits):
    rows = [(n, share, (2 - share) / n, f"q{share}") for n in (1, 2, 4) for share in (0, 0.5, 1)]
    path = write("size,share,loss,quality", *rows)
    message = told(fit_table, read_table(path), "loss", "quality_exponent")
    fits(path, *options_in(message))
    fits(write("size,share,loss,quality", *[row for row in rows if row[1]]), "--law", "quality_exponent")


@follows("Keep the rows of one seed")
def test_seeds_that_agree(write, refused, fits):
    rows = [(n, s, 1 / n) for n in (1, 2, 4, 8) for s in (0, 1)]
    refused("fit", write("size,seed,loss", *rows), "--law", "power")
    fits(write("size,seed,loss", *rows[::2]), "--law", "power")


@pytest.mark.parametrize(("sizes", "hold_out"), [(3, 1), (1, 1), (4, 2), (6, 9)])
def test_too_few_sizes_for_a_forecast(write, followed, sizes, hold_out):
    rows = [(q, 2**k, s, loss(q, 2**k, s)) for q in "ab" for k in range(20) for s in (0, 1)]
    options = ["--hold-out", str(hold_out), *FEW, "--law", "free"]
    few = [row for row in rows if row[1] < 2**sizes]
    message = between(followed("fit", write("quality,size,seed,loss", *few), *options), "No forecast: ", "\n")
    if "--hold-out" in message:
        options[:2] = options_in(message)
    else:
        sizes += int(between(message, "Add rows of ", " more"))
    enough = [row for row in rows if row[1] < 2**sizes]
    assert "Forecast of" in followed("fit", write("quality,size,seed,loss", *enough), *options)


@pytest.mark.parametrize("option", ["--law", "--reference"])
def test_a_mistyped_name(write, refused, fits, option):
    path = write("quality,size,seed,loss", *[(f"{q}-text", n, s, loss(q, n, s)) for q, n, s in GRID])
    wrong, other = {"--law": ("pwer", ()), "--reference": ("a-txt", ("--law", "power"))}[option]
    message = refused("fit", path, option, wrong, *other, *FEW)
    fits(path, option, between(message, "Did you mean '", "'"), *other)


SINGLE = [{"quality": q, "size": n, "seed": 0, "loss": loss(q, n, 0)} for q, n, s in GRID if not s]
THREE = simulated(TRUTHS["power"], 0)


@follows(
    "so no rate is. Train the same cells",
    "can't tell a difference from noise; plan at least 2",
    "the noise floor is unknown. Run a few cells with 3 seeds first",
    "so no purchase is advised. Run 3 seeds",
)
def test_one_seed():
    alone, three = analyse(read_table(SINGLE), "loss"), analyse(THREE, "loss", bootstraps=40)
    told(estimate_noise, arrange(read_table(SINGLE), "loss"))
    estimate_noise(arrange(THREE, "loss"))
    message = told(smallest_difference, 0.01, seeds=1)
    for seeds in re.findall(r"\d+", message)[1:]:
        smallest_difference(0.01, seeds=int(seeds))
    told(detectable, alone)
    detectable(three)
    offer, budget = Offer(name="more", quality="clean", price=1), Purse(money=1)
    silent = replace(three, noise=None)
    told(plan_purchases, silent, [offer], quality="clean", size=256, budget=budget)
    plan_purchases(three, [offer], quality="clean", size=256, budget=budget)


@follows("and so few draws show no interval of")
def test_too_few_draws():
    message = told(analyse, THREE, "loss", bootstraps=39)
    for draws in (between(message, "give at least ", ","), between(message, "as bootstraps=")):
        analyse(THREE, "loss", bootstraps=int(draws))


@follows("is 0 in a cell, and cells of one seed", "is judged by its relative error. Judge by another metric")
def test_a_loss_of_0():
    rows = [{"size": n, "loss": max(0.0, 8 / n - 1), "exact_match": 1 - 1 / n} for n in (1, 2, 4, 8, 16)]
    table = read_table(rows, measured_here=True)
    told(fit_table, table, "loss", "power")
    told(forecast_sizes, table, "loss")
    fit_table(table, "exact_match", "bounded")
    forecast_sizes(table, "exact_match")
    twice = [{**row, "loss": row["loss"] + seed / 50} for row in rows for seed in (0, 1)]
    fit_table(read_table(twice, measured_here=True), "loss", "power")


@follows(
    "is no table. Give a file, a list of rows, or columns by name",
    "Give every column one value per row",
    "lists of item outcomes for",
    "Give the items' weights, such as their tokens",
)
def test_tables_in_python(write):
    told(read_table, 5)
    for source in (write("size,loss", (1, 2)), [{"size": 1, "loss": 2}], {"size": [1], "loss": [2]}):
        read_table(source)
    told(read_table, {"size": [1, 2], "loss": [2]})
    read_table({"size": [1, 2], "loss": [2, 1]})
    table = read_table([{"size": 1, "loss": 2.5}, {"size": 2, "loss": None}])
    told(table.with_items, "loss", [[1.0, 3.0]])
    told(table.with_items, "loss", [[1.0, 3.0], None])
    table.with_items("loss", [[1.0, 3.0], None], weight=[1.0, 3.0])
    table.with_items("loss", [[2.0, 3.0], None])


@follows("(name yours with columns={'share': NAME})")
def test_a_forecast_of_a_quality():
    rows = [
        {"quality": q, "clean": s, "size": n, "loss": 1 + 1 / n + (1 - s) / 2}
        for q, s in (("a", 1.0), ("b", 0.5), ("c", 0.2))
        for n in (1, 2, 4, 8)
    ]
    message = told(forecast_quality, read_table(rows), "loss", "b")
    ours = between(message, r"columns=\{'", "'")
    table = read_table(rows, columns={ours: "clean"})
    forecast_quality(table, "loss", "b")
    told(forecast_quality, table.where(np.array([row.quality != "c" for row in table.rows])), "loss", "b")


@follows("or use workers=1", "give the problem delta=None")
def test_fits_in_python():
    law = replace(LAWS["power"], terms=lambda shapes, x: LAWS["power"].terms(shapes, x))
    fit = fit_table(read_table(SINGLE), "loss", law)
    message = told(bootstrap, fit, 4, workers=2)
    bootstrap(fit, 4, workers=int(between(message, "workers=", r"\.")))
    size = np.array([1.0, 2.0, 4.0, 8.0])
    problem = Problem({"size": size}, 1 / size - 0.125, np.ones(4), delta=1e-3)
    told(fit_law, LAWS["power"], problem)
    fit_law(LAWS["power"], replace(problem, delta=None))


@follows("a space where two factors are multiplied")
def test_a_formula_for_a_page():
    told(tree_of, "E + B exp(-n)")
    told(tree_of, "E + B n**-beta!")
    assert tree_of("E + B / 3^(n / s)") == ["+", "E", ["/", "B", ["^", 3.0, ["/", "n", "s"]]]]
