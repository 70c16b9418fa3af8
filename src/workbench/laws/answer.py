"""The answer to 'clean or collect?': the exchange rate with its interval, and the sentence about it.

At ``n`` examples of the reference quality, the rate is ``m / n``, where ``m`` is the fewest examples of
the other quality that reach the same score; ``exchange`` computes it. In arrays 'not reached' is infinity,
so that medians and intervals order it above every rate, and 'the smallest amount tried is already enough' is
0, below every rate.

The sentence is made of claims, each of which can be true or false of a known truth: benchmarks/laws counts.
"""

from dataclasses import dataclass
from html import escape

from workbench.laws.claims import Claim, Rated, claim_in_words, claim_parts, claims_of, quality_in_words
from workbench.laws.in_words import size_in_words
from workbench.laws.silence import in_words
from workbench.metrics import set_and_metric
from workbench.showing import one_line

WINS = {"better": 1, "never": 1, "worse": -1}
"""Which claims say whose examples are worth more: 1 for the reference's, -1 for the other's."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ExchangeRate(Rated):
    """The answer to 'clean or collect?' for one pair of qualities, one metric, one evaluation set.

    Attributes:
        model: Model size for which it holds, where the study has several.
        misfit: Probability of a misfit as large as the most probable law's, if it were right.
        from_residuals: Whether the noise was read from what the laws leave, for want of seeds.
        silent: Why there is no rate at all; see ``Analysis.silent``.
        under: Under what all was measured, such as "with rank 8"; see ``variants``.
    """

    metric: str
    evaluation: str
    misfit: float | None
    notes: tuple[str, ...]
    model: float | None = None
    from_residuals: bool = False
    silent: str | None = None
    under: str = ""

    def __repr__(self) -> str:
        return one_line(self.sentence(), 1000)

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.sentence())}</p>"

    def claims(self, size: float | int | None = None) -> tuple[Claim, ...]:
        """Return what the sentence claims, the decision first; none where there is no answer."""
        return claims_of(self, size)

    def headline(self, size: float | int | None = None) -> str:
        """Return the decision in one line to say aloud, at ``size`` reference examples or the most telling.

        :meth:`sentence` begins with it and adds what follows from it.
        """
        found = self.claims(size)
        return claim_parts(self, found[0])[0] if found else self._why_none()

    def sentence(self, size: float | int | None = None) -> str:
        """Answer in plain sentences, at ``size`` reference examples or at the most telling size."""
        found = self.claims(size)
        if not found:
            return self._why_none()
        return " ".join([*(claim_in_words(self, claim) for claim in found), self._judged()])

    def wins(self) -> int:
        """Return whose examples are surely worth more: 1 the reference's, -1 the other's, 0 neither's."""
        found = self.claims()
        return WINS.get(found[0].kind, 0) if found else 0

    def judged_by(self) -> str:
        """Return the metric and the evaluation set, such as "loss on 600 held-out records"."""
        name, bare = set_and_metric(self.metric)
        # where the evaluation names the set, the metric needn't
        metric = bare if self.evaluation.endswith(repr(name)) else self.metric
        return in_words(metric) + (f" on {self.evaluation}" if self.evaluation else "")

    def _judged(self) -> str:
        model = f", for the model of size {size_in_words(self.model)}" if self.model is not None else ""
        model += f", {self.under}" if self.under else ""
        noise = ", with one run a cell: the noise is what the laws leave" if self.from_residuals else ""
        return f"Judged by {self.judged_by()}{model}; intervals of 95%{noise}."

    def _why_none(self) -> str:
        judged = self._judged().split(";", maxsplit=1)[0]
        if self.silent:
            return f"{judged}, there is no answer yet: {self.silent[0].lower()}{self.silent[1:]}"
        if self.rates is None:
            return f"{judged}, there is no answer yet: no interval can be given."
        return f"{judged}, there is no answer at this size: no {self.reference!r} was measured around it."


def opposite(one: ExchangeRate, two: ExchangeRate) -> str | None:
    """Say that two answers about the same qualities, by two evaluation sets, are opposite; else None.

    Both have to be sure of whose examples are worth more; one that can't tell contradicts nothing.
    """
    if one.wins() * two.wins() != -1:
        return None
    first, second = (one, two) if one.wins() > 0 else (two, one)
    reference, other = quality_in_words(one.reference), quality_in_words(one.other)
    unit = one.unit
    at = [size_in_words(rate.claims()[0].size) for rate in (first, second)]
    return (
        f"The evaluation sets say the opposite: judged by {first.judged_by()}, one {reference} {unit.one} "
        f"is worth more than one {other} one (at {at[0]} {reference} {unit.many}); judged by "
        f"{second.judged_by()}, it is worth less (at {at[1]}). Go by the set that is like what the "
        "model will be asked."
    )
