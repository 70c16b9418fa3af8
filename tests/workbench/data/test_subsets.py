"""Draws: nested in size, in rate and in raters; never from what is held out."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import Quality
from workbench.data.chance import generator, number, pick
from workbench.data.corruptions import CORRUPTIONS
from workbench.data.records import Dataset, Record
from workbench.data.subsets import draw, rated
from workbench.errors import InputError


def dataset(count=300, *, reverse=False):
    """``count`` records, of which the first 20 are held out."""
    records = [
        Record(
            id=f"r{place}",
            prompt=f"prompt {place}",
            response=f"answer {place}" if place >= 20 else f"held {place}",
            choices=(f"answer {place}", "other"),
            alternatives=("wrong", "worse"),
        )
        for place in range(count)
    ]
    train = records[20:][::-1] if reverse else records[20:]
    return Dataset(
        name="some",
        train=tuple(train),
        heldout=tuple(records[:20]),
        template="plain",
        licence="none",
        origin="a test",
    )


DATA = dataset()
FEW = dataset(60)
SIZES = st.integers(1, len(FEW.train))
SHARES = st.floats(0.0, 1.0)
SEEDS = st.integers(0, 1000)
NAMES = pytest.mark.parametrize("name", sorted(CORRUPTIONS))


def quality(name, share):
    return Quality() if share == 1.0 else Quality(corruption=name, share=share)


@NAMES
@settings(max_examples=15, deadline=None)
@given(sizes=st.tuples(SIZES, SIZES), share=SHARES, seed=SEEDS)
def test_a_smaller_draw_begins_a_larger_one(name, sizes, share, seed):
    small, large = sorted(sizes)
    level = quality(name, share)
    assert draw(DATA, level, large, seed)[:small] == draw(DATA, level, small, seed)


def test_a_draw_of_one_is_the_first_of_all_with_an_answer_from_anywhere():
    spoiled = Quality(corruption="other_record", share=0.0)
    answers = {record.response for record in DATA.train}
    for seed in range(20):
        for level in (Quality(), spoiled):
            assert draw(DATA, level, 1, seed) == draw(DATA, level, 50, seed)[:1]
        (alone,) = draw(DATA, spoiled, 1, seed)
        assert alone.response in answers - {f"answer {alone.id[1:]}"}


@NAMES
@settings(max_examples=15, deadline=None)
@given(shares=st.tuples(SHARES, SHARES), size=SIZES, seed=SEEDS)
def test_what_is_spoiled_at_a_low_rate_is_spoiled_alike_at_a_higher_one(name, shares, size, seed):
    worse, better = (draw(DATA, quality(name, share), size, seed) for share in sorted(shares))
    clean = draw(DATA, Quality(), size, seed)
    for low, high, untouched in zip(better, worse, clean, strict=True):
        assert high.spoiled or not low.spoiled
        if low.spoiled and name != "duplicate":
            assert high == low
        for record in (low, high):
            assert record.spoiled or record == untouched


@settings(max_examples=15, deadline=None)
@given(shares=st.tuples(SHARES, SHARES), size=SIZES, seed=SEEDS)
def test_a_copy_changes_at_a_higher_rate_only_if_its_original_is_replaced(shares, size, seed):
    worse, better = (draw(DATA, quality("duplicate", share), size, seed) for share in sorted(shares))
    kept = {record.prompt for record in worse if not record.spoiled}
    for low, high in zip(better, worse, strict=True):
        if low.spoiled and low.prompt in kept:
            assert high == low


@settings(max_examples=15, deadline=None)
@given(share=SHARES, size=SIZES, seed=SEEDS)
def test_duplicates_are_copies_of_what_was_drawn_before(share, size, seed):
    drawn = draw(DATA, quality("duplicate", share), size, seed)
    distinct = {record.prompt for record in drawn}
    assert len(distinct) == sum(record.spoiled is None for record in drawn) >= 1
    assert len({record.id for record in drawn}) == size


@NAMES
def test_a_draw_does_not_hang_on_the_order_of_the_file(name):
    level = Quality(corruption=name, share=0.5)
    assert draw(DATA, level, 100, 7) == draw(dataset(reverse=True), level, 100, 7)
    assert dataset(reverse=True).fingerprint == DATA.fingerprint


@NAMES
def test_held_out_records_are_never_drawn(name):
    everything = draw(DATA, Quality(corruption=name, share=0.5), len(DATA.train), 0)
    assert not {record.id for record in everything} & {record.id for record in DATA.heldout}
    assert not any(record.response.startswith("held") for record in everything)


def test_every_corruption_spoils_the_same_records():
    levels = [Quality(corruption=name, share=0.5) for name in sorted(set(CORRUPTIONS) - {"duplicate"})]
    hit = [[record.id for record in draw(DATA, level, 200, 1) if record.spoiled] for level in levels]
    assert all(ids == hit[0] for ids in hit)


def test_the_rate_is_met_on_average():
    shares = [
        sum(
            record.spoiled is not None
            for record in draw(DATA, Quality(corruption="typo", share=0.8), 280, seed)
        )
        / 280
        for seed in range(20)
    ]
    # 5,600 coins at 0.2: four standard errors
    assert abs(sum(shares) / 20 - 0.2) < 4 * (0.2 * 0.8 / 5600) ** 0.5


def test_the_rate_is_met_at_the_beginning_of_a_draw_too():
    """Small sizes are beginnings of large ones: what is drawn first may not be spoiled more often."""
    hits = [
        record.spoiled is not None
        for seed in range(200)
        for record in draw(DATA, Quality(corruption="typo", share=0.8), 10, seed)
    ]
    # 2,000 coins at 0.2: four standard errors
    assert abs(sum(hits) / len(hits) - 0.2) < 4 * (0.2 * 0.8 / len(hits)) ** 0.5


def test_each_seed_spoils_other_records():
    """Two seeds at a rate of one half agree about half of the records."""
    level = Quality(corruption="typo", share=0.5)
    one, two = ({r.id: bool(r.spoiled) for r in draw(DATA, level, 280, seed)} for seed in (0, 1))
    assert abs(sum(one[name] == two[name] for name in one) / 280 - 0.5) < 4 * (0.25 / 280) ** 0.5


def test_a_copy_is_of_what_was_drawn_before_it():
    drawn = draw(DATA, Quality(corruption="duplicate", share=0.3), 100, 3)
    originals = {record.id: record.prompt for record in draw(DATA, Quality(), 100, 3)}
    seen = set()
    for record in drawn:
        if record.spoiled:
            assert record.prompt in seen
        else:
            assert record.prompt == originals[record.id]
        seen.add(record.prompt)
    assert not drawn[0].spoiled


def test_seeds_draw_differently():
    assert draw(DATA, Quality(), 50, 0) != draw(DATA, Quality(), 50, 1)


@pytest.mark.parametrize(
    ("level", "size", "message"),
    [
        pytest.param(
            Quality(), 281, r"size 281 is larger than the data: some has 280 .* 20 held out", id="large"
        ),
        pytest.param(Quality(), 0, "size is 0", id="none"),
        pytest.param(Quality(corruption="typ", share=0.5), 5, "Did you mean 'typo'", id="unknown"),
        pytest.param(Quality(raters=2), 5, r"record 'r\d+' has 0 raters", id="no-ratings"),
    ],
)
def test_refuses(level, size, message):
    with pytest.raises(InputError, match=message):
        draw(DATA, level, size, 0)


def test_an_unknown_corruption_is_refused_even_where_nothing_would_be_spoiled():
    with pytest.raises(InputError, match="unknown corruption"):
        draw(DATA, Quality(corruption="nothing", share=0.999999), 1, 0)


SCORES = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=12).map(tuple)


def opinion(ratings, name="a"):
    return Record(id=name, prompt="p", response="?", choices=("negative", "positive"), ratings=ratings)


@settings(max_examples=15, deadline=None)
@given(ratings=SCORES, seed=SEEDS, data=st.data())
def test_raters_are_asked_one_after_the_other(ratings, seed, data):
    record = opinion(ratings)
    count = data.draw(st.integers(1, len(ratings)))
    label = rated(record, count, seed).response
    # adding a rater who agrees can't change the label, so the first raters are among the later ones
    if count < len(ratings) and min(ratings) * max(ratings) > 0:
        assert rated(record, count + 1, seed).response == label
    if count == len(ratings) and sum(ratings):
        assert label == ("positive" if sum(ratings) > 0 else "negative")


def test_the_second_rater_joins_the_first():
    # one rater of eight has a view: once asked, that rater stays asked
    ratings = (0.0,) * 7 + (1.0,)
    first_asked = Counter()
    for seed in range(200):
        labels = [rated(opinion(ratings), count, seed).response for count in range(1, 9)]
        assert labels == sorted(labels), "negative by the coin, then positive for good"
        first_asked[labels.count("negative")] += 1
    assert set(first_asked) == set(range(8))


def test_a_tie_is_a_fair_coin_that_does_not_change():
    labels = Counter(rated(opinion((0.0,), str(name)), 1, 0).response for name in range(2000))
    assert abs(labels["positive"] - 1000) < 4 * (2000 * 0.25) ** 0.5
    assert rated(opinion((0.0, 0.0)), 1, 5) == rated(opinion((0.0, 0.0)), 2, 5)


def test_each_seed_tosses_the_coin_of_a_tie_anew():
    labels = Counter(rated(opinion((2.0, -2.0)), 2, seed).response for seed in range(2000))
    assert abs(labels["positive"] - 1000) < 4 * (2000 * 0.25) ** 0.5


def test_each_seed_asks_the_raters_in_another_order():
    """Each of four raters is as likely to be asked first."""
    first = Counter()
    for seed in range(2000):
        labels = [
            rated(opinion(tuple(float(place == one) or -1.0 for place in range(4))), 1, seed)
            for one in range(4)
        ]
        (asked,) = [one for one, record in enumerate(labels) if record.response == "positive"]
        first[asked] += 1
    assert all(abs(first[one] - 500) < 4 * (2000 * 0.25 * 0.75) ** 0.5 for one in range(4))


def test_the_sum_of_those_who_were_asked_decides():
    ratings = (4.0, -1.0, -1.0, -1.0)
    counts = set()
    for seed in range(50):
        count = next(n for n in range(1, 5) if rated(opinion(ratings), n, seed).response == "positive")
        labels = [rated(opinion(ratings), n, seed).response for n in range(1, 5)]
        # until the one who is pleased is asked, the others decide; then nobody outweighs that one
        assert labels == ["negative"] * (count - 1) + ["positive"] * (5 - count)
        counts.add(count)
    assert counts == {1, 2, 3, 4}


def test_too_many_raters():
    with pytest.raises(InputError, match="'a' has 2 raters and 2 choices, where 3 raters"):
        rated(opinion((1.0, 2.0)), 3, 0)


def test_chance_is_uniform_and_pinned():
    values = [number(0, "order", str(name)) for name in range(4000)]
    assert all(0.0 <= value < 1.0 for value in values)
    assert abs(sum(values) / 4000 - 0.5) < 4 * (1 / 12 / 4000) ** 0.5
    assert len(set(values)) == 4000
    # every study made so far would change with these
    assert number(0, "order", "walk") == 0.11703321159115687
    chance = generator(1, "typo", "walk")
    assert "".join(pick("abcdefgh", chance) for _ in range(6)) == "gbebdd"
