"""Which sizes overfit: training went on after the held-out loss was at its best.

It is a diagnosis and changes no fit. Where all sizes train for the same number of steps the small ones see
each example many times, and what is measured there is that number of steps as much as the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from workbench.laws.thresholds import DOUBT
from workbench.laws.units import EXAMPLES, SizeUnit

SEEN_AGAIN = 2.0
"""Passes over the examples from which a loss that rises can come from seeing them again."""


@dataclass(frozen=True, kw_only=True)
class TrainingCourse:
    """How the training of one cell went.

    Attributes:
        passes: Passes over its examples.
        heldout: Held-out losses in the order of training, the one before any training first, the final last.
        fitted: Training loss over the last pass: the loss on the examples themselves.
    """

    quality: str
    size: float
    passes: float
    heldout: tuple[float, ...]
    fitted: float


@dataclass(frozen=True, kw_only=True)
class OverfitSize:
    """A size of one quality whose held-out loss ended above its best.

    Attributes:
        rise: By how much at least: the best that is known may not be the best that was.
        fitted: Training loss over the last pass, mean over seeds.
    """

    quality: str
    size: float
    passes: float
    rise: float
    fitted: float


def overfit_sizes(courses: Sequence[TrainingCourse]) -> tuple[OverfitSize, ...]:
    """Return the sizes of each quality at which training went on after the held-out loss was at its best.

    A size counts where the final loss lies above the best of the mean course by more than the seeds explain,
    its examples were seen again, and the loss on them fell below the held-out one: spoiled examples
    seen once may well make the held-out loss worse, and that is their harm and no overfitting.
    """
    cells: dict[tuple[str, float], list[TrainingCourse]] = {}
    for course in courses:
        cells.setdefault((course.quality, course.size), []).append(course)
    rises = {key: _rises(own) for key, own in cells.items()}
    freedom = sum(len(rise) - 1 for rise in rises.values())
    if freedom < 1:
        return ()
    spread = np.sqrt(sum(((rise - rise.mean()) ** 2).sum() for rise in rises.values()) / freedom)
    # one of all the cells looked at may lie so far up by chance
    limit = float(student.ppf(1 - DOUBT / len(cells), freedom))
    found = []
    for (quality, size), own in cells.items():
        rise, fitted = rises[quality, size], float(np.mean([course.fitted for course in own]))
        passes = float(np.mean([course.passes for course in own]))
        is_above = rise.mean() > limit * spread / np.sqrt(len(rise)) and rise.mean() > 0
        if is_above and passes >= SEEN_AGAIN and fitted < np.mean([course.heldout[-1] for course in own]):
            found.append(
                OverfitSize(quality=quality, size=size, passes=passes, rise=float(rise.mean()), fitted=fitted)
            )
    return tuple(found)


def _rises(own: Sequence[TrainingCourse]) -> np.ndarray:
    """Return by how much each seed's final loss lies above its loss where the mean course is at its best."""
    least = min(len(course.heldout) for course in own)
    known = np.array([course.heldout[: least - 1] for course in own])
    best = int(known.mean(axis=0).argmin())
    return np.array([course.heldout[-1] for course in own]) - known[:, best]


def said_of_overfit(
    found: Sequence[OverfitSize],
    courses: Sequence[TrainingCourse],
    loss: str = "held-out loss",
    unit: SizeUnit = EXAMPLES,
) -> str | None:
    """Say which sizes overfit and what would tell more; None where none does.

    Args:
        found: The sizes.
        courses: How every cell's training went.
        loss: What the loss is called that rose.
        unit: What sizes count.
    """
    if not found:
        return None
    lost = {(one.quality, one.size) for one in found}
    kept = [course.passes for course in courses if (course.quality, course.size) not in lost]
    epochs = max(1, round(min([*kept, min(one.passes for one in found) / 2])))
    each = "; ".join(
        f"{one.quality} at {one.size:,.0f} {unit.many}, each seen {one.passes:,.0f} times (training loss "
        f"{one.fitted:.2g}, {loss} up by at least {one.rise:.2g})"
        for one in found
    )
    return (
        f"Overfitting: the {loss} rose again after its best for {each}. There the number of steps is "
        "measured as much as the data. A fixed number of passes over the examples would tell what the data "
        f"alone can do: the same study in a new folder with --epochs {epochs}."
    )
