"""Two studies compared at the places that both have."""

import numpy as np
import pytest
from scipy import stats

from workbench.studies.paired import paired_differences

RANDOM = np.random.default_rng(4)


def rows(shift: float, seeds=(0, 1, 2), sizes=(8, 16)) -> list[dict]:
    return [
        {
            "quality": quality,
            "size": size,
            "seed": seed,
            "loss": shift + float(RANDOM.normal()),
            "other": None,
        }
        for quality in ("clean", "noisy")
        for size in sizes
        for seed in seeds
    ]


def test_the_interval_is_students_t_of_the_seeds():
    first, second = rows(0.0), rows(0.5)
    (found,) = paired_differences(first, second, ["loss", "other", "unknown"])
    by_seed = [
        np.mean([b["loss"] - a["loss"] for a, b in zip(first, second, strict=True) if a["seed"] == seed])
        for seed in (0, 1, 2)
    ]
    expected = stats.ttest_1samp(by_seed, 0.0).confidence_interval(0.95)
    assert (found.metric, found.pairs, found.seeds) == ("loss", 12, 3)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.second - found.first == pytest.approx(np.mean(by_seed))


def test_only_places_that_both_have_count_whatever_their_order():
    first, second = rows(0.0), rows(0.0, seeds=(2, 1), sizes=(16, 64))
    (found,) = paired_differences(first, second, ["loss"])
    assert (found.pairs, found.seeds) == (4, 2)
    place = ("quality", "size", "seed")
    pairs = [(a["loss"], b["loss"]) for a in first for b in second if all(a[n] == b[n] for n in place)]
    assert (found.first, found.second) == pytest.approx(tuple(np.mean(pairs, axis=0)))
    assert paired_differences(first, rows(0.0, seeds=(7,)), ["loss"]) == []


def test_one_seed_gives_no_interval_and_a_missing_number_no_pair():
    first, second = rows(0.0, seeds=(0,)), rows(1.0, seeds=(0,))
    second[0]["loss"], second[1]["loss"] = None, float("nan")
    (found,) = paired_differences(first, second, ["loss"])
    assert (found.pairs, found.low, found.high) == (2, None, None)
    assert "(no interval), 2 pairs over 1 seed" in str(found)


def test_a_line_reads_as_it_should():
    first = [{"quality": "clean", "size": 8, "seed": seed, "loss": 1.0} for seed in (0, 1)]
    second = [{**row, "loss": 1.25} for row in first]
    (found,) = paired_differences(first, second, ["loss"])
    assert str(found) == "loss: 1 against 1.25, +0.25 (+0.25 to +0.25), 2 pairs over 2 seeds"
