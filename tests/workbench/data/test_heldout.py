import re

import pytest
from follows import follows
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.heldout import default_count, hold_out, opening
from workbench.data.records import Record
from workbench.errors import InputError


def records(prompts):
    return [Record(id=str(place), prompt=prompt, response="r") for place, prompt in enumerate(prompts)]


@settings(max_examples=50, deadline=None)
@given(prompts=st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=30), data=st.data())
def test_splits_by_prompt_into_exact_numbers_or_says_why_not(prompts, data):
    everything = records(prompts)
    count = data.draw(st.integers(1, len(prompts) - 1))
    try:
        train, held = hold_out(everything, count, "some")
    except InputError:
        assert len(set(prompts)) < len(prompts), "only copies can be in the way of an exact number"
        return
    assert len(held) == count
    assert sorted([*train, *held], key=lambda one: int(one.id)) == everything
    assert not {one.prompt for one in train} & {one.prompt for one in held}


def test_a_conversation_is_never_on_both_sides():
    """Records that begin alike, wherever each ends; how it ends, many conversations have in common."""
    turns = [(f"q{place}", f"a{place}") for place in range(30)]
    everything = [
        Record(id=f"{place} {length}", prompt="Go on.", response="r", history=(turn, *turns[:length]))
        for place, turn in enumerate(turns)
        for length in range(3)
    ]
    everything += [
        Record(id=f"{place}", prompt=asked, response="r") for place, (asked, _) in enumerate(turns)
    ]
    train, held = hold_out(everything, None, "some")
    assert len(held) == 24
    assert not set(map(opening, train)) & set(map(opening, held))
    # the first turns alone are split as they always were
    alone = [one for one in everything if not one.history]
    assert {one.prompt for one in hold_out(alone, 6, "some")[1]} == set(map(opening, held))
    with pytest.raises(InputError, match="has 3 records, all with the same first prompt"):
        hold_out([one for one in everything if opening(one) == "q1" and one.history], None, "some")


def test_the_order_of_the_file_does_not_matter():
    everything = records(map(str, range(100)))
    train, held = hold_out(everything, 20, "some")
    again = hold_out(everything[::-1], 20, "some")
    assert (set(train), set(held)) == tuple(map(set, again))
    assert set(held) < set(hold_out(everything, 30, "some")[1])
    # not simply the first or the last of them
    assert 20 < sum(int(one.id) for one in held) / len(held) < 80


@pytest.mark.parametrize(("size", "held"), [(5, 1), (2, 1), (100, 20), (2999, 599), (3001, 600)])
def test_the_default_is_600_or_a_fifth(size, held):
    assert len(hold_out(records(map(str, range(size))), None, "some")[1]) == held


@pytest.mark.parametrize(
    ("prompts", "count", "message"),
    [
        pytest.param("abc", 3, "3 of the 3 records of some leaves none to train on; hold out 2", id="all"),
        pytest.param(
            "abc", 0, "0 of the 3 records of some leaves nothing to judge by; hold out 1", id="none"
        ),
        pytest.param("abc", -5, "leaves nothing to judge by; hold out 1", id="less-than-none"),
        pytest.param("aabb", 0, "leaves nothing to judge by; hold out 2", id="none-of-pairs"),
        pytest.param("aabb", 1, "1 of the 4 .* same prompt stay on one side; hold out 2", id="only-pairs"),
        pytest.param("aabb", 3, "3 of the 4 .* same prompt stay on one side; hold out 2", id="past-a-pair"),
        pytest.param("a", None, "some has 1 record, so .* \\(--heldout-file", id="one-record"),
        pytest.param("a", 1, "some has 1 record, so .* \\(--heldout-file", id="one-record-by-number"),
        pytest.param(
            "aaa", None, "has 3 records, all with the same prompt, .* \\(--heldout-file", id="one-prompt"
        ),
        pytest.param(
            "aaa", 0, "has 3 records, all with the same prompt, .* \\(--heldout-file", id="one-prompt-0"
        ),
    ],
)
def test_refuses(prompts, count, message):
    with pytest.raises(InputError, match=message):
        hold_out(records(prompts), count, "some")


FAMILIES = st.lists(st.integers(1, 9), min_size=2, max_size=8)


def families(sizes):
    return records([f"prompt {place}" for place, size in enumerate(sizes) for _ in range(size)])


@follows("hold out {nearest} (--heldout {nearest})")
@settings(max_examples=100, deadline=None)
@given(sizes=FAMILIES, count=st.integers(-3, 80))
def test_the_number_that_is_advised_is_the_nearest_that_works(sizes, count):
    everything = families(sizes)
    try:
        held = hold_out(everything, count, "some")[1]
        assert len(held) == count
        return
    except InputError as error:
        advised = int(re.search(r"hold out (\d+) \(--heldout \1\)$", str(error))[1])
    assert len(hold_out(everything, advised, "some")[1]) == advised
    for nearer in range(count - abs(advised - count) + 1, count + abs(advised - count)):
        with pytest.raises(InputError):
            hold_out(everything, nearer, "some")


@settings(max_examples=100, deadline=None)
@given(sizes=FAMILIES)
def test_without_a_number_two_prompts_are_enough(sizes):
    train, held = hold_out(families(sizes), None, "some")
    wanted = default_count(sum(sizes))
    assert train
    assert held
    assert not {one.prompt for one in train} & {one.prompt for one in held}
    # more than wanted only where each family alone is more
    assert len(held) <= wanted or len(held) == min(sizes) > wanted


def test_families_stay_together():
    everything = records(f"{first}{second}" for first in "abcdefghij" for second in "xyz")
    train, held = hold_out(everything, 9, "some", family=lambda one: one.prompt[0])
    assert len({one.prompt[0] for one in held}) == 3
    assert not {one.prompt[0] for one in train} & {one.prompt[0] for one in held}
