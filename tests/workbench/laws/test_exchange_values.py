"""Rates, curves and bands against what their definitions give, worked from the resamples alone."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import f as fisher

from workbench.laws import analyse, bands, exchange_rate, rate_of, read_table
from workbench.laws.curves import fit_curve
from workbench.laws.exchange import fewest, summarise
from workbench.laws.library import LAWS
from workbench.laws.thresholds import DOUBT, LEVEL

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


def rates_by_search(analysis, reference, other, sizes, *, model_free):
    """Every resample's rate: the first of very many sizes of the other quality whose value is as good."""
    one, two = analysis.curve(reference), analysis.curve(other)
    grid = np.geomspace(two.size[0], two.size[-1], 8001)
    target = one.predict(sizes, model_free=model_free)[1:]
    found = two.predict(grid, model_free=model_free)[1:]
    rates = np.full(target.shape, np.inf)
    for d, j in np.ndindex(target.shape):
        good = found[d] <= target[d, j] if analysis.metric == "loss" else found[d] >= target[d, j]
        if good.any():
            rates[d, j] = grid[good.argmax()] / sizes[j]
    return rates


@pytest.mark.parametrize("model_free", [False, True])
@pytest.mark.parametrize(
    ("name", "reference", "other"),
    [("losses", "clean", "noisy"), ("losses", "noisy", "clean"), ("scores", "clean", "noisy")],
)
def test_a_rate_is_what_a_search_over_sizes_finds(request, name, reference, other, model_free):
    analysis, sizes = request.getfixturevalue(name), np.array([32.0, 100.0, 700.0, 2048.0])
    answer = rate_of(analysis, reference=reference, other=other, sizes=sizes.tolist())
    rates = answer.model_free if model_free else answer.fitted
    expected = rates_by_search(analysis, reference, other, sizes, model_free=model_free)
    # of 80 resamples: two below, two above, and the upper of the two in the middle
    ordered = np.sort(expected, axis=0)
    assert rates.low == pytest.approx(ordered[1], rel=3e-3)
    assert rates.median == pytest.approx(ordered[40], rel=3e-3)
    assert rates.high == pytest.approx(ordered[78], rel=3e-3)
    assert rates.not_reached == pytest.approx(np.isinf(expected).mean(axis=0))
    assert rates.at_most == pytest.approx((expected * sizes <= 32).mean(axis=0), abs=0.02)
    assert answer.tried == 2048
    if (name, reference) == ("losses", "clean"):
        assert rates.low[0] > 1
        assert rates.not_reached[-1] > 0.9
    if reference == "noisy":
        assert rates.at_most[0] == 1


def test_an_interval_holds_ninety_five_of_a_hundred_resamples():
    resamples = np.random.default_rng(0).permutation(np.arange(1.0, 1002.0))[:, None]
    rates = summarise(np.array([10.0]), resamples, 1.0)
    assert (rates.low[0], rates.median[0], rates.high[0]) == pytest.approx((2.6, 50.1, 97.6))
    assert rates.at_most[0] == pytest.approx(1 / 1001)
    assert LEVEL == 0.95


def test_a_size_between_two_is_found_on_the_line_in_log_size():
    grid, curve = np.array([10.0, 100.0, 1000.0]), np.array([[3.0, 2.0, 1.0]])
    for target, size in ((2.5, 10**1.5), (1.25, 10**2.75), (3.0, 10.0), (9.0, 10.0), (0.5, np.inf)):
        assert fewest(grid, curve, np.array([target]), falling=True)[0] == pytest.approx(size)
        assert fewest(grid, 4 - curve, np.array([4 - target]), falling=False)[0] == pytest.approx(size)


def test_no_better_than_no_training_is_counted_over_the_resamples(scores):
    answer = rate_of(scores, reference="clean", other="noisy")
    drawn = scores.curve("clean").smooth[1:]
    assert answer.useless == pytest.approx((drawn <= 0.1).mean(axis=0))
    rows = rows_of(LOSSES, zero=1.752)
    analysis = analyse(read_table(rows), "loss", bootstraps=RESAMPLES)
    useless = rate_of(analysis, reference="clean", other="noisy").useless
    assert useless == pytest.approx((analysis.curve("clean").smooth[1:] >= 1.752).mean(axis=0))
    assert useless[0] > 0.2
    assert useless[1] == 0


def test_the_zero_shot_score_is_the_mean_of_its_rows():
    rows = [*rows_of(LOSSES, zero=3.0), {"quality": None, "size": 0, "seed": 1, "loss": 4.0}]
    assert read_table(rows).zero_shot("loss") == 3.5


def test_of_very_many_sizes_a_dozen_with_both_ends_are_answered():
    rows = rows_of(LOSSES, sizes=range(8, 64, 2))
    at = exchange_rate(read_table(rows), "loss", reference="clean", other="noisy", bootstraps=4).fitted.size
    assert len(at) == 12
    assert (at[0], at[-1]) == (8, 62)


def weights(analysis, quality):
    curve = analysis.curve(quality)
    cells = [label == quality for label, own in analysis.curves.items() for _ in own.size]
    return curve.count / analysis.noise.spread[cells] ** 2


def test_a_curve_is_the_least_squares_fit_weighted_by_the_noise(losses):
    for quality in ("clean", "noisy"):
        curve = losses.curve(quality)
        best, _ = curve_fit(
            lambda n, e, b, beta: e + b * n**-beta,
            curve.size,
            curve.mean[0],
            p0=(1, 3, 0.4),
            sigma=1 / np.sqrt(weights(losses, quality)),
        )
        expected = best[0] + best[1] * np.array([40.0, 1000.0]) ** -best[2]
        assert losses.curve(quality).predict([40, 1000])[0] == pytest.approx(expected, abs=2e-5)


def test_an_accuracy_starts_at_the_zero_shot_score(scores):
    curve = scores.curve("noisy")
    best, _ = curve_fit(
        lambda n, rise, half, steepness: 0.1 + rise / (1 + (n / half) ** -steepness),
        curve.size,
        curve.mean[0],
        p0=(0.78, 200, 1),
        sigma=1 / np.sqrt(weights(scores, "noisy")),
    )
    expected = 0.1 + best[0] / (1 + (100 / best[1]) ** -best[2])
    assert curve.predict([100])[0, 0] == pytest.approx(expected, abs=2e-4)


def misfit_of(analysis):
    """The misfit's ratio: squared residuals over the noise of a mean, over cells less three a curve."""
    squares, free = 0.0, 0
    for quality, curve in analysis.curves.items():
        residual = curve.mean[0] - curve.predict(curve.size)[0]
        squares += float(np.sum(residual**2 * weights(analysis, quality)))
        free += len(curve.size) - 3
    return squares / free, free


def test_the_misfit_is_an_f_test_over_the_cells_that_are_left_over(losses):
    ratio, free = misfit_of(losses)
    assert free == 2
    assert losses.misfit == pytest.approx(fisher.sf(ratio, 2, 16), rel=1e-3)
    assert 0.02 < losses.misfit < 0.98


def kinked():
    """A loss that a power law misses by far."""
    curve = {32: 2.0, 128: 1.9, 512: 1.3, 2048: 1.28}.get
    return analyse(
        read_table(rows_of({"clean": curve, "noisy": power(1.0, 4.5)})), "loss", bootstraps=RESAMPLES
    )


def test_a_curve_that_misses_widens_its_resamples_by_the_root_of_the_misfit():
    analysis = kinked()
    ratio, _ = misfit_of(analysis)
    assert analysis.misfit < DOUBT == 0.05
    curve = analysis.curve("clean")
    widened = curve.mean[0] + np.sqrt(ratio) * (curve.mean - curve.mean[0])
    again = fit_curve(LAWS["power"], curve.size, widened, weights(analysis, "clean"))
    np.testing.assert_allclose(curve.predict([100, 1000]), again.predict(np.array([100.0, 1000.0])))
    answer = rate_of(analysis, reference="clean", other="noisy")
    assert answer.best is answer.model_free is not None
    assert {band.kind for band in bands(analysis).values()} == {"model-free"}


def test_a_curve_that_fits_is_the_one_to_trust(losses):
    answer = rate_of(losses, reference="clean", other="noisy")
    assert answer.best is answer.fitted is not None


def test_a_band_is_the_middle_95_percent_of_the_resamples_around_the_curve_as_measured(losses):
    band = bands(losses, points=5)["noisy"]
    assert band.size == pytest.approx([32, 32 * 2**1.5, 256, 256 * 2**1.5, 2048])
    drawn = losses.curve("noisy").predict(band.size)
    assert band.middle == pytest.approx(drawn[0])
    assert band.low == pytest.approx(np.percentile(drawn[1:], 2.5, axis=0))
    assert band.high == pytest.approx(np.percentile(drawn[1:], 97.5, axis=0))
    assert band.measured_mean == pytest.approx(losses.curve("noisy").mean[0])
    assert band.measured_spread == pytest.approx(losses.noise.spread[4:])


def test_resamples_of_a_score_are_scores():
    rows = rows_of({"a": lambda n: 0.97, "b": lambda n: 0.02}, metric="exact_match", spread=0.01)
    analysis = analyse(read_table(rows), "exact_match", bootstraps=200, items=20)
    values = np.concatenate([curve.mean[1:] for curve in analysis.curves.values()])
    assert values.max() == 1
    assert values.min() == 0


def test_a_curve_of_scores_ends_at_one():
    # straight up to 1, so that the best curve without a bound would pass it
    rows = rows_of({"a": {32: 0.25, 128: 0.5, 512: 0.75, 2048: 0.99}.get}, metric="exact_match", spread=0.005)
    curve = analyse(read_table(rows), "exact_match", bootstraps=2).curve("a")
    far = curve.predict([1e9])[0, 0]
    assert 0.98 < far <= 1


def test_the_seed_that_no_cell_has_used_follows_the_largest():
    rows = [row | {"seed": 3 * row["seed"]} for row in rows_of(LOSSES)]
    assert analyse(read_table(rows), "loss", bootstraps=2).next_seed == 7


def test_a_model_free_curve_is_made_monotone_in_the_direction_of_the_metric():
    up = rows_of({"a": {32: 0.2, 128: 0.4, 512: 0.3, 2048: 0.6}.get}, metric="exact_match", spread=0.001)
    down = rows_of({"a": {32: 0.6, 128: 0.3, 512: 0.4, 2048: 0.2}.get}, spread=0.001)
    for rows, metric, ends in ((up, "exact_match", (0.2, 0.6)), (down, "loss", (0.6, 0.2))):
        curve = analyse(read_table(rows), metric, bootstraps=2).curve("a")
        assert curve.smooth[0] == pytest.approx([ends[0], 0.35, 0.35, ends[1]], abs=0.01)
        assert curve.smooth[0, 1] == curve.smooth[0, 2]
