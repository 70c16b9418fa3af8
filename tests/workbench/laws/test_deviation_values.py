"""Deviations from a law: their covariance, what they are weighed by, and what is drawn of them."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from workbench.laws import analyse, read_table
from workbench.laws.candidates import Cells, fit_candidates
from workbench.laws.curves import CurveSampler
from workbench.laws.deviation import DEVIATION_SHARES, NO_DEVIATION, Way, matern, space_of, weigh
from workbench.laws.library import LAWS
from workbench.laws.noise import level_noise
from workbench.laws.replicates import arrange_by

SIZES = np.array([10.0, 30.0, 100.0, 400.0, 1000.0])
SPREAD = 0.01


def cells(truth, *, sizes=SIZES, spread=SPREAD):
    rows = [{"quality": "a", "size": float(n), "seed": 0, "loss": float(truth(n))} for n in sizes]
    data, x = arrange_by(read_table(rows, measured_here=True), "loss", ["size"])
    return Cells(data, x, level_noise(np.full(len(sizes), spread)))


def test_the_covariance_is_materns_of_five_halves():
    one, two = np.array([[0.0], [0.5]]), np.array([[0.0], [0.3]])
    apart = np.array([[0.0, 0.3], [0.5, 0.2]]) / 0.4
    expected = (1 + np.sqrt(5) * apart + 5 / 3 * apart**2) * np.exp(-np.sqrt(5) * apart)
    assert matern(one, two, 0.4) == pytest.approx(expected)
    # of two inputs it is the product
    both = matern(np.hstack([one, one]), np.hstack([two, two]), 0.4)
    assert both == pytest.approx(expected**2)


def test_places_are_shares_of_the_logarithmic_range():
    space = space_of(cells(lambda n: 1 + n**-0.5), ["size"])
    assert space.place({"size": np.array([10.0, 100.0, 1000.0])})[:, 0] == pytest.approx([0, 0.5, 1])
    assert space.rise == pytest.approx(10**-0.5 - 1000**-0.5)


def linear_law(place, terms, y, noise, spread, length):
    """The exact posterior of terms @ b + deviation at the last places, b free: universal kriging."""
    count = len(y)
    whole = spread**2 * matern(place, place, length)
    inverse = np.linalg.inv(whole[:count, :count] + noise)
    a = terms[:count]
    gram = np.linalg.inv(a.T @ inverse @ a)
    b = gram @ a.T @ inverse @ y
    gain = whole[count:, :count] @ inverse
    rest = terms[count:] - gain @ a
    mean = terms[count:] @ b + gain @ (y - a @ b)
    covariance = whole[count:, count:] - gain @ whole[:count, count:] + rest @ gram @ rest.T
    return mean, covariance


def test_between_two_kept_sizes_a_deviation_is_on_the_line_in_log_size():
    study = cells(lambda n: 1 + 3 * n**-0.5 + 0.05 * np.sin(n / 60))
    (candidate,) = fit_candidates(["power"], study, {"beta": 0.5})
    way = Way(candidate, 0.3, 0.2, 1.0, 1.0)
    means = np.tile(study.data.mean, (3, 1))
    rng = np.random.default_rng(0)
    sampler = CurveSampler(study, [way], space_of(study, ["size"]), np.zeros(3, dtype=int), means, rng)
    (part,) = sampler.parts("a")
    grid = part.grid
    between = np.sqrt(grid[10:30] * grid[11:31])
    law = np.stack(
        [
            LAWS["power"].predict({n: float(v[i]) for n, v in part.values.items()}, {"size": between})
            for i in range(3)
        ]
    )
    stray = part.predict(between, None) - law
    np.testing.assert_allclose(stray, (part.stray[:, 0, 10:30] + part.stray[:, 0, 11:31]) / 2, atol=1e-12)


@pytest.mark.parametrize(("share", "length"), [(0.0, 1.0), (0.1, 0.2), (0.3, 1.0)])
def test_draws_are_those_of_the_exact_posterior_where_the_law_is_linear(share, length):
    study = cells(lambda n: 1 + 3 * n**-0.5 + 0.05 * np.sin(n / 60))
    (candidate,) = fit_candidates(["power"], study, {"beta": 0.5})
    space = space_of(study, ["size"])
    rng = np.random.default_rng(0)
    draws = 4000
    means = study.data.mean + SPREAD * rng.standard_normal((draws + 1, len(SIZES)))
    means[0] = study.data.mean
    way = Way(candidate, share, length, 1.0, 1.0)
    (part,) = CurveSampler(study, [way], space, np.zeros(draws + 1, dtype=int), means, rng).parts("a")
    at = np.array([20.0, 200.0, 700.0])
    found = part.predict(at, None)
    every = np.concatenate([SIZES, at])
    terms = np.stack([np.ones(len(every)), every**-0.5], axis=1)
    place = space.place({"size": every})
    mean, covariance = linear_law(
        place, terms, study.data.mean, SPREAD**2 * np.eye(5), max(share, 1e-9) * space.rise, length
    )
    spread = np.sqrt(np.diag(covariance))
    # draw 0 strays by what was measured alone: it is the mean; between kept sizes it is interpolated
    assert found[0] == pytest.approx(mean, abs=0.05 * spread.min() + 2e-4)
    assert found[1:].mean(axis=0) == pytest.approx(mean, abs=5 * spread.max() / np.sqrt(draws) + 2e-4)
    assert np.cov(found[1:].T) == pytest.approx(covariance, abs=0.1 * spread.max() ** 2)


def test_ways_are_weighed_by_the_restricted_likelihood():
    study = cells(lambda n: 1 + 3 * n**-0.5 + 0.03 * np.sin(n / 60))
    (candidate,) = fit_candidates(["power"], study, {"beta": 0.5})
    space = space_of(study, ["size"])
    ways = weigh([candidate], study, space)
    assert sum(way.weight for way in ways) == pytest.approx(1)
    # the likelihood of the measurements' differences that no line E + B n^-beta can make
    terms = np.stack([np.ones(5), SIZES**-0.5], axis=1)
    contrast = np.linalg.svd(terms)[0][:, 2:].T
    place = space.place(study.x)

    def weight(way):
        spread = (way.share * space.rise) ** 2 * matern(place, place, way.length) if way.share else 0.0
        covariance = SPREAD**2 * np.eye(5) + spread
        log = multivariate_normal(cov=contrast @ covariance @ contrast.T).logpdf(contrast @ study.data.mean)
        lengths = len({w.length for w in ways if w.share == way.share})
        prior = NO_DEVIATION if way.share == 0 else (1 - NO_DEVIATION) / len(DEVIATION_SHARES) / lengths
        return np.exp(log) * prior

    expected = np.array([weight(way) for way in ways])
    assert [way.weight for way in ways] == pytest.approx(expected / expected.sum(), rel=2e-3)
    assert max(way.weight for way in ways) < 0.9


def test_a_law_that_the_data_reject_keeps_no_weight_of_its_own():
    study = cells(lambda n: 1 + 3 * n**-0.5 + 0.5 * (n > 50))
    candidates = fit_candidates(["power"], study, {})
    assert candidates[0].misfit < 1e-6
    ways = weigh(candidates, study, space_of(study, ["size"]))
    assert ways
    assert all(way.share > 0 for way in ways)


def test_a_law_with_one_constant_too_many_is_tried_at_each_start_of_its_first():
    study = cells(lambda n: 1 + 3 * n**-0.5, sizes=np.array([10.0, 100.0, 1000.0]))
    held = fit_candidates(["rectified"], study, {})
    assert [c.fits["a"].fixed["learned"] for c in held] == [1.0, 30.0, 1e3, 3e4, 1e6, 1e9]
    assert [c.share for c in held] == pytest.approx([1 / 6] * 6)
    ways = weigh(held, study, space_of(study, ["size"]))
    # three constants for three sizes: nothing tells them apart
    exact = [way.weight for way in ways if way.share == 0]
    assert sum(exact) == pytest.approx(NO_DEVIATION, abs=0.05)


def test_without_deviation_the_draws_are_the_bootstrap_of_the_law():
    rng = np.random.default_rng(3)
    rows = [
        {"quality": q, "size": n, "seed": k, "loss": 1 + b * n**-0.5 + 0.01 * rng.standard_normal()}
        for q, b in (("a", 3), ("b", 4))
        for n in SIZES.tolist()
        for k in range(4)
    ]
    analysis = analyse(read_table(rows), "loss", law="power", bootstraps=500)
    part = analysis.curve("a").parts[0]
    exact = np.array([analysis.ways[0].share == 0])
    assert exact.all()
    law = LAWS["power"]
    one = {name: float(column[5]) for name, column in part.values.items()}
    if part.stray is None or not part.stray[5].any():
        expected = law.predict(one, {"size": np.array([50.0])})
        assert part.predict(np.array([50.0]), None)[5] == pytest.approx(expected)
