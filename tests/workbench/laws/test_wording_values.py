"""The sentence of an exchange rate says the numbers that stand in it, and what they mean for a purse."""

from dataclasses import replace

import numpy as np
import pytest

from workbench.laws import ExchangeRate, RateCurve


def answer(median, low, high, *, not_reached=0.0, at_most=0.0, useless=0.0):
    def each(value):
        return np.array([float(value)])

    curve = RateCurve(each(256), each(median), each(low), each(high), each(not_reached), each(at_most))
    return ExchangeRate(
        reference="clean",
        other="noisy",
        metric="exact_match",
        evaluation="600 records",
        tried=2048.0,
        fitted=curve,
        model_free=None,
        useless=each(useless),
        misfit=0.5,
        notes=(),
    )


def test_cleaning_pays_up_to_the_price_of_the_others_that_it_saves():
    said = answer(3.2, 2.1, 4.5).sentence()
    assert said.startswith(
        "Judged by exact match on 600 records, matching 256 'clean' examples takes 3.2 times"
    )
    assert "(95% interval 2.1 to 4.5)" in said
    # one clean example in place of 3.2 noisy ones, of which one is there: 2.2 more would have to be collected
    assert "costs less than collecting 2.2 more (interval 1.1 to 3.5)" in said


def test_an_interval_without_an_end_says_how_likely_that_is():
    said = answer(3.2, 2.1, np.inf, not_reached=0.12).sentence()
    assert "95% interval 2.1 to not reached, which has probability 12%" in said
    assert "(interval 1.1 to no limit)" in said


def test_what_is_never_reached_takes_no_amount():
    said = answer(np.inf, 4.0, np.inf, not_reached=0.8).sentence()
    assert "no amount of 'noisy' examples tried (up to 2,048) matches 256 'clean' ones" in said
    assert "(probability 80%; if it can be reached, it takes at least 4 times as many)" in said
    assert "more of the same does not help" in said


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((1.01, 1.1, 1.2), "it pays to turn"),
        ((0.99, 1.1, 1.2), "can't tell the two qualities apart"),
        ((0.7, 0.8, 1.01), "can't tell the two qualities apart"),
        ((0.7, 0.8, 0.99), "'noisy' examples are worth more each"),
    ],
)
def test_a_verdict_needs_an_interval_beside_one(ends, words):
    low, median, high = ends
    assert words in answer(median, low, high).sentence()


def test_an_upper_bound_is_called_one_where_it_is_likely():
    assert "takes at most 0.5 times" in answer(0.5, 0.5, 0.5, at_most=0.51).sentence()
    assert "takes 0.5 times" in answer(0.5, 0.5, 0.5, at_most=0.49).sentence()


def test_nothing_is_exchanged_for_what_is_likely_useless():
    assert "nothing to exchange" in answer(3, 2, 4, useless=0.51).sentence()
    assert "nothing to exchange" not in answer(3, 2, 4, useless=0.49).sentence()


@pytest.mark.parametrize(("p", "words"), [(0.995, "over 99%"), (0.985, "98%"), (0.005, "under 1%")])
def test_resamples_show_nothing_for_certain(p, words):
    found = answer(3, 2, np.inf, not_reached=p).sentence()
    assert f"probability {words}" in found


def test_of_many_sizes_the_largest_with_two_ends_is_told_and_where_it_ends():
    curve = RateCurve(
        size=np.array([64.0, 128.0, 256.0, 512.0]),
        median=np.array([2.0, 3.0, 4.0, np.inf]),
        low=np.array([1.5, 2.0, 3.0, 5.0]),
        high=np.array([2.5, 4.0, np.inf, np.inf]),
        not_reached=np.array([0.0, 0.0, 0.3, 0.9]),
        at_most=np.zeros(4),
    )
    told = replace(answer(1, 1, 1), fitted=curve, useless=np.zeros(4))
    said = told.sentence()
    assert "matching 128 'clean' examples takes 3 times as many 'noisy' ones" in said
    assert "from 512 on, no amount tried (up to 2,048) was enough (probability 90%)" in said
    assert "matching 256 'clean' examples takes 4 times" in told.sentence(300)
