"""Plans by hand: what money buys, what it gains, which cell narrows the rate, what a study could see."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from workbench.errors import InputError
from workbench.laws import analyse, read_table
from workbench.laws.planner import Offer, Prices, detectable, next_cells, plan_purchase, smallest_difference

SIZES = (32, 128, 512, 2048)


@pytest.fixture(scope="module")
def analysis():
    rng = np.random.default_rng(2)
    rows = [
        {
            "quality": q,
            "size": n,
            "seed": k,
            "loss": 1 + rise * n**-0.4 + 0.02 * rng.standard_normal(),
        }
        for q, rise in (("clean", 3.0), ("noisy", 4.5))
        for n in SIZES
        for k in range(3)
    ]
    return analyse(read_table(rows), "loss", bootstraps=200)


def at(analysis, quality, size):
    return analysis.curve(quality).predict([size])[1:, 0]


def plan(analysis, *offers, quality="noisy", size=128, budget=100, **options):
    found = plan_purchase(analysis, offers, quality=quality, size=size, budget=budget, **options)
    return {purchase.offer.name: purchase for purchase in found}


def test_new_examples_move_along_the_curve_of_their_quality(analysis):
    bought = plan(analysis, Offer("more", "noisy", 2.0))["more"]
    gain = at(analysis, "noisy", 128) - at(analysis, "noisy", 128 + 50)
    assert bought.examples == 50
    assert bought.gain == pytest.approx(np.median(gain))
    assert (bought.low, bought.high) == pytest.approx(tuple(np.percentile(gain, [2.5, 97.5])))
    assert bought.note == ""


def test_cleaned_examples_move_their_share_of_the_way_at_the_same_size(analysis):
    bought = plan(analysis, Offer("clean", "clean", 4.0), budget=128)["clean"]
    gain = 32 / 128 * (at(analysis, "noisy", 128) - at(analysis, "clean", 128))
    assert bought.examples == 32
    assert bought.gain == pytest.approx(np.median(gain))
    assert (bought.low, bought.high) == pytest.approx(tuple(np.percentile(gain, [2.5, 97.5])))
    assert bought.note == "25% of the examples"


def test_no_more_can_be_cleaned_than_there_is_nor_read_beyond_the_largest_size(analysis):
    found = plan(analysis, Offer("clean", "clean", 1.0), Offer("more", "noisy", 1.0), budget=9999)
    whole = at(analysis, "noisy", 128) - at(analysis, "clean", 128)
    assert found["clean"].gain == pytest.approx(np.median(whole))
    assert "exceeds" in found["clean"].note
    furthest = at(analysis, "noisy", 128) - at(analysis, "noisy", 2048)
    assert found["more"].gain == pytest.approx(np.median(furthest))
    assert found["more"].note == "only up to 2,048, the largest size measured"


def test_hours_are_paid_out_of_the_same_budget(analysis):
    offer = Offer("more", "noisy", 2.0, hours=3)
    assert plan(analysis, offer, price_per_hour=10)["more"].examples == (100 - 30) / 2
    assert plan(analysis, offer, price_per_hour=50)["more"].examples == 0


def test_the_best_offer_is_counted_over_the_resamples_and_stands_first(analysis):
    offers = (Offer("more", "noisy", 1.0), Offer("clean", "clean", 1.24))
    found = plan_purchase(analysis, offers, quality="noisy", size=128, budget=100)
    more = at(analysis, "noisy", 128) - at(analysis, "noisy", 228)
    clean = 100 / 1.24 / 128 * (at(analysis, "noisy", 128) - at(analysis, "clean", 128))
    best = {purchase.offer.name: purchase.best for purchase in found}
    assert 0.05 < np.mean(more > clean) < 0.95
    assert best == pytest.approx({"more": np.mean(more > clean), "clean": np.mean(clean >= more)})
    assert [p.gain for p in found] == pytest.approx(sorted((np.median(more), np.median(clean)))[::-1])


def test_a_gain_of_a_score_is_a_rise():
    rng = np.random.default_rng(0)
    rows = [
        {
            "quality": q,
            "size": n,
            "seed": k,
            "exact_match": high / (1 + 60 / n) + 0.01 * rng.standard_normal(),
        }
        for q, high in (("clean", 0.9), ("noisy", 0.6))
        for n in (16, 64, 256, 1024)
        for k in range(3)
    ]
    analysis = analyse(read_table(rows), "exact_match", bootstraps=50)
    found = plan(analysis, Offer("more", "noisy", 1.0), Offer("clean", "clean", 1.0), size=64, budget=32)
    assert found["more"].gain == pytest.approx(0.6 / (1 + 60 / 96) - 0.6 / (1 + 60 / 64), abs=0.01)
    assert found["clean"].gain == pytest.approx(0.5 * 0.3 / (1 + 60 / 64), abs=0.01)


def test_an_hour_and_a_rater_have_their_own_price():
    prices = Prices(new_example=1, cleaned_example=2, rater=3, hours={"new": 4, "cleaned": 5, "rater": 6})
    offers = prices.offers(own="a", cleaned="b", more_raters="c")
    assert [(o.quality, o.price, o.hours) for o in offers] == [("a", 1, 4), ("b", 2, 5), ("c", 3, 6)]


def narrowing_by_hand(analysis, quality, size):
    """One more measurement of a cell, by Bayes' rule for two Gaussian quantities."""
    rates = []
    for target, curve in zip(
        at(analysis, "clean", 128),
        analysis.curve("noisy").predict(np.geomspace(32, 2048, 4001))[1:],
        strict=True,
    ):
        good = curve <= target
        rates.append(np.log(np.geomspace(32, 2048, 4001)[good.argmax()] / 128) if good.any() else np.log(32))
    together = np.cov(np.array(rates), at(analysis, quality, size), ddof=0)
    noise = np.mean(analysis.noise.spread**2)
    left = together[0, 0] - together[0, 1] ** 2 / (together[1, 1] + noise)
    return 1 - np.sqrt(left / together[0, 0])


def test_a_cell_narrows_the_rate_by_what_bayes_rule_gives(analysis):
    cells = next_cells(analysis, reference="clean", other="noisy", size=128, count=99)
    assert len(cells) == 8
    for cell in cells:
        expected = narrowing_by_hand(analysis, cell.quality, cell.size)
        assert cell.narrowing == pytest.approx(expected, abs=2e-3), cell
    assert [cell.narrowing for cell in cells] == sorted((c.narrowing for c in cells), reverse=True)
    assert max(cell.narrowing for cell in cells) > 0.05


def test_a_noisier_measurement_narrows_less(analysis):
    loud = replace(analysis, noise=replace(analysis.noise, spread=10 * analysis.noise.spread))
    quiet, deaf = (
        max(c.narrowing for c in next_cells(s, reference="clean", other="noisy", size=128))
        for s in (analysis, loud)
    )
    assert deaf < quiet / 10


def test_cells_are_ordered_by_what_a_minute_buys(analysis):
    minutes = [1.0, 2.0, 4.0, 8.0]
    cells = next_cells(analysis, reference="clean", other="noisy", size=128, minutes=minutes, count=99)
    assert {(c.size, c.minutes) for c in cells} == set(zip(SIZES, minutes, strict=True))
    worth = [cell.narrowing / cell.minutes for cell in cells]
    assert worth == sorted(worth, reverse=True)
    assert [cell.per_minute for cell in cells] == pytest.approx(worth)
    alike = next_cells(analysis, reference="clean", other="noisy", size=128, count=99)
    assert {(c.quality, c.size): c.narrowing for c in alike} == pytest.approx(
        {(c.quality, c.size): c.narrowing for c in cells}
    )


def test_minutes_that_do_not_fit_the_sizes_are_refused(analysis):
    with pytest.raises(InputError, match="minutes has 3 numbers and 'clean' was measured at 4 sizes"):
        next_cells(analysis, reference="clean", other="noisy", size=128, minutes=[1.0, 2.0, 4.0])


def test_the_smallest_difference_by_hand():
    # five seeds: the difference of two means of five, tested with 8 degrees of freedom
    needed = student.ppf(0.975, 8) + student.ppf(0.8, 8)
    assert smallest_difference(0.1, seeds=5) == pytest.approx(needed * 0.1 * np.sqrt(2 / 5))
    # over three sizes, where a quarter is the seeds' (cancels) and a fifth a quality's (stays)
    needed = student.ppf(0.975, 8) + student.ppf(0.9, 8)
    shared = smallest_difference(0.1, seeds=5, sizes=3, seed_share=0.25, quality_share=0.2, power=0.9)
    assert shared == pytest.approx(needed * 0.1 * np.sqrt(2 / 5 * (0.2 + 0.55 / 3)))
    # nothing is a quality's own: all six cells of four degrees tell the spread
    needed = student.ppf(0.975, 24) + student.ppf(0.8, 24)
    assert smallest_difference(0.1, seeds=5, sizes=3, seed_share=0.25) == pytest.approx(
        needed * 0.1 * np.sqrt(2 / 5 * 0.75 / 3)
    )


def test_what_a_larger_study_would_see_takes_its_noise_from_this_one(analysis):
    _, quality, rest = analysis.noise.variances
    variance = np.mean(analysis.noise.spread**2)
    freedom = 9 * 2 if quality else 9 * 2 * 4
    needed = student.ppf(0.975, freedom) + student.ppf(0.8, freedom)
    expected = needed * np.sqrt(2 / 10 * variance * (quality + rest / 4))
    assert detectable(analysis, seeds=10, sizes=4) == pytest.approx(expected)
    assert detectable(analysis) == pytest.approx(detectable(analysis, seeds=3, qualities=2))
