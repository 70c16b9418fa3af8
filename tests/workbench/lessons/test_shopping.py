"""The picture of what a budget should buy."""

import pytest

from workbench.lessons.shopping import PURCHASES, chances_to_be_best


def test_each_purchase_has_its_line_over_the_prices():
    best = [{"both": 0.9, "cleaning": 0.1, "new": 0.0}, {"both": 0.0, "cleaning": 0.25, "new": 0.75}]
    (axes,) = chances_to_be_best([0.1, 1.0], best).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == set(PURCHASES.values())
    for name, label in PURCHASES.items():
        assert list(lines[label].get_xdata()) == [0.1, 1.0]
        assert list(lines[label].get_ydata()) == pytest.approx([one[name] for one in best])
    assert axes.get_xscale() == "log"
