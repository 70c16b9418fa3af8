"""The loss that chance leaves, against a model that knows all but the coin."""

import math
from random import Random

import pytest

from workbench.data.records import Record
from workbench.lessons.chance import chance_loss


def record(response, alternatives):
    return Record(id=response, prompt=response, response=response, alternatives=alternatives)


def test_it_is_the_surprise_of_who_knows_all_but_the_coin():
    records = [record("walked", ("walking", "walks", "walk")), record("put", ("putting", "puts"))]
    chance, surprise, tokens = Random(0), 0.0, 0
    for _ in range(40_000):
        one = chance.choice(records)
        right = chance.random() < 0.75
        surprise -= math.log(0.75 if right else 0.25 / len(one.alternatives))
        tokens += len(one.response) + 1
    assert chance_loss(records, 0.75) == pytest.approx(surprise / tokens, rel=0.02)


def test_without_chance_nothing_is_left():
    assert chance_loss([record("walked", ("walk",))], 1.0) == 0.0
    assert chance_loss([record("walked", ("walk",))], 0.0) == 0.0
