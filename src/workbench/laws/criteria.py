"""AICc and BIC, for laws that were fitted to the same cells with the same noise, and for no others.

A criterion compares likelihoods of one and the same data. A law that takes the rows of several models for
seeds of one cell saw other means and another noise, and its criterion is a number of another kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.laws.fitting import Fit, Problem
from workbench.laws.law import Law
from workbench.laws.measurement import Measurement
from workbench.laws.series import cell_keys, columns_within_cells


@dataclass(frozen=True)
class Criteria:
    """Both criteria of one law, or why it has none that can be compared with the others'.

    Attributes:
        aicc: Akaike's, corrected (Hurvich and Tsai 1989); None also where there are too few cells for it.
        bic: Schwarz's.
        reason: Why there are none; empty where nothing tells the noise.
    """

    aicc: float | None = None
    bic: float | None = None
    reason: str = ""


def criteria_of(
    fits: Mapping[str, Mapping[str, Fit]], laws: Sequence[Law], rows: Sequence[Measurement]
) -> dict[str, Criteria]:
    """Return the criteria of each law.

    Laws of single qualities are compared with joint ones by the noise that the joint ones were fitted with,
    in which qualities share their seeds.

    Args:
        fits: The fits of each law by quality, or one under the name of all.
        laws: The laws, by whose columns cells are told apart.
        rows: The rows that were fitted.
    """
    wanted = {law.name: law for law in laws}
    more = [name for law in laws for name in law.inputs if name != "size"]
    cells = len(set(cell_keys(rows, more)))
    found, same = {}, {}
    for name, own in fits.items():
        if any(fit.problem.noise is None for fit in own.values()):
            found[name] = Criteria()
        elif (seen := sum(len(_replicated(fit.problem)) for fit in own.values())) != cells:
            mixed = columns_within_cells(rows, wanted[name].inputs)
            of = f"that differ in {', '.join(map(repr, mixed))} " if mixed else ""
            found[name] = Criteria(
                reason=f"no AICc: takes rows {of}for seeds of {seen} cells, not of {cells}"
            )
        else:
            same[name] = own
    joint = next((own["all"].problem for own in same.values() if set(own) == {"all"}), None)
    for name, own in same.items():
        found[name] = _criteria(own, joint)
    return found


def _replicated(problem: Problem) -> np.ndarray:
    assert problem.noise is not None
    return problem.noise.spread


def _criteria(fits: Mapping[str, Fit], joint: Problem | None) -> Criteria:
    rows = sum(len(fit.problem.y) for fit in fits.values())
    k = sum(fit.free for fit in fits.values())
    misfit = 2 * sum(fit.objective for fit in fits.values()) if joint is None else _misfit(fits, joint)
    aicc = misfit + 2 * k * rows / (rows - k - 1) if rows > k + 1 else None
    return Criteria(aicc, float(misfit + k * np.log(rows)))


def _misfit(fits: Mapping[str, Fit], joint: Problem) -> float:
    """Return the squares, in units of the joint noise, that the fits leave over of all cells together."""
    predicted = np.empty(len(joint.y))
    label = np.array(joint.quality)
    for name, fit in fits.items():
        # a problem of one quality has its cells in the order that they have in that of all
        predicted[slice(None) if name == "all" else label == name] = fit.predict(fit.problem.x)
    residual = joint.y - predicted
    if joint.bound_only is not None:
        residual[joint.bound_only & (predicted <= joint.y)] = 0.0
    return float(np.sum(joint.whiten(residual) ** 2))
