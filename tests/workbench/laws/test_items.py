"""Evaluation items: what their choice does to every interval, on studies whose truth is known."""

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.laws import analyse, rate_of, read_table
from workbench.laws.noise import estimate_noise, resample_means
from workbench.laws.problems import fit_table, problem_of
from workbench.laws.replicates import arrange
from workbench.laws.simulate import TRUTHS

SIZES = (32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
ITEMS, SEEDS, SPREAD, DIFFICULTY = 40, 3, 0.004, 0.3


def judged(seed, *, known=True, weight=None):
    """A study judged on few items: each is harder or easier for all models alike."""
    truth, rng = TRUTHS["power"], np.random.default_rng(seed)
    harder = DIFFICULTY * rng.standard_normal(ITEMS)
    rows, outcomes = [], []
    for quality in ("clean", "noisy"):
        for size, value in zip(SIZES, truth.predict(quality, SIZES), strict=True):
            for k in range(SEEDS):
                items = value + harder + SPREAD * rng.standard_normal() + 0.05 * rng.standard_normal(ITEMS)
                rows.append(
                    {
                        "quality": quality,
                        "size": size,
                        "seed": k,
                        "loss": float(np.average(items, weights=weight)),
                    }
                )
                outcomes.append(items.tolist())
    table = read_table(rows)
    return table.with_items("loss", outcomes, weight) if known else table


def coverage(*, known, studies):
    truth, at = TRUTHS["power"], [256.0, 1024.0]
    held = []
    for seed in range(studies):
        drawn = analyse(judged(seed, known=known), "loss", bootstraps=200).curve("clean").predict(at)[1:]
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        held.append((low <= truth.predict("clean", at)) & (truth.predict("clean", at) <= high))
    return float(np.mean(held))


@pytest.mark.slow
def test_the_choice_of_items_enters_the_interval_and_without_it_the_truth_is_missed():
    assert coverage(known=True, studies=40) > 0.88
    assert coverage(known=False, studies=20) < 0.5


def test_items_shared_by_both_qualities_leave_the_rate_as_it_was():
    # what makes an item hard for both qualities moves both curves alike
    with_items, without = (
        rate_of(analyse(judged(1, known=known), "loss"), reference="clean", other="noisy", sizes=[64])
        for known in (True, False)
    )
    width = [np.log(r.rates.high[0] / r.rates.low[0]) for r in (with_items, without)]
    assert width[0] < 1.5 * width[1]


def test_a_draw_moves_every_cell_by_the_same_items():
    data = arrange(judged(0), "loss")
    drawn = resample_means(data, estimate_noise(data), 400, np.random.default_rng(0)) - data.mean
    assert np.corrcoef(drawn.T).min() > 0.9
    expected = DIFFICULTY / np.sqrt(ITEMS)
    assert drawn.std(axis=0) == pytest.approx(expected, rel=0.35)


def test_joint_laws_get_the_items_too():
    problem = problem_of(judged(0), "loss", "power")
    assert problem.replicates.items.value.shape == (12, ITEMS)
    assert np.isfinite(fit_table(judged(0), "loss", "power").objective)


def test_weights_make_the_mean():
    weight = np.linspace(1, 5, ITEMS).tolist()
    table = judged(0, weight=weight)
    means = arrange(table, "loss").items
    assert means.value @ means.weight / means.weight.sum() == pytest.approx(arrange(table, "loss").mean)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o: o[:-1], "11 lists of item outcomes for 12 rows"),
        (lambda o: [*o[:-1], o[-1][:-1]], "39 item outcomes for 'loss', and 40 were expected"),
        (lambda o: [*o[:-1], None], "no item outcomes for 'loss'"),
        (lambda o: [*o[:-1], [2 * v for v in o[-1]]], "the item outcomes average"),
    ],
)
def test_outcomes_that_do_not_fit_the_table_are_refused(change, message):
    rng = np.random.default_rng(0)
    outcomes = [(1 + rng.random(ITEMS)).tolist() for _ in range(12)]
    rows = [{"size": i + 1, "seed": 0, "loss": float(np.mean(o))} for i, o in enumerate(outcomes)]
    with pytest.raises(InputError, match=message):
        read_table(rows).with_items("loss", change(outcomes))
