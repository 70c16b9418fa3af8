"""What is said about studies of earlier versions."""

import pytest

from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.views.answers import answers, answers_of, item_outcomes


def kept(metrics: dict, **more) -> dict:
    """A result's fields with what the runner keeps of four held-out records."""
    items = {"item_loss": [metrics["loss"]] * 4, "item_exact": [metrics["exact_match"]] * 4}
    return {"metrics": metrics, "curves": items | more}


@pytest.mark.parametrize("weighed", [True, False])
def test_an_old_study_says_what_its_intervals_leave_out(make_study, weighed):
    with Store.open(make_study("plain"), read_only=True) as store:
        measured = {key: metrics for key, _, metrics in store.measurements()}
    weights = {"item_tokens": [1.0, 2.0, 1.0, 2.0]} if weighed else {}
    changed = {key: kept(metrics) for key, metrics in measured.items()}
    changed[ZERO_SHOT] = kept(measured[ZERO_SHOT], **weights)
    with Store.open(make_study(changed=changed), read_only=True) as store:
        table = store.table()
        items = item_outcomes(store, table)
        notes = answers(table, "study", 4, items).notes
    assert "exact_match" in items
    assert ("loss" in items) is weighed
    assert any("did not keep what each held-out record weighs" in note for note in notes) is not weighed


@pytest.mark.parametrize("rise", [0.5, -0.5])
def test_a_study_says_which_sizes_ended_worse_than_without_training(make_study, rise):
    with Store.open(make_study("plain"), read_only=True) as store:
        before = (store.zero_shot() or {})["loss"]
        cells = store.configurations()
    smallest = min(cell.size for cell in cells.values())
    changed = {
        key: {
            "metrics": {"loss": before + (rise if cell.size == smallest else -0.5) + cell.seed / 99},
            "curves": {"train_loss": [1.0] * (cell.total_steps - 1) + [0.01]},
        }
        for key, cell in cells.items()
    }
    folder = make_study(changed=changed)
    with Store.open(folder, read_only=True) as store:
        found = answers_of(store, store.table())
    notes = [note for note in found.notes if note.startswith("Overfitting: ")]
    passes = next(cell.passes for cell in cells.values() if cell.size == smallest)
    assert len(notes) == (rise > 0)
    if notes:
        assert f"at {smallest} examples, each seen {passes:,.0f} times (training loss" in notes[0]
