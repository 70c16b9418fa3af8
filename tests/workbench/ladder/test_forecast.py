"""Predictions: of a truth that is known, before the rung is trained, and never afterwards."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from known_ladder import loss_of, rows_of
from tiny_ladder import PLAN

from workbench.errors import InputError
from workbench.ladder.folder import PREDICTIONS, LadderFolder
from workbench.ladder.forecast import (
    MetPrediction,
    met_predictions,
    predict_before,
    predict_rung,
    read_predictions,
    rules_of,
    table_of,
)
from workbench.ladder.rungs import LADDERS, LadderPlan, parameters
from workbench.laws.library import LAWS

COFFEE = LADDERS["coffee"]
LAST = COFFEE.widths[-1]


def below(rows, width=LAST):
    return [row for row in rows if row.width < width]


@pytest.fixture(scope="module")
def predicted():
    return predict_rung(below(rows_of(COFFEE)), COFFEE, LAST)


def test_a_known_truth_is_predicted(predicted):
    model = parameters(LAST)
    truth = loss_of(model, 20 * model)
    assert predicted.expected == pytest.approx(truth, rel=0.015)
    assert predicted.low < truth < predicted.high
    assert predicted.high - predicted.low < 0.06 * truth
    assert (predicted.width, predicted.parameters, predicted.tokens) == (LAST, model, 20 * model)
    fitted = LAWS["chinchilla"].predict(
        predicted.constants, {"model": np.array([model]), "size": np.array([20.0 * model])}
    )
    assert predicted.expected == pytest.approx(fitted[0], rel=0.01), "the constants are those of the fit"


def test_more_seeds_make_the_interval_narrower():
    """A mean over many seeds lies nearer to the law than one seed does."""
    rows = below(rows_of(COFFEE, noise=0.02))
    one, many = (
        predict_rung(rows, replace(COFFEE, seeds=seeds), LAST) for seeds in ((0,), tuple(range(100)))
    )
    assert many.expected == one.expected
    assert many.high - many.low < 0.95 * (one.high - one.low)


def test_the_rules_by_hand():
    rows = below(rows_of(COFFEE, noise=0.0))
    model = parameters(LAST)
    rules = rules_of(rows, COFFEE, 6.0 * model * 20 * model)
    widths = [width for width in COFFEE.widths if width < LAST][-3:]
    flops = np.array([120.0 * parameters(width) ** 2 for width in widths])
    losses = np.array([loss_of(parameters(width), 20 * parameters(width)) for width in widths])
    assert rules["last value"] == pytest.approx(losses[-1], rel=1e-4)
    slope, level = np.polyfit(np.log(flops), np.log(losses), 1)
    line = np.exp(level + slope * np.log(120.0 * model**2))
    assert rules["line through last three"] == pytest.approx(line, rel=1e-4)


def test_the_table_reads_model_and_tokens():
    rows = rows_of(COFFEE)
    table = table_of(rows)
    measured = table.measured("loss")
    assert table.column("model", measured).tolist() == [row.parameters for row in rows]
    assert table.column("size", measured).tolist() == [row.tokens for row in rows]


def test_one_seed_alone_predicts_nothing_in_silence():
    plan = LadderPlan(widths=(32, 40, 48, 56), seeds=(0,))
    with pytest.raises(InputError, match=r"nothing can be predicted of width 56: .*; add seeds or rungs"):
        predict_rung(below(rows_of(plan), 56), plan, 56)


@pytest.fixture
def ladder(tmp_path):
    """A ladder of made-up rows without the last rung."""
    folder = LadderFolder(tmp_path / "ladder")
    for row in below(rows_of(COFFEE)):
        keep(folder, row)
    return folder


def keep(folder, row):
    folder.keep(row)
    folder.weights_of(row.run).write_bytes(b"weights")


def test_a_prediction_is_kept_as_it_was_made(ladder, predicted):
    made = predict_before(ladder, COFFEE, LAST)
    assert replace(made, made="") == replace(predicted, made="", made_from=made.made_from)
    assert set(made.made_from) == {row.run for row in ladder.rows()}
    assert read_predictions(ladder) == [made]
    assert predict_before(ladder, COFFEE, LAST) == made, "with its time"
    assert met_predictions(ladder, COFFEE) == []


def train_last(ladder, when):
    for row in rows_of(COFFEE):
        if row.width == LAST:
            keep(ladder, replace(row, began=when))


def test_a_prediction_meets_what_was_measured(ladder):
    made = predict_before(ladder, COFFEE, LAST)
    train_last(ladder, "2999-01-01T00:00:00.000+00:00")
    (one,) = met_predictions(ladder, COFFEE)
    losses = [row.loss for row in rows_of(COFFEE) if row.width == LAST and row.ratio == 20]
    assert one.losses == tuple(losses)
    assert one.measured == pytest.approx(sum(losses) / 3)
    assert one.error == pytest.approx((made.expected - one.measured) / one.measured)
    assert abs(one.error) < 0.02
    assert f"off by {one.error:+.2%}, within the 95% interval. Without a law: last value +" in one.sentence()
    off = MetPrediction(replace(made, expected=0.9, low=0.8, high=0.95), (1.0, 1.0), one.began)
    assert off.error == pytest.approx(-0.1)
    assert "outside the 95% interval" in off.sentence()


def test_what_was_written_afterwards_is_no_prediction(ladder):
    predict_before(ladder, COFFEE, LAST)
    train_last(ladder, "2026-01-01T00:00:00.000+00:00")
    with pytest.raises(InputError, match=r"a run of it began at 2026-01-01.*that is no prediction"):
        met_predictions(ladder, COFFEE)


def test_a_damaged_file_is_told(ladder):
    made = predict_before(ladder, COFFEE, LAST)
    path = ladder.path / PREDICTIONS
    for text in ("[", "[1]", json.dumps([{"width": 3}])):
        path.write_text(text)
        with pytest.raises(InputError, match=r"is damaged: .*a prediction can't be made again afterwards"):
            read_predictions(ladder)
    path.write_text(json.dumps([asdict(made)]))
    assert read_predictions(ladder) == [made]


def test_only_smaller_rungs_are_asked(ladder):
    train_last(ladder, "2999-01-01T00:00:00.000+00:00")
    made = predict_before(ladder, COFFEE, LAST)
    assert all(f"w{LAST:03d}" not in name for name in made.made_from)


def test_a_climb_predicts_before_it_trains(short_ladder):
    (one,) = met_predictions(short_ladder[0], PLAN)
    assert one.predicted.width == 40
    assert one.predicted.made < one.began
    assert len(one.losses) == 2
