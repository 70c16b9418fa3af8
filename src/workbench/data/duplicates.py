"""Texts that say the same: exact duplicates, and near duplicates by MinHash and locality-sensitive hashing.

Exact duplicates are equal once white space is one space and Unicode is composed (NFC); case and punctuation
count. Two texts are near duplicates where the Jaccard similarity of their shingles, runs of five characters
after case folding and NFKC, reaches a threshold: characters, because then short texts and languages without
spaces have shingles too. A cluster holds all that near duplicates connect.

Candidates are found by MinHash (Broder, "On the resemblance and containment of documents", 1997), in bands of
rows that have to agree (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3), and each is
checked by its exact similarity: no cluster is too large. A pair at the threshold is missed with a
probability of at most one in a thousand (:func:`chance_of_a_miss`), a more similar one more seldom.

The sketches are those of the library ``datasketch``. Its index isn't used: it keeps a Python set for each of
a million buckets, which takes more time and memory than sorting the bands does.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import sqrt

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

SHINGLE = 5
"""Characters of a shingle; a shorter text is one shingle."""
PERMUTATIONS = 128
MOST_MISSED = 1e-3
"""Probability with which a pair at the threshold may be missed."""
FAR_BELOW = 4.0
"""Standard errors by which an estimate has to be below the threshold before a pair isn't looked at."""


def exact_clusters(texts: Sequence[str]) -> list[int]:
    """Return for each text the index of the first text of its cluster of exact duplicates.

    Args:
        texts: The texts; equal are those that differ in white space and in Unicode's composition only.
    """
    first: dict[str, int] = {}
    return [first.setdefault(_same(text), index) for index, text in enumerate(texts)]


def near_clusters(texts: Sequence[str], *, threshold: float = 0.8) -> list[int]:
    """Return for each text the index of the first text of its cluster of near duplicates.

    The clusters don't depend on the order of the texts, nor on a seed that anybody chooses.

    Args:
        texts: The texts.
        threshold: Least Jaccard similarity of two near duplicates, above 0 and up to 1.

    Raises:
        ValueError: If the threshold is no such number.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}; it has to be above 0 and at most 1")
    folded = [_folded(text) for text in texts]
    different = list(dict.fromkeys(folded))
    component = _components(different, threshold)
    place = {text: index for index, text in enumerate(different)}
    first: dict[int, int] = {}
    return [first.setdefault(int(component[place[text]]), index) for index, text in enumerate(folded)]


def jaccard(one: str, other: str) -> float:
    """Return the share of the shingles of two texts that both have."""
    ours, theirs = shingles(_folded(one)), shingles(_folded(other))
    return len(ours & theirs) / len(ours | theirs)


def chance_of_a_miss(similarity: float, threshold: float = 0.8) -> float:
    """Return the probability that no band of two texts of this similarity agrees.

    Args:
        similarity: Of the two texts.
        threshold: The one that is asked for, which decides the bands.
    """
    rows = _rows(threshold)
    return (1.0 - similarity**rows) ** (PERMUTATIONS // rows)


def shingles(folded: str) -> set[str]:
    """Return the runs of characters of a text, as it is after folding."""
    return {folded[at : at + SHINGLE] for at in range(max(1, len(folded) - SHINGLE + 1))}


def _same(text: str) -> str:
    composed = text if text.isascii() else unicodedata.normalize("NFC", text)
    return " ".join(composed.split())


def _folded(text: str) -> str:
    if text.isascii():
        return " ".join(text.lower().split())
    # folding may decompose again, so the normal form is taken last
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def _rows(threshold: float) -> int:
    """Return the most rows that a band may have: the more, the fewer candidates there are in vain."""
    fits = [
        rows
        for rows in range(1, PERMUTATIONS + 1)
        if (1.0 - threshold**rows) ** (PERMUTATIONS // rows) <= MOST_MISSED
    ]
    return max(fits, default=1)


def _components(texts: Sequence[str], threshold: float) -> NDArray[np.int64]:
    """Return for each of different texts the index of the first one that near duplicates connect it with."""
    component = np.arange(len(texts))
    if len(texts) < 2:
        return component
    sketches = _sketches(texts)
    parts = lru_cache(maxsize=4096)(lambda index: shingles(texts[index]))
    least = threshold - FAR_BELOW * sqrt(threshold * (1.0 - threshold) / PERMUTATIONS)
    unlike: set[tuple[int, int]] = set()
    for bucket in _buckets(sketches, _rows(threshold), component):
        for at, one in enumerate(bucket[:-1]):
            others = bucket[at + 1 :]
            others = others[component[others] != component[one]]
            alike = (sketches[others] == sketches[one]).mean(axis=1)
            for other in others[alike >= least]:
                pair = (int(one), int(other))
                if component[one] == component[other] or pair in unlike:
                    continue
                ours, theirs = parts(pair[0]), parts(pair[1])
                if len(ours & theirs) >= threshold * len(ours | theirs):
                    first, last = sorted((component[one], component[other]))
                    component[component == last] = first
                else:
                    unlike.add(pair)
    return component


def _buckets(
    sketches: NDArray[np.uint32], rows: int, component: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Yield the texts that agree in a band, in their order, unless all are of one component by then."""
    # a chance collision of these keys makes a candidate in vain, no more
    weights = _odd_numbers(rows, seed=0)
    for start in range(0, PERMUTATIONS - rows + 1, rows):
        keys = (sketches[:, start : start + rows] * weights).sum(axis=1, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        starts = np.concatenate(([0], np.flatnonzero(np.diff(keys[order])) + 1))
        ends = np.append(starts[1:], len(order))
        joined = component[order]
        several = np.minimum.reduceat(joined, starts) < np.maximum.reduceat(joined, starts)
        for begin, end in zip(starts[several], ends[several], strict=True):
            yield order[begin:end]


def _sketches(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return a line of minima for each text."""
    sketch = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=_as_it_is)
    lines = np.empty((len(texts), PERMUTATIONS), dtype=np.uint32)
    for line, text in zip(lines, texts, strict=True):
        sketch.clear()
        # all hashes of a text at once: one by one they take three times as long
        sketch.update_batch([_hashes(text)])
        line[:] = sketch.hashvalues
    return lines


def _as_it_is(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return hashes


def _odd_numbers(count: int, seed: int) -> NDArray[np.uint64]:
    """Return multipliers for multiply-shift hashing (Dietzfelbinger et al., 1997)."""
    return np.random.default_rng(seed).integers(2**63, size=count, dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)


WEIGHTS = _odd_numbers(SHINGLE, seed=1)


def _hashes(text: str) -> NDArray[np.uint32]:
    """Return 32 bits for each shingle of a text."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    if len(points) < SHINGLE:
        points = np.concatenate([points, np.full(SHINGLE - len(points), 0x110000, dtype=np.uint64)])
    sums = np.zeros(len(points) - SHINGLE + 1, dtype=np.uint64)
    for at, weight in enumerate(WEIGHTS):
        sums += points[at : at + len(sums)] * weight
    return (sums >> np.uint64(32)).astype(np.uint32)
