"""The laws that may describe a study: each fitted to the cell means, and whether the data reject it.

A law of size alone is fitted to every quality apart; so is a law of size and model where the model varies
within a quality. A law that knows the share of clean examples is fitted to all qualities together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from workbench.errors import InputError
from workbench.laws.fitting import Fit, Problem, fit_alike, fit_law
from workbench.laws.library import LAWS, Law
from workbench.laws.noise import Noise, whitening
from workbench.laws.replicates import Replicates
from workbench.laws.thresholds import misfit_probability, trusted

SCORE_FLOOR = "floor"
"""The constant that is the score without training."""
FEWEST_CELLS = 3
"""Cells of a quality from which its curve is known between them; two are joined by any curve."""


@dataclass(frozen=True)
class Cells:
    """What was measured: the means of every cell, its inputs, and its noise.

    Attributes:
        x: Inputs by name, one value a cell; "size" always.
        noise: The noise of a measurement; where no cell has a second seed it was read from residuals.
        from_residuals: Whether it was.
    """

    data: Replicates
    x: Mapping[str, Float[np.ndarray, " cells"]]
    noise: Noise
    from_residuals: bool = False

    @property
    def qualities(self) -> tuple[str, ...]:
        """The qualities in their order."""
        return tuple(dict.fromkeys(self.data.quality))

    def of(self, quality: str) -> np.ndarray:
        """Return the positions of a quality's cells."""
        return self.data.of(quality)

    @cached_property
    def apart(self) -> Mapping[str, Problem]:
        """The problem of each quality by itself."""
        return {quality: self.problem(self.of(quality)) for quality in self.qualities}

    def problem(self, at: np.ndarray) -> Problem:
        """Return the problem of fitting a law to the means of some cells."""
        data, noise = self.data.part(at), self.noise.part(at)
        return Problem(
            {name: column[at] for name, column in self.x.items()},
            data.mean,
            whitening(data, noise),
            freedom=noise.freedom,
            quality=data.quality,
            replicates=data,
            noise=noise,
        )


@dataclass(frozen=True)
class Candidate:
    """One law, fitted to the qualities it was measured for.

    Attributes:
        fits: By quality; a joint law has one and the same for all. Where a quality has one size too few for a
            law, the law is tried with its first constant held at each of its starts.
        misfit: Probability of such a misfit under the noise, if the law were right; None if nothing tells.
    """

    law: Law
    fits: Mapping[str, Fit]
    misfit: float | None
    share: float = 1.0
    """Share of the law's probability, before the data are seen, that is this one's."""

    @property
    def trusted(self) -> bool:
        """Whether the data do not reject the law."""
        return trusted(self.misfit)

    @property
    def distinct(self) -> tuple[Fit, ...]:
        """The fits, a joint one once."""
        return tuple({id(fit): fit for fit in self.fits.values()}.values())

    @property
    def squares(self) -> float:
        """Sum of the squared whitened residuals."""
        return 2 * sum(fit.objective for fit in self.distinct)

    @property
    def free(self) -> int:
        """Constants that were fitted."""
        return sum(fit.free for fit in self.distinct)


def names_for(kind: str, inputs: Sequence[str], shares: int) -> list[str]:
    """Return the laws that a table's columns allow.

    Args:
        kind: "loss" or "accuracy".
        inputs: The columns that vary within a quality: "size", and perhaps "model".
        shares: How many different shares of clean examples the qualities have; 0 where one has none.
    """
    found = []
    for law in LAWS.values():
        if law.metric != kind or law.model_free or "unique" in law.inputs:
            continue
        own = set(law.inputs) - {"share"}
        # two shares can't contradict a law of shares
        if own == set(inputs) and (not law.joint or shares > 2):
            found.append(law.name)
    return found


def fit_law_of(law: Law, cells: Cells, fixed: Mapping[str, float]) -> list[Candidate]:
    """Fit one law to every quality that has enough cells; nothing if none has.

    Raises:
        InputError: If the law can't be evaluated, such as for a share of 0.
    """
    held = {name: value for name, value in fixed.items() if any(p.name == name for p in law.parameters)}
    if SCORE_FLOOR in held or all(p.name != SCORE_FLOOR for p in law.parameters):
        return _fit_held(law, cells, held, 1.0)
    # nobody measured the score without training: it may be 0, and it may be anything
    return _fit_held(law, cells, {**held, SCORE_FLOOR: 0.0}, 0.5) + _fit_held(law, cells, held, 0.5)


def _fit_held(law: Law, cells: Cells, held: Mapping[str, float], share: float) -> list[Candidate]:
    most = max(len(cells.of(quality)) for quality in cells.qualities)
    first = next((p for p in law.shapes if p.name not in held), None)
    if law.joint or first is None or most != len(law.parameters) - len(held) - 1:
        return [found for found in [_fit_one(law, cells, held, share)] if found]
    tried = [
        _fit_one(law, cells, {**held, first.name: value}, share / len(first.starts)) for value in first.starts
    ]
    return [found for found in tried if found]


def _fit_one(law: Law, cells: Cells, held: Mapping[str, float], share: float) -> Candidate | None:
    needed = len(law.parameters) - len(held)
    fits: dict[str, Fit] = {}
    if law.joint:
        every = np.arange(len(cells.data.size))
        if len(every) < needed:
            return None
        fits = dict.fromkeys(cells.qualities, fit_law(law, cells.problem(every), fixed=held))
    else:
        problems = {}
        for quality in cells.qualities:
            at = cells.of(quality)
            enough = all(len(np.unique(cells.x[name][at])) > 1 for name in law.inputs)
            if len(at) >= max(needed, FEWEST_CELLS) and enough and np.ptp(cells.data.mean[at]) > 0:
                problems[quality] = cells.apart[quality]
        fits = dict(zip(problems, fit_alike(law, list(problems.values()), fixed=held), strict=True))
    if not fits:
        return None
    candidate = Candidate(law, fits, None, share)
    left = sum(len(fit.problem.y) for fit in candidate.distinct) - candidate.free
    if left < 1 or cells.from_residuals:
        return candidate
    return Candidate(law, fits, misfit_probability(candidate.squares, left, cells.noise.freedom), share)


def fit_candidates(names: Sequence[str], cells: Cells, fixed: Mapping[str, float]) -> list[Candidate]:
    """Fit the named laws; a law that the table doesn't suit is left out."""
    found = []
    for name in names:
        try:
            found += fit_law_of(LAWS[name], cells, fixed)
        except InputError:
            # a law such as that of shares, of which one is 0, says nothing about this table
            continue
    return found
