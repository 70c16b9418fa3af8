"""What counts as sure, as doubtful and as likely: said once, for every interval, verdict and sentence."""

from scipy.stats import f as fisher

LEVEL = 0.95
"""Probability that an interval is meant to hold the truth."""
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
"""The quantiles at the two ends of an interval."""
FEWEST_DRAWS = 40
"""Draws of which the outermost two hold 95%; fewer show no such interval."""
DOUBT = 0.05
"""A law whose misfit is rarer than this under the seeds' noise is not believed."""
LIKELY = 0.5
"""Above this probability something is likelier than not; a sentence says it for sure from ``LEVEL`` on."""
TWICE = 2.0
"""Factor up to which more of a quality has to be tried before 'no amount tried was enough' is said."""


def misfit_probability(squares: float, left: int, freedom: float) -> float:
    """Return the probability of such a misfit under the seeds' noise, if the law were right.

    Args:
        squares: Sum of the squared residuals, each in units of its noise.
        left: Degrees of freedom left after the fit: measurements beyond the fitted constants.
        freedom: Degrees of freedom behind the noise.
    """
    return float(fisher.sf(squares / left, left, freedom))


def trusted(misfit: float | None) -> bool:
    """Say whether a law of this misfit agrees with the measurements as well as their noise allows.

    Args:
        misfit: The probability of such a misfit; None where nothing can tell.
    """
    return misfit is None or misfit >= DOUBT
