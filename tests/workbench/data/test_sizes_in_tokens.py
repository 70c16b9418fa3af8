"""Draws of so many response tokens: as close as whole records come, parts of one another."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import Quality
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw, draw_tokens, records_to_draw

DATA = Dataset(
    name="some",
    train=tuple(
        Record(
            id=f"r{place}",
            prompt=f"prompt {place}",
            response="x" * (1 + place * 7 % 23),
            extra={"source": "wiki" if place % 3 else "forum"},
        )
        for place in range(200)
    ),
    heldout=(),
    template="plain",
    licence="none",
    origin="a test",
    columns=("source",),
)
QUALITIES = (Quality(), Quality(corruption="other_record", share=0.5), Quality(pool="source=wiki"))
ALL = min(sum(len(one.response) for one in DATA.train if one.extra["source"] == "wiki"), 1500)
SIZES = st.integers(1, ALL)


def length(record):
    return len(record.response)


@settings(deadline=None)
@given(
    sizes=st.lists(SIZES, min_size=1, max_size=4), which=st.sampled_from(QUALITIES), seed=st.integers(0, 50)
)
def test_no_other_beginning_of_the_order_comes_closer(sizes, which, seed):
    drawn, lacking = draw_tokens(DATA, which, sizes, seed, length)
    assert lacking is None
    everything = draw(DATA, which, records_to_draw(DATA, which, seed), seed)
    ends = list(accumulate(map(length, everything)))
    for size in sizes:
        closest = min(abs(end - size) for end in ends)
        assert drawn[size] == everything[: len(drawn[size])]
        assert abs(ends[len(drawn[size]) - 1] - size) == closest
        # of two that are as close, the smaller one
        assert len(drawn[size]) == 1 or abs(ends[len(drawn[size]) - 2] - size) > closest


@pytest.mark.parametrize("quality", QUALITIES, ids=lambda quality: quality.label)
def test_what_all_records_have_is_the_largest_size(quality):
    everything = draw(DATA, quality, records_to_draw(DATA, quality, 3), 3)
    total = sum(map(length, everything))
    drawn, lacking = draw_tokens(DATA, quality, [10, total], 3, length)
    assert drawn[total] == everything
    assert lacking is None
    drawn, lacking = draw_tokens(DATA, quality, [10, total + 1], 3, length)
    assert list(drawn) == [10]
    assert lacking == total


def test_records_are_counted_no_further_than_is_needed():
    asked = []
    draw_tokens(DATA, Quality(), [40], 0, lambda record: asked.append(record) or length(record))
    assert len(asked) == 64
