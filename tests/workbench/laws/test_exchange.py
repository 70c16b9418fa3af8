"""The exchange rate on studies shaped as real ones are: few sizes, few seeds, failures, saturation."""

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.laws import analyse, exchange_rate, fit_curves, read_table
from workbench.laws.curves import constants_of, curve_laws, falling_term, fit_curve, interpolate, monotone

SIZES = (32, 128, 512, 2048)


def study(curves, *, seeds=3, spread=0.01, seed=0, metric="loss", zero_shot=None):
    """A study whose true curves are known: rows of quality x size x seed with Gaussian noise."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "quality": q,
            "size": n,
            "seed": s,
            "status": "done",
            metric: curve(n) + spread * rng.standard_normal(),
        }
        for q, curve in curves.items()
        for n in SIZES
        for s in range(seeds)
    ]
    if zero_shot is not None:
        rows.append({"quality": None, "size": 0, "seed": 0, "status": "done", metric: zero_shot})
    return rows


def test_recovers_a_known_rate():
    # with one exponent and one floor, three noisy examples are worth one clean at every size
    rows = study(
        {"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1 + 3 * (n / 3) ** -0.4}, spread=0.002
    )
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    assert np.all((answer.fitted.low[:3] <= 3) & (answer.fitted.high[:3] >= 3))
    for rates in (answer.fitted, answer.model_free):
        np.testing.assert_allclose(rates.median[:3], 3, rtol=0.05)
        # 2048 clean need 6144 noisy, which nobody tried
        assert rates.not_reached[3] > 0.95
        assert np.isinf(rates.median[3])
    assert "takes 3 times" in answer.sentence(128)
    assert "no amount" in answer.sentence(2048)


def test_two_equal_qualities_are_called_equal():
    rows = study({"clean": lambda n: 1 + 3 * n**-0.4, "same": lambda n: 1 + 3 * n**-0.4}, spread=0.02, seed=3)
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="same")
    assert answer.fitted.low[1] < 1 < answer.fitted.high[1]
    assert "can't tell" in answer.sentence(128)


@pytest.mark.parametrize("metric", ["exact_match", "choice_accuracy"])
def test_saturated_and_bumpy_scores_give_an_answer_with_an_interval(metric):
    scores = {
        "clean": [0.70, 0.90, 0.88, 0.90],
        "noisy": [0.24, 0.33, 0.30, 0.82],
        "flat": [0.5, 0.5, 0.5, 0.5],
    }
    rows = study(
        {q: dict(zip(SIZES, v, strict=True)).get for q, v in scores.items()}, metric=metric, zero_shot=0.0
    )
    table = read_table(rows)
    for other in ("noisy", "flat"):
        answer = exchange_rate(table, metric, reference="clean", other=other)
        assert np.all(answer.best.low <= answer.best.high)
        assert "probability" in answer.sentence() or "interval" in answer.sentence()
    assert exchange_rate(table, metric, reference="clean", other="flat").model_free.not_reached.min() > 0.95


def test_no_better_than_no_training_is_said():
    rows = study({"clean": lambda n: 0.83, "noisy": lambda n: 0.7}, metric="choice_accuracy", zero_shot=0.9)
    answer = exchange_rate(read_table(rows), "choice_accuracy", reference="clean", other="noisy")
    assert "no better than no training" in answer.sentence()


def test_failed_cells_are_named_and_do_no_harm():
    rows = study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1 + 3 * (n / 3) ** -0.4})
    for i in (4, 13, 14):
        rows[i] |= {"status": "failed", "loss": None}
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    assert any("3 of 24 cells failed" in note and "noisy at 32" in note for note in answer.notes)
    assert np.isfinite(answer.fitted.low[:3]).all()


def test_one_seed_gives_no_number():
    rows = study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1 + 4 * n**-0.4}, seeds=1)
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    assert answer.fitted is None
    assert answer.model_free is None
    assert "no interval can be given" in answer.sentence()
    assert not any(character.isdigit() for character in answer.sentence().replace("3 seeds", ""))
    assert fit_curves(read_table(rows), "loss")["clean"].low is None


def test_two_sizes_fall_back_to_the_measurements_and_say_so():
    rows = [
        r
        for r in study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 2 + 3 * n**-0.4})
        if r["size"] < 512
    ]
    answer = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy")
    assert answer.fitted is None
    assert answer.best is answer.model_free
    assert any("only the model-free" in note for note in answer.notes)


def test_same_seed_same_numbers():
    table = read_table(study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1 + 4 * n**-0.4}))
    one, two = (exchange_rate(table, "loss", reference="clean", other="noisy", seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.fitted.median, two.fitted.median)


def test_bands_hold_the_true_curve():
    rows = study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 1.5 + 4 * n**-0.4}, seed=2)
    band = fit_curves(read_table(rows), "loss")["clean"]
    truth = 1 + 3 * band.size**-0.4
    assert np.mean((band.low <= truth) & (truth <= band.high)) > 0.8
    assert band.kind == "fitted"


def test_unknown_quality_offers_the_nearest():
    table = read_table(study({"clean": lambda n: 1 + 3 * n**-0.4, "noisy": lambda n: 2.0}))
    with pytest.raises(InputError, match="Did you mean 'clean'"):
        exchange_rate(table, "loss", reference="clea", other="noisy")


@pytest.mark.parametrize("name", sorted(curve_laws()))
def test_a_curve_recovers_its_law(name):
    law = curve_laws()[name]
    size = np.geomspace(10, 100_000, 9)
    shapes = {p.name: np.sqrt(p.grid[0] * p.grid[1]) for p in law.shapes}
    ends = {"E": 1.0, "B": 2.0 if name == "power" else 2000.0, "floor": 0.1, "ceiling": 0.8}
    constants = shapes | {p.name: ends[p.name] for p in law.coefficients}
    value = law.predict(constants, {"size": size})
    fit = fit_curve(law, size, value[None], np.ones(9), floor=0.1)
    np.testing.assert_allclose(fit.predict(size)[0], value, atol=2e-4)
    # the law's own constants, and not merely some numbers that draw the same line
    assert fit.constants() == pytest.approx(constants, rel=5e-3)


def test_trial_values_of_a_curve_are_each_the_law():
    law, size = curve_laws()["rectified"], np.array([32.0, 512.0, 8192.0])
    theta = np.array([[10.0, 0.4], [500.0, 0.9]])
    for (learned, beta), term in zip(theta, falling_term(law, theta, size), strict=True):
        whole = law.predict({"learned": learned, "beta": beta, "E": 0.0, "B": 1.0}, {"size": size})
        np.testing.assert_array_equal(term, whole)


def test_monotone_matches_pooling_by_hand():
    got = monotone(np.array([[3.0, 1.0, 2.0, 0.5]]), np.array([1.0, 1.0, 3.0, 1.0]), falling=True)
    np.testing.assert_allclose(got, [[3.0, 1.75, 1.75, 0.5]])


def test_interpolation_stops_where_the_measurements_stop():
    got = interpolate(np.array([10.0, 1000.0]), np.array([[1.0, 3.0]]), [10, 100, 1000, 1001])
    np.testing.assert_allclose(got, [[1, 2, 3, np.nan]])


def test_a_law_that_misses_is_said_and_its_intervals_cover_the_miss():
    # a plateau, a drop and a plateau: no power law comes near
    curves = {
        q: dict(zip(SIZES, (2.0 + k, 1.9 + k, 1.2 + k, 1.1 + k), strict=True)).get
        for k, q in enumerate(("clean", "noisy"))
    }
    analysis = analyse(read_table(study(curves, spread=0.02)), "loss", bootstraps=50)
    assert analysis.misfit < 1e-4
    assert not analysis.trusted
    assert any("its intervals are widened to match" in note for note in analysis.notes)
    weights = [3 / spread**2 for spread in np.split(analysis.noise.spread, 2)]
    pairs = list(zip(analysis.curves.values(), weights, strict=True))
    squares = sum(fit_curve(analysis.law, c.size, c.mean[:1], weight).misfit[0] for c, weight in pairs)
    # 8 means less 2 laws of 3 constants
    factor = np.sqrt(squares / 2)
    assert factor > 5
    for curve, weight in pairs:
        moved = factor * (curve.mean - curve.mean[:1])
        wide = fit_curve(analysis.law, curve.size, curve.mean[:1] + moved, weight)
        np.testing.assert_allclose(curve.predict(SIZES), wide.predict(np.array(SIZES, dtype=float)))


def test_the_floor_of_an_accuracy_is_given_and_no_constant_to_be_found():
    found = {name: constants_of(law) for name, law in curve_laws().items()}
    assert found.items() >= {"power": 3, "rectified": 4, "bounded": 3}.items()
    scores = {"clean": lambda n: n / (n + 100), "noisy": lambda n: n / (n + 400)}
    rows = [row for row in study(scores, metric="exact_match", zero_shot=0.0) if row["size"] < 2048]
    analysis = analyse(read_table(rows), "exact_match", bootstraps=50)
    assert all(curve.fitted for curve in analysis.curves.values())
    # three sizes for three constants leave nothing to disagree
    assert analysis.misfit is None
