"""The courses of training that a study's store holds, and what they say of overfitting."""

from collections.abc import Sequence
from statistics import fmean

from workbench.laws.overfit import TrainingCourse, overfit_sizes, said_of_overfit
from workbench.laws.silence import in_words
from workbench.metrics import is_loss
from workbench.studies.disk.store import Store
from workbench.views.points import TableRow, is_number, measured, unit_in


def training_courses(store: Store, table: Sequence[TableRow], metric: str = "loss") -> list[TrainingCourse]:
    """Return how each finished cell's training went by a loss, as far as the store knows.

    A fresh adapter changes nothing, so every cell's held-out loss begins as the base's without any; the store
    has that one and the final one, and the training loss of every step.
    """
    before = next((row[metric] for row in table if row["size"] == 0 and is_number(row.get(metric))), None)
    if before is None:
        return []
    cells = store.configurations()
    courses = []
    for row in table:
        cell = cells.get(row.get("key") or "")
        if cell is None or row["status"] != "done" or not is_number(row.get(metric)):
            continue
        if not (losses := store.curves(row["key"]).get("train_loss")):
            continue
        last_pass = max(1, round(cell.examples / cell.batch_size))
        courses.append(
            TrainingCourse(
                quality=row["quality"],
                size=float(row["size"]),
                passes=cell.passes,
                heldout=(float(before), float(row[metric])),
                fitted=fmean(losses[-last_pass:]),
            )
        )
    return courses


def overfitting_note(store: Store, table: Sequence[TableRow]) -> str | None:
    """Say which sizes of a study overfit; None where none does, or training went by passes already.

    The held-out loss tells; only where it shows nothing do those of further evaluation sets.
    """
    for metric in filter(is_loss, measured(table)):
        courses = training_courses(store, table, metric)
        name = "held-out loss" if metric == "loss" else in_words(metric)
        if said := said_of_overfit(overfit_sizes(courses), courses, name, unit_in(table)):
            return said
    return None
