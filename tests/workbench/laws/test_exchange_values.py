"""Rates, curves and bands against what their definitions give, worked from the resamples alone."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import f as fisher

from workbench.laws import analyse, bands, exchange_rate, rate_of, read_table
from workbench.laws.exchange import fewest, summarise
from workbench.laws.noise import covariance
from workbench.laws.replicates import arrange_by
from workbench.laws.thresholds import LEVEL, trusted

SIZES = (32, 128, 512, 2048)
RESAMPLES = 80


def rows_of(curves, *, metric="loss", spread=0.01, seeds=3, sizes=SIZES, zero=None):
    rng = np.random.default_rng(1)
    rows = [
        {
            "quality": quality,
            "size": n,
            "seed": k,
            metric: curve(n) + spread * (32 / n) ** 0.25 * rng.standard_normal(),
        }
        for quality, curve in curves.items()
        for n in sizes
        for k in range(seeds)
    ]
    return rows if zero is None else [*rows, {"quality": None, "size": 0, "seed": 0, metric: zero}]


def power(floor, rise):
    return lambda n: floor + rise * n**-0.4


LOSSES = {"clean": power(1.0, 3.0), "noisy": power(1.01, 4.5)}
SCORES = {
    "clean": lambda n: 0.1 + 0.8 / (1 + (n / 90) ** -1.0),
    "noisy": lambda n: 0.1 + 0.78 / (1 + (n / 200) ** -1.0),
}


@pytest.fixture(scope="module")
def losses():
    return analyse(read_table(rows_of(LOSSES)), "loss", bootstraps=RESAMPLES)


@pytest.fixture(scope="module")
def scores():
    table = read_table(rows_of(SCORES, metric="exact_match", spread=0.03, zero=0.1))
    return analyse(table, "exact_match", bootstraps=RESAMPLES)


def rates_by_search(analysis, reference, other, sizes):
    """Every draw's rate: the first of very many sizes of the other quality whose value is as good."""
    one, two = analysis.curve(reference), analysis.curve(other)
    grid = np.geomspace(two.size[0], two.size[-1], 8001)
    target = one.predict(sizes)[1:]
    found = two.predict(grid)[1:]
    rates = np.full(target.shape, np.inf)
    for d, j in np.ndindex(target.shape):
        good = found[d] <= target[d, j] if analysis.metric == "loss" else found[d] >= target[d, j]
        if good.any():
            rates[d, j] = grid[good.argmax()] / sizes[j] if good.argmax() else 0.0
    return rates


@pytest.mark.parametrize(
    ("name", "reference", "other"),
    [("losses", "clean", "noisy"), ("losses", "noisy", "clean"), ("scores", "clean", "noisy")],
)
def test_a_rate_is_what_a_search_over_sizes_finds(request, name, reference, other):
    analysis, sizes = request.getfixturevalue(name), np.array([32.0, 100.0, 700.0, 2048.0])
    answer = rate_of(analysis, reference=reference, other=other, sizes=sizes.tolist())
    rates = answer.rates
    expected = rates_by_search(analysis, reference, other, sizes)
    # of 80 resamples: two below, two above, and the upper of the two in the middle
    ordered = np.sort(expected, axis=0)
    assert rates.low == pytest.approx(ordered[1], rel=3e-3)
    assert rates.median == pytest.approx(ordered[40], rel=3e-3)
    assert rates.high == pytest.approx(ordered[78], rel=3e-3)
    assert rates.not_reached == pytest.approx(np.isinf(expected).mean(axis=0))
    assert rates.at_most == pytest.approx((expected == 0).mean(axis=0), abs=0.02)
    assert (answer.smallest, answer.tried) == (32, 2048)
    if (name, reference) == ("losses", "clean"):
        assert rates.low[0] > 1
        assert rates.not_reached[-1] > 0.9
    if reference == "noisy":
        assert rates.at_most[0] == 1


def test_an_interval_holds_ninety_five_of_a_hundred_resamples():
    resamples = np.random.default_rng(0).permutation(np.arange(1.0, 1002.0))[:, None]
    rates = summarise(np.array([10.0]), resamples)
    assert (rates.low[0], rates.median[0], rates.high[0]) == (26, 501, 976)
    assert (rates.sure_low[0], rates.sure_high[0]) == (26, 976)
    assert LEVEL == 0.95


def test_a_law_is_rejected_from_one_in_twenty_on():
    assert trusted(0.051)
    assert not trusted(0.049)
    assert trusted(None)


def test_of_five_comparisons_each_verdict_takes_a_fifth_of_the_doubt():
    resamples = np.random.default_rng(0).permutation(np.arange(0.0, 1001.0))[:, None]
    resamples[resamples > 990] = np.inf
    rates = summarise(np.array([10.0]), resamples, 5)
    assert (rates.low[0], rates.high[0]) == (25, 975)
    assert (rates.sure_low[0], rates.sure_high[0]) == (5, np.inf)
    assert rates.not_reached[0] == pytest.approx(10 / 1001)
    assert rates.at_most[0] == pytest.approx(1 / 1001)


def test_a_size_between_two_is_found_on_the_line_in_log_size():
    grid, curve = np.array([10.0, 100.0, 1000.0]), np.array([[3.0, 2.0, 1.0]])
    for target, size in ((2.5, 10**1.5), (1.25, 10**2.75), (3.0, 0.0), (9.0, 0.0), (0.5, np.inf)):
        assert fewest(grid, curve, np.array([target]), falling=True)[0] == pytest.approx(size)
        assert fewest(grid, 4 - curve, np.array([4 - target]), falling=False)[0] == pytest.approx(size)


def test_no_better_than_no_training_is_counted_over_the_resamples(scores):
    answer = rate_of(scores, reference="clean", other="noisy")
    drawn = scores.curve("clean").predict(SIZES)[1:]
    assert answer.useless == pytest.approx((drawn <= 0.1).mean(axis=0))
    rows = rows_of(LOSSES, zero=1.752)
    analysis = analyse(read_table(rows), "loss", bootstraps=RESAMPLES)
    useless = rate_of(analysis, reference="clean", other="noisy").useless
    assert useless == pytest.approx((analysis.curve("clean").predict(SIZES)[1:] >= 1.752).mean(axis=0))
    assert useless[0] > 0.2
    assert useless[1] == 0


def test_the_zero_shot_score_is_the_mean_of_its_rows():
    rows = [*rows_of(LOSSES, zero=3.0), {"quality": None, "size": 0, "seed": 1, "loss": 4.0}]
    assert read_table(rows).zero_shot("loss") == 3.5


def test_of_very_many_sizes_a_dozen_with_both_ends_are_answered():
    rows = rows_of(LOSSES, sizes=range(8, 64, 2))
    at = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy", bootstraps=40).rates.size
    assert len(at) == 12
    assert (at[0], at[-1]) == (8, 62)


def covariance_of(analysis, table, metric, quality):
    """The covariance of a quality's means, from the noise alone."""
    data, _ = arrange_by(table, metric, ["size"])
    at = data.of(quality)
    return covariance(data.part(at), analysis.noise.part(at))


def test_a_law_is_the_least_squares_fit_in_the_covariance_of_the_means(losses):
    table = read_table(rows_of(LOSSES))
    fits = next(c.fits for c in losses.candidates if c.law.name == "power")
    for quality in ("clean", "noisy"):
        curve = losses.curve(quality)
        best, _ = curve_fit(
            lambda n, e, b, beta: e + b * n**-beta,
            curve.size,
            curve.mean,
            p0=(1, 3, 0.4),
            sigma=covariance_of(losses, table, "loss", quality),
        )
        found = fits[quality].values
        assert [found["E"], found["B"], found["beta"]] == pytest.approx(best, rel=1e-4)


def test_an_accuracy_starts_at_the_zero_shot_score(scores):
    table = read_table(rows_of(SCORES, metric="exact_match", spread=0.03, zero=0.1))
    curve = scores.curve("noisy")
    best, _ = curve_fit(
        lambda n, rise, half, steepness: 0.1 + rise / (1 + (n / half) ** -steepness),
        curve.size,
        curve.mean,
        p0=(0.78, 200, 1),
        sigma=covariance_of(scores, table, "exact_match", "noisy"),
    )
    found = scores.candidates[0].fits["noisy"].values
    expected = {"floor": 0.1, "ceiling": 0.1 + best[0], "half": best[1], "steepness": best[2]}
    assert found == pytest.approx(expected, rel=1e-3)


def test_the_misfit_is_an_f_test_over_the_cells_that_are_left_over():
    table = read_table(rows_of(LOSSES))
    analysis = analyse(table, "loss", bootstraps=40, law="power")
    squares = 0.0
    for quality, curve in analysis.curves.items():
        v = analysis.candidates[0].fits[quality].values
        left = curve.mean - (v["E"] + v["B"] * curve.size ** -v["beta"])
        squares += float(left @ np.linalg.solve(covariance_of(analysis, table, "loss", quality), left))
    assert analysis.misfit == pytest.approx(fisher.sf(squares / 2, 2, 16), rel=1e-3)
    assert 0.02 < analysis.misfit < 0.98


def test_a_band_is_the_middle_95_percent_of_the_resamples_around_the_curve_as_measured(losses):
    band = bands(losses, points=5)["noisy"]
    assert band.size == pytest.approx([32, 32 * 2**1.5, 256, 256 * 2**1.5, 2048])
    drawn = losses.curve("noisy").predict(band.size)
    assert band.middle == pytest.approx(np.median(drawn[1:], axis=0))
    assert band.low == pytest.approx(np.percentile(drawn[1:], 2.5, axis=0))
    assert band.high == pytest.approx(np.percentile(drawn[1:], 97.5, axis=0))
    assert band.measured_mean == pytest.approx(losses.curve("noisy").mean)
    assert band.measured_spread == pytest.approx(losses.noise.spread[4:])


def test_resamples_of_a_score_are_scores():
    rows = rows_of({"a": lambda n: 0.97, "b": lambda n: 0.02}, metric="exact_match", spread=0.01)
    analysis = analyse(read_table(rows), "exact_match", bootstraps=200, items=20)
    values = np.concatenate([curve.measured[1:].ravel() for curve in analysis.curves.values()])
    assert values.max() == 1
    assert values.min() == 0


def test_a_curve_of_scores_ends_at_one():
    # straight up to 1, so that the best curve without a bound would pass it
    rows = rows_of({"a": {32: 0.25, 128: 0.5, 512: 0.75, 2048: 0.99}.get}, metric="exact_match", spread=0.005)
    curve = analyse(read_table(rows), "exact_match", bootstraps=40).curve("a")
    assert curve.predict([16000])[0, 0] <= 1


def test_the_seed_that_no_cell_has_used_follows_the_largest():
    rows = [row | {"seed": 3 * row["seed"]} for row in rows_of(LOSSES)]
    assert analyse(read_table(rows), "loss", bootstraps=40).next_seed == 7


def test_a_score_that_nobody_measured_before_training_is_not_taken_for_zero():
    scores = {
        "clean": lambda n: 0.5 + 0.4 / (1 + 90 / n),
        "noisy": lambda n: 0.5 + 0.4 / (1 + 270 / n),
    }
    rows = rows_of(scores, metric="accuracy", spread=0.004, sizes=[8.0 * 2**k for k in range(8)])
    analysis = analyse(read_table(rows), "accuracy", bootstraps=200)
    assert analysis.zero_shot is None
    free, held = analysis.candidates
    assert [fit.values["floor"] for fit in free.distinct] == pytest.approx([0.5, 0.5], abs=0.05)
    assert all(fit.fixed == {"floor": 0.0} for fit in held.distinct)
    assert free.misfit > 0.01, "the truth"
    assert held.misfit < 1e-9
    rates = rate_of(analysis, reference="clean", other="noisy", sizes=[128]).rates
    assert rates.low[0] < 3.0 < rates.high[0]
