"""What is said about studies of earlier versions."""

import pytest

from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.views.answers import answers, item_outcomes


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
