"""What a table of held-out records says that a model answered."""

import shutil

import pytest

from workbench.data.sources import load_dataset
from workbench.lessons.shipped import VERBS
from workbench.lessons.talk import find_cell
from workbench.studies.disk.store import Store
from workbench.views.widgets import Examples


@pytest.fixture(scope="module")
def verbs():
    return load_dataset("verbs")


def test_answers_are_wrong_where_the_study_says_so(verbs, check_shown):
    key = find_cell(VERBS, "clean", 128).key()
    view = Examples.heldout(verbs, VERBS, key, kind="wrong")
    with Store.open(VERBS, read_only=True) as store:
        exact = store.curves(key)["item_exact"]
    assert len(view.rows) == len(exact) == 600
    assert [row["answer"] == row["response"] for row in view.rows] == [bool(one) for one in exact]
    assert [row["kind"] == "right" for row in view.rows] == [bool(one) for one in exact]
    answers = {row["prompt"]: row["answer"] for row in view.rows}
    assert (answers["sell"], answers["see"], answers["abate"]) == ("selled", "sed", "abated")
    assert (view.kind, view.note) == ("wrong", "")
    texts = [text.get_text() for text in view.picture().axes[0].texts]
    assert texts[4:12] == ["freeze", "froze", "✗ freezed", "5.32", "sell", "sold", "✗ selled", "5.26"]
    check_shown(view)


def test_where_no_adapter_is_kept_a_sentence_says_so(verbs, tmp_path):
    key, copy = find_cell(VERBS, "clean", 128).key(), tmp_path / "study"
    shutil.copytree(VERBS, copy)
    shutil.rmtree(copy / "adapters")
    view = Examples.heldout(verbs, copy, key)
    assert "answer" not in view.rows[0]
    assert view.note.startswith("What the model answered isn't known: ")
    assert "has no adapter" in view.note
