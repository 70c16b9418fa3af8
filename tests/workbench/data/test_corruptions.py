"""Every corruption: the same seed gives the same damage, only the response changes, and it does change."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.corruptions import CORRUPTIONS, SLIPS, spoil
from workbench.data.records import Record
from workbench.errors import InputError

RESPONSES = st.text(min_size=1, max_size=12)
SEEDS = st.integers(0, 2**31)


@st.composite
def records(draw):
    """A record with everything that any corruption needs."""
    first, second, third = draw(st.lists(RESPONSES, min_size=3, max_size=3, unique=True))
    return Record(
        id=draw(st.text(max_size=8)),
        prompt=draw(st.text(max_size=8)),
        response=first,
        choices=(first, second),
        alternatives=(third, second),
    )


def pool_beside(record):
    return [record, Record(id=f"{record.id}.", prompt="other", response=f"{record.response}."), record]


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
@settings(max_examples=30, deadline=None)
@given(record=records(), seed=SEEDS)
def test_conformance(name, record, seed):
    pool = pool_beside(record)[1:2] if CORRUPTIONS[name].drawn_only else pool_beside(record)
    damaged = spoil(record, name, pool, seed)
    assert damaged == spoil(record, name, pool, seed)
    assert damaged.spoiled == name
    assert damaged.response != record.response
    assert damaged.response
    if name == "duplicate":
        assert damaged == replace(pool[0], id=record.id, spoiled=name)
    else:
        assert damaged == replace(record, response=damaged.response, spoiled=name)


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_damage_hangs_on_seed_and_id(name):
    pool = [Record(id=str(place), prompt=f"p{place}", response=f"response {place}") for place in range(50)]
    record = replace(pool[0], alternatives=tuple("bcdefgh"), choices=("response 0", *"bcdefgh"))
    outcomes = {spoil(record, name, pool[1:], seed).response for seed in range(40)}
    assert len(outcomes) > 4
    outcomes = {spoil(replace(record, id=str(one)), name, pool[1:], 0).response for one in range(40)}
    assert len(outcomes) > 4


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"typo"}))
def test_what_cannot_be_damaged_is_an_error(name):
    bare = Record(id="bare", prompt="p", response="r")
    with pytest.raises(InputError, match=r"record 'bare' has no .* which this corruption needs"):
        spoil(bare, name, [], 0)


def test_an_empty_answer_has_no_letter_to_mistype():
    with pytest.raises(InputError, match=r"'bare' has no letter to mistype, which this corruption needs"):
        spoil(Record(id="bare", prompt="p", response=""), "typo", [], 0)


def test_other_record_finds_the_one_that_differs():
    same = [Record(id=str(place), prompt="p", response="yes") for place in range(1000)]
    other = Record(id="other", prompt="p", response="no")
    assert spoil(same[0], "other_record", [*same, other], 3).response == "no"
    with pytest.raises(InputError, match="other record with a different response"):
        spoil(same[0], "other_record", same, 3)


@settings(max_examples=30, deadline=None)
@given(text=RESPONSES, seed=SEEDS)
def test_a_typo_is_one_edit(text, seed):
    record = Record(id="a", prompt="p", response=text)
    damaged = spoil(record, "typo", [], seed).response
    assert any(slip(text, place) == damaged for slip in SLIPS for place in range(len(text)))
    assert abs(len(damaged) - len(text)) <= 1


def test_every_letter_and_every_slip_is_as_likely():
    kinds, places = Counter(), Counter()
    text = "qwertyuiop"  # no letter twice, and every slip is possible everywhere but at the end
    for seed in range(3000):
        damaged = spoil(Record(id="a", prompt="p", response=text), "typo", [], seed).response
        found = [
            (kind, place)
            for kind, slip in enumerate(SLIPS)
            for place in range(9)
            if slip(text, place) == damaged
        ]
        if found:
            ((kind, place),) = found
            kinds[kind] += 1
            places[place] += 1
    for counts, options in ((kinds, 4), (places, 9)):
        expected = counts.total() / options
        assert set(counts) == set(range(options))
        assert all(abs(count - expected) < 4 * expected**0.5 for count in counts.values())


def test_slips():
    wrong_key, twice, left_out, swapped = SLIPS
    assert wrong_key("Walk", 0) == "Ealk"
    assert wrong_key("map", 2) == "mao"  # p ends its row
    assert wrong_key("4", 0) == "4"
    assert twice("walk", 1) == "waalk"
    assert left_out("walk", 1) == "wlk"
    assert swapped("walk", 2) == "wakl"
    assert swapped("walk", 3) == "walk"


def test_unknown_name_offers_the_nearest():
    with pytest.raises(InputError, match=r"unknown corruption 'other_from'\. Did you mean 'other_form'\?"):
        spoil(Record(id="a", prompt="p", response="r"), "other_from", [], 0)
