"""A study in MLflow, the real one, without a network: everything arrives once."""

import csv
import io
import json
import sys

import pytest
from small_study import small_study

from workbench.cli import main
from workbench.errors import InputError
from workbench.studies.disk.store import Store
from workbench.studies.runner import run
from workbench.studies.sharing.mlflow import CELL_TAG, PARENT_TAG, export_to_mlflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    few = small_study(sizes=(8,), seeds=(0,), settings={"steps": 3, "batch_size": 4, "rank": 2})
    folder = tmp_path_factory.mktemp("tracked") / "study"
    run(few, folder, threads=1).close()
    return folder


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    pytest.importorskip("mlflow", reason="the tracker extra brings MLflow")
    pytest.importorskip("sqlalchemy", reason="the tracker extra brings MLflow with its own store")
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def exported(folder, uri):
    """A client that sees the exported study, and the number of new cells."""
    from mlflow.tracking import MlflowClient

    new = export_to_mlflow(folder, uri)
    return MlflowClient(uri), new


def cells_of(client):
    (experiment,) = client.search_experiments(filter_string="name = 'verbs'")
    runs = client.search_runs([experiment.experiment_id])
    (study,) = [run for run in runs if CELL_TAG not in run.data.tags]
    cells = [run for run in runs if CELL_TAG in run.data.tags]
    assert {run.data.tags[PARENT_TAG] for run in cells} <= {study.info.run_id}
    return study, cells


def test_every_number_arrives(folder, exported):
    client, new = exported
    study, cells = cells_of(client)
    with Store.open(folder, read_only=True) as store:
        rows = {row["key"]: row for row in store.rows()}
        assert {run.data.tags[CELL_TAG] for run in cells} == rows.keys()
        assert new == len(rows) == 2
        for run in cells:
            row = rows[run.data.tags[CELL_TAG]]
            assert run.data.metrics["loss"] == row["loss"]
            assert run.data.params["rank"] == str(row["rank"]) == "2"
            assert run.data.params["quality"] == row["quality"]
            assert run.info.status == "FINISHED"
            curve = client.get_metric_history(run.info.run_id, "train_loss")
            points = sorted((point.step, point.value) for point in curve)
            assert points == list(enumerate(store.curves(row["key"])["train_loss"], start=1))
            assert "choice_accuracy" not in run.data.metrics or row["choice_accuracy"] is not None
        assert study.data.metrics["zero_shot_loss"] == store.zero_shot()["loss"]


def test_tables_and_settings_arrive_as_files(folder, exported, tmp_path):
    client, _ = exported
    study, _ = cells_of(client)
    for name in ("manifest.json", "CARD.md", "cells.csv"):
        client.download_artifacts(study.info.run_id, name, str(tmp_path))
    with Store.open(folder, read_only=True) as store:
        assert json.loads((tmp_path / "manifest.json").read_text()) == store.manifest.written
        table = list(csv.DictReader(io.StringIO((tmp_path / "cells.csv").read_text())))
        assert [row["loss"] for row in table] == [str(row["loss"]) for row in store.table()]


def test_once_more_doubles_nothing_and_mends_what_was_killed(folder, uri, exported, capsys):
    client, _ = exported
    assert main(["export", str(folder), "--mlflow", uri]) == 0
    assert "0 new cells" in capsys.readouterr().out
    _, (one, _) = cells_of(client)
    # what a killed export leaves behind: a run that was begun
    client.update_run(one.info.run_id, status="RUNNING")
    assert export_to_mlflow(folder, uri) == 1
    _, cells = cells_of(client)
    assert len(cells) == 2
    assert one.info.run_id not in {run.info.run_id for run in cells}


def test_an_address_that_is_none_is_a_sentence(folder, uri):
    with pytest.raises(InputError, match="MLflow can't use gopher://x"):
        export_to_mlflow(folder, "gopher://x")


def test_a_server_that_is_not_there_is_a_sentence(folder, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"MLflow at http://127\.0\.0\.1:9 refused the export"):
        export_to_mlflow(folder, "http://127.0.0.1:9")


def test_without_mlflow_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    with pytest.raises(InputError, match=r"isn't installed; run .* pip install .*mlflow"):
        export_to_mlflow(folder, "sqlite:///x.db")
