"""Advice about what a cell answered."""

from following import follows, told

from workbench.data.sources import load_dataset
from workbench.lessons.shipped import VERBS
from workbench.results import open_study
from workbench.studies.answered import heldout_answers


@follows("give the study's own data, results.study.dataset()")
def test_other_records_than_the_study_was_judged_on():
    results = open_study(VERBS)
    key = results.cell("clean", 128).key()
    message = told(heldout_answers, load_dataset("verbs", heldout=20), VERBS, key)
    assert "20 held-out records" in message
    assert len(heldout_answers(results.study.dataset(), VERBS, key)) == 600


def test_a_cell_of_which_nothing_is_kept():
    results = open_study(VERBS)
    assert "a cell whose outcomes are kept" in told(
        heldout_answers, load_dataset("verbs"), VERBS, results.cell("clean", 32).key()
    )
