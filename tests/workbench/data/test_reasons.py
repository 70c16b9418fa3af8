"""Why a record is in a pool: the reasons agree with what is drawn, for every kind of pool and any data."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_data import dataset, datasets, record

from workbench.data import pools, reasons
from workbench.data.pools import POOLS, ordered
from workbench.data.qualities import parse_quality
from workbench.data.reasons import LIMITS_IN_WORDS, REASONS, judged_by_all_kinds, partners, reasons_of
from workbench.errors import InputError

TEXTS = {
    "mixture": ["0.7*kind=a+0.3*kind=b", "0.5*file:left+0.5*score<0.5", "0.5*dedup:exact+0.5*kind=a"],
    "file": ["file:left", "file:right"],
    "best": ["top:30%@score", "bottom:30%@score", "top:1%@score", "bottom:100%@score"],
    "dedup": ["dedup:exact", "dedup:near"],
    "chance": ["chance"],
    "same-lengths": ["same-lengths:top:30%@score", "same-lengths:kind=a"],
    "score": ["score>=0.5", "score>0.5", "score<=0.5", "score<0.5"],
    "column": ["kind=a", "kind=b", "seen=true", "score=0.25", "colour=red"],
}
"""Pools of each kind; the conformance test runs over the registry."""


def words_of(data, text, seed=0):
    return [one.words for one in reasons_of(data, text, seed)]


@pytest.mark.parametrize("kind", POOLS)
@given(data=datasets(), seed=st.integers(0, 5))
def test_conformance(kind, data, seed):
    assert set(REASONS) == set(POOLS), "each kind says why; the line stands in REASONS"
    for text in TEXTS[kind]:
        pool = parse_quality(text).pool
        assert pools.parsed(pool)[0] is POOLS[kind]
        try:
            drawn = {one.id for one in ordered(data, pool, seed)}
        except InputError as refused:
            if kind in ("mixture", "same-lengths") or "no record of" not in str(refused):
                with pytest.raises(InputError, match=re.escape(str(refused))):
                    reasons_of(data, pool, seed)
                continue
            drawn = set()
        found = reasons_of(data, pool, seed)
        assert [one.taken for one in found] == [one.id in drawn for one in data.train]
        assert all(one.why for one in found)
        turned = reasons_of(replace(data, train=data.train[::-1]), pool, seed)
        assert [one.taken for one in turned[::-1]] == [one.taken for one in found]


def test_reasons_are_said_in_words():
    data = dataset(
        record(0, "a", "clean", score=0.71),
        record(1, "b", "scraped", score=0.6),
        record(2, "b", "scraped", score=0.41, seen=True),
    )
    assert words_of(data, "file:clean") == ["in: from clean", "out: from scraped", "out: from scraped"]
    assert words_of(data, "kind=b") == ["out: kind is a", "in: kind is b", "in: kind is b"]
    assert words_of(data, "seen=true") == ["out: it has no seen", "out: it has no seen", "in: seen is true"]
    assert words_of(data, "score>=0.6") == [
        "in: score is 0.71, kept are 0.6 and more",
        "in: score is 0.6, kept are 0.6 and more",
        "out: score is 0.41, kept are 0.6 and more",
    ]
    assert words_of(data, "top:67%@score")[1:] == [
        "in: score is 0.6, the top 67% go down to 0.6",
        "out: score is 0.41, the top 67% go down to 0.6",
    ]
    assert words_of(data, "bottom:33%@score")[1:] == [
        "out: score is 0.6, the bottom 33% go up to 0.41",
        "in: score is 0.41, the bottom 33% go up to 0.41",
    ]
    assert words_of(data, "bottom:67%@score")[2] == "in: score is 0.41, the bottom 67% go up to 0.6"
    assert set(words_of(data, "top:1%@score")) == {"out: the top 1% of 3 records are none"}
    assert set(LIMITS_IN_WORDS) == set(pools.COMPARISONS)


def test_chance_and_its_controls_say_what_they_draw_for():
    data = dataset(*(record(place, score=place / 10, tokens=1 + place % 2) for place in range(10)))
    assert set(words_of(data, "chance")) == {"in: chance draws from all"}
    said = words_of(data, "same-lengths:top:20%@score")
    assert sum(one.startswith("in: ") for one in said) == 2
    for place, one in enumerate(said):
        chose = "one that chance drew" if one.startswith("in") else "not one that chance drew"
        assert one.endswith(f"tokens is {1 + place % 2}, {chose} for the lengths of top:20%@score")


def test_of_equal_scores_chance_is_named():
    data = dataset(record(0, score=1.0), *(record(n, score=0.5) for n in range(1, 4)))
    found = words_of(data, "top:50%@score")
    assert found[0] == "in: score is 1, the top 50% go down to 0.5"
    chance = "score is 0.5, the top 50% go down to 0.5, and of equal ones chance chose"
    assert sorted(found[1:]) == [f"in: {chance}", f"out: {chance}", f"out: {chance}"]


def test_copies_name_the_one_that_is_kept():
    long = "the quick brown fox jumps over the lazy dog and runs far away into the woods"
    data = dataset(
        record(1, prompt=long, response="yes"),
        record(2, prompt=f"{long}.", response="yes"),
        record(3, prompt="something else altogether is asked here", response="no"),
    )
    assert words_of(data, "dedup:near") == [
        "in: the one that is kept of 2 that are nearly alike",
        "out: one of 2 that are nearly alike, of which left.jsonl, line 2 is kept",
        "in: no other one is nearly alike",
    ]
    assert set(words_of(data, "dedup:exact")) == {"in: no other one is alike"}


def test_a_mixture_names_the_pool_or_what_stands_against_it():
    rows = [record(n, kind, f"{kind}s", prompt=f"question {n}") for n in range(40) for kind in "ab"]
    data = dataset(*rows, record(99, "c", "cs"))
    text = "0.75*file:as+0.25*file:bs"
    found = reasons_of(data, text, 3)
    assert {one.words for one in found} >= {"in: drawn by 0.75*as: from as", "in: drawn by 0.25*bs: from bs"}
    for one, reason in zip(data.train, found, strict=True):
        if reason.taken:
            assert reason.why.endswith(one.source)
    assert found[-1].words == "out: from cs"
    taken = [one.taken for one in found]
    refused = next(place for place, within in enumerate(taken[:80]) if not within)
    other = data.train[refused ^ 1]  # the other answer to its question stands beside it
    assert found[refused].words == f"out: its question is drawn with another answer, {other.place}"
    two = [one.words for one in reasons_of(data, "0.5*kind=a+0.5*score<5", 0) if one.taken]
    for part in ("kind=a: kind is a", "score<5: score is "):
        assert any(one.startswith(f"in: drawn by 0.5*{part}") for one in two)
    assert all(re.match(r"in: drawn by 0\.5\*(kind=a: kind is|score<5: score is) ", one) for one in two)
    short = dataset(record(0, "a", "as"), *(record(n, "b", "bs") for n in range(1, 30)))
    assert "out: a pool of the mixture had no more records before its turn came" in words_of(short, text, 0)


@given(score=st.floats(-1e6, 1e6), limit=st.floats(-1e6, 1e6), close=st.floats(0, 1e-9))
def test_numbers_that_are_told_lie_where_they_lie(score, limit, close):
    for other in (limit, score * (1 + close)):
        one, two = (float(text) for text in reasons._apart(score, other))
        assert (one > two, one < two) == (score > other, score < other)


def test_numbers_that_lie_close_are_told_in_more_digits():
    assert reasons._apart(0.60004, 0.6) == ("0.60004", "0.6")
    assert reasons._apart(12345.0, 0.5) == ("12345", "0.5")
    assert reasons._apart(0.5, 0.5) == ("0.5", "0.5")


def test_what_judges_is_counted_by_the_kinds_that_are_compared():
    rows = [record(n, "ab"[n % 3 == 0], score=n / 10) for n in range(10)]
    bare = replace(record(10), extra={})
    data = replace(dataset(record(99)), heldout=(*rows, bare))

    def told(*texts):
        return judged_by_all_kinds(data, [parse_quality(text) for text in texts])

    end = "; --heldout-file gives another file to judge by"
    assert told("kind=a", "kind=b") == (
        f"judged by 11 records held out of all kinds: 6 kind=a, 4 kind=b, 1 of other kinds{end}",
    )
    assert told("clean", "score>=0.7") == (
        f"judged by 11 records held out of all kinds: 3 score>=0.7, 8 of another kind{end}",
    )
    assert told("clean", "top:30%@score") == (
        f"judged by 11 records held out of all kinds, whichever a quality chooses{end}",
    )
    assert told("clean", "typo:0.5") == ()


@given(data=datasets())
def test_a_partner_answers_the_same_question_on_the_other_side(data):
    taken = [one.extra["kind"] == "a" for one in data.train]
    for place, other in enumerate(partners(data.train, taken)):
        across = [
            n
            for n, one in enumerate(data.train)
            if one.prompt == data.train[place].prompt and taken[n] != taken[place]
        ]
        assert other == (across[0] if across else None)


def test_two_numbers_have_as_few_digits_as_tell_them_apart():
    assert reasons._apart(1 / 3, 2.0) == ("0.3333", "2")
    assert reasons._apart(1 / 3, 1 / 3 + 1e-6) == ("0.333333", "0.333334")
    assert reasons._apart(0.1 + 0.2, 0.3) == ("0.30000000000000004", "0.3")
