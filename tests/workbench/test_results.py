"""A study's results by the front door: run here, opened again, and what they say."""

import pytest

import workbench as wb
from workbench.lessons.shipped import TALKERS
from workbench.studies.disk.adapters import adapter_folder
from workbench.studies.disk.store import Store


@pytest.fixture(scope="module")
def shipped():
    return wb.shipped_study()


def test_a_study_runs_here_and_is_opened_again(tmp_path):
    study = wb.study(
        "verbs", qualities=["clean", "other_form:0.5"], sizes=[8], seeds=(0, 1), heldout=20, steps=3, rank=2
    )
    told = []
    results = wb.run(study, tmp_path / "study", on_progress=told.append)
    assert told[-1].phase == "done"
    assert results.study.sizes == study.sizes
    assert len(results.table().rows) == 5
    assert "4 of 4 done" in repr(results)
    adapter, cell = results.adapter("clean", 8, seed=1), results.cell("clean", 8, seed=1)
    assert adapter.rank == 2
    assert adapter.base_sha256 == wb.load_base("classroom").sha256
    assert wb.load_adapter(adapter_folder(results.folder, cell.key())).shapes == adapter.shapes
    assert len(results.curves("clean", 8)["train_loss"]) == 3
    again = wb.open_study(str(tmp_path / "study"))
    assert again.table() == results.table()
    page = again.report().page.read_text(encoding="utf-8")
    assert again.answers().sentences[0].split("'")[0] in page


def test_a_run_without_a_function_shows_its_progress(tmp_path, capsys):
    study = wb.study("verbs", qualities=["clean"], sizes=[8], seeds=(0,), heldout=20, steps=2, rank=2)
    results = wb.run(study, tmp_path)
    assert "1 of 1 cells done" in capsys.readouterr().out
    with pytest.raises(wb.InputError, match=r"has measured 'clean' only.*with a second quality"):
        results.exchange_rate("loss")
    more = wb.study(
        "verbs", qualities=["clean", "typo:0.5"], sizes=[8], seeds=(0,), heldout=20, steps=2, rank=2
    )
    wb.run(more, tmp_path, on_progress=lambda at: None)
    assert "there is no answer yet" in repr(results.exchange_rate("loss")), "it reads what is new"


def test_the_answer_is_that_of_the_report(shipped):
    first = shipped.answers().sentences[0]
    assert shipped.exchange_rate().sentence() == first
    assert repr(shipped.exchange_rate("exact_match", reference="clean", other="50% other_form")) == first
    assert first in repr(shipped)
    with pytest.raises(wb.InputError, match="Did you mean '50% other_form'"):
        shipped.exchange_rate(other="50% otherform")
    with pytest.raises(wb.InputError, match="no finished row has a value for 'nll'"):
        shipped.analysis("nll")


def test_results_of_a_growing_study_are_read_anew(tmp_path):
    Store.create(tmp_path / "study", {"study": wb.study("verbs").to_dict()}).close()
    results = wb.open_study(tmp_path / "study")
    assert "0 of 36 done" in repr(results)
    assert results.answers().sentences
    assert results.answers() is results.answers()


def test_no_study_is_a_sentence(tmp_path):
    with pytest.raises(wb.InputError, match="no study"):
        wb.open_study(tmp_path)


def test_a_cell_without_its_adapter_is_named(shipped):
    assert shipped.adapter(*TALKERS[1][:2]).rank == 8
    with pytest.raises(wb.InputError, match="keeps no adapter of clean, 64 examples, seed 0"):
        shipped.adapter("clean", 64)
