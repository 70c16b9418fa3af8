"""Forecasts by hand: what each baseline says, how far off it is, and how intervals and criteria are made."""

import numpy as np
import pytest
from scipy.stats import chi2

from workbench.laws import read_table
from workbench.laws.forecast import Forecast, ForecastScore, candidates, forecast_quality, forecast_sizes
from workbench.laws.library import LAWS, Law, Parameter

SIZES = (10, 20, 40, 80, 160)
LOSS = {
    "a": (5.0, 3.0, 2.0, 1.5, 1.2),
    "b": (6.0, 4.0, 3.0, 2.6, 2.5),
    "c": (9.0, 7.0, 6.0, 5.5, 4.0),
}
SHARE = {"a": 1.0, "b": 0.6, "c": 0.5}


def table(values=LOSS, metric="loss", wobble=(0.0,)):
    return read_table(
        [
            {"quality": q, "share": SHARE[q], "size": n, "seed": k, metric: v + w}
            for q, row in values.items()
            for n, v in zip(SIZES, row, strict=True)
            for k, w in enumerate(wobble)
        ]
    )


def scores(forecast):
    return {score.name: score for score in forecast.scores}


def test_the_last_value_is_off_by_the_relative_difference():
    found = scores(forecast_sizes(table(), "loss", laws=["free"]))["last value"]
    errors = [1.5 / 1.2 - 1, 2.6 / 2.5 - 1, 5.5 / 4.0 - 1]
    assert found.error == pytest.approx(np.mean(errors))
    assert found.worst == pytest.approx(max(errors))


def test_the_line_goes_through_the_last_three_sizes_on_both_logarithms():
    found = scores(forecast_sizes(table(), "loss", laws=["free"]))["line through last three"]
    errors = []
    for *_, x, y, z, truth in LOSS.values():
        # least squares through three equal steps: their mean, and half the whole rise a step
        x, y, z = np.log([x, y, z])
        errors.append(abs(np.exp((x + y + z) / 3 + 2 * (z - x) / 2) - truth) / truth)
    assert found.error == pytest.approx(np.mean(errors))


def test_an_accuracy_is_forecast_on_a_straight_scale_up_to_one():
    values = {"a": (0.1, 0.2, 0.5, 0.9, 0.95), "b": (0.2, 0.3, 0.4, 0.55, 0.7)}
    forecast = forecast_sizes(table(values, "exact_match"), "exact_match", laws=["free"])
    line = (0.3 + 0.4 + 0.55) / 3 + 2 * (0.55 - 0.3) / 2
    assert scores(forecast)["line through last three"].error == pytest.approx(
        (abs(1.0 - 0.95) + abs(line - 0.7)) / 2
    )
    assert scores(forecast)["last value"].error == pytest.approx((0.05 + 0.15) / 2)


def test_holding_out_more_sizes_leaves_fewer_to_learn_from():
    forecast = forecast_sizes(table(), "loss", laws=["free"], hold_out=2)
    assert forecast.held_out == "sizes above 40"
    errors = [abs(row[2] - truth) / truth for row in LOSS.values() for truth in row[3:]]
    assert scores(forecast)["last value"].error == pytest.approx(np.mean(errors))


def test_scores_stand_best_first():
    errors = [score.error for score in forecast_sizes(table(), "loss", laws=["free", "noise_floor"]).scores]
    assert len(errors) == 4
    assert errors == sorted(errors)


def test_a_quality_is_forecast_from_the_one_of_the_nearest_share_at_the_same_size():
    found = forecast_quality(table(), "loss", "c", laws=["noise_floor"])
    errors = [abs(one - truth) / truth for one, truth in zip(LOSS["b"], LOSS["c"], strict=True)]
    assert scores(found)["nearest quality"].error == pytest.approx(np.mean(errors))
    # 'b' is 0.4 from 'a' and 0.1 from 'c'
    found = forecast_quality(table(), "loss", "b", laws=["noise_floor"])
    errors = [abs(one - truth) / truth for one, truth in zip(LOSS["c"], LOSS["b"], strict=True)]
    assert scores(found)["nearest quality"].error == pytest.approx(np.mean(errors))


def test_between_sizes_the_nearest_quality_is_read_in_log_size():
    rows = [
        {"quality": q, "share": s, "size": n, "loss": v}
        for q, s, cells in (
            ("far", 0.1, {8: 5.0, 64: 4.0}),
            ("near", 0.8, {8: 3.0, 64: 1.0}),
            ("asked", 1.0, {16: 2.0}),
        )
        for n, v in cells.items()
    ]
    found = forecast_quality(read_table(rows), "loss", "asked", laws=["noise_floor"])
    # 16 lies a third of the way from 8 to 64 in the logarithm
    assert scores(found)["nearest quality"].error == pytest.approx((3 - 2 / 3 - 2) / 2)


def test_an_interval_resamples_whole_qualities():
    # held out: two sizes a quality, on which the last value is off by 10%, 20% and 40% at each
    off = {"a": 1.1, "b": 1.2, "c": 1.4}
    values = {q: (9.0, 6.0, 4.0, 4 / f, 4 / f) for q, f in off.items()}
    score = scores(forecast_sizes(table(values), "loss", laws=["free"], hold_out=2))["last value"]
    assert score.error == pytest.approx(0.7 / 3)
    # all three draws fall on one quality once in 27 times, 3.7%: within 95%, beyond 90%
    assert (score.low, score.high) == pytest.approx((0.1, 0.4))


def test_with_two_qualities_an_interval_resamples_cells():
    values = {"a": (9.0, 6.0, 4.0, 4 / 1.1, 4 / 1.3), "b": (9.0, 6.0, 4.0, 4 / 1.1, 4 / 1.3)}
    score = scores(forecast_sizes(table(values), "loss", laws=["free"], hold_out=2))["last value"]
    # four cells, two at 10% and two at 30%: all four draws on one kind 1 time in 16
    assert score.error == pytest.approx(0.2)
    assert (score.low, score.high) == pytest.approx((0.1, 0.3))


def test_one_held_out_cell_has_no_interval():
    rows = [{"size": n, "loss": v} for n, v in zip(SIZES, LOSS["a"], strict=True)]
    forecast = forecast_sizes(read_table(rows), "loss", laws=["free"])
    assert all(score.low is None and score.high is None for score in forecast.scores)


def test_ranking_counts_the_pairs_in_the_right_order():
    # seen: a < b < c; held out: b < a < c, so one of three pairs is wrong
    values = {"a": (5, 3, 2, 1.5, 1.4), "b": (6, 4, 3, 2.0, 1.2), "c": (9, 7, 6, 5.5, 4.0)}
    found = scores(forecast_sizes(table(values), "loss", laws=["free"]))
    assert found["last value"].ranking == pytest.approx(2 / 3)


STRAIGHT = Law(
    name="straight",
    formula="E + F (1 - share) + G / n",
    source="a test",
    inputs=("size", "share"),
    metric="loss",
    shapes=(),
    coefficients=tuple(Parameter(n, "metric", -np.inf, np.inf, scale="linear") for n in "EFG"),
    terms=lambda _, x: np.stack([np.ones(len(x["size"])), 1 - x["share"], 10 / x["size"]], axis=-1),
)


def test_the_criteria_are_akaikes_corrected_and_schwarzs():
    # unnamed replicates share no seed, so the misfit is a plain weighted sum of squares
    wobble = (-0.3, 0.1, 0.2)
    rows = [
        {"quality": row.quality, "share": row.values["share"], "size": row.size, "loss": row.values["loss"]}
        for row in table(wobble=wobble).rows
    ]
    found = scores(forecast_sizes(read_table(rows), "loss", laws=[STRAIGHT]))["straight"]
    size = np.tile(SIZES[:4], 3).astype(float)
    share = np.repeat(list(SHARE.values()), 4)
    y = np.concatenate([row[:4] for row in LOSS.values()])
    columns = np.stack([np.ones(12), 1 - share, 10 / size], axis=1)
    best = np.linalg.lstsq(columns, y, rcond=None)[0]
    # twelve cells of two degrees of freedom: their mean square, as far above as its median lies below
    square = 12 * np.sum(np.square(wobble)) / chi2.ppf(0.5, 24)
    misfit = 3 * np.sum((y - columns @ best) ** 2) / square
    k, n = 3, 12
    assert found.aicc == pytest.approx(misfit + 2 * k + 2 * k * (k + 1) / (n - k - 1), rel=1e-6)
    assert found.bic == pytest.approx(misfit + k * np.log(n), rel=1e-6)
    ahead = np.stack([np.ones(3), 1 - np.array([1, 0.6, 0.5]), np.full(3, 10 / 160)], axis=1) @ best
    truth = np.array([row[4] for row in LOSS.values()])[:, None] + wobble
    assert found.error == pytest.approx(np.mean(np.abs(ahead[:, None] - truth) / truth))


def test_too_few_cells_have_no_corrected_criterion():
    rows = [
        {"quality": "a", "size": n, "seed": k, "loss": v + 0.01 * k}
        for n, v in zip(SIZES[:4], LOSS["a"], strict=False)
        for k in range(2)
    ]
    # three sizes are seen and the power law has three constants
    found = scores(forecast_sizes(read_table(rows), "loss", laws=["power"]))["power"]
    assert found.aicc is None
    assert found.bic is not None


def test_the_words_follow_the_intervals():
    def said(law, baseline):
        made = [
            ForecastScore(name, is_baseline, mean, low, high, high, None, None, None)
            for name, is_baseline, (low, mean, high) in (("power", False, law), ("line", True, baseline))
        ]
        return Forecast(tuple(sorted(made, key=lambda s: s.error)), "sizes above 8", ()).verdict()

    sure = said((0.01, 0.02, 0.03), (0.04, 0.05, 0.06))
    assert "'power' is 2.0% off on average (1.0% to 3.0%), the best baseline 'line' 5.0%" in sure
    assert "chance" not in sure
    assert "the law's lead may be chance" in said((0.01, 0.02, 0.045), (0.04, 0.05, 0.06))
    assert "No law beats the baseline" in said((0.04, 0.05, 0.06), (0.01, 0.02, 0.03))


def test_candidates_are_the_laws_whose_columns_vary():
    found = set(candidates(table(), "loss"))
    assert found >= {"power", "rectified", "quality_exponent", "noise_floor"}
    assert all(set(LAWS[name].inputs) <= {"size", "share"} for name in found), "no other column varies"
    assert all(LAWS[name].metric == "loss" for name in found)
    rows = [{"size": n, "exact_match": n / 200} for n in SIZES]
    found = candidates(read_table(rows), "exact_match")
    assert "bounded" in found
    assert all(LAWS[name].metric == "accuracy" for name in found)
