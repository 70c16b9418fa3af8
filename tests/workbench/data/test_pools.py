"""Pools: which records a quality draws from, checked against plain Python over random data sets."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pool_data import dataset, datasets, record

from workbench.config import CellConfig, Quality
from workbench.data import pools
from workbench.data.pools import (
    POOLS,
    columns_read,
    ordered,
    with_columns,
)
from workbench.data.qualities import parse_quality
from workbench.data.questions import paired, question_of
from workbench.data.subsets import draw
from workbench.errors import InputError

EXAMPLES = {
    "mixture": "0.7*kind=a+0.3*kind=b",
    "file": "file:left",
    "best": "top:30%@score",
    "dedup": "dedup:exact",
    "score": "score>=0.5",
    "column": "kind=a",
    "chance": "chance",
    "same-lengths": "same-lengths:top:30%@score",
}
"""A pool of each kind; the conformance test runs over the registry."""


PAIRS = dataset(
    *(record(n, kind, source=f"{kind}s", prompt=f"question {n}") for n in range(60) for kind in "ab"),
    *(record(n, "a", source="left") for n in range(60, 80)),
)


ALWAYS = (
    record(0, "a", "left", prompt="always there", score=1.0),
    record(1, "b", "left", prompt="always there too", score=1.0),
)
"""So that no pool of :data:`EXAMPLES` is empty."""


@pytest.mark.parametrize("kind", POOLS)
@given(data=datasets(ALWAYS), seed=st.integers(0, 5))
def test_conformance(kind, data, seed):
    text = EXAMPLES[kind]
    assert pools.parsed(text)[0] is POOLS[kind]
    assert POOLS[kind].about.rpartition(": ")[2], "the text ends in an example, which the message shows"
    quality = parse_quality(text)
    assert parse_quality(quality.pool) == quality
    assert Quality(**quality.to_dict()) == quality
    found = ordered(data, quality.pool, seed)
    assert len({one.id for one in found}) == len(found), "no record is drawn twice"
    assert set(found) <= set(data.train)
    assert list(found) == list(ordered(replace(data, train=data.train[::-1]), quality.pool, seed)), (
        "the order of the file decides nothing"
    )
    for size in range(1, len(found) + 1):
        assert draw(data, quality, size, seed) == list(found[:size])
    with pytest.raises(InputError, match=f"has {len(found)} of the {len(data.train)} records .* 2 too few"):
        draw(data, quality, len(found) + 2, seed)


@given(data=datasets(ALWAYS))
def test_a_pool_holds_what_its_text_says(data):
    def ids(text):
        return {one.id for one in ordered(data, text, 0)}

    def where(test):
        return {one.id for one in data.train if test(one)}

    assert ids("kind=b") == where(lambda one: one.extra["kind"] == "b")
    assert ids("file:left") == where(lambda one: one.source == "left")
    assert ids("score>=0.5") == where(lambda one: one.extra["score"] >= 0.5)
    assert ids("score>0.5") == where(lambda one: one.extra["score"] > 0.5)
    assert ids("score<=1") == where(lambda one: True)
    unique = ordered(data, "dedup:exact", 0)
    contents = [(one.prompt, one.response) for one in unique]
    assert Counter(contents) == Counter({(one.prompt, one.response) for one in data.train})
    for percent in (10, 30, 100):
        count = round(len(data.train) * percent / 100)
        if not count:
            continue
        best, worst = (ordered(data, f"{end}:{percent}%@score", 0) for end in ("top", "bottom"))
        scores = sorted(one.extra["score"] for one in data.train)
        assert sorted(one.extra["score"] for one in best) == scores[len(scores) - count :]
        assert sorted(one.extra["score"] for one in worst) == scores[:count]


def test_of_nearly_alike_records_one_is_left():
    long = "the quick brown fox jumps over the lazy dog and runs far away into the woods"
    rows = dataset(
        record(1, prompt=long, response="yes"),
        record(2, prompt=f"{long}.", response="yes"),
        record(3, prompt="something else altogether is asked here", response="no"),
    )
    assert len(ordered(rows, "dedup:exact", 0)) == 3
    assert {one.id for one in ordered(rows, "dedup:near", 0)} == {"left/1", "left/3"}


def test_alike_is_what_is_asked_and_answered_alike():
    rows = dataset(
        record(1, prompt="is it one?", response="it is"),
        record(2, prompt="is it two?", response="it is"),
        record(3, prompt="is it two?", response="it isn't"),
        record(4, prompt="is it two?", response="it isn't"),
    )
    assert {one.id for one in ordered(rows, "dedup:exact", 0)} == {"left/1", "left/2", "left/3"}


@pytest.mark.parametrize("seed", range(3))
def test_answers_to_one_question_are_drawn_together(seed):
    one, other = (ordered(PAIRS, f"file:{label}", seed) for label in ("as", "bs"))
    assert [r.prompt for r in one] == [r.prompt for r in other]
    assert [r.response for r in one] != [r.response for r in other]
    # the pool of all a's has 20 more questions, and the pairs keep their order among them
    among = [r.prompt for r in ordered(PAIRS, "kind=a", seed) if r.source == "as"]
    assert among == [r.prompt for r in one]
    assert paired(one, other) == 60
    assert [r.prompt for r in one] != [r.prompt for r in ordered(PAIRS, "file:as", seed + 1)]


def test_a_pair_key_says_what_answers_one_question():
    rows = [
        record(n, kind, prompt=f"{kind} asks {n}", source=f"{kind}s", key=n)
        for n in range(30)
        for kind in "ab"
    ]
    keyed = with_columns(dataset(*rows), (), "key")
    one, other = (ordered(keyed, f"kind={kind}", 0) for kind in "ab")
    assert [r.extra["key"] for r in one] == [r.extra["key"] for r in other]
    unkeyed = (ordered(dataset(*rows), f"kind={kind}", 0) for kind in "ab")
    assert len({tuple(r.extra["key"] for r in found) for found in unkeyed}) == 2
    assert keyed.columns == ("key",)
    assert keyed.fingerprint != dataset(*rows).fingerprint
    with pytest.raises(InputError, match="has no column 'kee'; its columns are key, kind, score"):
        with_columns(dataset(*rows), (), "kee")
    lacking = dataset(*rows, record(99))
    with pytest.raises(InputError, match=r"1 of 61 records of mine have no 'key' \(left.jsonl, line 100\)"):
        with_columns(lacking, (), "key")


@given(seed=st.integers(0, 50), few=st.sampled_from([0.1, 0.3]), many=st.sampled_from([0.5, 0.9]))
def test_a_mixture_with_more_of_a_pool_has_it_wherever_one_with_less_has(seed, few, many):
    low, high = (ordered(PAIRS, f"{1 - share:g}*file:as+{share:g}*file:bs", seed) for share in (few, many))
    pairs = list(zip(low, high, strict=False))
    assert pairs
    assert all(b.source == "bs" for a, b in pairs if a.source == "bs")
    assert len({one.prompt for one in low}) == len(low), "a question is asked once"
    # both answer the same questions, so that places differ in the answer alone
    assert [a.prompt for a, _ in pairs] == [b.prompt for _, b in pairs]


def test_the_shares_of_a_mixture_hold_on_average():
    text = "0.5*file:as+0.2*file:bs+0.3*file:left"
    drawn = [one.source for seed in range(300) for one in ordered(PAIRS, text, seed)[:20]]
    counts = Counter(drawn)
    for source, share in (("as", 0.5), ("bs", 0.2), ("left", 0.3)):
        # four standard errors of the share
        assert counts[source] / len(drawn) == pytest.approx(share, abs=4 * 0.5 / len(drawn) ** 0.5)


def test_a_record_of_two_pools_is_taken_once():
    text = "0.5*kind=a+0.5*score>=0"
    found = ordered(PAIRS, text, 0)
    assert len({one.id for one in found}) == len(found)


@pytest.mark.parametrize(
    ("text", "pool", "label"),
    [
        ("source=wiki", "source=wiki", "source=wiki"),
        ("score.ifd>=0.60", "ifd>=0.6", "ifd>=0.6"),
        ("ifd < -1e-3", "ifd<-0.001", "ifd<-0.001"),
        ("top:30.0%@score.loss", "top:30%@loss", "top:30%@loss"),
        ("bottom:5%@loss", "bottom:5%@loss", "bottom:5%@loss"),
        ("dedup:exact", "dedup:exact", "dedup:exact"),
        ("0.70*source=wiki+.3*source=forum", "0.7*source=wiki+0.3*source=forum", None),
        ("name=a=b", "name=a=b", "name=a=b"),
        ("text=1>0", "text=1>0", "text=1>0"),
    ],
)
def test_texts_are_read(text, pool, label):
    quality = parse_quality(text)
    assert quality == Quality(pool=pool)
    assert quality.label == (label or pool)


def test_files_are_named_by_label_or_name():
    files = ("clean", "scraped")
    assert parse_quality("clean", files) == Quality(pool="file:clean")
    assert parse_quality("some/where/scraped.jsonl", files) == Quality(pool="file:scraped")
    assert parse_quality("file:clean", files).label == "clean"
    mixture = parse_quality("0.7*clean.jsonl+0.3*scraped.jsonl", files)
    assert mixture.pool == "0.7*file:clean+0.3*file:scraped"
    assert mixture.label == "0.7*clean+0.3*scraped"
    assert parse_quality("source=wiki", files) == Quality(pool="source=wiki")
    with pytest.raises(
        InputError, match=r"'typo:0.5' isn't one of the files, .* choose pools: file:clean, file:"
    ):
        parse_quality("typo:0.5", files)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour=red", "mine has no column 'colour'; its columns are kind, score"),
        ("kind=c", "no record of mine is in 'kind=c'; the values of 'kind' are 'a' \\(80\\), 'b' \\(60\\)"),
        ("score>5", "no record of mine is in 'score>5'; 'score' goes from 0 to 0.79"),
        ("file:middle", "no record of mine is in 'file:middle'; the files are as, bs, left"),
        ("kind>=0.5", "140 of 140 records of mine have no number in 'kind' \\(as.jsonl, lines 1, 2, 3; "),
        ("top:0%@score", "top:0%@score takes 0%; give more than 0 and at most 100"),
        ("top:0.1%@score", "no record of mine is in 'top:0.1%@score'; ask for a larger share"),
        ("0.7*kind=a+0.4*kind=b", "come to 1.1; .* such as 0.6364\\*kind=a\\+0.3636\\*kind=b"),
        ("dedup:nearly", "'dedup:nearly' chooses no records that are known; expected one of: "),
    ],
)
def test_what_cannot_be_used_is_said(text, told):
    with pytest.raises(InputError, match=told):
        ordered(PAIRS, text, 0)


def test_a_missing_score_is_neither_in_nor_out():
    without = replace(PAIRS.train[3], extra={"kind": "b"}, place="mine.jsonl, line 4")
    data = dataset(*PAIRS.train[:3], without, *PAIRS.train[4:])
    for text in ("score>=0.1", "top:10%@score", "0.5*kind=a+0.5*score>=0.1"):
        with pytest.raises(
            InputError, match=r"1 of 140 records of mine have no number in 'score' \(mine.jsonl, l"
        ):
            ordered(data, text, 0)


def test_the_columns_that_pools_read_are_part_of_what_the_data_are():
    qualities = [
        parse_quality(text) for text in ("kind=a", "0.5*kind=a+0.5*score>=0.2", "clean", "top:5%@score")
    ]
    assert columns_read(qualities) == ("kind", "score")
    assert columns_read(qualities[1:3]) == ("kind", "score")
    changed = replace(PAIRS.train[0], extra={**PAIRS.train[0].extra, "score": 0.9})
    other = dataset(changed, *PAIRS.train[1:])
    assert other.fingerprint == PAIRS.fingerprint
    names = ("kind", "score")
    assert with_columns(other, names, None).fingerprint != with_columns(PAIRS, names, None).fingerprint
    assert (
        with_columns(other, ("kind",), None).fingerprint == with_columns(PAIRS, ("kind",), None).fingerprint
    )


def test_each_quality_has_as_many_records_as_its_pool():
    qualities = [parse_quality(text) for text in ("clean", "kind=a", "kind=b", "file:left", "top:5%@score")]
    counts = pools.records_of_each(PAIRS, qualities, (0, 1))
    assert [counts[quality] for quality in qualities] == [140, 80, 60, 20, 7]
    mixture = parse_quality("0.5*kind=a+0.5*file:left")
    ends = [len(ordered(PAIRS, mixture.pool, seed)) for seed in range(4)]
    assert len(set(ends)) > 1, "where a mixture ends is up to chance"
    assert pools.records_of_each(PAIRS, [mixture], range(4)) == {mixture: min(ends)}


def test_a_quality_without_a_pool_is_what_it_was():
    assert "pool" not in Quality(corruption="typo", share=0.5).to_dict()
    assert CellConfig(data="d", base="b", size=8).key() == "dd4a62e914550d4c"
    assert CellConfig(data="d", base="b", size=8, quality=Quality(pool="kind=a")).key() != "dd4a62e914550d4c"
    with pytest.raises(InputError, match="'kind=a' chooses records, and damage"):
        Quality(pool="kind=a", corruption="typo", share=0.5)


def test_what_is_asked_names_a_question():
    first = record(1, prompt="how?")
    assert question_of(first) == question_of(record(2, "b", "right", prompt="how?"))
    assert question_of(first) != question_of(replace(first, system="be brief"))
    assert question_of(first) != question_of(replace(first, history=(("a", "b"),)))
    assert question_of(replace(first, turn="x")) == "x"
