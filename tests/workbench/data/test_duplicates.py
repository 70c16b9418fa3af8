"""Clusters of duplicates: equal to brute force, whatever the order, with misses as rare as stated."""

import json
import re
import unicodedata
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from workbench.data.duplicates import (
    PERMUTATIONS,
    _hashes,
    _sketches,
    chance_of_a_miss,
    exact_clusters,
    jaccard,
    near_clusters,
)

REAL = Path(__file__).resolve().parents[4] / "shared" / "real"
WORDS = re.findall(r"\S+", "the a cat dog sat ran on under mat Über groß naïve 猫 は 走った ﬁne 12 7 ! ?")
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=14)


def five_characters(text):
    """Return the set of shingles by its definition."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = re.sub(r"\s+", " ", folded).strip()
    return {"".join(five) for five in zip(*(folded[at:] for at in range(5)), strict=False)} or {folded}


def brute_force(texts, threshold):
    """Compare all pairs, and return the first text that each is connected with."""
    sets = [five_characters(text) for text in texts]
    first = list(range(len(texts)))
    for one, other in combinations(range(len(texts)), 2):
        if len(sets[one] & sets[other]) >= threshold * len(sets[one] | sets[other]):
            low, high = sorted((first[one], first[other]))
            first = [low if at == high else at for at in first]
    return first


def family(rng, words=40):
    """Return a text, and the same with some words changed."""
    text = ["".join(rng.choices("abcdefghijklmnop", k=rng.randrange(2, 9))) for _ in range(words)]
    copies = [text]
    for changes in (0, 1, 2, 4, 8, 16):
        copy = list(text)
        for _ in range(changes):
            copy[rng.randrange(words)] = rng.choice("xyz") * rng.randrange(1, 9)
        copies.append(copy)
    return [" ".join(copy) for copy in copies]


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, threshold=st.sampled_from([0.3, 0.5, 0.8, 0.95, 1.0]))
def test_near_clusters_are_those_of_brute_force(texts, threshold):
    assert near_clusters(texts, threshold=threshold) == brute_force(texts, threshold)


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, data=st.data())
def test_the_order_does_not_matter(texts, data):
    order = data.draw(st.permutations(range(len(texts))))
    here, there = near_clusters(texts), near_clusters([texts[at] for at in order])
    for one, other in combinations(range(len(order)), 2):
        assert (there[one] == there[other]) == (here[order[one]] == here[order[other]])


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_two_thousand_records_are_those_of_brute_force(threshold):
    """Families of every similarity, and real instructions where they are at hand."""
    rng = Random(0)
    texts = [text for _ in range(100) for text in family(rng)]
    path = REAL / "alpaca_random_9k.json"
    if path.is_file():
        texts += [one["instruction"] for one in json.loads(path.read_text())[:1300]]
    rng.shuffle(texts)
    found = near_clusters(texts, threshold=threshold)
    assert found == fast_brute_force(texts, threshold)
    assert len(set(found)) < len(texts) - 100, "there are clusters to find"


def fast_brute_force(texts, threshold):
    """Compare all pairs by a matrix of which text has which shingle."""
    sets = [five_characters(text) for text in texts]
    names = {name: at for at, name in enumerate(sorted(set().union(*sets)))}
    columns = [names[name] for own in sets for name in own]
    rows = [row for row, own in enumerate(sets) for _ in own]
    has = csr_array((np.ones(len(rows), dtype=np.int32), (rows, columns)))
    both = (has @ has.T).toarray()
    sizes = both.diagonal()
    alike = both >= threshold * (sizes[:, None] + sizes - both)
    first = np.arange(len(texts))
    for one, other in zip(*np.nonzero(np.triu(alike, 1)), strict=True):
        low, high = sorted((first[one], first[other]))
        first[first == high] = low
    return first.tolist()


def test_few_pairs_at_the_threshold_are_missed():
    """Of pairs just above it, at most the stated share."""
    rng = Random(1)
    pairs = []
    for _ in range(400):
        text = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=200))
        at = rng.randrange(40, 160)
        other = text[:at] + "".join(rng.choices("0123456789", k=17)) + text[at + 17 :]
        assert 0.8 <= jaccard(text, other) < 0.82
        pairs.append((text, other))
    found = near_clusters([text for pair in pairs for text in pair])
    missed = sum(found[at] != found[at + 1] for at in range(0, len(found), 2))
    assert missed <= 2, "one in a thousand, at the threshold"
    assert len(set(found)) == 400 + missed, "and nothing else is joined"


def test_the_chance_of_a_miss_is_that_of_the_bands():
    assert chance_of_a_miss(0.8) == pytest.approx((1 - 0.8**5) ** 25)
    for threshold in (0.3, 0.5, 0.7, 0.8, 0.9, 0.99):
        assert chance_of_a_miss(threshold, threshold) <= 1e-3
        assert chance_of_a_miss(1.0, threshold) == 0


def test_sketches_are_those_of_the_library_one_shingle_at_a_time():
    texts = ["a", "hello there", "naïve 猫 text of some length"]
    for line, text in zip(_sketches(texts), texts, strict=True):
        alone = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)
        for number in _hashes(text).tolist():
            alone.update(number)
        assert line.tolist() == alone.hashvalues.tolist()


def test_exact_duplicates_differ_in_white_space_and_composition_only():
    texts = ["a  b", "a b ", "A b", "a b.", "é", "e\u0301", "", " \n"]
    assert exact_clusters(texts) == [0, 0, 2, 3, 4, 4, 6, 6]
    assert near_clusters(texts) == [0, 0, 0, 3, 4, 4, 6, 6], "case and compatible characters are folded too"


def test_nothing_and_one():
    assert near_clusters([]) == exact_clusters([]) == []
    assert near_clusters(["a"]) == [0]


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_that_is_none(threshold):
    with pytest.raises(ValueError, match="it has to be above 0 and at most 1"):
        near_clusters(["a"], threshold=threshold)
