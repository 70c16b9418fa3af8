"""Advice about files, folders and studies."""

import json
import shlex
import shutil
from pathlib import Path

import psutil
import pytest
from following import SMALL, between, follows, small_study, told

from workbench.files import write_atomically
from workbench.studies import background
from workbench.studies.background import BackgroundRun
from workbench.studies.disk.adapters import check_adapter, read_adapter
from workbench.studies.disk.lock import locked
from workbench.studies.disk.store import Store
from workbench.studies.runner import run


def test_a_name_that_is_a_folders(tmp_path):
    (tmp_path / "report").mkdir()
    message = told(write_atomically, tmp_path / "report", b"x")
    assert "space" not in message
    (tmp_path / "report").rename(tmp_path / "away")
    write_atomically(tmp_path / "report", b"x")


@follows("could not write {path}: {why}")
@pytest.mark.parametrize("inner", ["file/page", "file/report/page"])
def test_a_file_where_a_folder_has_to_be(tmp_path, inner):
    (tmp_path / "file").touch()
    message = told(write_atomically, tmp_path / inner, b"x")
    assert "space" not in message
    Path(between(message, "changed; ", " is no folder")).rename(tmp_path / "away")
    write_atomically(tmp_path / inner, b"x")


def test_a_name_too_long(tmp_path):
    message = told(write_atomically, tmp_path / ("x" * 300), b"x")
    assert "choose a shorter name" in message
    write_atomically(tmp_path / ("x" * 30), b"x")


@follows("another run is writing {path.parent}", "can't write in the folder {folder}")
def test_a_folder_that_is_in_use(tmp_path):
    with locked(tmp_path):
        assert "wait until it has ended" in told(locked(tmp_path).__enter__)
    with locked(tmp_path):
        pass
    (tmp_path / "file").touch()
    message = told(locked(tmp_path / "file").__enter__)
    assert message.endswith("is no folder; move it away or choose another folder with --out")
    with locked(tmp_path / "another"):
        pass


@follows("there is no folder {folder}; name the one that has studies")
def test_list_of_no_folder(tmp_path, refused, followed):
    message = refused("list", tmp_path / "my runs")
    command = shlex.split(between(message, "make a study there: "))
    assert command[0] == "workbench"
    followed(*command[1:], *SMALL)
    assert str(tmp_path / "my runs" / "verbs") in followed("list", tmp_path / "my runs")


@follows("{folder} holds no study: it has no manifest.json")
def test_a_folder_above_the_study(study, refused, followed):
    message = refused("report", study.parent)
    assert "`workbench list FOLDER` names those in it" in message
    assert str(study) in followed("list", study.parent)
    followed("report", study)


@follows("is damaged: it is not JSON ({error}); {HOW_TO_RESTORE}", "is damaged: {error}; {HOW_TO_RESTORE}")
@pytest.mark.parametrize("content", ["{", '{"format": 2, "study": []}'])
def test_a_damaged_manifest(study, trained, refused, followed, content):
    (study / "manifest.json").write_text(content)
    message = refused("report", study)
    assert "copy it back from a backup, or move the study's folder away and run it again" in message
    study.rename(study.parent / "away")
    followed("run", "verbs", "--out", study, *SMALL)
    shutil.copy(trained / "manifest.json", study.parent / "away" / "manifest.json")
    followed("report", study.parent / "away")


@follows("{path} {remedy}", "{path} {REMEDIES['SQLITE_CORRUPT']}", "REMEDIES SQLITE_CORRUPT")
def test_damaged_results(study, refused, followed):
    data = bytearray((study / "cells.sqlite").read_bytes())
    data[100:3000] = bytes(2900)
    (study / "cells.sqlite").write_bytes(data)
    message = refused("report", study)
    assert "move the study's folder away and run it again" in message
    study.rename(study.parent / "away")
    followed("run", "verbs", "--out", study, *SMALL)


@follows("was not written by the workbench; name the folder", "REMEDIES SQLITE_NOTADB")
def test_results_of_something_else(study, trained, refused, followed):
    (study / "cells.sqlite").write_bytes(b"no database at all" * 99)
    assert "name the folder that `workbench run` wrote" in refused("report", study)
    followed("report", trained)


@follows(
    "has no adapter; {ANOTHER_COPY}",
    "is damaged: {error}; {ANOTHER_COPY}",
    "is damaged: {error!r}; {ANOTHER_COPY}",
)
@pytest.mark.parametrize("harm", ["missing", "weights", "configuration"])
def test_an_adapter_that_is_gone(study, trained, harm):
    key = next(path.name for path in (study / "adapters").iterdir())
    folder = study / "adapters" / key
    if harm == "missing":
        shutil.rmtree(folder)
    else:
        name = "adapter_model.safetensors" if harm == "weights" else "adapter_config.json"
        (folder / name).write_bytes(b"x")
    message = told(check_adapter, study, key)
    assert message.endswith(
        "copy it from another copy of the study, or run the study again in another folder"
    )
    again = study.parent / "another"
    run(small_study(), again, threads=1).close()
    check_adapter(again, key)
    shutil.copytree(trained / "adapters", study / "adapters", dirs_exist_ok=True)
    assert read_adapter(study, key)


@follows("is damaged: {why}; delete the folder", "is training another study now")
def test_a_jobs_folder(study, monkeypatch):
    (study / "job").mkdir()
    (study / "job" / "state.json").write_text("{")
    message = told(BackgroundRun(study).state)
    shutil.rmtree(between(message, "delete the folder ", ","))
    assert BackgroundRun(study).state().name == "new"
    Store.open(study, read_only=True).close()

    monkeypatch.setattr(background.subprocess, "Popen", lambda *arguments, **options: None)
    write_atomically(study / "job" / "config.json", json.dumps(small_study(sizes=(16,)).to_dict()).encode())
    me = psutil.Process()
    BackgroundRun(study)._write_state(name="running", process=me.pid, born=me.create_time())
    assert "stop that one first, or choose another folder" in told(BackgroundRun.start, small_study(), study)
    assert BackgroundRun.start(small_study(), study.parent / "another").state().name == "starting"
    BackgroundRun(study)._write_state(name="stopped")
    assert BackgroundRun.start(small_study(), study).state().name == "starting"
