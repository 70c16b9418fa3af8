"""Every figure of a law draws, shows what was computed, and says so when there is nothing to draw."""

from dataclasses import replace

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.laws import exchange_rate, read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.forecast import Forecast, ForecastScore, forecast_sizes
from workbench.laws.problems import fit_each, fit_table
from workbench.laws.profiles import profile
from workbench.laws.simulate import TRUTHS, simulated
from workbench.laws.surface import rate_surface
from workbench.views import law_figures
from workbench.views.style import to_bytes


@pytest.fixture(scope="module")
def joint():
    """A bootstrapped joint law of three qualities."""
    return bootstrap(fit_table(simulated(TRUTHS["noise_floor"], 0), "loss", "noise_floor"), 20, workers=1)


@pytest.fixture(scope="module")
def table():
    return simulated(TRUTHS["power"], 0)


@pytest.fixture(scope="module")
def answer(table):
    return exchange_rate(table, "loss", reference="clean", other="noisy", bootstraps=100)


def drawn(figure):
    """Return a figure's only panel, and see that it can be written."""
    assert to_bytes(figure, "pdf").startswith(b"%PDF")
    (axes,) = figure.axes
    return axes


def edges(band):
    """Return the places of a filled band, and its lower and upper edge there."""
    corners = band.get_paths()[0].vertices
    at = np.unique(corners[:, 0])
    low, high = (np.array([end(corners[corners[:, 0] == x, 1]) for x in at]) for end in (min, max))
    return at, low, high


def test_the_rate_is_a_line_with_its_band(answer):
    axes = drawn(law_figures.exchange_rate_curve(answer))
    line, rates = axes.lines[0], answer.rates
    reached = np.isfinite(rates.median)
    np.testing.assert_array_equal(line.get_ydata()[reached], rates.median[reached])
    top = axes.get_ylim()[1]
    ends = np.concatenate([rates.low, rates.median, rates.high])
    assert top == pytest.approx(2 * ends[np.isfinite(ends)].max())
    _, low, high = edges(axes.collections[0])
    np.testing.assert_allclose(low, np.minimum(rates.low, top))
    np.testing.assert_allclose(high, np.minimum(rates.high, top))


def test_an_end_below_what_was_tried_is_drawn_where_the_smallest_size_lies(answer):
    rates = replace(
        answer.rates, low=np.zeros(7), median=np.where(np.arange(7) < 2, 0.0, answer.rates.median)
    )
    axes = drawn(law_figures.exchange_rate_curve(replace(answer, rates=rates)))
    _, low, _ = edges(axes.collections[0])
    np.testing.assert_allclose(low, 32 / rates.size)
    np.testing.assert_allclose(axes.lines[0].get_ydata()[:2], 32 / rates.size[:2])
    assert [text.get_text() for text in (axes.xaxis.label, axes.yaxis.label)] == [
        "clean examples",
        "noisy examples for one",
    ]


def test_the_never_region_is_marked(answer):
    axes = law_figures.exchange_rate_curve(answer).axes[0]
    assert "not reached" in [text.get_text() for text in axes.texts]
    line = axes.lines[0].get_ydata()
    np.testing.assert_array_equal(np.isfinite(line), np.isfinite(answer.rates.median))
    lost = answer.rates.size[answer.rates.not_reached >= 0.95]
    before = answer.rates.size[answer.rates.not_reached < 0.95]
    hatched = axes.patches[0]
    assert hatched.get_x() == pytest.approx(np.sqrt(lost[0] * before[-1]))


def test_where_all_is_reached_nothing_is_hatched(answer):
    reached = replace(answer.rates, not_reached=np.full(7, 0.94))
    axes = law_figures.exchange_rate_curve(replace(answer, rates=reached)).axes[0]
    assert not axes.patches


def test_a_law_runs_through_its_measurements_with_the_bootstraps_band(table):
    resamples = bootstrap(fit_each(table, "loss", "power")["clean"], 20, workers=1)
    axes = drawn(law_figures.law_curve(resamples))
    line, points = axes.lines
    np.testing.assert_allclose(line.get_ydata(), resamples.fit.predict({"size": line.get_xdata()}))
    np.testing.assert_array_equal(points.get_ydata(), resamples.fit.problem.y)
    at, low, high = edges(axes.collections[0])
    expected = np.percentile(resamples.predict({"size": at}), [2.5, 97.5], axis=0)
    np.testing.assert_allclose([low, high], expected)


def test_residuals_are_drawn_by_quality_in_units_of_the_noise(joint):
    axes = drawn(law_figures.residuals(joint.fit))
    qualities = ("clean", "30% spoiled", "60% spoiled")
    found = {line.get_label(): line.get_ydata() for line in axes.lines if line.get_label() in qualities}
    for quality in qualities:
        own = [label == quality for label in joint.fit.problem.quality]
        np.testing.assert_array_equal(found[quality], joint.fit.residual[own])
    grey = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (grey.y0, grey.y1) == pytest.approx((-2, 2))
    assert axes.get_ylabel() == "residual / noise"


def test_every_contour_is_where_the_law_has_its_value(joint):
    axes = drawn(law_figures.contours(joint.fit, "share"))
    crosses = axes.lines[0]
    np.testing.assert_array_equal(crosses.get_xdata(), joint.fit.problem.x["size"])
    np.testing.assert_array_equal(crosses.get_ydata(), joint.fit.problem.x["share"])
    lines = axes.collections[0]
    some = 0
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        if len(path.vertices):
            size, share = path.vertices.T
            np.testing.assert_allclose(joint.fit.predict({"size": size, "share": share}), level, atol=0.01)
            some += 1
    assert some >= 5


def test_a_profile_is_drawn_with_the_line_that_ends_its_interval(table):
    found = profile(fit_each(table, "loss", "power")["clean"], "beta")
    axes = drawn(law_figures.profile_curve(found))
    curve, threshold = axes.lines
    np.testing.assert_array_equal(curve.get_xdata(), found.trial)
    np.testing.assert_array_equal(curve.get_ydata(), found.statistic)
    assert set(threshold.get_ydata()) == {found.threshold}
    assert axes.get_title(loc="left") == found.verdict


def test_the_best_forecast_stands_on_top_with_its_interval():
    errors = {"power": (0.01, 0.02, 0.03), "line": (0.02, 0.04, 0.08), "last value": (0.1, 0.2, 0.3)}
    made = tuple(
        ForecastScore(name, name != "power", mean, low, high, high, None, None, None)
        for name, (low, mean, high) in errors.items()
    )
    axes = drawn(law_figures.forecast_scores(Forecast(made, "sizes above 8", ())))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["(last value)", "(line)", "power"]
    marks = {float(line.get_ydata()[0]): float(line.get_xdata()[0]) for line in axes.lines}
    assert marks == {0: 0.2, 1: 0.04, 2: 0.02}
    bars = {bar.get_segments()[0][0, 1]: tuple(bar.get_segments()[0][:, 0]) for bar in axes.collections}
    assert bars == {0: (0.1, 0.3), 1: (0.02, 0.08), 2: (0.01, 0.03)}


def test_a_table_of_forecasts_is_drawn(table):
    forecast = forecast_sizes(table, "loss", laws=["power"])
    assert len(drawn(law_figures.forecast_scores(forecast)).get_yticklabels()) == 3


def test_a_surface_has_one_line_a_size_that_ends_where_nothing_is_enough(joint):
    surface = rate_surface(joint, "share", [0.5, 0.8, 1.0], [64, 1024])
    axes = drawn(law_figures.rate_over_qualities(surface))
    assert [line.get_label() for line in axes.lines] == ["64", "1,024"]
    some = 0
    for j, line in enumerate(axes.lines):
        middle = np.array([curve.median[j] for curve in surface.curves])
        shown = np.isfinite(middle)
        np.testing.assert_array_equal(line.get_xdata(), surface.value[shown])
        np.testing.assert_array_equal(line.get_ydata(), middle[shown])
        some += int((~shown).sum())
    assert some > 0


def test_no_rate_no_figure():
    rows = [{"quality": q, "size": n, "seed": 0, "loss": 3 / n} for q in "ab" for n in (1, 2, 4, 8)]
    answer = exchange_rate(read_table(rows), "loss", reference="a", other="b")
    with pytest.raises(InputError, match="no interval can be given"):
        law_figures.exchange_rate_curve(answer)


def test_a_joint_law_is_no_single_curve(joint):
    with pytest.raises(InputError, match=r"draw it with contours\(\)"):
        law_figures.law_curve(joint)
    with pytest.raises(InputError, match="name one besides size"):
        law_figures.contours(joint.fit, "model")
