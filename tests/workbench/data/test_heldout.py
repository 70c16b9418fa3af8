import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.heldout import hold_out
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
        pytest.param("abc", 3, "some has 3 records: holding out 3 leaves none", id="all"),
        pytest.param("abc", 0, "holding out 0 records of some leaves nothing", id="none"),
        pytest.param("a", None, "some has 1 records: holding out 1 leaves none", id="one-record"),
        pytest.param("aabb", 1, "can't hold out exactly 1 of its 4 .* hold out 0", id="only-pairs"),
    ],
)
def test_refuses(prompts, count, message):
    with pytest.raises(InputError, match=message):
        hold_out(records(prompts), count, "some")


def test_families_stay_together():
    everything = records(f"{first}{second}" for first in "abcdefghij" for second in "xyz")
    train, held = hold_out(everything, 9, "some", family=lambda one: one.prompt[0])
    assert len({one.prompt[0] for one in held}) == 3
    assert not {one.prompt[0] for one in train} & {one.prompt[0] for one in held}
