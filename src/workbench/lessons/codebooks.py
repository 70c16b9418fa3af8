"""Sixteen levels and the error that they make, over weights counted into bins; the best levels there are.

Shape letters: L levels, N bins.
"""

from collections.abc import Sequence

import numpy as np

from workbench.lessons.exercises import numbers

LEVEL_BINS = 1001
"""Odd, so that zero is the middle of a bin. A bin is a five-hundredth wide; levels lie much further apart."""
ROUNDS = 400
"""Steps of Lloyd's method, at most."""
SETTLED = 1e-7
"""Movement of the levels below which it has ended."""


def count_in_bins(relative: object) -> np.ndarray:
    """Count weights between -1 and 1 into bins whose middles are ``np.linspace(-1, 1, LEVEL_BINS)``."""
    values = numbers(relative).ravel()
    places = np.rint((np.clip(values, -1, 1) + 1) / 2 * (LEVEL_BINS - 1)).astype(int)
    return np.bincount(places, minlength=LEVEL_BINS)


def codebook_error(counts: np.ndarray, levels: np.ndarray | Sequence[float | int]) -> float:
    """Return the error of weights that take their nearest level, as a share of the weights' own length."""
    middles = np.linspace(-1, 1, LEVEL_BINS)
    away = middles - np.asarray(levels)[_nearest(middles, np.asarray(levels))]
    return float(np.sqrt((counts * away**2).sum() / (counts * middles**2).sum()))


def best_levels(counts: np.ndarray, starts: Sequence[np.ndarray | Sequence[float | int]]) -> list[float]:
    """Return levels that no small move improves, the best over several starts.

    Each level moves to the mean of the weights that take it, until nothing moves. Another start may end in
    another place, so there is more than one.

    Source: Lloyd 1982, "Least squares quantization in PCM"; Max 1960.

    Args:
        counts: What :func:`count_in_bins` returns.
        starts: Levels in rising order.
    """
    ended = [_lloyd(counts, np.asarray(start, dtype=np.float64)) for start in starts]
    return min(ended, key=lambda levels: codebook_error(counts, levels)).tolist()


def _lloyd(counts: np.ndarray, levels: np.ndarray) -> np.ndarray:
    middles = np.linspace(-1, 1, LEVEL_BINS)
    for _ in range(ROUNDS):
        taken = _nearest(middles, levels)
        weight = np.bincount(taken, counts, len(levels))
        total = np.bincount(taken, counts * middles, len(levels))
        moved = np.divide(total, weight, out=levels.copy(), where=weight > 0)
        if np.abs(moved - levels).max() < SETTLED:
            return moved
        levels = moved
    return levels


def _nearest(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the place of the level that is nearest to each value; levels in rising order."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values)
