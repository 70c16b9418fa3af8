"""The noise of a study by hand: mean squares, degrees of freedom, covariances, and the width of resamples."""

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import t as student

from workbench.laws import analyse, read_table
from workbench.laws.bootstrap import resampled
from workbench.laws.fitting import Problem, fit_law
from workbench.laws.library import Law, Parameter
from workbench.laws.noise import Noise, Stratum, covariance, estimate_noise, resample_means
from workbench.laws.replicates import ItemMeans, Replicates, arrange

SEED = 0.03 * np.array([1.0, 0.0, -1.0])
QUALITY = 0.01 * np.array([1.0, -2.0, 1.0])
REST = 0.008 * np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
"""What three seeds add: to every cell, to each quality's cells, to one of two sizes and off the other."""


def split_plot():
    """Two qualities, two sizes and three seeds, whose parts add up without touching each other."""
    return [
        {
            "quality": quality,
            "size": size,
            "seed": k,
            "loss": 1.0 + 0.5 * j + SEED[k] + (1 - 2 * j) * QUALITY[k] + sign * REST[j, k],
        }
        for j, quality in enumerate(("clean", "noisy"))
        for size, sign in ((32, 1), (128, -1))
        for k in range(3)
    ]


# sums of squares: 4 cells x 2 x 0.03^2; 4 cells x 6 x 0.01^2; 4 cells x 2 x 0.008^2
SQUARES = (4 * 2 * 9e-4, 4 * 6 * 1e-4, 4 * 2 * 0.64e-4)
POOLED = sum(SQUARES) / 8
"""Four cells with two degrees of freedom each."""


def test_the_spread_is_pooled_over_cells_with_one_degree_of_freedom_lost_in_each():
    noise = estimate_noise(arrange(read_table(split_plot()), "loss"))
    assert noise.spread == pytest.approx(np.full(4, np.sqrt(POOLED)))
    assert noise.freedom == 8


def test_mean_squares_are_those_of_a_split_plot():
    noise = estimate_noise(arrange(read_table(split_plot()), "loss"))
    assert [stratum.freedom for stratum in noise.strata] == [2, 2, 4]
    assert [stratum.cells for stratum in noise.strata] == [4, 2, 1]
    expected = np.array(SQUARES) / [2, 2, 4] / POOLED
    assert [stratum.square for stratum in noise.strata] == pytest.approx(expected)


def test_the_parts_follow_from_the_medians_of_the_mean_squares():
    noise = estimate_noise(arrange(read_table(split_plot()), "loss"))
    seed, quality, rest = (
        square / POOLED / chi2.ppf(0.5, f) for square, f in zip(SQUARES, (2, 2, 4), strict=True)
    )
    assert noise.variances == pytest.approx(((seed - quality) / 4, (quality - rest) / 2, rest))


def test_seeds_without_a_name_share_nothing():
    rows = [{k: v for k, v in row.items() if k != "seed"} for row in split_plot()]
    noise = estimate_noise(arrange(read_table(rows), "loss"))
    assert noise.variances[:2] == (0.0, 0.0)
    assert noise.strata[2].freedom == 8


def test_the_covariance_of_means_counts_the_seeds_that_two_cells_share():
    value = np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 2.0], [5.0, 6.0, np.nan]])
    data = Replicates(("a", "a", "b"), np.array([1.0, 2.0, 1.0]), value)
    # mean squares whose medians are 17, 5 and 1: parts 3, 2 and 1 with 4 cells a seed and 2 a quality
    strata = tuple(
        Stratum(square * chi2.ppf(0.5, 6) / 6, 6.0, cells)
        for square, cells in ((17, 4.0), (5, 2.0), (1, 1.0))
    )
    noise = Noise(np.array([0.1, 0.2, 0.3]), 6.0, strata)
    assert noise.variances == pytest.approx((3, 2, 1))
    shared = 3 + 2
    expected = [
        [0.01 * (shared + 1) / 3, 0.02 * shared * 2 / (3 * 2), 0.03 * 3 * 2 / (3 * 2)],
        [0.02 * shared * 2 / (3 * 2), 0.04 * (shared + 1) / 2, 0.06 * 3 * 1 / (2 * 2)],
        [0.03 * 3 * 2 / (3 * 2), 0.06 * 3 * 1 / (2 * 2), 0.09 * (shared + 1) / 2],
    ]
    np.testing.assert_allclose(covariance(data, noise), expected)


def test_few_seeds_widen_a_resample_as_students_t_does():
    data = Replicates(("a",), np.array([8.0]), np.array([[1.0, 2.0, 3.0, 4.0]]), paired=False)
    noise = estimate_noise(data)
    drawn = resample_means(data, noise, 40_000, np.random.default_rng(0))[:, 0]
    standard_error = np.std([1, 2, 3, 4], ddof=1) / np.sqrt(4)
    for p in (0.025, 0.25, 0.75, 0.975):
        assert np.quantile(drawn, p) == pytest.approx(
            2.5 + student.ppf(p, 3) * standard_error, abs=0.05 * standard_error * student.ppf(0.975, 3)
        )


# Nine qualities of one size. Seeds show 8 and seeds within a quality 1, of two degrees of freedom each, so a
# quality's own curve bears (8 + 8 x 1) / 9 in two equal parts: by Satterthwaite's formula 4 degrees.
WITHIN = (Stratum(8.0, 2.0, 9.0), Stratum(1.0, 2.0, 1.0), Stratum(1e-9, 1e6, 1.0))
ONE_QUALITY = student.ppf(0.975, 4) * np.sqrt(16 / 9 / 3)
"""97.5% quantile of the mean of three seeds where one curve bears both parts."""


def joint_quantile():
    """The same quantile where both parts are drawn apart: no formula has it, so it is simulated."""
    rng = np.random.default_rng(7)
    seed, quality = 8 * 2 / rng.chisquare(2, 400_000), 2 / rng.chisquare(2, 400_000)
    variance = np.maximum(seed - quality, 0) / 9 + quality
    return np.quantile(rng.standard_normal(400_000) * np.sqrt(variance / 3), 0.975)


def nine(qualities):
    return Replicates(qualities, np.arange(1.0, 10.0), np.zeros((9, 3))), Noise(np.ones(9), 18.0, WITHIN)


def test_the_curve_of_one_quality_bears_the_sum_of_two_parts():
    data, noise = nine(tuple("abcdefghi"))
    single, joint = (
        np.quantile(resample_means(data, noise, 60_000, np.random.default_rng(0), joint=apart)[:, 0], 0.975)
        for apart in (False, True)
    )
    assert joint_quantile() > 1.25 * ONE_QUALITY
    assert single == pytest.approx(ONE_QUALITY, rel=0.05)
    assert joint == pytest.approx(joint_quantile(), rel=0.05)


def test_items_are_drawn_with_replacement_for_all_cells_at_once():
    outcome = np.array([[0.0, 1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0, 1.0]])
    moved = ItemMeans(outcome, np.ones(5)).resample(40_000, np.random.default_rng(0))
    expected = np.cov(outcome, ddof=0) / 5
    np.testing.assert_allclose(np.cov(moved.T), expected, atol=2e-3)
    assert moved.mean(axis=0) == pytest.approx([0, 0], abs=5e-3)


def test_a_score_counted_on_few_items_is_no_more_certain_than_the_count():
    rows = [
        {"quality": "a", "size": n, "seed": k, "exact_match": share + 0.001 * k}
        for n, share in ((8, 0.2), (16, 0.3), (32, 0.4))
        for k in range(2)
    ]
    rate = 0.3005
    with_items, without = (analyse(read_table(rows), "exact_match", items=n).noise for n in (100, None))
    assert with_items.spread == pytest.approx(np.full(3, np.sqrt(rate * (1 - rate) / 100)))
    assert without.spread == pytest.approx(np.full(3, 0.001 / np.sqrt(2)))


def many_cells(spread, seeds=3):
    """Sixty cells whose seeds really spread as told, by size."""
    rng = np.random.default_rng(3)
    size = np.tile(2.0 ** np.arange(3, 15), 5)
    value = 2 + spread(size)[:, None] * rng.standard_normal((60, seeds))
    return Replicates(tuple(f"q{i // 12}" for i in range(60)), size, value)


def test_spreads_that_differ_by_chance_are_made_one():
    data = many_cells(lambda size: np.full(60, 0.1))
    noise = estimate_noise(data)
    raw = np.nanstd(data.value, axis=1, ddof=1)
    assert raw.max() > 5 * raw.min()
    assert noise.spread.max() < 1.5 * noise.spread.min()
    # shrinking moves what the cells have among each other and keeps what they have together
    assert np.mean(noise.spread**2) == pytest.approx(np.mean(raw**2), rel=0.05)


def test_a_spread_that_falls_with_size_is_followed():
    noise = estimate_noise(many_cells(lambda size: 0.4 * size**-0.4))
    expected = 0.4 * 2.0 ** (-0.4 * np.arange(3, 15))
    np.testing.assert_allclose(noise.spread[:12], expected, rtol=0.3)


def test_cells_that_surely_differ_keep_some_of_their_own():
    loud = np.arange(60) % 2 == 0
    data = many_cells(lambda size: np.where(loud, 0.3, 0.01), seeds=20)
    noise = estimate_noise(data)
    assert noise.spread[loud].min() > 3 * noise.spread[~loud].max()


def test_a_spread_is_shrunk_by_the_freedom_with_which_the_spreads_differ():
    # true variances spread like 1 / chi square of 8 degrees, each told by 3 degrees of its own seeds: Smyth's
    # moderated variance weighs 8 parts of what all cells have and 3 of the cell's own
    rng = np.random.default_rng(5)
    sigma = 0.1 * np.sqrt(8 / rng.chisquare(8, 3000))
    value = 2 + sigma[:, None] * rng.standard_normal((3000, 4))
    data = Replicates(("a",) * 3000, np.tile([8.0, 16.0], 1500), value)
    raw = np.var(value, axis=1, ddof=1)
    expected = (8 * raw.mean() + 3 * raw) / (8 + 3)
    np.testing.assert_allclose(estimate_noise(data).spread ** 2, expected, rtol=0.25)
    assert np.polyfit(raw, estimate_noise(data).spread ** 2, 1)[0] == pytest.approx(3 / 11, rel=0.15)


def level(inputs):
    """One constant: the mean of all cells."""
    return Law(
        name="level",
        formula="E",
        source="a test",
        inputs=inputs,
        metric="loss",
        shapes=(),
        coefficients=(Parameter("E", "metric", -np.inf, np.inf, scale="linear"),),
        terms=lambda _, x: np.ones((len(x["size"]), 1)),
    )


def test_a_bootstrap_draws_one_quality_and_many_each_in_its_own_way():
    rng = np.random.default_rng(0)
    for qualities, expected in ((("a",) * 9, ONE_QUALITY), (tuple("abcdefghi"), joint_quantile())):
        data, noise = nine(qualities)
        fit = fit_law(
            level(("size",)),
            Problem(
                {"size": data.size},
                np.array([9.0, *[0.0] * 8]),
                np.ones(9),
                freedom=18.0,
                quality=qualities,
                replicates=data,
                noise=noise,
            ),
        )
        drawn = np.array([resampled(fit, rng).y for _ in range(1_500)])
        # around the fitted level, 1 everywhere, and not around the measurements
        assert np.median(drawn, axis=0) == pytest.approx(np.ones(9), abs=0.2)
        assert np.quantile(drawn[:, 0] - 1, 0.975) == pytest.approx(expected, rel=0.2), qualities


def test_seeds_that_all_agree_have_the_noise_of_counting_items():
    data = Replicates(("a", "a", "a"), np.array([8.0, 16.0, 32.0]), np.full((3, 2), 0.25))
    noise = estimate_noise(data, floor=0.05)
    assert noise.spread == pytest.approx([0.05] * 3)
    drawn = resample_means(data, noise, 4000, np.random.default_rng(0))
    # two seeds, and three degrees of freedom behind the spread: Student's t of three
    assert np.quantile(drawn[:, 0], 0.975) - 0.25 == pytest.approx(3.18 * 0.05 / np.sqrt(2), rel=0.1)
