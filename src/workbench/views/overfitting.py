"""The courses of training that a study's store holds, and what they say of overfitting."""

from collections.abc import Sequence
from statistics import fmean

from workbench.laws.overfit import TrainingCourse, overfit_sizes, said_of_overfit
from workbench.studies.disk.store import Store
from workbench.views.points import TableRow, is_number


def training_courses(store: Store, table: Sequence[TableRow]) -> list[TrainingCourse]:
    """Return how each finished cell's training went, as far as the store knows.

    A fresh adapter changes nothing, so every cell's held-out loss begins as the base's without any; the store
    has that one and the final one, and the training loss of every step.
    """
    before = next((row["loss"] for row in table if row["size"] == 0 and is_number(row.get("loss"))), None)
    if before is None:
        return []
    cells = store.configurations()
    courses = []
    for row in table:
        cell = cells.get(row.get("key") or "")
        if cell is None or row["status"] != "done" or not is_number(row.get("loss")):
            continue
        if not (losses := store.curves(row["key"]).get("train_loss")):
            continue
        last_pass = max(1, round(cell.size / cell.batch_size))
        courses.append(
            TrainingCourse(
                quality=row["quality"],
                size=float(row["size"]),
                passes=cell.passes,
                heldout=(float(before), float(row["loss"])),
                fitted=fmean(losses[-last_pass:]),
            )
        )
    return courses


def overfitting_note(store: Store, table: Sequence[TableRow]) -> str | None:
    """Say which sizes of a study overfit; None where none does, or training went by passes already."""
    courses = training_courses(store, table)
    return said_of_overfit(overfit_sizes(courses), courses)
