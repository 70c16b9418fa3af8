"""The rules that need no law: what a law has to beat before it is worth its constants."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from workbench.laws.measurement import Measurement
from workbench.laws.series import SeriesKey

LAST_VALUE, LINE, NEAREST = "last value", "line through last three", "nearest quality"
Courses = dict[SeriesKey, tuple[np.ndarray, np.ndarray]]


def last_value(seen: Courses, asked: Sequence[tuple[Measurement, SeriesKey]]) -> Float[np.ndarray, " rows"]:
    """Return the value at the largest size seen; its order is single-scale ranking."""
    return np.array([seen[key][1][-1] for _, key in asked])


def line(
    seen: Courses, asked: Sequence[tuple[Measurement, SeriesKey]], *, falling: bool
) -> Float[np.ndarray, " rows"]:
    """Extend the line through the last three sizes: on log-log axes, for an accuracy on log-linear."""
    predicted = []
    for row, key in asked:
        size, value = (column[-3:] for column in seen[key])
        y = np.log(value) if falling else value
        if len(size) < 2:
            predicted.append(value[-1])
            continue
        slope, level = np.polyfit(np.log(size), y, 1)
        at = level + slope * np.log(row.size)
        predicted.append(float(np.exp(at)) if falling else float(np.clip(at, 0, 1)))
    return np.array(predicted)


def nearest_quality(
    seen: Courses,
    shares: dict[SeriesKey, float],
    asked: Sequence[tuple[Measurement, Sequence[SeriesKey], float]],
) -> Float[np.ndarray, " rows"]:
    """Take the value, at the same size, of the series whose share is nearest.

    Args:
        seen: Sizes and means of the series that were seen.
        shares: Their shares.
        asked: Each row with the series that it may be taken from, and its share.
    """
    predicted = []
    for row, near, own in asked:
        size, value = seen[min(near, key=lambda key: abs(shares[key] - own))]
        predicted.append(float(np.interp(np.log(row.size), np.log(size), value)))
    return np.array(predicted)
