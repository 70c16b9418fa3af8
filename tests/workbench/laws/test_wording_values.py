"""What an answer says: the numbers that stand in its sentences, and what may be claimed from them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.laws import ExchangeRate, RateCurve
from workbench.laws.claims import Crossing, break_even_in_words
from workbench.laws.units import RESPONSE_TOKENS


def answer(median, low, high, *, not_reached=0.0, at_most=0.0, useless=0.0, tried=2048.0, sure=None):
    def each(value):
        return np.array([float(value)])

    sure_low, sure_high = sure or (low, high)
    curve = RateCurve(
        size=each(256),
        median=each(median),
        low=each(low),
        high=each(high),
        sure_low=each(sure_low),
        sure_high=each(sure_high),
        not_reached=each(not_reached),
        at_most=each(at_most),
    )
    return ExchangeRate(
        reference="clean",
        other="noisy",
        metric="exact_match",
        evaluation="600 records",
        smallest=32.0,
        tried=tried,
        rates=curve,
        useless=each(useless),
        misfit=0.5,
        notes=(),
    )


def test_the_first_words_are_the_decision_and_the_last_what_it_is_judged_by():
    said = answer(3.2, 2.1, 4.5)
    assert said.headline() == (
        "Clean: one clean example does the work of about 3.2 noisy ones at 256 clean examples (2.1 to 4.5)."
    )
    assert said.sentence() == (
        f"{said.headline()} "
        # one clean example in place of 3.2 noisy ones, of which one is there: 2.2 more would be collected
        "It pays to turn a noisy example into a clean one while that costs less than collecting 2.2 more "
        "(1.1 to 3.5). Judged by exact match on 600 records; intervals of 95%."
    )


@pytest.mark.parametrize(
    "found",
    [
        answer(3.2, 2.1, 4.5),
        answer(0.3, 0.2, 0.5),
        answer(1.0, 0.8, 1.3),
        answer(1.0, 0.0, np.inf),
        answer(np.inf, np.inf, np.inf, not_reached=1.0),
        answer(np.inf, 2.0, np.inf, not_reached=0.7),
        answer(1.0, 0.8, 1.3, useless=1.0),
        replace(answer(1.0, 0.8, 1.3), crossing=Crossing(256.0, 128.0, 512.0, reference_below=True)),
    ],
)
def test_every_sentence_names_what_sizes_count(found):
    """No sentence speaks of examples where sizes count tokens; else it is the same."""
    plain = f"{found.sentence()} {break_even_in_words(found, 256)}"
    counted = replace(found, unit=RESPONSE_TOKENS)
    said = f"{counted.sentence()} {break_even_in_words(counted, 256)}"
    assert "example" in plain
    words = plain.replace(" an example", " a response token").replace("example", "response token")
    assert said == words


def test_an_interval_without_an_end_says_what_it_is_at_least():
    said = answer(3.2, 2.1, np.inf, not_reached=0.12).sentence()
    assert "the work of about 3.2 noisy ones at 256 clean examples (at least 2.1)" in said
    assert "collecting 2.2 more (1.1 to no limit)" in said


def test_an_interval_without_a_lower_end_says_what_it_is_at_most():
    said = answer(0.5, 0.0, 0.8, at_most=0.2).sentence()
    # one noisy example is worth at least 1 / 0.8 clean ones
    assert said.startswith(
        "Noisy: one noisy example does the work of about 2 clean ones at 256 clean examples"
    )
    assert "(at least 1.2)" in said
    both = answer(1.5, 0.0, np.inf, at_most=0.1, not_reached=0.1).sentence()
    assert both.startswith("Can't tell yet how many noisy examples do the work of one clean one at 256 clean")


def test_what_is_nearly_sure_never_reached_has_the_end_of_all_comparisons():
    lost = replace(answer(np.inf, np.inf, np.inf, not_reached=0.98, sure=(4.0, np.inf)), comparisons=6)
    assert lost.claims()[0].kind == "better"
    assert "the work of at least 4 noisy ones" in lost.sentence()
    assert "collecting at least 3 more." in lost.sentence()


def test_what_the_smallest_size_surely_does_is_a_bound():
    said = answer(0.0, 0.0, 0.0, at_most=1.0).sentence()
    # 32 noisy examples, the fewest tried, do what 256 clean ones do
    assert said.startswith("Noisy: one noisy example does the work of at least 8 clean ones at 256 clean")
    assert "inf" not in said


def test_never_is_said_of_what_was_tried_at_least_twice_as_often():
    lost = answer(np.inf, np.inf, np.inf, not_reached=0.98)
    assert lost.claims()[0].kind == "never"
    assert "no amount of noisy ones we tried, up to 8 times as many, was enough" in lost.sentence()
    short = answer(np.inf, np.inf, np.inf, not_reached=1.0, tried=511.0)
    assert short.claims()[0].kind == "unsure"
    assert "At least 512 noisy ones would tell; up to 511 were tried." in short.sentence()
    assert "no amount" not in short.sentence()


@pytest.mark.parametrize(("p", "kind"), [(0.949, "unsure"), (0.951, "never")])
def test_never_needs_ninety_five_percent(p, kind):
    assert answer(np.inf, 4.0, np.inf, not_reached=p, sure=(0.5, np.inf)).claims()[0].kind == kind


def test_of_two_comparisons_never_needs_more():
    lost = answer(np.inf, 0.5, np.inf, not_reached=0.97)
    assert lost.claims()[0].kind == "never"
    assert replace(lost, comparisons=2).claims()[0].kind == "unsure"
    assert replace(answer(np.inf, 0.5, np.inf, not_reached=0.976), comparisons=2).claims()[0].kind == "never"


@pytest.mark.parametrize(
    ("ends", "kind"),
    [
        ((1.01, 1.1, 1.2), "better"),
        ((0.99, 1.1, 1.2), "alike"),
        ((0.7, 0.8, 1.01), "alike"),
        ((0.7, 0.8, 0.99), "worse"),
    ],
)
def test_a_verdict_needs_an_interval_beside_one(ends, kind):
    low, median, high = ends
    assert answer(median, low, high).claims()[0].kind == kind


def test_a_verdict_rests_on_the_interval_for_all_comparisons():
    said = answer(1.5, 1.1, 2.0, sure=(0.9, 2.3))
    assert said.claims()[0].kind == "alike"
    assert said.sentence().startswith("Can't tell yet: at 256 clean examples, one does the work of 1.1 to 2")


def test_the_other_way_round_the_numbers_are_turned_round():
    said = answer(0.25, 0.2, 0.5)
    assert (
        said.headline()
        == "Noisy: one noisy example does the work of about 4 clean ones at 256 clean examples (2 to 5)."
    )
    assert said.sentence().startswith(
        f"{said.headline()} Turning noisy examples into clean ones gains nothing there. Judged"
    )


@pytest.mark.parametrize(("p", "kind"), [(0.96, "useless"), (0.51, "better"), (0.1, "better")])
def test_what_is_no_better_than_no_training_is_said_where_it_is_sure(p, kind):
    assert answer(3, 2, 4, useless=p).claims()[0].kind == kind


FOUR = RateCurve(
    size=np.array([64.0, 128.0, 256.0, 512.0]),
    median=np.array([2.0, 3.0, 4.0, np.inf]),
    low=np.array([1.5, 2.0, 3.0, 5.0]),
    high=np.array([2.5, 4.0, np.inf, np.inf]),
    sure_low=np.array([1.5, 2.0, 3.0, 5.0]),
    sure_high=np.array([2.5, 4.0, np.inf, np.inf]),
    not_reached=np.array([0.0, 0.0, 0.3, 0.96]),
    at_most=np.zeros(4),
)


def test_of_many_sizes_the_largest_with_two_ends_is_told_and_where_it_ends():
    told = replace(answer(1, 1, 1), rates=FOUR, useless=np.zeros(4))
    said = told.sentence()
    assert said.startswith(
        "Clean: one clean example does the work of about 3 noisy ones at 128 clean examples"
    )
    assert "From 512 on, no amount of noisy ones we tried, up to 4 times as many, was enough." in said
    assert "about 4 noisy ones at 256 clean examples (at least 3)" in told.sentence(300)
    # the nearest in the logarithm: 370 is nearer to 512 than to 256
    assert "at 512 clean examples" in told.sentence(370)
    # of 512, less than twice as many were tried: what would tell is said instead
    short = replace(told, tried=600.0)
    assert "From 256 on, whether any amount of noisy ones is enough can't be told yet" in short.sentence()
    assert "512 noisy ones were not tried" not in short.sentence()


@pytest.mark.parametrize(
    ("median", "low", "high", "lost", "told"),
    [
        (1.2, 0.99, 1.6, 0.0, ": one does the work of 0.99 to 1.6 noisy ones"),
        (1.2, 0.0, 1.6, 0.0, ": one does the work of at most 1.6 noisy ones"),
        (np.inf, 0.8, np.inf, 0.8, ": one does the work of at least 0.8 noisy ones"),
        (np.inf, 0.0, np.inf, 0.8, ""),
    ],
)
def test_what_is_sure_of_more_examples_comes_before_what_cant_be_told_of_fewer(median, low, high, lost, told):
    """From 256 on nothing is enough; of 64, all that can be told as well, it is open."""
    two = RateCurve(
        size=np.array([64.0, 256.0, 512.0]),
        median=np.array([median, np.inf, np.inf]),
        low=np.array([low, 5.0, np.inf]),
        high=np.array([high, np.inf, np.inf]),
        sure_low=np.array([low, 5.0, np.inf]),
        sure_high=np.array([high, np.inf, np.inf]),
        not_reached=np.array([lost, 0.96, 1.0]),
        at_most=np.zeros(3),
    )
    found = replace(answer(1, 1, 1), rates=two, useless=np.zeros(3))
    headline = (
        "Clean: at 256 clean examples, no amount of noisy ones we tried, up to 8 times as many, was enough."
    )
    assert found.headline() == headline
    assert found.sentence() == (
        f"{headline} At 64, that can't be told yet{told}; more seeds would tell. "
        "Judged by exact match on 600 records; intervals of 95%."
    )
    assert found.wins() == 1
    unsure = replace(two, not_reached=np.array([lost, 0.94, 0.94]))
    assert replace(found, rates=unsure).headline().startswith("Can't tell yet")
    # of no better than no training nothing is lost: that isn't the sure thing to begin with
    assert replace(found, useless=np.array([0.0, 1.0, 1.0])).headline().startswith("Can't tell yet")


def test_where_more_would_have_to_be_tried_that_is_said():
    told = replace(answer(1, 1, 1), rates=FOUR, useless=np.zeros(4), tried=400.0)
    assert "512 noisy ones were not tried; they would tell." in told.sentence()


def test_a_crossing_is_told_with_its_interval():
    told = replace(answer(3, 2, 4), crossing=Crossing(900.0, 700.0, 1200.0, reference_below=True))
    start = "Which is better changes at about 900 clean examples (700 to 1,200): with fewer, one"
    assert f"{start} clean example is worth more than one noisy one." in told.sentence()
    told = replace(told, crossing=Crossing(900.0, 700.0, 1200.0, reference_below=False))
    assert f"{start} noisy example is worth more than one clean one." in told.sentence()
    told = replace(told, crossing=Crossing(900.0, 700.0, np.inf, reference_below=True))
    assert "at about 900 clean examples (700 or more): with fewer" in told.sentence()


def test_noise_from_residuals_is_said():
    said = replace(answer(3, 2, 4), from_residuals=True).sentence()
    assert said.endswith("intervals of 95%, with one run a cell: the noise is what the laws leave.")


def test_a_model_is_named():
    assert "for the model of size 7 billion;" in replace(answer(3, 2, 4), model=7e9).sentence()


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("50% other_form", "'50% other form'"),
        ("other form", "other form"),
        ("say 'x'; y", repr("say 'x'; y")),
        ("a.b", "'a.b'"),
    ],
)
def test_a_label_that_is_no_plain_word_stands_in_quotes(label, said):
    assert f"about 3 {said} ones" in replace(answer(3, 2, 4), other=label).sentence()


def test_without_an_interval_the_reason_stands_instead():
    silent = replace(answer(1, 1, 1), rates=None, silent="One seed per cell: no interval can be given.")
    assert silent.sentence() == (
        "Judged by exact match on 600 records, there is no answer yet: one seed per cell: no interval can be "
        "given."
    )
    assert silent.claims() == ()


NUMBERS = st.floats(0.01, 100)


@given(
    st.tuples(NUMBERS, NUMBERS, NUMBERS).map(sorted),
    st.sampled_from([0.0, 0.02, 0.2, 0.6, 0.97, 1.0]),
    st.sampled_from([0.0, 0.1, 0.9]),
    st.sampled_from([300.0, 512.0, 4096.0]),
)
def test_no_sentence_says_what_its_interval_does_not(ends, lost, useless, tried):
    """Whatever the numbers: no verdict against the interval, no "never" of what was not tried twice."""
    low, median, high = ends
    high = np.inf if lost > 0.025 else high
    median = np.inf if lost > 0.5 else median
    low = np.inf if lost > 0.975 else low
    found = answer(median, low, high, not_reached=lost, useless=useless, tried=tried)
    first, *_ = found.claims()
    said = found.sentence()
    assert "nan" not in said
    assert "inf" not in said
    if "no amount" in said:
        assert lost >= 0.95
        assert tried >= 512
    if first.kind == "better":
        assert low > 1
    if first.kind == "worse":
        assert high < 1
    assert (first.kind == "alike") <= (low <= 1 <= high or lost > 0.5)
