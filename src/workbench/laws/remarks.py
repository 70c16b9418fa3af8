"""What a reader of curves has to know beside them: which laws were rejected, where more data did worse."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import t as student

from workbench.laws.candidates import FEWEST_CELLS, Candidate, Cells
from workbench.laws.library import LAWS
from workbench.laws.replicates import Replicates
from workbench.laws.thresholds import LEVEL


def notes_of_analysis(
    data: Replicates,
    cells: Cells | None,
    candidates: Sequence[Candidate],
    names: Sequence[str],
    silent: str | None,
    *,
    falling: bool,
) -> Iterator[str]:
    """Yield the notes of an analysis; ``falling`` says whether smaller values are better."""
    if silent:
        yield silent
    elif cells is not None and cells.from_residuals:
        yield (
            "One run a cell: the noise is read from what the laws leave of the measurements, which a wrong "
            "law makes too large. A second seed of some cells would tell."
        )
    elif data.count.min() < 2:
        yield "Some cells have one finished seed; their noise is taken from the other cells."
    yield from _too_few(data, candidates, names)
    yield from _rejected(candidates)
    if cells is not None:
        yield from _turns(cells, falling)


def _too_few(data: Replicates, candidates: Sequence[Candidate], names: Sequence[str]) -> Iterator[str]:
    fitted = {quality for candidate in candidates for quality in candidate.fits}
    for quality in dict.fromkeys(data.quality):
        if quality in fitted:
            continue
        own = data.of(quality)
        sizes = len(np.unique(data.size[own]))
        if np.ptp(data.mean[own]) == 0 and sizes >= FEWEST_CELLS:
            yield f"{quality}: the same at every size, so no curve is fitted."
            continue
        if sizes >= FEWEST_CELLS:
            if candidates:
                yield f"{quality}: no law fits its {sizes} sizes, so only what was measured is known."
            continue
        laws = ", ".join(name for name in names if LAWS[name].inputs == ("size",))
        yield (
            f"{quality}: {sizes} size{'s' * (sizes > 1)}; a curve ({laws or 'a law'}) needs at least "
            f"{FEWEST_CELLS}, so only what was measured is known."
        )


def _rejected(candidates: Sequence[Candidate]) -> Iterator[str]:
    lost = [candidate for candidate in candidates if not candidate.trusted]
    if not lost:
        return
    which = ", ".join(f"{_with_held(candidate)} (p = {candidate.misfit:.2g})" for candidate in lost)
    if len(lost) == len(candidates):
        yield (
            f"Every law misses the means by more than the noise explains: {which}. The curves are smooth "
            "interpolations around them, with their own error."
        )
    else:
        yield f"Rejected, for missing the means by more than the noise explains: {which}."


def _with_held(candidate: Candidate) -> str:
    """Return a law's name with the constants that were held."""
    fixed = next(iter(candidate.fits.values())).fixed if candidate.fits else {}
    held = " and ".join(f"{name} = {value:.3g}" for name, value in fixed.items())
    return f"{candidate.law.name} with {held}" if held else candidate.law.name


def _turns(cells: Cells, falling: bool) -> Iterator[str]:
    """Yield where more data did worse by more than the noise explains."""
    if cells.from_residuals or "model" in cells.x:
        return
    pairs = len(cells.data.size) - len(cells.qualities)
    if pairs < 1:
        return
    limit = float(student.ppf(1 - (1 - LEVEL) / pairs, cells.noise.freedom))
    for quality in cells.qualities:
        at = cells.of(quality)
        mean, size = cells.data.mean[at], cells.data.size[at]
        error = cells.noise.spread[at] / np.sqrt(cells.data.count[at])
        worse = np.diff(mean) if falling else -np.diff(mean)
        for j in np.flatnonzero(worse > limit * np.hypot(error[1:], error[:-1])):
            yield (
                f"{quality}: size {size[j + 1]:,.0f} did worse than size {size[j]:,.0f}, by more than the "
                "noise explains. Laws know no such turn; where small sizes are seen many times over, that "
                "may be overfitting."
            )
