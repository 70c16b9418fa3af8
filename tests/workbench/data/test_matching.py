"""The control of a filter: records that chance drew with the same lengths, over random data sets."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.matching import LENGTH_BINS, same_lengths
from workbench.data.records import Record


def records(count):
    return [Record(id=f"{number}", prompt=f"q{number}", response="r") for number in range(count)]


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60),
    chosen=st.sets(st.integers(0, 59), min_size=1),
    turned=st.booleans(),
)
def test_every_beginning_has_the_lengths_of_the_picks(lengths, chosen, turned):
    everyone = records(len(lengths))
    if turned:
        everyone = everyone[::-1]
    picks = [one for place, one in enumerate(everyone) if place in chosen] or everyone[:1]
    tokens = {one.id: float(lengths[int(one.id)]) for one in everyone}
    found = same_lengths(picks, everyone, tokens)
    assert len({one.id for one in found}) == len(found) == len(picks)
    own = sorted(tokens[one.id] for one in picks)

    def rank(record):
        """Say between which of the picks' own lengths a record lies, counted without searchsorted."""
        cuts = sorted({own[int(np.ceil((len(own) - 1) * k / LENGTH_BINS))] for k in range(1, LENGTH_BINS)})
        return sum(tokens[record.id] > cut for cut in cuts)

    for size in range(1, len(picks) + 1):
        assert Counter(map(rank, found[:size])) == Counter(map(rank, picks[:size]))
    assert own[0] <= min(tokens[one.id] for one in found)
    assert max(tokens[one.id] for one in found) <= own[-1]


def test_within_a_length_the_control_is_what_chance_draws_first():
    everyone = records(6)
    tokens = {"0": 5.0, "1": 1.0, "2": 5.0, "3": 1.0, "4": 5.0, "5": 1.0}
    found = same_lengths([everyone[4], everyone[5]], everyone, tokens)
    assert [one.id for one in found] == ["0", "1"]


def test_none_is_longer_or_shorter_than_all_of_the_picks():
    everyone = records(60)
    tokens = {
        one.id: 99.0 if int(one.id) < 20 else 0.0 if int(one.id) < 40 else 1.0 * int(one.id)
        for one in everyone
    }
    found = same_lengths(everyone[40:], everyone, tokens)
    assert [one.id for one in found] == [one.id for one in everyone[40:]]


def test_a_filter_by_length_is_its_own_control():
    everyone = records(10)
    tokens = {one.id: float(one.id) for one in everyone}
    picks = everyone[7:]
    assert {one.id for one in same_lengths(picks, everyone, tokens)} == {one.id for one in picks}
