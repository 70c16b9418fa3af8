"""What a study could see before it is run: the smallest difference between two qualities.

``next_cells`` says what to train next, ``purchases`` what to buy.
"""

import numpy as np
from scipy.stats import t as student

from workbench.errors import InputError
from workbench.laws.analysis import Analysis

ALPHA = 0.05
"""Chance of a false alarm in the two-sided test by which a planned study would tell two qualities apart."""


def smallest_difference(
    spread: float,
    *,
    seeds: int,
    sizes: int = 1,
    qualities: int = 2,
    seed_share: float = 0.0,
    quality_share: float = 0.0,
    power: float = 0.8,
) -> float:
    """Return the smallest difference between two qualities that a planned study would detect.

    Detecting means a two-sided 5% test of the difference, averaged over ``sizes``, succeeding with
    probability ``power``. What all cells of a seed share cancels; what a quality's cells share does not.

    Args:
        spread: Standard deviation of one measurement over seeds, in the metric's unit.
        seeds: Seeds per cell.
        sizes: Sizes over which the two qualities are compared; 1 for a comparison at one size.
        qualities: Qualities in the study, whose cells all help to estimate the spread.
        seed_share: Share of the variance common to all cells of a seed.
        quality_share: Share common to the cells of one seed and quality.
        power: Probability of detection.

    Raises:
        InputError: With fewer than two seeds: then no difference of any size could be told from noise.
    """
    if seeds < 2:
        raise InputError(
            f"{seeds} seed per cell can't tell a difference from noise; plan at least 2, better 3: seeds=3."
        )
    rest = 1 - seed_share - quality_share
    error = spread * np.sqrt(2 / seeds * (quality_share + rest / sizes))
    freedom = (seeds - 1) * (sizes * qualities if quality_share == 0 else qualities)
    needed = student.ppf(1 - ALPHA / 2, freedom) + student.ppf(power, freedom)
    return float(needed * error)


def detectable(
    analysis: Analysis,
    *,
    seeds: int | None = None,
    sizes: int = 1,
    qualities: int | None = None,
    power: float = 0.8,
) -> float:
    """Return the smallest difference that a study planned after this one would detect, before it is run.

    Its noise is taken to be this study's. Without any study, give ``smallest_difference`` a spread.

    Args:
        analysis: An analysed study, such as a coffee-sized one.
        seeds: Seeds planned; by default as many as this study has.
        sizes: Sizes over which the two qualities are compared.
        qualities: Qualities planned; by default as many as here.
        power: Probability of detection.

    Raises:
        InputError: With one seed per cell, for then the noise is unknown.
    """
    if analysis.noise is None:
        raise InputError(
            "one seed per cell: the noise floor is unknown. Run a few cells with 3 seeds first: "
            "--seeds 0 1 2."
        )
    seed, quality, rest = analysis.noise.variances
    total = seed + quality + rest
    return smallest_difference(
        float(np.sqrt(np.mean(analysis.noise.spread**2) * total)),
        seeds=seeds or int(max(curve.count.max() for curve in analysis.curves.values())),
        sizes=sizes,
        qualities=qualities or len(analysis.curves),
        seed_share=seed / total,
        quality_share=quality / total,
        power=power,
    )
