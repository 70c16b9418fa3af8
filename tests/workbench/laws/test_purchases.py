"""What a budget should buy: by hand, over any prices, and against truths that are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import Quality
from workbench.errors import InputError
from workbench.laws import analyse, read_table
from workbench.laws.curves import BEYOND
from workbench.laws.prices import Prices, offers_of
from workbench.laws.purchases import (
    Offer,
    Purse,
    TrainingTime,
    break_even,
    metric_of_set,
    plan_purchases,
    why_unknown,
)
from workbench.laws.simulate import TRUTHS, simulated

SIZES = (32, 128, 512, 2048)
NEW = Offer(name="new", quality="noisy", price=2.0)
CLEAN = Offer(name="clean", quality="clean", price=4.0, upgrade=True)


@pytest.fixture(scope="module")
def analysis():
    rng = np.random.default_rng(2)
    rows = [
        {"quality": q, "size": n, "seed": k, "loss": 1 + rise * n**-0.4 + 0.02 * rng.standard_normal()}
        for q, rise in (("clean", 3.0), ("noisy", 4.5))
        for n in SIZES
        for k in range(3)
    ]
    return analyse(read_table(rows), "loss", bootstraps=200)


@pytest.fixture(scope="module")
def untrusted(analysis):
    lost = [replace(one, misfit=1e-6) for one in analysis.candidates]
    return replace(analysis, candidates=tuple(lost))


def at(analysis, quality, size):
    return analysis.curve(quality).predict([size])[1:, 0]


def bought(analysis, *offers, size=128, money=100, training=None, quality="noisy", **options):
    budget = Purse(money=money, **options)
    found = plan_purchases(analysis, offers, quality=quality, size=size, budget=budget, training=training)
    return {one.name: one for one in found}


def assert_gain(purchase, draws):
    assert purchase.gain == pytest.approx(np.mean(draws))
    assert (purchase.low, purchase.high) == pytest.approx(tuple(np.percentile(draws, [2.5, 97.5])))


def test_new_examples_move_along_the_curve_of_their_quality(analysis):
    found = bought(analysis, NEW)["new"]
    assert (found.counts, found.examples, found.money) == ((50,), 178, 100)
    assert_gain(found, at(analysis, "noisy", 128) - at(analysis, "noisy", 178))
    assert (found.best, found.beyond, found.unknown) == (1.0, False, None)


def test_mended_examples_move_their_share_of_the_way_at_the_same_size(analysis):
    found = bought(analysis, CLEAN)["clean"]
    assert (found.counts, found.examples) == ((25,), 128)
    assert_gain(found, 25 / 128 * (at(analysis, "noisy", 128) - at(analysis, "clean", 128)))


def test_new_examples_of_another_quality_are_a_share_of_the_larger_set(analysis):
    other = Offer(name="clean ones", quality="clean", price=0.5)
    found = bought(analysis, other)["clean ones"]
    n = 128 + 200
    after = 128 / n * at(analysis, "noisy", n) + 200 / n * at(analysis, "clean", n)
    assert_gain(found, at(analysis, "noisy", 128) - after)


def test_a_scorer_is_paid_for_each_example_and_an_annotator_for_those_that_are_wrong(analysis):
    offer = replace(CLEAN, score=0.5, wrong=0.25)
    assert offer.each == 0.5 + 0.25 * 4.0
    found = bought(analysis, offer, money=60)["clean"]
    assert found.counts == (40,), "of 40 that are looked at, ten are mended: 40 x 0.5 + 10 x 4 = 60"
    assert_gain(found, 40 / 128 * (at(analysis, "noisy", 128) - at(analysis, "clean", 128)))


def test_a_cleaner_that_errs_leaves_some_as_they_were(analysis):
    found = bought(analysis, replace(CLEAN, right=0.6))["clean"]
    assert found.counts == (25,)
    assert_gain(found, 0.6 * 25 / 128 * (at(analysis, "noisy", 128) - at(analysis, "clean", 128)))


def test_no_more_is_mended_than_there_is_and_the_rest_is_not_spent(analysis):
    found = bought(analysis, CLEAN, money=9999)["clean"]
    assert (found.counts, found.money) == ((128,), 512)
    assert_gain(found, at(analysis, "noisy", 128) - at(analysis, "clean", 128))


def test_two_ways_of_mending_share_what_is_at_hand(analysis):
    both = [CLEAN, replace(CLEAN, name="other", quality="noisy", price=1.0)]
    budget = Purse(money=9999)
    found = plan_purchases(analysis, both, quality="noisy", size=128, budget=budget)
    assert all(sum(one.counts) <= 128 + 1e-9 for one in found)


def test_hours_are_those_of_the_resulting_number_and_come_out_of_the_same_money(analysis):
    training = TrainingTime(fixed=30, each=0.6)
    found = bought(analysis, NEW, CLEAN, money=1000, training=training, price_per_hour=10)
    new, clean = found["new"], found["clean"]
    assert new.hours == pytest.approx((30 + 0.6 * new.examples) / 60)
    assert new.money == pytest.approx(1000)
    assert 2.0 * new.counts[0] + 10 * new.hours == pytest.approx(1000)
    assert clean.hours == pytest.approx((30 + 0.6 * 128) / 60)
    assert clean.money == pytest.approx(4.0 * 128 + 10 * clean.hours)


def test_no_more_is_bought_than_can_be_trained_in_the_hours(analysis):
    training = TrainingTime(fixed=30, each=0.6)
    found = bought(analysis, NEW, money=1000, training=training, hours=2)["new"]
    assert (found.examples, found.hours) == (pytest.approx(150), pytest.approx(2))
    assert found.money == pytest.approx(2.0 * 22)


def test_the_best_is_counted_over_the_draws_and_what_is_alike_shares(analysis):
    more, clean = replace(NEW, price=1.0), replace(CLEAN, price=1.24)
    found = bought(analysis, more, clean)
    a = at(analysis, "noisy", 128) - at(analysis, "noisy", 228)
    b = 100 / 1.24 / 128 * (at(analysis, "noisy", 128) - at(analysis, "clean", 128))
    assert 0.05 < np.mean(a > b) < 0.95
    assert sum(one.best for one in found.values()) == pytest.approx(1)
    if len(found) == 2:
        assert found["new"].best == pytest.approx(np.mean(a > b))
    twice = plan_purchases(
        analysis, [NEW, replace(NEW, name="again")], quality="noisy", size=128, budget=Purse(money=100)
    )
    assert [one.best for one in twice[:2]] == pytest.approx([0.5, 0.5])


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
    scored = analyse(read_table(rows), "exact_match", bootstraps=50)
    found = bought(scored, replace(NEW, price=1.0), replace(CLEAN, price=1.0), size=64, money=32)
    assert found["new"].gain == pytest.approx(0.6 / (1 + 60 / 96) - 0.6 / (1 + 60 / 64), abs=0.01)
    assert found["clean"].gain == pytest.approx(0.5 * 0.3 / (1 + 60 / 64), abs=0.01)


def test_a_mixture_is_named_where_it_beats_either_alone(analysis):
    """All there is can be mended for a part of the money; the rest buys new ones, which are mended too."""
    found = bought(analysis, NEW, replace(CLEAN, price=1.0), size=128, money=400)
    assert set(found) == {"new", "clean", "new and clean"}
    mixed = found["new and clean"]
    assert mixed.gain > max(found["new"].gain, found["clean"].gain)
    new, clean = mixed.counts
    assert 2.0 * new + clean <= 400 + 1e-9
    n = 128 + new
    after = (1 - clean / n) * at(analysis, "noisy", n) + clean / n * at(analysis, "clean", n)
    assert_gain(mixed, at(analysis, "noisy", 128) - after)


price = st.floats(0.01, 50)


@settings(deadline=None, max_examples=30)
@given(
    new=price,
    clean=price,
    money=st.floats(0, 5000),
    right=st.floats(0, 1),
    size=st.integers(32, 4000),
    each=st.floats(0, 1),
)
def test_any_prices_give_a_plan_that_adds_up(analysis, new, clean, money, right, size, each):
    offers = [replace(NEW, price=new), replace(CLEAN, price=clean, right=right)]
    training = TrainingTime(fixed=1, each=each)
    budget = Purse(money=money + 5 * training.hours(size), price_per_hour=5)
    found = plan_purchases(analysis, offers, quality="noisy", size=size, budget=budget, training=training)
    alone = [one for one in found if len(one.offers) == 1]
    assert len(alone) == 2
    assert len(found) <= 3
    for one in found:
        assert one.money <= budget.money * (1 + 1e-9)
        assert one.hours == pytest.approx(training.hours(one.examples))
        assert (one.gain is None) == (one.unknown is not None) == (one.low is None)
        assert one.gain is None or one.low <= one.high
    known = [one.gain for one in found if one.gain is not None]
    assert known == sorted(known, reverse=True)
    pure = [one.gain for one in alone if one.gain is not None]
    if pure and len(found) > 2:
        assert known[0] > max(pure), "a divided budget is named where it gains more than any undivided one"
    if len(pure) == 2:
        assert sum(one.best for one in found) == pytest.approx(1)
    else:
        assert all(one.best is None for one in found), "what isn't known may be the best"


@settings(deadline=None, max_examples=20)
@given(money=st.floats(1, 2000), more=st.floats(1.01, 3))
def test_more_money_gains_more_and_dearer_offers_less(analysis, money, more):
    def gain(offer, amount):
        return next(iter(bought(analysis, offer, money=amount, size=64).values())).gain

    for offer in (replace(NEW, price=4.0), CLEAN):
        assert gain(offer, money * more) >= gain(offer, money) - 1e-3
        assert gain(replace(offer, price=offer.price * more), money) <= gain(offer, money) + 1e-3


def test_a_cleaner_that_always_errs_gains_nothing_and_a_free_one_mends_all(analysis):
    found = bought(analysis, replace(CLEAN, right=0.0), NEW)
    assert found["clean"].gain == pytest.approx(0)
    assert found["new"].best > 0.99
    free = bought(analysis, replace(CLEAN, price=0.0), replace(CLEAN, name="dear", price=40.0))
    assert (free["clean"].counts, free["clean"].money) == ((128,), 0)
    assert free["clean"].best > 0.99


CASE = {"quality": "noisy", "size": 1024, "budget": Purse(money=10_000)}
"""New data truly gains 0.145, mending all there is 0.088; up to 2,048 examples were measured."""
OFFERS = (replace(NEW, price=1.0), replace(CLEAN, price=8.0))


def test_new_data_beyond_what_was_measured_is_a_probability_and_no_cap():
    truth = TRUTHS["power"]
    now, after = truth.predict("noisy", [1024.0, 11_024.0])
    assert now - after == pytest.approx(0.145, abs=5e-4)
    assert now - truth.predict("clean", [1024.0])[0] == pytest.approx(0.088, abs=5e-4)
    right = held = judged = 0
    for study in range(12):
        analysis = analyse(simulated(truth, study), "loss", bootstraps=200)
        found = {one.name: one for one in plan_purchases(analysis, OFFERS, **CASE)}
        new, clean = found["new"], found["clean"]
        assert clean.gain is not None
        if not analysis.trusted:
            assert "no law is trusted beyond" in new.unknown
            assert clean.best is None, "nothing is advised over what isn't known"
            continue
        judged += 1
        assert new.beyond
        assert not clean.beyond
        assert clean.best < 0.95, f"study {study}: certain, and wrong"
        right += new.best > 0.5
        held += new.low <= 0.145 <= new.high
    assert judged >= 9
    assert right >= judged - 1
    assert held >= judged - 2


def test_beyond_a_law_that_is_not_trusted_nothing_is_said_but_what_would_tell(untrusted):
    assert not untrusted.trusted
    found = {one.name: one for one in plan_purchases(untrusted, OFFERS, **CASE)}
    assert found["clean"].gain > 0
    assert found["new"].gain is None
    assert found["new"].unknown == (
        "nothing can be said of 11,024 'noisy' examples, for up to 2,048 were measured and no law is trusted "
        "beyond; cells of 11,024 would tell"
    )
    assert {one.best for one in found.values()} == {None}


def test_a_law_is_read_only_so_far(analysis):
    assert why_unknown(analysis, "noisy", BEYOND * 2048) is None
    assert why_unknown(analysis, "noisy", 40_000).endswith(
        "and a law is read up to 8 times as many; cells of at least 5,000 would tell"
    )
    assert why_unknown(analysis, "noisy", 16).endswith("were measured; cells of 16 would tell")
    few = analyse(
        read_table(
            [
                {"quality": "noisy", "size": n, "seed": k, "loss": 1 + 3 / n + k / 50 * n**-0.3}
                for n in (8, 32)
                for k in range(3)
            ]
        ),
        "loss",
        bootstraps=40,
    )
    assert why_unknown(few, "noisy", 16).startswith("'noisy' was measured at 2 sizes, and a curve needs 3")
    assert why_unknown(few, "noisy", 32) is None


def test_more_at_hand_than_was_measured_is_no_reason_to_be_silent(analysis, untrusted):
    assert bought(analysis, NEW, size=3000)["new"].beyond
    unknown = bought(untrusted, CLEAN, size=3000)["clean"]
    assert (unknown.gain, unknown.best) == (None, None)


def test_a_set_scores_as_its_parts_do(analysis):
    found = metric_of_set(analysis, {"noisy": 300, "clean": 100, "other": 0})
    noisy, clean = (analysis.curve(q).predict([400])[:, 0] for q in ("noisy", "clean"))
    assert found == pytest.approx(0.75 * noisy + 0.25 * clean)


def test_the_break_even_price_is_the_rate_less_the_example_at_hand(analysis):
    from workbench.laws import rate_of

    rates = rate_of(analysis, reference="clean", other="noisy", sizes=[128]).rates
    found = break_even(analysis, reference="clean", other="noisy", size=128)
    assert (found.low, found.middle, found.high) == pytest.approx(
        (rates.low[0] - 1, rates.median[0] - 1, rates.high[0] - 1)
    )
    # mending 128 for that price each costs what collecting as many as are needed does
    spent = found.middle * 128
    options = {"size": 128, "money": spent}
    cost = bought(analysis, replace(NEW, price=1.0), replace(CLEAN, price=found.middle), **options)
    assert cost["clean"].gain == pytest.approx(cost["new"].gain, rel=0.05)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: replace(NEW, price=-1), "new: the price is -1; a cost has to be 0 or more"),
        (lambda: replace(NEW, price=math.nan), "the price is nan"),
        (lambda: replace(CLEAN, score=-0.5), "the score is -0.5"),
        (lambda: replace(CLEAN, right=1.5), "right is 1.5; it is a share, from 0 to 1"),
        (lambda: replace(CLEAN, wrong=-0.1), "wrong is -0.1; it is a share"),
        (lambda: Purse(money=-1), "the budget is -1; it has to be 0 or more"),
        (lambda: Purse(money=1, price_per_hour=-1), "the price of an hour is -1"),
        (lambda: Purse(money=1, hours=0), "the limit of training is 0 hours; it has to be above 0"),
    ],
)
def test_impossible_numbers_are_refused(act, says):
    with pytest.raises(InputError, match=says):
        act()


def prices(**changes):
    return Prices(**{"have": ("half", 100), "budget": 10, "new": {"half": 1.0}, "clean": 2.0} | changes)


KNOWN = {
    "clean": Quality(),
    "quarter": Quality(corruption="typo", share=0.75),
    "half": Quality(corruption="typo", share=0.5),
    "1 rater": Quality(raters=1),
    "3 raters": Quality(raters=3),
    "5 raters": Quality(raters=5),
    "web": None,
}


def test_prices_become_offers():
    new, clean = offers_of(prices(score=0.1, right=0.9), KNOWN, "clean")
    assert (new.quality, new.price, new.upgrade) == ("half", 1.0, False)
    assert (clean.quality, clean.price, clean.upgrade, clean.right) == ("clean", 2.0, True, 0.9)
    assert clean.wrong == 0.5, "half of them were spoiled"
    assert clean.each == pytest.approx(0.1 + 0.5 * 2)
    assert offers_of(prices(score=0.1), KNOWN, "quarter")[1].wrong == 0.25, "a quarter may stay wrong"
    assert offers_of(prices(score=0.1, have=("web", 9)), KNOWN, "clean")[1].wrong == 1.0
    assert offers_of(prices(), KNOWN, "clean")[1].each == 2.0, "nobody looks first: all are mended"


def test_raters_are_bought_up_to_the_next_number_that_was_measured():
    rated = prices(have=("1 rater", 50), new={}, clean=None, rater=0.3)
    (offer,) = offers_of(rated, KNOWN, "5 raters")
    assert (offer.quality, offer.upgrade, offer.name) == (
        "3 raters",
        True,
        "2 more raters for 1 rater examples",
    )
    assert offer.price == pytest.approx(0.6)
