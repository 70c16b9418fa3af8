"""What counts as sure, as doubtful and as likely is one thing for every fitter, figure and page."""

import pytest

from workbench.laws.thresholds import DOUBT, LEVEL, TAILS, misfit_probability, trusted
from workbench.views.widgets import Exchange


def test_the_tails_leave_the_level_between_them():
    assert LEVEL == 0.95
    assert pytest.approx((0.025, 0.975)) == TAILS


@pytest.mark.parametrize(("squares", "freedom"), [(6.0, 16.0), (0.5, 3.0), (40.0, 8.0)])
def test_the_probability_of_a_misfit_is_that_of_fishers_ratio(squares, freedom):
    # with two degrees of freedom left the F distribution has a closed form
    assert misfit_probability(squares, 2, freedom) == pytest.approx((1 + squares / freedom) ** (-freedom / 2))


def test_a_law_is_doubted_from_one_in_twenty():
    assert DOUBT == 0.05
    assert trusted(0.05)
    assert not trusted(0.0499)
    assert trusted(None)


def test_the_page_of_the_rate_speaks_of_the_same_level():
    assert f"({LEVEL:.0%} interval" in Exchange._esm
