"""Levels over counted weights: the error against every weight itself, the best levels against a search."""

import numpy as np
import pytest
import torch
from follows import follows
from scipy.optimize import minimize

from qlora_kernels.formats_layout import LEVELS
from workbench.errors import InputError
from workbench.lessons.codebooks import LEVEL_BINS, best_levels, codebook_error, count_in_bins
from workbench.lessons.widgets import Levels
from workbench.views.style import to_bytes

EVEN = np.linspace(-1, 1, 16).tolist()


@pytest.fixture(scope="module")
def weights():
    drawn = torch.randn(400, 64, generator=torch.Generator().manual_seed(0))
    return drawn / drawn.abs().amax(-1, keepdim=True)


def test_counting_loses_nothing_and_the_ends_are_bins():
    counts = count_in_bins(torch.tensor([[-1.0, 0.0, 0.0009, 1.0, 1.0]]))
    assert (len(counts), counts.sum()) == (LEVEL_BINS, 5)
    assert (counts[0], counts[LEVEL_BINS // 2], counts[-1]) == (1, 2, 2)


@pytest.mark.parametrize("levels", [EVEN, LEVELS["nf4"]])
def test_the_error_is_that_of_the_weights_themselves(weights, levels):
    laid = torch.tensor(levels)
    off = laid[(weights[..., None] - laid).abs().argmin(-1)] - weights
    assert codebook_error(count_in_bins(weights), levels) == pytest.approx(
        float(off.norm() / weights.norm()), rel=2e-3
    )


def test_no_search_finds_better_levels(weights):
    counts = count_in_bins(weights)
    best = best_levels(counts, [EVEN, LEVELS["nf4"]])
    error = codebook_error(counts, best)
    assert error < 0.97 * min(codebook_error(counts, one) for one in (EVEN, LEVELS["nf4"]))
    assert best == sorted(best)
    found = minimize(
        lambda x: codebook_error(counts, np.sort(x)), best, method="Powell", options={"maxiter": 3}
    )
    assert error - found.fun < 2e-4


def test_of_several_starts_the_best_end_is_taken():
    counts = np.zeros(LEVEL_BINS)
    counts[[0, LEVEL_BINS // 2, LEVEL_BINS - 1]] = (2, 2, 6)
    # the weights are -1, 0 and 1, and two of the three share a level:
    # 0 with 1 costs 2 * 6 / 8 and 0 with -1 costs 2 * 2 / 4, and from either no level moves
    for starts in ([[-1.0, 0.5], [-0.5, 1.0]], [[-0.5, 1.0], [-1.0, 0.5]]):
        assert best_levels(counts, starts) == pytest.approx([-0.5, 1.0])


def test_levels_begin_with_the_first_and_hide_the_best(weights):
    view = Levels(weights, {"even": EVEN, "NF4": LEVELS["nf4"]})
    assert view.levels == pytest.approx(EVEN, abs=1e-4)
    assert view.words() == f"error {view.error:.2%} with these 16 levels"
    hidden = to_bytes(view.picture(), "png", dots=40)
    best = view.best
    view.best = {"levels": EVEN, "error": 0.5}
    assert to_bytes(view.picture(), "png", dots=40) == hidden
    view.best, view.told = best, True
    assert to_bytes(view.picture(), "png", dots=40) != hidden
    assert view.words().endswith(f", {best['error']:.2%} with the best")
    view.levels = list(best["levels"])
    assert view.error == pytest.approx(best["error"], abs=1e-4)


@follows("levels of different numbers can't be compared")
def test_levels_of_different_numbers_are_refused(weights):
    for known in ({}, {"one": [0.0]}, {"even": EVEN, "few": [-1.0, 1.0]}):
        with pytest.raises(InputError, match="give each name as many, at least 2"):
            Levels(weights, known)
    assert len(Levels(weights, {"few": [-1.0, 1.0], "other": [-0.5, 0.5]}).best["levels"]) == 2
