"""Numbers on their way to a reader: rounded, in words, in a game's purse, in a table of costs."""

from dataclasses import replace

import numpy as np
import pytest

from workbench.laws import RateCurve, analyse, read_table
from workbench.laws.claims import Rated, rate_in_words
from workbench.laws.in_words import number_in_words, percent_in_words, size_in_words
from workbench.lessons.budget import Game, GameRound, total_regret
from workbench.lessons.figures import held
from workbench.views.answers import by_worth
from workbench.views.board_figures import heat_map
from workbench.views.palette import ON_BRIGHT, ON_DARK
from workbench.views.points import digits, points
from workbench.views.words import bytes_in_words, seconds_in_words


def one(median, low, high, *, not_reached=0.0, at_most=0.0, tried=2048.0):
    values = (256, median, low, high, low, high, not_reached, at_most)
    curve = RateCurve(*(np.array([float(value)]) for value in values))
    return Rated(
        reference="clean", other="noisy", smallest=32.0, tried=float(tried), rates=curve, useless=None
    )


def test_a_rate_is_told_with_two_digits_and_its_interval():
    assert rate_in_words(one(3.14, 2.36, 4.04), 0) == "3.1 (2.4 to 4)"
    assert rate_in_words(one(3.14, 2.36, np.inf, not_reached=0.2), 0) == "3.1 (at least 2.4)"
    assert rate_in_words(one(np.inf, 2.36, np.inf, not_reached=0.949), 0) == "at least 2.4"
    assert rate_in_words(one(np.inf, 0.0, np.inf, not_reached=0.6), 0) == "can't tell"
    lost = one(np.inf, np.inf, np.inf, not_reached=0.98)
    assert rate_in_words(lost, 0) == "not reached (probability 98%)"
    assert rate_in_words(one(0.0, 0.0, 0.6, at_most=0.51), 0) == "at most 0.6"
    assert rate_in_words(one(0.5, 0.0, 0.6, at_most=0.1), 0) == "0.5 (at most 0.6)"
    assert rate_in_words(one(0.5, 0.0, np.inf, at_most=0.1, not_reached=0.1), 0) == "0.5 (no interval)"
    # where the smallest amount tried is surely enough, it is the bound, and never 0
    assert rate_in_words(one(0.0, 0.0, 0.0, at_most=1.0), 0) == "at most 0.12"
    assert rate_in_words(replace(lost, rates=None), 0) == "no interval"


@pytest.mark.parametrize(
    ("tried", "words"),
    [
        (512, "not reached (probability over 99%)"),
        (511, "at least 2; more was not tried"),
        (256, "at least 1; more was not tried"),
        (16, "at least 0.062; more was not tried"),
    ],
)
def test_not_reached_is_only_told_of_sizes_of_which_twice_as_many_were_tried(tried, words):
    assert rate_in_words(one(np.inf, np.inf, np.inf, not_reached=1.0, tried=tried), 0) == words


def test_what_is_not_1_is_never_told_as_1():
    said = [number_in_words(v) for v in (0.94, 0.996, 0.9996, 1, 1.04, 1.02, 1.004, 1.2, 123)]
    assert said == ["0.94", "0.996", "0.9996", "1", "1.04", "1.02", "1.004", "1.2", "120"]


def test_sizes_are_told_in_any_unit():
    said = [size_in_words(v) for v in (0.1, 2.5, 3, np.exp(np.log(512)), 2048, 1.6384e7, 3e10, 1.3e19)]
    assert said == ["0.1", "2.5", "3", "512", "2,048", "16.38 million", "30 billion", "1.3e+19"]


def test_nothing_is_certain_by_resampling():
    assert [percent_in_words(p) for p in (0.991, 0.99, 0.5)] == ["over 99%", "99%", "50%"]
    assert number_in_words(np.inf) == "not reached"
    assert number_in_words(np.inf, tried=False) == "not tried"


@pytest.mark.parametrize(
    ("best", "order"), [(0.099, ["loss", "exact_match"]), (0.1, ["exact_match", "loss"])]
)
def test_a_share_that_no_cell_reaches_comes_behind_the_loss(best, order):
    rows = [
        {"quality": "a", "size": n, "status": "done", "loss": 1.0, "exact_match": value}
        for n, value in ((8, 0.0), (16, best))
    ]
    late = {"quality": "a", "size": 32, "status": "failed", "loss": None, "exact_match": 0.9}
    zero = {"quality": None, "size": 0, "status": "done", "loss": 2.0, "exact_match": 0.9}
    assert by_worth([*rows, late, zero]) == order


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.12345, "0.123"), (0.0, "0.000"), (0.0004, "0.0004"), (0.0005, "0.001"), (2e6, "2e+06")],
)
def test_a_metric_is_told_with_three_decimals_or_three_digits(value, words):
    assert digits(value) == words


def test_amounts_change_their_unit_where_people_do():
    assert [seconds_in_words(s) for s in (89, 90, 5399, 5400)] == ["89 s", "1.5 min", "90.0 min", "1.5 h"]
    assert [bytes_in_words(b) for b in (350 * 2**20, 3 * 2**29)] == ["350 MiB", "1.5 GiB"]


def test_a_point_is_a_mean_with_its_range_and_count():
    rows = [{"quality": "a", "size": 8, "status": "done", "loss": v} for v in (1.0, 1.5, 5.0)]
    # a run that failed may have left a number behind
    stopped = {"quality": "a", "size": 8, "status": "failed", "loss": 99.0}
    (point,) = points([*rows, stopped], "loss")["a"]
    assert (point.mean, point.low, point.high, point.seeds) == (2.5, 1.0, 5.0, 3)


@pytest.fixture(scope="module")
def analysis():
    rng = np.random.default_rng(0)
    rows = [
        {"quality": q, "size": n, "seed": k, "loss": 1 + rise * n**-0.4 + 0.001 * rng.standard_normal()}
        for q, rise in (("clean", 3.0), ("noisy", 4.5))
        for n in (32, 128, 512, 2048)
        for k in range(3)
    ]
    return analyse(read_table(rows), "loss", bootstraps=40)


def test_a_purse_buys_new_examples_or_cleans_those_at_hand(analysis):
    game = Game(analysis, worse="noisy")
    given = GameRound(examples=128, coins=64, clean_price=2.0)
    assert game.buys(given, 0.25) == (128 + 48, 8)
    assert game.buys(given, 1) == (128, 32)
    # never more than the largest size that was measured, never more clean ones than there are
    assert game.buys(GameRound(examples=2000, coins=4000, clean_price=0.5), 0) == (2048, 0)
    assert game.buys(GameRound(examples=128, coins=256, clean_price=0.5), 1) == (128, 128)


def test_a_purse_scores_its_share_of_the_way_between_two_curves(analysis):
    game = Game(analysis, worse="noisy")
    given = GameRound(examples=128, coins=64, clean_price=2.0)
    worse, clean = 1 + 4.5 * 176**-0.4, 1 + 3 * 176**-0.4
    assert game.score(given, 0.25) == pytest.approx(worse + 8 / 176 * (clean - worse), abs=3e-3)
    outcome = game.play(given, 0.25)
    assert outcome.curve[25] == outcome.score
    assert outcome.best_score == min(outcome.curve)
    assert outcome.best_share == outcome.curve.index(min(outcome.curve)) / 100
    assert outcome.regret == pytest.approx(outcome.score - min(outcome.curve))
    assert total_regret([outcome, outcome]) == pytest.approx(2 * outcome.regret)


def test_the_largest_directions_hold_their_share_of_the_squares():
    assert held(np.diag([3.0, 1.0, 2.0])) == pytest.approx([9 / 14, 13 / 14, 1])


def test_a_heat_map_writes_each_mean_in_its_own_cell_in_ink_that_can_be_read():
    means = [0.11, 0.22, 0.93, 0.84]
    grid = {
        "qualities": ["clean", "noisy"],
        "sizes": [8, 16],
        "axis": "response tokens",
        "cells": [{"mean": mean} for mean in means],
        "title": "exact match",
        "better": "high",
    }
    for better, dark in (("high", ON_DARK), ("low", ON_BRIGHT)):
        texts = heat_map(grid | {"better": better}).axes[0].texts
        assert heat_map(grid).axes[0].get_xlabel() == "response tokens"
        assert [text.get_text() for text in texts] == ["0.11", "0.22", "0.93", "0.84"]
        assert [text.get_position() for text in texts] == [(0, 0), (1, 0), (0, 1), (1, 1)]
        # cividis is dark where its values are small, its reverse where they are large
        assert texts[0].get_color() == dark
        assert texts[2].get_color() != dark
