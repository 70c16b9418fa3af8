"""Every figure of a law draws, shows what was computed, and says so when there is nothing to draw."""

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.laws import exchange_rate, read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.forecast import forecast_sizes
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


def figures(joint):
    table = simulated(TRUTHS["power"], 0)
    fit = fit_each(table, "loss", "power")["clean"]
    answer = exchange_rate(table, "loss", reference="clean", other="noisy", bootstraps=100)
    return {
        "rate": law_figures.exchange_rate_curve(answer),
        "curve": law_figures.law_curve(bootstrap(fit, 20, workers=1)),
        "residuals": law_figures.residuals(joint.fit),
        "contours": law_figures.contours(joint.fit, "share"),
        "profile": law_figures.profile_curve(profile(fit, "beta")),
        "scores": law_figures.forecast_scores(forecast_sizes(table, "loss")),
        "surface": law_figures.rate_over_qualities(rate_surface(joint, "share", [0.5, 0.8, 1.0], [64, 256])),
    }


def test_every_figure_draws_without_a_display(joint):
    for name, figure in figures(joint).items():
        assert to_bytes(figure, "pdf").startswith(b"%PDF"), name


def test_the_never_region_is_marked():
    table = simulated(TRUTHS["power"], 0)
    answer = exchange_rate(table, "loss", reference="clean", other="noisy", bootstraps=100)
    figure = law_figures.exchange_rate_curve(answer)
    assert "not reached" in [text.get_text() for text in figure.axes[0].texts]
    line = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(np.isfinite(line), np.isfinite(answer.fitted.median))


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
