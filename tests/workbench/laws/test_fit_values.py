"""Fits, profiles, misfits and bootstraps of straight laws, for which textbooks have the answer."""

import numpy as np
import pytest
from scipy.special import huber
from scipy.stats import chi2, linregress
from scipy.stats import f as fisher
from scipy.stats import t as student

from workbench.laws import read_table
from workbench.laws.bootstrap import Resamples, bootstrap, resampled
from workbench.laws.fitting import Problem, fit_law
from workbench.laws.freedom import degrees_of_freedom
from workbench.laws.library import LAWS, Law, Parameter
from workbench.laws.noise import Noise, Stratum
from workbench.laws.problems import fit_each, fit_table, misfit, problem_of
from workbench.laws.profiles import profile, statistic_scale
from workbench.laws.replicates import Replicates
from workbench.laws.surface import law_rate, rate_surface


def straight(names, terms, *, inputs=("size",), metric="loss"):
    """A law without shapes: a sum of coefficients times columns."""
    return Law(
        name="straight",
        formula="a sum",
        source="a test",
        inputs=inputs,
        metric=metric,
        shapes=(),
        coefficients=tuple(Parameter(n, "metric", -np.inf, np.inf, scale="linear") for n in names),
        terms=lambda _, x: np.stack([np.broadcast_to(t, x["size"].shape) for t in terms(x)], axis=-1),
    )


# two qualities, two sizes and three seeds: see test_noise_values for the same design
SEED = 0.03 * np.array([1.0, 0.0, -1.0])
QUALITY = 0.01 * np.array([1.0, -2.0, 1.0])
REST = 0.008 * np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
MEANS = np.array([[1.00, 0.80], [1.30, 1.095]])
"""By quality and size; lines through both qualities' sizes would be parallel but for 0.005."""
SHARED, OWN, LEFT = (
    square / chi2.ppf(0.5, freedom)
    for square, freedom in ((4 * 2 * 9e-4, 2), (4 * 6 * 1e-4, 2), (4 * 2 * 0.64e-4, 4))
)
"""Sums of squares over the medians of their chi squares: of seeds, seeds within a quality, and the rest."""

PLANE = straight(
    ("E", "F", "G"), lambda x: (1.0, 1 - x["share"], np.log(x["size"] / 64)), inputs=("size", "share")
)


def split_plot():
    return [
        {
            "quality": quality,
            "share": share,
            "size": size,
            "seed": k,
            "loss": MEANS[j, i] + SEED[k] + (1 - 2 * j) * QUALITY[k] + (1 - 2 * i) * REST[j, k],
        }
        for j, (quality, share) in enumerate((("clean", 1.0), ("noisy", 0.5)))
        for i, size in enumerate((32, 128))
        for k in range(3)
    ]


@pytest.fixture(scope="module")
def plane():
    return fit_table(read_table(split_plot()), "loss", PLANE)


# name, estimate, variance of the estimate, degrees of freedom; a mean of three seeds has a third of a square
EXPECTED = {
    # the clean quality's mean: what seeds and what seeds within a quality show, over 4 cells
    "E": (0.90, (SHARED + OWN) / 4 / 3, (SHARED + OWN) ** 2 / (SHARED**2 / 2 + OWN**2 / 2)),
    # the difference of two qualities over a share of 0.5: seeds cancel, and the sizes' own noise is in OWN
    "F": ((1.1975 - 0.90) / 0.5, 2 * (OWN / 2) / 3 / 0.25, 2),
    # four cells at log 2 from the middle: all that is shared cancels
    "G": (-0.2025 / 2 / np.log(2), LEFT / 3 / (4 * np.log(2) ** 2), 4),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_profile_is_students_interval_with_the_freedom_that_stands_behind_the_constant(plane, name):
    estimate, variance, freedom = EXPECTED[name]
    assert degrees_of_freedom(plane, name) == pytest.approx(freedom, rel=1e-3)
    found = profile(plane, name)
    assert found.value == pytest.approx(estimate, rel=1e-6)
    assert found.threshold == pytest.approx(fisher.ppf(0.95, 1, freedom), rel=1e-3)
    half = student.ppf(0.975, freedom) * np.sqrt(variance)
    assert (found.low, found.high) == pytest.approx((estimate - half, estimate + half), rel=1e-3)
    narrow = profile(plane, name, level=0.5)
    assert narrow.high - estimate == pytest.approx(student.ppf(0.75, freedom) * np.sqrt(variance), rel=2e-2)


def test_residuals_are_whitened_by_the_covariance_of_the_means():
    problem = problem_of(read_table(split_plot()), "loss", PLANE)
    seed, quality = (SHARED - OWN) / 4, (OWN - LEFT) / 2
    same = np.kron(np.eye(2), np.ones((2, 2)))
    expected = (seed * np.ones((4, 4)) + quality * same + LEFT * np.eye(4)) / 3
    np.testing.assert_allclose(np.linalg.inv(problem.root.T @ problem.root), expected, rtol=1e-8)


def test_the_misfit_of_a_law_is_an_f_test_over_rows_less_constants(plane):
    # what is left is 0.005 over the four cells' differences, whose noise is the rest's alone
    squares = (0.005 / 4) ** 2 * 4 / (LEFT / 3)
    assert 2 * plane.objective == pytest.approx(squares, rel=1e-6)
    assert misfit(plane) == pytest.approx(fisher.sf(squares / 1, 1, 8), rel=1e-6)


SIZE = np.array([8, 16, 32, 64, 128, 256])
SCORE = np.array([0.21, 0.33, 0.38, 0.52, 0.55, 0.71])
LINE = straight(("a", "b"), lambda x: (1.0, np.log(x["size"])), metric="accuracy")


@pytest.fixture(scope="module")
def line():
    rows = [{"size": int(n), "exact_match": float(v)} for n, v in zip(SIZE, SCORE, strict=True)]
    return fit_table(read_table(rows), "exact_match", LINE)


def test_without_seeds_a_profile_is_the_interval_of_a_regression(line):
    textbook = linregress(np.log(SIZE), SCORE)
    for name, value, error in (
        ("a", textbook.intercept, textbook.intercept_stderr),
        ("b", textbook.slope, textbook.stderr),
    ):
        found, half = profile(line, name), student.ppf(0.975, 4) * error
        assert found.value == pytest.approx(value)
        assert (found.low, found.high) == pytest.approx((value - half, value + half), rel=1e-3)
    assert misfit(line) is None


def test_single_losses_are_fitted_by_their_relative_error():
    loss = np.array([9.0, 5.0, 3.5, 1.0, 0.9, 0.3])
    law = straight(("a", "b"), lambda x: (1.0, 1 / x["size"]))
    rows = [{"size": int(n), "loss": float(v)} for n, v in zip(SIZE, loss, strict=True)]
    expected = np.linalg.lstsq(np.stack([1 / loss, 1 / (SIZE * loss)], axis=1), np.ones(6), rcond=None)[0]
    assert list(fit_table(read_table(rows), "loss", law).values.values()) == pytest.approx(expected)


def test_unnamed_replicates_weigh_as_their_number_over_their_variance():
    rows = [
        {"quality": "a", "size": n, "loss": v}
        for n, values in ((8, (3.0, 3.2)), (16, (2.0, 2.1, 2.3, 2.2)), (32, (1.5, 1.7)))
        for v in values
    ]
    problem = problem_of(read_table(rows), "loss", "power")
    pooled = (0.02 + 0.05 + 0.02) / 5
    rest = pooled * 5 / chi2.ppf(0.5, 5)
    assert problem.root == pytest.approx(np.sqrt(np.array([2, 4, 2]) / rest))
    assert problem.y == pytest.approx([3.1, 2.15, 1.6])


@pytest.mark.parametrize("delta", [0.01, 10.0])
def test_a_robust_fit_sums_hubers_loss_of_the_logarithm(delta):
    rng = np.random.default_rng(0)
    size = np.geomspace(10, 1000, 20)
    rows = [
        {"size": float(n), "loss": float(v)}
        for n, v in zip(size, (1 + 5 * size**-0.5) * np.exp(0.02 * rng.standard_normal(20)), strict=True)
    ]
    fit = fit_table(read_table(rows), "loss", "power", delta=delta)
    measured = np.array([row["loss"] for row in rows])
    residual = np.log(fit.predict({"size": size})) - np.log(measured)
    assert fit.objective == pytest.approx(huber(delta, residual).sum(), rel=1e-9)
    scale, freedom = statistic_scale(fit)
    assert freedom == 20 - 3
    inside = np.abs(residual) <= delta
    slope = np.minimum(np.abs(residual), delta) ** 2
    # tau test: twice the rise, over the mean squared slope per unit of curvature, with 17 of 20 rows left
    assert scale == pytest.approx(2 * inside.mean() / slope.mean() * 17 / 20)
    assert inside.all() == (delta == 10)


def test_a_robust_bootstrap_draws_rows_with_replacement():
    problem = Problem({"size": np.arange(1.0, 41.0)}, np.arange(1.0, 41.0) ** 0.5, np.ones(40), delta=0.1)
    law = straight(("a", "b"), lambda x: (1.0, x["size"]))
    fit = fit_law(law, problem)
    drawn = [resampled(fit, np.random.default_rng(k)) for k in range(200)]
    assert all(np.array_equal(d.y, d.x["size"] ** 0.5) for d in drawn)
    left_out = np.mean([1 - len(np.unique(d.y)) / 40 for d in drawn])
    assert left_out == pytest.approx((1 - 1 / 40) ** 40, abs=0.02)


def test_the_noise_of_a_quality_fitted_apart_is_the_whole_tables():
    fits = fit_each(read_table(split_plot()), "loss", straight(("E",), lambda _: (1.0,)))
    assert set(fits) == {"clean", "noisy"}
    assert {fit.problem.freedom for fit in fits.values()} == {8}


def drawn_floor(count=60):
    """Resamples of the noise floor's law, by hand."""
    rng = np.random.default_rng(0)
    values = {
        "beta": 0.4 * np.exp(0.05 * rng.standard_normal(count)),
        "E": 1 + 0.01 * rng.standard_normal(count),
        "F": 0.3 + 0.02 * rng.standard_normal(count),
        "B": 4 + 0.1 * rng.standard_normal(count),
    }
    size, share = (m.ravel() for m in np.meshgrid([32.0, 64.0, 512.0, 1024.0], [0.5, 0.75, 1.0]))
    law = LAWS["noise_floor"]
    x = {"size": size, "share": share}
    y = law.predict({"beta": 0.4, "E": 1.0, "F": 0.3, "B": 4.0}, x)
    return Resamples(fit_law(law, Problem(x, y, np.ones(12), freedom=9.0)), values)


def test_the_rate_of_a_joint_law_is_the_inverse_of_its_curve():
    resamples = drawn_floor()
    v = resamples.values
    at = np.array([40.0, 80.0, 520.0])
    rates = law_rate(resamples, {"share": 1.0}, {"share": 0.75}, at)
    # E + B n^-beta = E + F / 4 + B m^-beta, and no m beyond 1024 was tried
    left = at[None] ** -v["beta"][:, None] - (v["F"] / 4 / v["B"])[:, None]
    enough = np.where(left > 0, np.maximum(left, 1e-9) ** (-1 / v["beta"][:, None]), np.inf)
    expected = np.sort(np.where(enough > 1024, np.inf, enough) / at, axis=0)
    assert rates.low == pytest.approx(expected[1], rel=1e-3)
    assert rates.median == pytest.approx(expected[30], rel=1e-3)
    assert rates.high == pytest.approx(expected[58], rel=1e-3)
    assert 0 < rates.not_reached[2] < 1
    assert rates.not_reached == pytest.approx(np.isinf(expected).mean(axis=0))


def test_a_surface_is_the_rate_at_each_share_against_clean():
    surface = rate_surface(drawn_floor(), "share", [0.75, 1.0], [40, 80])
    assert surface.value == pytest.approx([0.75, 1.0])
    np.testing.assert_allclose(surface.curves[1].median, 1, rtol=1e-3)
    expected = law_rate(drawn_floor(), {"share": 1.0}, {"share": 0.75}, [40, 80])
    np.testing.assert_array_equal(surface.curves[0].median, expected.median)


@pytest.mark.parametrize(
    ("spread", "seed", "factor"), [(0.01, 1, 1.09), (0.1, 2, 5.5), (0.1, 3, 18), (0.2, 1, 25)]
)
def test_an_exponent_that_may_be_ten_times_as_large_is_not_identified(spread, seed, factor):
    noise = spread * np.random.default_rng(seed).standard_normal(16)
    size = np.repeat([4.0, 24.0, 144.0, 864.0], 4)
    rows = [
        {"size": n, "seed": k % 4, "loss": 5 + 2 * n**-0.5 + noise[k]} for k, n in enumerate(size.tolist())
    ]
    found = profile(fit_table(read_table(rows), "loss", "power"), "beta")
    assert found.high / found.low == pytest.approx(factor, rel=0.05)
    assert found.identified == (factor < 10)
    assert ("spans a factor" in found.verdict) == (factor > 10)


def test_a_replicate_counts_where_it_says_so():
    # a hand-made noise with a shared part: the mean of one quality's two cells rests on all of it
    strata = (Stratum(4.0, 2.0, 4.0), Stratum(2.0, 2.0, 2.0), Stratum(1.0, 4.0, 1.0))
    noise = Noise(np.full(4, 0.1), 8.0, strata)
    data = Replicates(("a", "a", "b", "b"), np.array([1.0, 2.0, 1.0, 2.0]), np.zeros((4, 3)))
    level = straight(("E",), lambda _: (1.0,))
    x = {"size": data.size}
    fit = fit_law(
        level,
        Problem(x, np.array([1.0, 2, 3, 4]), np.ones(4), freedom=8.0, replicates=data, noise=noise),
    )
    # the mean of everything carries the seeds' mean square alone
    assert degrees_of_freedom(fit, "E") == pytest.approx(2, rel=1e-3)


def mean_of_t(freedom):
    """How far Student's t is from 0 on average: a measure of spread that 250 resamples know to 7%."""
    return 2 * student.expect(lambda t: t, (freedom,), lb=0)


def test_a_bootstrap_has_the_spread_of_students_t(plane):
    resamples = bootstrap(plane, 250, workers=1)
    # a resample's own mean square is not a median, so its sum of squares stands over its degrees of freedom
    scale = np.sqrt(EXPECTED["G"][1] / LEFT * (4 * 2 * 0.64e-4) / 4)
    far = np.abs(resamples.values["G"] - EXPECTED["G"][0])
    assert far.mean() == pytest.approx(mean_of_t(4) * scale, rel=0.15)
    low, high = np.percentile(resamples.values["G"], [2.5, 97.5])
    assert resamples.interval("G") == pytest.approx((low, high))
    band = resamples.band({"size": np.array([128.0]), "share": np.array([1.0])})
    values = resamples.values["E"] + np.log(2) * resamples.values["G"]
    assert (band[0][0], band[1][0]) == pytest.approx(np.percentile(values, [2.5, 97.5]))


def test_without_seeds_a_bootstrap_has_the_regressions_error(line):
    slopes = bootstrap(line, 250, workers=1).values["b"]
    textbook = linregress(np.log(SIZE), SCORE)
    assert np.abs(slopes - textbook.slope).mean() == pytest.approx(mean_of_t(4) * textbook.stderr, rel=0.15)
