"""The measurement of growing studies: every way to choose chooses what it says, on real analyses."""

import math
from dataclasses import replace

import planning
import pytest

from workbench.laws.simulate import TRUTHS

TRUTH = TRUTHS["power"]


@pytest.mark.parametrize("name", planning.CHOOSERS)
def test_every_way_to_choose_adds_new_cells(name):
    cells = planning.start_grid(TRUTH)
    analysis, now = planning.look(TRUTH, 0, cells)
    chosen = planning.CHOOSERS[name](TRUTH, analysis, now, cells, [], 1.05)
    assert chosen
    assert not set(chosen) & set(cells)
    assert all(TRUTH.sizes[0] <= size <= TRUTH.sizes[-1] for _, size, _ in chosen)


def test_the_two_nearest_are_the_question_and_its_match():
    cells = planning.start_grid(TRUTH)
    analysis, now = planning.look(TRUTH, 0, cells)
    now = replace(now, low=2.0, middle=2.9, high=4.0)
    choose = planning.CHOOSERS["two nearest"]
    ((other, match, seed),) = choose(TRUTH, analysis, now, cells, [], 1.05)
    assert (other, seed) == (TRUTH.other, 0)
    nearest = min(TRUTH.sizes, key=lambda size: abs(math.log(size / (2.9 * TRUTH.reachable))))
    assert match == nearest
    ((reference, size, seed),) = choose(TRUTH, analysis, now, [*cells, (other, match, seed)], [], 1.05)
    assert (reference, size, seed) == (TRUTH.reference, TRUTH.reachable, 2)


def test_a_study_ends_at_its_width_or_after_three_full_grids():
    whole = planning.cost(planning.full_grid(TRUTH))
    paid, reached, _, cells = planning.grow(TRUTH, 0, planning.CHOOSERS["random"], math.inf)
    # any width will do; the second look has to agree, with one cell more
    assert (reached, cells) == (True, len(planning.start_grid(TRUTH)) + 1)
    assert paid * whole > planning.cost(planning.start_grid(TRUTH))
