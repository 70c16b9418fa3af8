"""What is moved by hand in the first lessons: traits in, numbers and pictures out, in Python alone."""

import random
import re

import numpy as np
import pytest
import torch
from follows import follows
from scipy.stats import mannwhitneyu

from workbench.config import Quality
from workbench.data.corruptions import CORRUPTIONS
from workbench.data.records import Record
from workbench.data.sources import load_dataset
from workbench.data.subsets import draw
from workbench.errors import InputError
from workbench.lessons import CrossOut, Damage, working
from workbench.lessons.figures import told_apart
from workbench.views.style import to_bytes


def records(spoiled):
    return [
        Record(id=str(n), prompt=f"go{n}", response=f"went{n}", spoiled="typo" if bad else None)
        for n, bad in enumerate(spoiled)
    ]


SPOILED = [True, False, True, False, False, True]
LOSSES = [3.0, 0.1, 2.0, 2.5, 0.2, 0.15]
"""Sorted: 0 (spoiled), 3, 2 (spoiled), 4, 5 (spoiled), 1."""


def test_the_largest_loss_is_on_top_and_the_line_leaves_the_rest(check_shown):
    view = CrossOut(records(SPOILED), torch.tensor(LOSSES), "loss after two passes")
    assert [row["prompt"] for row in view.rows] == ["go0", "go3", "go2", "go4", "go5", "go1"]
    assert view.kept == [0, 1, 2, 3, 4, 5]
    view.line = 2
    assert view.kept == [1, 2, 4, 5]
    view.by_hand = [1, 4]  # one is put back, one below the line goes
    assert view.crossed == {0, 4}
    assert view.kept == [1, 2, 3, 4]
    check_shown(view)


def test_the_best_line_makes_the_fewest_mistakes():
    view = CrossOut(records(SPOILED), LOSSES)
    # by hand: 3, 2, 3, 2, 3, 2, 3 mistakes for lines 0 to 6; the first of the best is taken
    assert view.best == 1
    chance = random.Random(0)
    for _ in range(20):
        spoiled = [chance.random() < 0.4 for _ in range(12)]
        losses = [chance.random() + bad for bad in spoiled]
        view = CrossOut(records(spoiled), losses)
        order = np.argsort(losses)[::-1]
        wrong = [
            sum(spoiled[place] != (rank < line) for rank, place in enumerate(order)) for line in range(13)
        ]
        assert wrong[view.best] == min(wrong)


def test_who_was_spoiled_is_in_no_picture_and_no_words_before_it_is_told():
    views = [CrossOut(records(one), LOSSES, "loss") for one in (SPOILED, [not bad for bad in SPOILED])]
    lists = [CrossOut(records(one)) for one in (SPOILED, [not bad for bad in SPOILED])]
    for one, other in (views, lists):
        one.by_hand = other.by_hand = [1]
        assert one.words() == other.words() == "1 of 6 examples crossed out"
        assert to_bytes(one.picture(), "png", dots=50) == to_bytes(other.picture(), "png", dots=50)
        one.told = other.told = True
        assert to_bytes(one.picture(), "png", dots=50) != to_bytes(other.picture(), "png", dots=50)
    assert views[0].words() == "1 of 6 examples crossed out: 0 of 3 that were spoiled, 4 mistakes"


@follows("give at least one example, and one loss for each")
def test_a_list_without_its_losses_is_refused():
    for some, losses in (([], None), (SPOILED, [1.0]), (SPOILED, torch.ones(6, 2))):
        with pytest.raises(InputError, match="give at least one example, and one loss for each"):
            CrossOut(records(some), losses)
    assert CrossOut(records([True]), [1.0]).kept == [0]


@follows("nothing is left to learn from: move")
def test_with_all_crossed_out_nothing_is_left():
    view = CrossOut(records(SPOILED), LOSSES)
    view.line = 6
    with pytest.raises(InputError, match="all 6 examples are crossed out"):
        _ = view.kept
    view.line -= 1
    assert view.kept == [1]


def test_pairs_told_apart_are_those_of_the_rank_test():
    drawn = np.random.default_rng(0)
    losses, bad = drawn.integers(0, 9, size=60).astype(float), drawn.random(60) < 0.4
    expected = mannwhitneyu(losses[bad], losses[~bad]).statistic / (bad.sum() * (~bad).sum())
    assert told_apart(losses, bad) == pytest.approx(expected)


def test_damage_shows_at_each_share_what_a_cell_would_train_on(check_shown):
    verbs = load_dataset("verbs")
    kinds = [name for name in CORRUPTIONS if name != "flip"]
    view = Damage(verbs, kinds, size=24)
    for kind, shown in zip(kinds, view.kinds, strict=True):
        for tenths in (1, 5, 9):
            quality = Quality(corruption=kind, share=tenths / 10)
            now = []
            for prompt, response, changes in shown["rows"]:
                reached = [tuple(change[1:]) for change in changes if change[0] >= tenths]
                now.append([(prompt, response), *reached][-1])
            assert now == [(one.prompt, one.response) for one in draw(verbs, quality, 24, 0)]
    assert view.words() == "other record, 70% right on average"
    check_shown(view)


class Place:
    """What a notebook gives for a display that is written anew."""

    def __init__(self):
        self.said = []

    def update(self, data, raw):
        self.said.append(data)


@pytest.fixture
def place(monkeypatch):
    place = Place()
    monkeypatch.setattr("workbench.lessons.waiting.in_kernel", lambda: True)
    monkeypatch.setattr("workbench.lessons.waiting.BETWEEN", -1.0)
    monkeypatch.setattr("IPython.display.display", lambda data, **_: place.update(data, raw=True) or place)
    return place


def test_work_is_said_while_it_lasts_and_after(place):
    with working("training <two>") as tell:
        tell(0.25)
        tell(0.5)
    said = [data["text/plain"] for data in place.said]
    assert said[0] == "training <two>: 0%"
    assert re.fullmatch(r"training <two>: 25%, about \d+ s left", said[1])
    assert said[-1] == "training <two>: done"
    assert not any("<two>" in data["text/html"] for data in place.said)
    assert 'value="0.500"' in place.said[2]["text/html"]


def test_the_time_left_is_in_proportion(place, monkeypatch):
    clock = iter([0.0, 30.0])
    monkeypatch.setattr("workbench.lessons.waiting.time.monotonic", lambda: next(clock))
    with working("training") as tell:
        tell(0.75)
    assert place.said[1]["text/plain"] == "training: 75%, about 10 s left"


def test_work_that_fails_says_that_it_stopped(place):
    with pytest.raises(ZeroDivisionError), working("dividing"):
        raise ZeroDivisionError
    assert place.said[-1]["text/plain"] == "dividing: stopped"


def test_outside_a_notebook_nothing_is_shown(capsys):
    with working("quiet") as tell:
        tell(0.5)
    assert capsys.readouterr().out == ""
