"""Constants that ended at a limit of the search, which chose their value or the end of their interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.laws.bootstrap import Resamples
from workbench.laws.candidates import Candidate
from workbench.laws.curves import Curve
from workbench.laws.fitting import Fit
from workbench.laws.law import Parameter
from workbench.laws.thresholds import TAILS

CUTS = TAILS[0]
"""Share of resamples at a limit above which that end of an interval is the limit itself."""


@dataclass(frozen=True)
class BoundHit:
    """One constant and one limit of it.

    Attributes:
        end: "least" or "largest".
        value: The limit.
        fitted: Whether the fit itself ended there.
        resamples: Share of the resamples that did.
    """

    name: str
    end: str
    value: float
    fitted: bool
    resamples: float

    @property
    def cuts(self) -> bool:
        """Whether the interval of the resamples ends there for no other reason."""
        return self.resamples > CUTS

    @property
    def where(self) -> str:
        """The constant and the limit in words."""
        return f"{self.name} at its {self.end} value, {self.value:.4g}"


def bounds_hit(fit: Fit, values: Mapping[str, np.ndarray]) -> list[BoundHit]:
    """Return the limits at which the fit ended, or more resamples than an interval leaves out.

    Args:
        fit: The fit.
        values: Each constant's values in the resamples; those that were held are never at a limit.
    """
    hits = []
    for p in fit.law.parameters:
        if p.name in fit.fixed:
            continue
        for end, limit in (("least", p.low), ("largest", p.high)):
            fitted = bool(_at(p, end, np.array([fit.values[p.name]]))[0])
            drawn = _at(p, end, np.asarray(values.get(p.name, ())))
            hit = BoundHit(p.name, end, limit, fitted, float(drawn.mean()) if len(drawn) else 0.0)
            if hit.fitted or hit.cuts:
                hits.append(hit)
    return hits


def of_resamples(resamples: Resamples) -> list[BoundHit]:
    """Return the limits at which a fit or its bootstrap ended."""
    return bounds_hit(resamples.fit, resamples.values)


def note_of_bounds(candidates: Sequence[Candidate], curves: Mapping[str, Curve]) -> str | None:
    """Say which constants of the most probable law have ended at their limits; None where none has.

    Nothing either where the data reject that law: its constants are then read by nobody.
    """
    if not candidates or not candidates[0].trusted:
        return None
    (best, *_) = candidates
    said: dict[str, list[str]] = {}
    for quality, fit in best.fits.items():
        for hit in bounds_hit(fit, _draws(best, curves[quality])):
            said.setdefault(hit.where, []).append(_how(hit, "" if best.law.joint else f" of {quality}"))
    if not said:
        return None
    each = ", ".join(f"{where} ({'; '.join(dict.fromkeys(how))})" for where, how in said.items())
    return (
        f"Constants of the law {best.law.name} ended at a limit of the search: {each}. There the limit "
        "decides the value or the end of an interval, not the data; larger sizes would tell more."
    )


def _how(hit: BoundHit, of: str) -> str:
    share = f"{hit.resamples:.0%} of"
    if not hit.fitted:
        return f"{share} the resamples{of}"
    return f"the fit{of}" + (f" and {share} its resamples" if hit.cuts else "")


def _draws(candidate: Candidate, curve: Curve) -> dict[str, np.ndarray]:
    """Return the constants of the draws that take a law, without the one of the study as measured."""
    parts = [part for part in curve.parts if part.candidate is candidate]
    return {
        name: np.concatenate([part.values[name][part.rows > 0] for part in parts])
        for name in (parts[0].values if parts else ())
    }


def _at(p: Parameter, end: str, values: np.ndarray) -> np.ndarray:
    return p.at_least(values) if end == "least" else p.at_largest(values)
