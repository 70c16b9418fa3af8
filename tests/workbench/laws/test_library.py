"""Every law in the registry recovers itself, and refuses what it can't be fitted to."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from workbench import laws
from workbench.errors import InputError
from workbench.laws import read_table
from workbench.laws.descent import descend, solve_in_box
from workbench.laws.fitting import Problem, fit_alike, fit_law, fit_values
from workbench.laws.forecast import candidates
from workbench.laws.formula import tree_of
from workbench.laws.library import LAWS, Law, Parameter, effective
from workbench.laws.problems import fit_each, fit_table, misfit, problem_of
from workbench.laws.simulate import TRUTHS, simulated

FITTED = sorted(set(LAWS) - {"free"})


def noiseless(name):
    """The cells of the law's own simulated study, without noise."""
    truth = TRUTHS[name]
    # a law of one quality is fitted to one quality
    settings = truth.settings if any(truth.settings.values()) else {truth.reference: {}}
    size = np.tile(truth.sizes, len(settings))
    x = {"size": size}
    for column in next(iter(settings.values())):
        x[column] = np.repeat([s[column] for s in settings.values()], len(truth.sizes))
    y = np.concatenate([truth.predict(quality, truth.sizes) for quality in settings])
    return truth, Problem(x, y, np.full(len(y), 100.0), freedom=50.0)


@pytest.mark.parametrize("name", FITTED)
def test_a_law_recovers_itself_from_its_own_curve(name):
    truth, problem = noiseless(name)
    fixed = {parameter: truth.values[parameter] for parameter in truth.fixed}
    fit = fit_law(LAWS[name], problem, fixed=fixed)
    for parameter, value in truth.values.items():
        assert fit.values[parameter] == pytest.approx(value, rel=2e-3), parameter
    assert fit.agreeing > 0.2
    assert fit.at_bounds == ()


@pytest.mark.parametrize("name", ["power", "chinchilla", "data_constrained"])
def test_a_law_recovers_itself_with_the_robust_loss(name):
    truth, problem = noiseless(name)
    robust = Problem(problem.x, problem.y, np.ones(len(problem.y)), delta=1e-3)
    fixed = {parameter: truth.values[parameter] for parameter in truth.fixed}
    shapes = {p.name: truth.values[p.name] * 1.2 for p in LAWS[name].shapes if p.name not in fixed}
    fit = fit_law(LAWS[name], robust, fixed=fixed, starts=[shapes])
    np.testing.assert_allclose(fit.predict(problem.x), problem.y, rtol=3e-4)


def test_the_robust_loss_finds_a_negative_shape():
    truth, problem = noiseless("floor_coefficient_exponent")
    law = LAWS["floor_coefficient_exponent"]
    values = {**truth.values, "gamma": -0.5, "kappa": -0.2}
    y = law.predict(values, problem.x)
    start = {"beta": 0.45, "gamma": -0.45, "kappa": -0.18}
    fit = fit_law(law, Problem(problem.x, y, np.ones(len(y)), delta=1e-3), starts=[start])
    assert fit.values == pytest.approx(values, rel=0.02)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_a_law_is_documented_and_its_search_is_bounded(name):
    law = LAWS[name]
    assert law.name == name
    assert law.formula
    assert law.source
    for parameter in law.shapes:
        assert parameter.low > 0 or parameter.scale == "linear"
        assert -np.inf < parameter.low < min(parameter.starts)
        assert max(parameter.starts) < parameter.high < np.inf
        assert parameter.unit


SYMBOLS = {"n": "size", "D": "size", "N": "model", "X": "model", "D_l": "learned"}
"""What the formulas call an input or a parameter by another name."""
NO_TREE = {"free", "repetition", "data_constrained"}
"""Laws whose formula says in words, or by a quantity of its own, what is computed."""
ARITHMETIC = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": lambda base, exponent: np.float64(base) ** exponent,
}


def computed(tree, values):
    """What a page computes from a formula's tree."""
    if isinstance(tree, str):
        return values[SYMBOLS.get(tree, tree)]
    if isinstance(tree, float):
        return tree
    return ARITHMETIC[tree[0]](computed(tree[1], values), computed(tree[2], values))


@pytest.mark.parametrize("name", sorted(set(LAWS) - NO_TREE))
@given(data=st.data())
def test_the_formula_is_the_function(name, data):
    law = LAWS[name]
    values = {
        # a constant that may be negative is tried there too
        p.name: data.draw(st.floats(p.low if p.low < 0 else max(p.low, 1e-3), min(p.high, 1e3)), label=p.name)
        for p in law.parameters
    }
    ranges = {"size": (1.0, 1e9), "model": (1e3, 1e12), "share": (0.01, 1.0), "unique": (1.0, 1e9)}
    x = {one: np.array([data.draw(st.floats(*ranges[one]), label=one)]) for one in law.inputs}
    if "unique" in x:
        # none but the examples seen can be distinct
        x["unique"] = np.minimum(x["unique"], x["size"])
    values |= {one: float(column[0]) for one, column in x.items()}
    assert law.predict(values, x)[0] == pytest.approx(computed(tree_of(law.formula), values), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "simpler"), [(name, simpler) for name, law in LAWS.items() for simpler in law.nests]
)
@given(data=st.data())
def test_a_law_becomes_the_simpler_ones_that_it_nests(name, simpler, data):
    law, one = LAWS[name], LAWS[simpler]
    ranges = {"size": (1.0, 1e6), "model": (1e3, 1e12), "share": (0.01, 1.0), "unique": (1.0, 1e6)}
    x = {column: np.array([data.draw(st.floats(*ranges[column]))]) for column in law.inputs}
    own = {p.name: data.draw(st.floats(max(p.low, 1e-3), min(p.high, 1e3))) for p in one.parameters}
    rest = {p.name for p in law.parameters} - set(own) - set(law.nests[simpler])
    # what is left over must not matter: the penalty's exponents without a penalty
    values = {**dict.fromkeys(rest, 1.0), **own, **law.nests[simpler]}
    assert set(one.inputs) <= set(law.inputs)
    assert law.predict(values, x) == pytest.approx(one.predict(own, x), rel=1e-9)


def test_repeats_can_hurt_and_those_of_noisy_data_sooner():
    truth = TRUTHS["noisy_overfitting"]

    def lowest(quality):
        size = np.geomspace(truth.sizes[0], truth.sizes[-1], 400)
        curve = truth.predict(quality, size)
        assert curve[-1] > curve.min() + 0.1, "the curve rises again"
        return size[curve.argmin()]

    assert lowest("60% spoiled, 100 unique") < lowest("30% spoiled, 100 unique")
    assert lowest("30% spoiled, 100 unique") < lowest("clean, 100 unique")


def test_a_formula_is_read_as_it_is_printed():
    assert tree_of("E + B n^-2") == ["+", "E", ["*", "B", ["^", "n", ["-", 0.0, 2.0]]]]
    assert tree_of("F (1 - s) / x^2") == ["/", ["*", "F", ["-", 1.0, "s"]], ["^", "x", 2.0]]


@pytest.mark.parametrize("formula", ["E + B log(n)", "E +", "E per size, B", "E % 2", "'E' + B", ""])
def test_a_formula_that_no_page_can_compute_is_refused(formula):
    with pytest.raises(InputError, match="a space where two factors are multiplied"):
        tree_of(formula)


def test_the_free_curve_passes_through_the_means():
    table = simulated(TRUTHS["power"], 0)
    problem = problem_of(table, "loss", "free")
    for fit in fit_each(table, "loss", "free").values():
        np.testing.assert_allclose(fit.residual, 0, atol=1e-8)
    assert len(problem.y) == 14


def test_the_free_curve_takes_either_kind_of_metric_and_is_no_candidate():
    for truth, metric in (("power", "loss"), ("bounded", "exact_match")):
        table = simulated(TRUTHS[truth], 0)
        for fit in fit_each(table, metric, "free").values():
            np.testing.assert_allclose(fit.residual, 0, atol=1e-8)
        assert "free" not in candidates(table, metric)


def test_a_users_own_law_needs_one_function():
    # 1 / log n: a law that nobody shipped
    own = Law(
        name="slow",
        formula="E + B / log(n)",
        source="a user",
        inputs=("size",),
        metric="loss",
        shapes=(),
        coefficients=(
            Parameter("E", "nats", 0.0, np.inf, scale="linear"),
            Parameter("B", "nats", 0.0, np.inf, scale="linear"),
        ),
        terms=lambda shapes, x: np.stack([np.ones(len(x["size"])), 1 / np.log(x["size"])], axis=-1),
    )
    rows = [{"size": n, "loss": 0.5 + 2 / np.log(n)} for n in (10, 100, 1000, 10_000)]
    fit = fit_table(read_table(rows), "loss", own)
    assert fit.values == pytest.approx({"E": 0.5, "B": 2.0})


def test_repeats_are_worth_less_and_less():
    # R* = 15: four epochs of one unit are worth 1 + 15 (1 - exp(-3/15))
    assert effective(np.array([1.0]), np.array([4.0]), 15.0)[0] == pytest.approx(1 + 15 * (1 - np.exp(-0.2)))
    assert effective(np.array([9.0]), np.array([4.0]), 15.0)[0] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("rows", "law", "message"),
    [
        ([{"size": n, "loss": 1 / n} for n in (1, 2)], "power", "needs at least 3 cells; here are 2"),
        ([{"size": n, "loss": 2.0} for n in (1, 2, 4, 8)], "power", "the metric is 2 in every cell"),
        ([{"size": 8, "loss": 2.0 + k} for k in range(5)], "power", "needs column 'size' to vary"),
        (
            [{"size": n, "loss": 1 / n} for n in (1, 2, 4, 8)],
            "chinchilla",
            "line 2: no number in column 'model'",
        ),
        ([{"size": n, "loss": 1 / n} for n in (1, 2, 4, 8)], "bounded", "is for accuracy, and 'loss' is not"),
        ([{"size": n, "loss": 1 / n} for n in (1, 2, 4, 8)], "pwer", "Did you mean 'power'"),
        (
            [{"size": n, "share": s, "loss": 1 / n} for n in (1, 2, 4) for s in (0, 1)],
            "quality_exponent",
            "a share of 0 means no effective data",
        ),
        (
            [
                {"size": n, "unique": u, "share": s, "loss": 1 / n}
                for n in (4, 8, 16)
                for s in (0, 1)
                for u in (2, 4)
            ],
            "noisy_overfitting",
            "a share of 0 means no effective data",
        ),
        (
            [{"size": n, "loss": 1 / n} for n in (1, 2, 4, 8)],
            "floor_coefficient",
            "no number in column 'share'",
        ),
        ([{"size": n, "loss": 1 / n} for n in (1, 2, 4, 8)], "overfitting", "no number in column 'unique'"),
    ],
)
def test_what_cannot_be_fitted_is_said(rows, law, message):
    with pytest.raises(InputError, match=message):
        fit_table(read_table(rows), "loss", law)


def test_a_parameter_on_its_bound_is_named():
    # a straight power law with no floor: the floor is fitted at 0, and that has to be said
    rows = [
        {"size": n, "loss": 5 * n**-0.3 * w}
        for n, w in zip((10, 30, 100, 300, 1000), (1, 1.01, 0.99, 1, 0.97), strict=True)
    ]
    assert fit_table(read_table(rows), "loss", "power").at_bounds == ("E",)


def test_a_wrong_law_is_not_believed():
    table = simulated(TRUTHS["noise_floor"], 0)
    assert misfit(fit_table(table, "loss", "noise_floor")) > 0.01
    assert misfit(fit_table(table, "loss", "quality_exponent")) < 1e-6


def test_what_tells_qualities_apart_is_fitted_at_once():
    # each model is a quality here, and a law of model and size has to see them together
    table = simulated(TRUTHS["chinchilla"], 0)
    assert set(fit_each(table, "loss", "chinchilla")) == {"all"}
    assert set(fit_each(table, "loss", "power")) == set(table.qualities)


def test_a_censored_run_bounds_the_fit_from_above_only():
    rows = [{"size": n, "loss": 1 + 4 * n**-0.5} for n in (10, 30, 100, 300, 1000)]
    high = [*rows, {"size": 3000, "loss": 2.0, "status": "censored"}]
    low = [*rows, {"size": 3000, "loss": 1.02, "status": "censored"}]
    free, bounded, pulled = (fit_table(read_table(r), "loss", "power").values for r in (rows, high, low))
    assert bounded == pytest.approx(free, rel=1e-3)
    assert pulled["E"] < free["E"] - 0.005


def test_descent_stops_on_the_edge_of_the_box():
    goal = np.array([[3.0, -1.0], [1.0, 0.5]])
    x, cost = descend(lambda p, which: p - goal[which], np.zeros((2, 2)), np.full(2, -2.0), np.full(2, 2.0))
    np.testing.assert_allclose(x, [[2.0, -1.0], [1.0, 0.5]], atol=1e-6)
    np.testing.assert_allclose(cost, [0.5, 0.0], atol=1e-12)
    # a search that begins on the edge leaves it where the objective falls inside
    x, _ = descend(lambda p, which: p - goal[which], np.full((2, 2), -2.0), np.full(2, -2.0), np.full(2, 2.0))
    np.testing.assert_allclose(x, [[2.0, -1.0], [1.0, 0.5]], atol=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 3), st.booleans())
def test_coefficients_in_a_box_are_those_of_a_library(seed, terms, bounded):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((4, 8, terms)), rng.standard_normal((4, 8))
    low, high = np.zeros(terms), np.full(terms, 0.3 if bounded else np.inf)
    found = solve_in_box(a, b, low, high)
    for one, goal, got in zip(a, b, found, strict=True):
        expected = lsq_linear(one, goal, bounds=(low, high), method="bvls", tol=1e-13).x
        np.testing.assert_allclose(got, expected, atol=1e-7)


@pytest.mark.parametrize(
    "name", sorted(n for n, law in LAWS.items() if law.inputs == ("size",) and not law.model_free)
)
def test_many_fits_at_once_are_the_fits_one_by_one(name):
    law = LAWS[name]
    rng = np.random.default_rng(0)
    size = np.geomspace(10, 5000, 8)
    shapes = {p.name: p.starts[len(p.starts) // 2] for p in law.shapes}
    ends = {"E": 1.0, "B": 3.0, "floor": 0.1, "ceiling": 0.8}
    values = shapes | {p.name: ends[p.name] for p in law.coefficients}
    x = {"size": size}
    problem = Problem(x, law.predict(values, x), np.full(8, 100.0), freedom=9.0)
    fit = fit_law(law, problem)
    y = problem.y + 0.01 * rng.standard_normal((5, 8))
    together = fit_values(fit, y)
    for i, one in enumerate(y):
        alone = fit_law(law, replace(problem, y=one), starts=[fit.values])
        assert {k: v[i] for k, v in together.items()} == pytest.approx(alone.values, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("sizes", [[(32, 128, 512, 2048)] * 3, [(32, 128, 512, 2048), (64, 128, 512, 1024)]])
def test_problems_are_fitted_together_as_they_are_apart(sizes):
    rng = np.random.default_rng(3)
    problems = []
    for place, own in enumerate(sizes):
        x = np.array(own, dtype=float)
        mix = np.tril(rng.uniform(0.5, 1.5, (4, 4))) * 50
        root = mix if place else np.diag(mix)
        problems.append(Problem({"size": x}, 1 + (2 + place) * x**-0.4 + 0.03 * rng.standard_normal(4), root))
    for one, problem in zip(fit_alike(LAWS["power"], problems), problems, strict=True):
        alone = fit_law(LAWS["power"], problem)
        assert one.objective == pytest.approx(alone.objective, rel=1e-6)
        assert one.values == pytest.approx(alone.values, rel=1e-3)
        assert one.problem is problem


def test_laws_know_no_trainer():
    folder = Path(laws.__file__).parent
    modules = [*folder.rglob("*.py")]
    assert len(modules) > 10
    found = {
        name
        for path in modules
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [f"{node.module}.{alias.name}" for alias in node.names]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "torch" not in {name.split(".")[0] for name in found}
    rooms = {name.split(".")[1] for name in found if name.startswith("workbench.")}
    assert rooms <= {"laws", "errors", "files", "config", "conversions", "columns", "metrics", "showing"}


def test_ten_thousand_measurements_are_fitted():
    rng = np.random.default_rng(0)
    size = np.exp(rng.uniform(3, 12, 10_000))
    rows = {"size": size, "loss": (1 + 5 * size**-0.4) * np.exp(0.01 * rng.standard_normal(10_000))}
    table = read_table(rows)
    fit = fit_table(table, "loss", "power")
    assert fit.values["beta"] == pytest.approx(0.4, abs=0.01)
