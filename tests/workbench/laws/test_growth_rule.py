"""The rule by which a study grows: which cells it chooses, when it ends, and what it says."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.laws import analyse, read_table
from workbench.laws.next_cells import Interval, NextCell, Room, expected_after, interval_of, next_batch
from workbench.laws.simulate import TRUTHS, grown
from workbench.laws.stopping import LOOKS, Look, RateQuestion, interval_in_words, next_step

TRUTH = TRUTHS["power"]
ASKED = RateQuestion("clean", "noisy", 256, 1.3)


def cells_of(sizes=(64, 128, 256, 512, 1024), seeds=3):
    return [(q, float(n), k) for q in ("clean", "noisy") for n in sizes for k in range(seeds)]


def analysed(cells, study=0):
    return analyse(grown(TRUTH, study, cells), "loss", bootstraps=200)


def room(trained, **changes) -> Room:
    used: dict[tuple[str, int], set[int]] = {}
    for quality, size, seed in trained:
        used.setdefault((quality, int(size)), set()).add(seed)
    return Room(
        **{"smallest": 32, "largest": 2048, "used": used, "minutes": lambda _, n: n / 100, "cells": 4}
        | changes
    )


@pytest.fixture(scope="module")
def wide():
    """A study that knows both ends of its interval."""
    cells = cells_of((64, 128, 256, 512, 2048))
    return analysed(cells), room(cells)


def batch(analysis, within, factor=None):
    return next_batch(analysis, reference="clean", other="noisy", size=256, room=within, factor=factor)


def test_the_factor_is_what_the_interval_spans_to_each_side_of_its_middle():
    assert Interval(2.0, 3.1, 4.5).factor == pytest.approx(1.5)
    assert pytest.approx(4.5) == 3.0 * 1.5, "the middle of 2 and 4.5 is 3, the root of their product"
    for low, high in ((0.0, 4.0), (2.0, math.inf), (math.inf, math.inf)):
        assert Interval(low, 3.0, high).factor == math.inf
        assert Interval.of_ends(*Interval(low, 3.0, high).ends).factor == math.inf
    assert Interval.of_ends(*Interval(2.0, 3.1, 4.5).ends).factor == pytest.approx(1.5)


def test_a_smallest_size_that_may_be_enough_leaves_the_lower_end_open():
    cells = [*cells_of(), *cells_of()]
    swapped = analysed(dict.fromkeys(cells))
    better = interval_of(swapped, reference="noisy", other="clean", size=64)
    assert better.low == 0.0, "fewer clean examples than the 64 tried might do as well"
    assert interval_of(swapped, reference="clean", other="noisy", size=256).low > 0


def test_cells_are_new_seeds_or_new_sizes_within_the_range(wide):
    analysis, within = wide
    found = batch(analysis, replace(within, cells=40, smallest=64, largest=1024))
    assert len({(cell.quality, cell.size, cell.seed) for cell in found}) == len(found)
    assert all(64 <= cell.size <= 1024 for cell in found)
    assert all(cell.seed not in within.used.get((cell.quality, int(cell.size)), ()) for cell in found)
    assert {cell.quality for cell in found} == {"clean", "noisy"}
    assert any(cell.size not in analysis.curve(cell.quality).size for cell in found), "a size between"


def test_the_seeds_of_the_study_come_first_in_their_order():
    within = Room(32, 2048, {}, lambda *_: 1.0, 4, seeds=(7, 3))
    assert [within.fresh(used) for used in ((), (7,), (7, 3), (7, 3, 8))] == [7, 3, 8, 9]
    assert [replace(within, seeds=()).fresh(used) for used in ((), (0,), (1,), (0, 1))] == [0, 1, 0, 2]


def test_a_cell_that_costs_more_is_chosen_less(wide):
    analysis, within = wide
    alike = batch(analysis, replace(within, cells=1, minutes=lambda *_: 1.0))[0]
    dear = replace(
        within, cells=1, minutes=lambda q, n: 1e6 if (q, n) == (alike.quality, alike.size) else 1.0
    )
    assert (batch(analysis, dear)[0].quality, batch(analysis, dear)[0].size) != (alike.quality, alike.size)


def test_a_batch_knows_what_its_own_cells_have_told(wide):
    """By the textbook's update: the second measurement of a cell is worth less than the first."""
    analysis, within = wide
    only = replace(within, cells=3, smallest=256, largest=256, minutes=lambda *_: 1.0)
    worth: dict[str, list[float]] = {}
    for cell in batch(analysis, only):
        worth.setdefault(cell.quality, []).append(cell.narrowing)
    repeated = [found for found in worth.values() if len(found) > 1]
    assert repeated
    assert all(found == sorted(found, reverse=True) and found[0] > found[1] for found in repeated)


def test_the_first_cell_narrows_as_the_formula_says(wide):
    analysis, within = wide
    (cell,) = batch(analysis, replace(within, cells=1))
    grid = np.geomspace(64, 2048, 300)
    target = analysis.curve("clean").predict([256])[1:, 0]
    curve = analysis.curve("noisy").predict(grid)[1:]
    rate = np.array(
        [
            math.log(np.interp(-y, -row, grid) / 256) if row.min() <= y else math.log(2 * 2048 / 256)
            for y, row in zip(target, curve, strict=True)
        ]
    )
    value = analysis.curve(cell.quality).predict([cell.size])[1:, 0]
    sizes = analysis.curve("clean").size
    variance = np.mean(analysis.noise.spread.reshape(2, 5) ** 2, axis=0)
    spread = np.sqrt(np.interp(np.log(cell.size), np.log(sizes), variance))
    gain = np.cov(rate, value)[0, 1] ** 2 / (np.var(value, ddof=1) + spread**2) / np.var(rate, ddof=1)
    assert cell.narrowing == pytest.approx(1 - math.sqrt(1 - gain), rel=0.05)


def test_an_interval_is_expected_to_shrink_by_one_cell_after_the_other():
    half = [NextCell("clean", 64.0, seed, 0.5, 1.0) for seed in (0, 1)]
    after = expected_after(Interval(2.0, 4.0, 64.0), half)
    # half of a half of the logarithm's way is left to either end
    assert (after.low, after.middle, after.high) == pytest.approx((4 / 2**0.25, 4.0, 4 * 16**0.25))
    assert expected_after(Interval(2.0, 4.0, math.inf), half) is None
    assert expected_after(Interval(2.0, 4.0, 64.0), [NextCell("clean", 64.0, 0, math.nan, 1.0)]) is None


def test_a_batch_ends_once_the_interval_should_be_short_enough(wide):
    analysis, within = wide
    now = interval_of(analysis, reference="clean", other="noisy", size=256)
    many = replace(within, cells=40)
    assert len(batch(analysis, many, factor=now.factor * 0.98)) < len(batch(analysis, many)) == 40


def test_no_cell_takes_more_than_the_time_that_is_left(wide):
    analysis, within = wide
    found = batch(analysis, replace(within, cells=40, left=9.0))
    assert 0 < sum(cell.minutes for cell in found) <= 9.0
    assert batch(analysis, replace(within, left=0.1)) == ()


def test_a_rate_beyond_what_was_tried_asks_for_a_larger_size_with_two_seeds():
    cells = cells_of((64, 128, 256), 2)
    analysis = analysed(cells)
    found = batch(analysis, room(cells))
    assert {cell.quality for cell in found} == {"noisy"}
    assert {cell.seed for cell in found} == {0, 1}
    assert 256 < found[0].size <= 512
    assert found[0].size == found[1].size
    assert all(cell.size <= 300 for cell in batch(analysis, room(cells, largest=300)))


def test_a_width_has_to_be_reached_in_two_looks_in_a_row(wide):
    analysis, within = wide
    now = interval_of(analysis, reference="clean", other="noisy", size=256).factor
    easy = replace(ASKED, factor=now * 1.01)
    assert LOOKS == 2
    for looks, ended in (([], False), ([Look(28, 2.0)], False), ([Look(28, now)], True)):
        step = next_step(easy, analysis, within, looks)
        assert (step.cells == ()) is ended
    assert next_step(easy, analysis, within, [Look(28, now)]).why.startswith("reached: matching 256 clean")
    few = next_step(easy, analysis, replace(within, cells=12), [])
    assert len(few.cells) <= 2, "one look with a few more cells decides"


def test_a_study_that_grows_in_vain_ends_and_says_how_much_is_missing(wide):
    analysis, within = wide
    now = interval_of(analysis, reference="clean", other="noisy", size=256).factor
    asked = replace(ASKED, factor=1.01)
    vain = next_step(asked, analysis, within, [Look(15, now), Look(20, now), Look(28, now)])
    assert vain.cells == ()
    short = f"not reached: the factor is {now:.3g}, {now / 1.01:.2g} times the 1.01 asked for: "
    assert vain.why.startswith(short)
    assert next_step(asked, analysis, within, [Look(15, now * 1.2), Look(28, now)]).cells
    assert next_step(asked, analysis, within, [Look(25, now), Look(28, now)]).cells
    assert next_step(asked, analysis, within, [Look(15, math.inf), Look(28, math.inf)]).cells


def test_time_that_is_up_is_told(wide):
    analysis, within = wide
    step = next_step(replace(ASKED, factor=None), analysis, replace(within, left=0.1))
    assert step.why.startswith("ended: the time is up; matching 256")


def test_no_interval_is_told():
    silent = analyse(
        read_table([{"quality": q, "size": n, "loss": n**-0.5} for q in "ab" for n in (4, 8)]), "loss"
    )
    step = next_step(RateQuestion("a", "b", 8, 1.3), silent, Room(4, 8, {}, lambda *_: 1.0, 4))
    assert (step.cells, step.interval) == ((), None)
    assert step.why.startswith("ended: there is no interval to narrow: ")


def test_a_rate_that_no_amount_allowed_reaches_ends_the_study():
    cells = cells_of((64, 256, 1024), 3)
    step = next_step(replace(ASKED, size=1024), analysed(cells), room(cells, largest=1024))
    assert step.cells == ()
    assert step.why.startswith("answered, up to 1,024 examples: no amount of noisy examples tried is enough")


def test_the_words():
    told = interval_in_words(ASKED, Interval(2.0, 3.1, 4.5))
    assert told == (
        "matching 256 clean examples takes 3.1 times as many noisy ones "
        "(2 to 4.5, a factor of 1.5 to each side)"
    )
    assert "(no lower end to 4.5, one end is open)" in interval_in_words(ASKED, Interval(0.0, 3.1, 4.5))
    assert "(2 to not reached, one end is open)" in interval_in_words(ASKED, Interval(2.0, 3.1, math.inf))
    assert interval_in_words(ASKED, Interval(2.0, math.inf, math.inf)) == (
        "whether any amount of noisy examples is enough for 256 clean ones can't be told yet; if any is, "
        "at least 2 times as many"
    )
    # a rate below all that was tried is recorded as 0, which is no number to tell
    assert interval_in_words(ASKED, Interval(0.0, 0.0, 0.4)) == (
        "the fewest noisy examples tried may be enough for 256 clean ones; if more are needed, at most "
        "0.4 times as many; smaller sizes would tell"
    )
    assert interval_in_words(ASKED, Interval(0.0, 0.0, math.inf)) == (
        "the fewest noisy examples tried may be enough for 256 clean ones; smaller sizes would tell"
    )
    assert interval_in_words(ASKED, Interval(0.0, 0.0, 0.0)).startswith(
        "the fewest noisy examples tried are enough for 256 clean ones"
    )
    assert interval_in_words(ASKED, Interval(math.inf, math.inf, math.inf)).startswith("no amount of noisy ")


@settings(deadline=None, max_examples=20)
@given(
    study=st.integers(0, 1000),
    sizes=st.sets(st.sampled_from((32, 45, 64, 128, 256, 512, 2048)), min_size=1, max_size=5),
    seeds=st.integers(2, 4),
    size=st.integers(32, 2048),
    left=st.floats(0, 100),
)
def test_any_study_gets_cells_that_may_be_trained_or_a_reason(study, sizes, seeds, size, left):
    cells = cells_of(tuple(sorted(sizes)), seeds)
    within = room(cells, left=left, cells=6)
    step = next_step(replace(ASKED, size=size), analysed(cells, study), within)
    assert step.why
    assert sum(cell.minutes for cell in step.cells) <= left
    for cell in step.cells:
        assert 32 <= cell.size <= 2048
        assert cell.seed not in within.used.get((cell.quality, int(cell.size)), ())


def test_a_simulated_study_keeps_what_it_has_measured():
    few, more = cells_of((64, 128), 2), cells_of((32, 64, 128), 3)
    found = {(row.quality, row.size, row.seed): row.values["loss"] for row in grown(TRUTH, 5, more).rows}
    assert all(
        found[row.quality, row.size, row.seed] == row.values["loss"] for row in grown(TRUTH, 5, few).rows
    )
    other = grown(TRUTH, 6, few).rows
    assert all(found[row.quality, row.size, row.seed] != row.values["loss"] for row in other)
