"""The exchange rate as a joint law gives it: over sizes and over a whole range of qualities.

A joint law predicts the metric from size and other inputs at once, so it also speaks about qualities that
lie between those measured. The rules are those of ``exchange``: nothing is read beyond the sizes tried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from workbench.laws.bootstrap import Resamples
from workbench.laws.exchange import SIZES_READ, RateCurve, fewest, summarise


@dataclass(frozen=True)
class RateSurface:
    """The rate over reference sizes and values of one other input, such as the share left clean."""

    axis: str
    value: Float[np.ndarray, " values"]
    curves: tuple[RateCurve, ...]
    """One per value."""


def law_rate(
    resamples: Resamples,
    reference: Mapping[str, float],
    other: Mapping[str, float],
    sizes: Sequence[float | int] | np.ndarray,
    *,
    tried: tuple[float, float] | None = None,
) -> RateCurve:
    """Return the rate between two settings of a joint law's other inputs.

    Args:
        resamples: The bootstrapped law.
        reference: Inputs other than size, for instance ``{"share": 1.0}``.
        other: The same inputs for what is to replace it.
        sizes: Reference sizes.
        tried: Smallest and largest size of the other setting; by default those of the whole table.
    """
    at = np.asarray(sizes, dtype=float)
    measured = resamples.fit.problem.x["size"]
    low, high = tried or (float(measured.min()), float(measured.max()))
    grid = np.geomspace(low, high, SIZES_READ)
    target = resamples.predict(_inputs(reference, at))
    curve = resamples.predict(_inputs(other, grid))
    falling = resamples.fit.law.metric == "loss"
    enough = np.stack([fewest(grid, curve, target[:, j], falling=falling) for j in range(len(at))], axis=1)
    return summarise(at, enough / at)


def rate_surface(
    resamples: Resamples,
    axis: str,
    values: Sequence[float | int] | np.ndarray,
    sizes: Sequence[float | int] | np.ndarray,
    *,
    reference: float = 1.0,
) -> RateSurface:
    """Return the rate against ``reference`` for every value of one input, such as every share."""
    grid = np.asarray(values, dtype=float)
    curves = tuple(law_rate(resamples, {axis: reference}, {axis: float(value)}, sizes) for value in grid)
    return RateSurface(axis, grid, curves)


def _inputs(setting: Mapping[str, float], size: np.ndarray) -> dict[str, np.ndarray]:
    return {"size": size, **{name: np.full(len(size), float(value)) for name, value in setting.items()}}
