"""What a planned study could see, by hand."""

import numpy as np
import pytest
from scipy.stats import t as student

from workbench.laws import analyse, read_table
from workbench.laws.planner import detectable, smallest_difference

SIZES = (32, 128, 512, 2048)


@pytest.fixture(scope="module")
def analysis():
    rng = np.random.default_rng(2)
    rows = [
        {
            "quality": q,
            "size": n,
            "seed": k,
            "loss": 1 + rise * n**-0.4 + 0.02 * rng.standard_normal(),
        }
        for q, rise in (("clean", 3.0), ("noisy", 4.5))
        for n in SIZES
        for k in range(3)
    ]
    return analyse(read_table(rows), "loss", bootstraps=200)


def test_the_smallest_difference_by_hand():
    # five seeds: the difference of two means of five, tested with 8 degrees of freedom
    needed = student.ppf(0.975, 8) + student.ppf(0.8, 8)
    assert smallest_difference(0.1, seeds=5) == pytest.approx(needed * 0.1 * np.sqrt(2 / 5))
    # over three sizes, where a quarter is the seeds' (cancels) and a fifth a quality's (stays)
    needed = student.ppf(0.975, 8) + student.ppf(0.9, 8)
    shared = smallest_difference(0.1, seeds=5, sizes=3, seed_share=0.25, quality_share=0.2, power=0.9)
    assert shared == pytest.approx(needed * 0.1 * np.sqrt(2 / 5 * (0.2 + 0.55 / 3)))
    # nothing is a quality's own: all six cells of four degrees tell the spread
    needed = student.ppf(0.975, 24) + student.ppf(0.8, 24)
    assert smallest_difference(0.1, seeds=5, sizes=3, seed_share=0.25) == pytest.approx(
        needed * 0.1 * np.sqrt(2 / 5 * 0.75 / 3)
    )


def test_what_a_larger_study_would_see_takes_its_noise_from_this_one(analysis):
    _, quality, rest = analysis.noise.variances
    variance = np.mean(analysis.noise.spread**2)
    freedom = 9 * 2 if quality else 9 * 2 * 4
    needed = student.ppf(0.975, freedom) + student.ppf(0.8, freedom)
    expected = needed * np.sqrt(2 / 10 * variance * (quality + rest / 4))
    assert detectable(analysis, seeds=10, sizes=4) == pytest.approx(expected)
    assert detectable(analysis) == pytest.approx(detectable(analysis, seeds=3, qualities=2))
