"""How well laws and baselines predicted what was held out, who is chosen, and the sentence that says it."""

from dataclasses import dataclass

from workbench.laws.baselines import LAST_VALUE
from workbench.laws.decisions import Decisions


@dataclass(frozen=True)
class ForecastScore:
    """How one law or baseline predicted the cells that were held out.

    Errors are relative for a loss and absolute for an accuracy; ``low`` and ``high`` are the 95% interval of
    the mean error, from resampling whole qualities (cells, with fewer than three qualities), and None where a
    single cell was held out. ``ranking`` is the share of pairs of qualities put in the right order at each
    held-out size; None with one quality. ``decisions`` are the pairs at the largest size whose order is
    clear; None where no two data sets were held out. The criteria compare the fits to the cells seen, for
    laws that saw the same cells with the same, known noise; ``note`` says why one has none. ``is_refused``
    says that a law misses the cells seen by more than their noise explains, ``enough`` names the laws inside
    it that those cells don't ask to leave.
    """

    name: str
    is_baseline: bool
    error: float
    low: float | None
    high: float | None
    worst: float
    ranking: float | None
    aicc: float | None
    bic: float | None
    note: str = ""
    decisions: Decisions | None = None
    is_refused: bool = False
    enough: tuple[str, ...] = ()

    @property
    def interval(self) -> str:
        """The interval in words."""
        return "one cell: none" if self.low is None else f"{self.low:.1%} to {self.high:.1%}"


@dataclass(frozen=True)
class Forecast:
    """Scores, best first, and what was held out."""

    scores: tuple[ForecastScore, ...]
    held_out: str
    skipped: tuple[str, ...]

    @property
    def chosen(self) -> ForecastScore:
        """The chosen law, or the baseline that beats it."""
        return min(filter(None, (self.chosen_law, self._rival)), key=lambda score: score.error)

    @property
    def chosen_law(self) -> ForecastScore | None:
        """The nearest law, whether or not a baseline beats it.

        A law that the cells seen refuse is chosen only where they refuse all, and a larger law only where
        they ask for more than the simpler one inside it: held-out cells are few, and chance is on the side of
        the many.
        """
        laws = [score for score in self.scores if not score.is_baseline]
        laws = [score for score in laws if not score.is_refused] or laws
        if not laws:
            return None
        found = laws[0]
        while inside := [score for score in laws if score.name in found.enough]:
            found = inside[0]
        return found

    @property
    def _rival(self) -> ForecastScore | None:
        return next((score for score in self.scores if score.is_baseline), None)

    @property
    def single_scale(self) -> Decisions | None:
        """The decisions of the order at the largest size seen, which a law has to beat."""
        return next((score.decisions for score in self.scores if score.name == LAST_VALUE), None)

    def verdict(self) -> str:
        """Say who forecasts best, who decides best, and whether the lead is more than chance."""
        return " ".join(filter(None, (self._nearest(), self._decided())))

    def _nearest(self) -> str:
        best, law = self.chosen, self.chosen_law
        if law is None:
            return f"No law fits the rest; {best.name!r} is {best.error:.1%} off ({best.interval})."
        rival = self._rival
        if rival is None or law.low is None or law.high is None or rival.low is None:
            return (
                f"On {self.held_out}, a single cell, {best.name!r} is nearest; one cell gives no interval, "
                "so it may be chance. Hold out more."
            )
        mine = f"{law.name!r} is {law.error:.1%} off on average ({law.interval})"
        theirs = f"{rival.name!r} {rival.error:.1%} ({rival.interval})"
        if best.is_baseline:
            return f"No law beats the baseline on {self.held_out}: {theirs}, the best law {mine}."
        sure = law.high < rival.low
        told = f"On {self.held_out}, {mine}, the best baseline {theirs}" + (
            "." if sure else "; the intervals overlap, so the law's lead may be chance."
        )
        nearest = next(score for score in self.scores if not score.is_baseline)
        if nearest is law:
            return told
        why = (
            "the sizes seen refuse it"
            if nearest.is_refused
            else f"the sizes seen don't ask for more than {law.name!r}"
        )
        return f"{told} {nearest.name!r} is {nearest.error:.1%} off, but {why}."

    def _decided(self) -> str:
        """Say how often the best law tells the better of two data sets, beside single-scale ranking."""
        law, order = self.chosen_law, self.single_scale
        if law is None or law.decisions is None or order is None:
            return ""
        if law.decisions.accuracy is None or order.accuracy is None:
            return "No two data sets differ at the largest size by more than the seeds' noise."
        pairs = law.decisions.pairs
        clear = "" if law.decisions.unclear is None else "clear "
        told = (
            f"Which of two data sets is better at the largest size, {law.name!r} tells in "
            f"{law.decisions.words} of {pairs} {clear}pair{'s' * (pairs > 1)}, the order at the largest size "
            f"seen in {order.words}"
        )
        if law.decisions.accuracy <= order.accuracy:
            return f"{told}: for that choice the law is not needed."
        sure = law.decisions.low is not None and order.high is not None and law.decisions.low > order.high
        return f"{told}." if sure else f"{told}; the intervals overlap, so the lead may be chance."
