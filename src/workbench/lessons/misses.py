"""How far a law misses what was measured, in a number and in words that a class can read."""

from workbench.laws.fitting import Fit

SAID_IN_PERCENT = 0.05
"""From here on a probability is said as a percentage; below it as one case in so many."""
RARE = 1e-6
"""Below this nobody can picture the number."""


def squared_errors(fit: Fit) -> float:
    """Return the mean square of what a law misses, in units of the seeds' noise; 1 on average by chance.

    As many cells count as there are beyond the fitted constants.

    Raises:
        ValueError: If the fit doesn't know the noise, or has as many constants as cells.
    """
    left = len(fit.problem.y) - fit.free
    if fit.problem.freedom is None or fit.problem.delta is not None or left < 1:
        raise ValueError(f"{fit.law.name}: no noise is known, or no cell is left over; give several seeds")
    return float(2 * fit.objective / left)


def chance_in_words(probability: float | None) -> str:
    """Say how often chance alone does as much, such as "about once in 400 such studies"."""
    if probability is None:
        return "this can't be said"
    if probability >= SAID_IN_PERCENT:
        return f"yes, in {probability:.0%} of such studies"
    if probability < RARE:
        return "less than once in a million such studies"
    return f"about once in {float(f'{1 / probability:.1g}'):,.0f} such studies"
