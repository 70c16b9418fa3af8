"""A study that is judged by several evaluation sets and by what its cells write, from run to report."""

import json
import re
import shutil
from dataclasses import replace
from statistics import fmean

import pytest
from small_study import small_study

import workbench as wb
from workbench.cli import main
from workbench.data.sources import load_dataset
from workbench.errors import InputError
from workbench.studies.command import growing_command
from workbench.studies.disk.store import ZERO_SHOT, Store
from workbench.studies.executors.shipping import pack_prepared, unpack_prepared
from workbench.studies.executors.wire import unpack
from workbench.studies.grid import Study
from workbench.studies.identity import Begun
from workbench.studies.plan import plan
from workbench.studies.provenance import first_manifest
from workbench.studies.replay import replay
from workbench.studies.runner import run
from workbench.studies.sharing.card import card
from workbench.studies.sharing.mlflow import _numbers
from workbench.training import text_metrics
from workbench.training.text_metrics import TEXT_METRICS, own_metric
from workbench.views.answers import item_outcomes
from workbench.views.manuscript.source import PaperSource
from workbench.views.points import axis_words
from workbench.views.report import write_report

ALONE = {"sizes": (8,), "seeds": (0, 1), "settings": {"steps": 12, "batch_size": 8, "rank": 4}}


def exact(response, reference, record):
    """Be the exact match that is measured without generating."""
    return float(response == reference)


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """Verbs that the study holds out, so that it neither trains on them nor shares a record."""
    path = tmp_path_factory.mktemp("sets") / "past.jsonl"
    held = load_dataset("verbs", heldout=50).heldout
    kept = {record.prompt for record in load_dataset("verbs", heldout=20).heldout}
    rows = [{"prompt": one.prompt, "response": one.response} for one in held if one.prompt not in kept]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def study(past):
    return small_study(**ALONE, heldout=20, evals=(("past", str(past)),), on_shared="drop")


@pytest.fixture(scope="module")
def trained(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_metrics, "TEXT_METRICS", TEXT_METRICS)
        own_metric(exact)
    run(replace(study, metrics=("token_f1", "own_exact")), folder, threads=1).close()
    return folder


def test_each_set_has_metrics_and_outcomes_of_its_own(trained, past):
    with Store.open(trained, read_only=True) as store:
        table, zero = store.table(), store.curves(ZERO_SHOT)
        curves = [store.curves(row["key"]) if row.get("key") else zero for row in table]
        found = item_outcomes(store, table)
        facts = store.manifest.data
    names = {"loss": "loss", "exact_match": "exact", "token_f1": "token_f1", "own_exact": "own_exact"}
    counts = {"": 20, "past.": len(past.read_text().splitlines())}
    for row, own in zip(table, curves, strict=True):
        for before, count in counts.items():
            for metric, curve in names.items():
                outcomes = own[f"{before}item_{curve}"]
                assert len(outcomes) == count
                weight = zero[f"{before}item_tokens"] if metric == "loss" else [1] * count
                mean = sum(o * w for o, w in zip(outcomes, weight, strict=True)) / sum(weight)
                assert row[f"{before}{metric}"] == pytest.approx(mean)
            # the greedy answer to the letter is what one pass over the references says it is
            assert own[f"{before}item_own_exact"] == own[f"{before}item_exact"]
    assert set(found) == {f"{before}{metric}" for before in counts for metric in names}
    assert 0 < fmean(row["past.exact_match"] for row in table) < 1
    assert facts.evals["past"].records == counts["past."]
    assert facts.heldout_records == 20
    assert sum("is generated greedily, up to" in note for note in facts.notes) == 2


def test_further_sets_change_neither_the_training_nor_the_held_out_numbers(study, trained, past, tmp_path):
    asked = {json.loads(line)["prompt"] for line in past.read_text().splitlines()}
    plain = load_dataset("verbs", heldout=20)
    assert len(study.dataset().train) == len(plain.train) - len({one.prompt for one in plain.train} & asked)
    with run(replace(study, metrics=()), tmp_path / "a", threads=1) as store:
        without = {row["key"]: row for row in store.rows()}
    with Store.open(trained, read_only=True) as store:
        for row in store.rows():
            for metric in ("loss", "exact_match", "past.loss", "past.exact_match"):
                assert row[metric] == without[row["key"]][metric]
            assert "past.token_f1" not in without[row["key"]]


def test_a_study_without_further_sets_is_written_as_it_always_was(study):
    plain = replace(study, evals=(), on_shared="error")
    assert not {"evals", "metrics"} & set(plain.to_dict())
    again = Study.from_dict(json.loads(json.dumps(study.to_dict())))
    assert again == study
    (cell, *_) = plain.cells(data_fingerprint=plain.dataset().fingerprint)
    (other, *_) = study.cells(data_fingerprint=study.dataset().fingerprint)
    assert cell.key() != other.key()


def test_every_number_comes_out_again(trained):
    found = replay(trained)
    assert not found.different
    assert len(found.identical) == 5


def test_what_workers_are_sent_arrives(study, trained):
    found = plan(replace(study, metrics=("token_f1",)))
    data = unpack(pack_prepared(found.stacks, found.prepared))
    _, again = unpack_prepared(*data, found.base.decoder, found.base.tokenizer.decode)
    assert again.sets == found.prepared.sets
    assert again.generation == found.prepared.generation
    assert set(again.generation) == {"heldout", "past"}


@pytest.mark.slow
def test_workers_judge_as_this_process_does(study, trained, tmp_path):
    with run(replace(study, metrics=("token_f1",)), tmp_path / "b", executor="processes", threads=1) as store:
        there = {key: metrics for key, _, metrics in store.measurements()}
    with Store.open(trained, read_only=True) as store:
        for key, _, metrics in store.measurements():
            known = {name: value for name, value in metrics.items() if not name.endswith("own_exact")}
            assert there[key] == known


def test_a_function_that_a_process_does_not_have_is_refused_in_a_sentence(study, trained):
    found = plan(replace(study, metrics=("own_exact",)))
    data = unpack(pack_prepared(found.stacks, found.prepared))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_metrics, "TEXT_METRICS", {})
        for refused in (
            lambda: plan(replace(study, metrics=("own_exact",))),
            lambda: unpack_prepared(*data, found.base.decoder, found.base.tokenizer.decode),
        ):
            with pytest.raises(InputError, match=r"own_exact.* doesn't have.*metrics=\[exact\]"):
                refused()


def test_other_sets_are_another_study(study, trained, past, tmp_path):
    begun = Begun.read(trained)
    asked = replace(study, metrics=("token_f1", "own_exact"))
    copy = tmp_path / "moved.jsonl"
    copy.write_bytes(past.read_bytes())
    assert not begun.differences(begun.settled(replace(asked, evals=(("past", str(copy)),))), asked.dataset())
    lines = past.read_text().splitlines()
    copy.write_text("\n".join(lines[1:]) + "\n")
    for other, says in (
        (replace(asked, metrics=("token_f1",)), "metrics was token_f1, own_exact and is token_f1"),
        (
            replace(asked, evals=(), on_shared="error"),
            "on_shared was drop and is error, evals was past and is none",
        ),
        (replace(asked, evals=(("then", str(past)),)), "evals was past and is then"),
        (replace(asked, evals=(("past", str(copy)),)), "the sha256 of the evaluation set 'past' was"),
    ):
        with pytest.raises(InputError, match=says):
            begun.check(begun.settled(other), other.dataset())


def _sets(*functions):
    """Take functions among the metrics under the name of the one that the study was begun with."""
    for function in functions:
        function.__name__ = "exact"
        own_metric(function)


@pytest.fixture
def metrics(monkeypatch):
    """The function that the study was begun with, which comes back in the end."""
    monkeypatch.setitem(TEXT_METRICS, "own_exact", TEXT_METRICS["own_exact"])


def test_another_function_of_the_same_name_is_another_study(study, trained, metrics):
    """Its cells would stand beside those that the old one judged."""
    asked = replace(study, metrics=("token_f1", "own_exact"))
    with Store.open(trained, read_only=True) as store:
        assert re.fullmatch("[0-9a-f]{64}", store.manifest.own_metrics["own_exact"])

    def looser(response, reference, record):
        return float(response.strip() == reference.strip())

    _sets(looser)
    with pytest.raises(InputError, match=r"of the function exact\(\) was .* and is .*--out \S+own_exact"):
        run(asked, trained, threads=1)
    with pytest.raises(InputError, match=r"another function of the same name: the sha256 of .* give the old"):
        replay(trained)
    _sets(exact)
    run(asked, trained, threads=1).close()
    assert replay(trained).different == []


def test_a_function_whose_text_can_not_be_read_is_told_and_compared_with_nothing(study, trained, metrics):
    words: dict = {}
    exec("def exact(response, reference, record):\n    return 1.0", words)
    _sets(words["exact"])
    found = plan(replace(study, metrics=("own_exact",)))
    assert any("the text of the function 'exact' can't be read" in note for note in found.notes)
    assert first_manifest(found)["own_metrics"] == {"own_exact": None}
    begun = Begun.read(trained)
    asked = begun.settled(replace(study, metrics=("token_f1", "own_exact")))
    assert not begun.differences(asked)


def test_a_study_that_recorded_no_hash_goes_on_and_learns_it(study, trained, metrics, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "old")
    path = folder / "manifest.json"
    written = json.loads(path.read_bytes())
    held = written.pop("own_metrics")
    path.write_text(json.dumps(written))
    run(replace(study, metrics=("token_f1", "own_exact")), folder, threads=1).close()
    assert json.loads(path.read_bytes())["own_metrics"] == held
    assert "own_metrics" not in first_manifest(plan(replace(study, metrics=("token_f1",))))


def test_the_command_that_goes_on_names_sets_and_metrics(trained, past, monkeypatch):
    begun = Begun.read(trained)
    pair = begun.study.qualities[:2]
    begun = replace(begun, study=replace(begun.study, metrics=("token_f1",)))
    command, why = growing_command(begun, pair, (8, 16), ["--for", "1m"])
    assert command, why
    assert f"--eval past={past}" in command
    assert "--metrics token_f1" in command


def test_the_report_has_each_set_beside_the_other(trained):
    found = wb.open_study(trained).answers()
    report = write_report(trained)
    page = report.page.read_text()
    assert ["on 20 held-out records" in lead for lead in found.leads] == [True, False]
    assert ["records of 'past'" in lead for lead in found.leads] == [False, True]
    assert (report.sentence, *report.further) == found.leads
    for words in ("past.loss", "loss on past (nats a token)", "token F1 on past", "exact on past"):
        assert words in page
    assert {table.metric for table in found.tables} >= {"held-out loss (nats a token)"}
    assert "past.token_f1" in report.table.read_text().splitlines()[0]
    figure = wb.open_study(trained).figure()
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == [axis_words(name) for name in ("loss", "own_exact", "past.loss", "past.own_exact")]


def test_what_is_passed_on_has_every_set(trained):
    with Store.open(trained, read_only=True) as store:
        text, (row, *_) = card(store), store.rows()
    assert "in the set past" in text
    assert "past.own\\_exact" in text or "past.own_exact" in text
    assert _numbers(row)["past.token_f1"] == row["past.token_f1"]
    parts = PaperSource.read(trained).parts
    assert set(parts) >= {"loss", "past.loss"}
    assert parts["past.loss"].heldout != parts["loss"].heldout


def test_the_command_line_takes_sets_and_metrics(past, tmp_path, capsys):
    arguments = ["run", "verbs", "--heldout", "20", "--sizes", "8", "--seeds", "0", "1", "--steps", "4"]
    arguments += ["--quality", "clean", "other_form:0.5", "--out", str(tmp_path / "d"), "--on-shared", "drop"]
    assert main([*arguments, "--eval", "heldout", "--eval", f"past={past}", "--metrics", "token_f1"]) == 0
    said = capsys.readouterr().out
    assert "records of 'past'" in said
    assert main([*arguments, "--eval", f"past={past}", "--metrics", "rouge"]) == 2
    assert "unknown metric 'rouge'. Did you mean 'rouge_l'?" in capsys.readouterr().err
    assert main([*arguments, "--eval", f"heldout={past}"]) == 2
    assert "is what every study holds out" in capsys.readouterr().err
    arguments[-3] = str(tmp_path / "e")
    assert main([*arguments, "--eval", f"past={past}", "--metrics", "numeric"]) == 2
    said = capsys.readouterr().err
    assert "numeric isn't measured on the held-out records: 20 of 20 answers have no number" in said
    assert "leave numeric out of --metrics, or judge by a set whose answers have it" in said
