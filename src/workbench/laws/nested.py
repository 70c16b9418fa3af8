"""Does a larger law earn its constants? The test of a law against a simpler one that it contains.

A larger law always lies nearer to the cells that it is fitted to. What it gains is compared with what noise
alone would give the constants that the simpler law holds, by the F test of nested models; a constant that
rests on differences between qualities has the few degrees of freedom that these have.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from scipy.stats import f as fisher

from workbench.laws.fitting import Fit, fit_law
from workbench.laws.freedom import degrees_of_freedom
from workbench.laws.problems import misfit
from workbench.laws.profiles import statistic_scale
from workbench.laws.thresholds import DOUBT


@dataclass(frozen=True)
class Simpler:
    """A simpler law inside a fitted one.

    Attributes:
        name: The simpler law.
        held: What makes it the simpler one, such as "gamma = 0".
        probability: Of such a gain by noise alone, if the simpler law were right.
    """

    name: str
    held: str
    probability: float

    @property
    def enough(self) -> bool:
        """Whether nothing speaks for the larger law."""
        return self.probability >= DOUBT

    def sentence(self) -> str:
        """Say whether the simpler law is enough."""
        verdict = "the cells don't ask for more" if self.enough else "that is too little"
        return f"against {self.name} ({self.held}): p = {self.probability:.2g}, {verdict}"


def gain_by_noise(larger: Fit, simpler: float, held: Collection[str]) -> float | None:
    """Return the probability that noise alone would give the larger law what it gains.

    Args:
        larger: The larger law's fit.
        simpler: The objective of the simpler law on the same problem.
        held: The larger law's constants that the simpler one holds.

    Returns:
        The probability; None where no cell is left over and nothing else tells the noise.
    """
    if larger.problem.freedom is None and len(larger.problem.y) <= larger.free:
        return None
    scale, freedom = statistic_scale(larger)
    if larger.problem.noise is not None:
        freedom = min(degrees_of_freedom(larger, name) for name in held)
    gain = max(scale * (simpler - larger.objective), 0.0) / len(held)
    return float(fisher.sf(gain, len(held), freedom))


def simpler_laws(fit: Fit) -> tuple[Simpler, ...]:
    """Return the laws that a fitted one contains, each with the test of it, on the same cells and noise."""
    found = []
    for name, held in fit.law.nests.items():
        if set(held) & set(fit.fixed):
            continue
        starts = [{k: v for k, v in fit.values.items() if k not in held and k not in fit.fixed}]
        fixed = {**fit.fixed, **held}
        tries = [fit_law(fit.law, fit.problem, fixed=fixed, starts=some) for some in (None, starts)]
        probability = gain_by_noise(fit, min(one.objective for one in tries), held)
        if probability is not None:
            words = ", ".join(f"{constant} = {value:g}" for constant, value in held.items())
            found.append(Simpler(name, words, probability))
    return tuple(found)


def refused(fits: Iterable[Fit]) -> bool:
    """Say whether one of a law's fits misses its cells by more than the seeds explain.

    Several fits give several chances of a false alarm, so each has its share of the doubt.
    """
    doubts = [p for fit in fits if (p := misfit(fit)) is not None]
    return bool(doubts) and min(doubts) < DOUBT / len(doubts)
