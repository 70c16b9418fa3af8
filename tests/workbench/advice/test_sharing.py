"""Advice about archives and trackers."""

import re
import shlex
import zipfile

import pytest
from following import between, follows

from workbench.studies.sharing.archive import export_study, import_study


@follows("{ASK}", "can't be unpacked: {why}")
def test_a_damaged_archive(study, tmp_path, refused, followed):
    archive = export_study(study, tmp_path / "study.zip")
    archive.write_bytes(archive.read_bytes()[:-200])
    assert "ask its sender for one that `workbench export` wrote" in refused("import", archive)
    followed("export", study, "--out", tmp_path / "again.zip")
    followed("import", tmp_path / "again.zip", "--out", tmp_path / "there")


@follows("is encrypted; unpack it with its password", "unpack it with the program that packed it")
@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 9)], ids=["encrypted", "deflate64"])
def test_an_archive_that_python_cannot_unpack(study, tmp_path, refused, followed, place, value):
    archive = export_study(study, tmp_path / "study.zip")
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "unpacked")
    data = bytearray(archive.read_bytes())
    directory = data.index(b"PK\x01\x02")
    while data[directory : directory + 4] == b"PK\x01\x02":
        data[directory + place] = value
        lengths = [int.from_bytes(data[directory + at : directory + at + 2], "little") for at in (28, 30, 32)]
        directory += 46 + sum(lengths)
    archive.write_bytes(data)
    assert "give `workbench import` the folder" in refused("import", archive, "--out", tmp_path / "there")
    followed("import", tmp_path / "unpacked", "--out", tmp_path / "there")


@follows("is not empty; name another folder with --out", "is an open study, not an exported one")
def test_an_import_onto_something(study, tmp_path, refused, followed):
    archive = export_study(study, tmp_path / "study.zip")
    assert "with --out" in refused("import", archive, "--out", study)
    followed("import", archive, "--out", tmp_path / "there")
    message = refused("import", study, "--out", tmp_path / "there 2")
    report, export = (shlex.split(command)[1:] for command in re.findall("`(.*?)`", message))
    followed(*report)
    followed(*export, "--out", tmp_path / "new.zip")
    import_study(tmp_path / "new.zip", tmp_path / "there 2")


@follows("a file such as sqlite:///mlflow.db needs no server")
def test_a_tracker_that_is_not_there(study, tmp_path, monkeypatch, refused, followed):
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    message = refused("export", study, "--mlflow", "nonsense://x")
    followed("export", study, "--mlflow", between(message, "a file such as ", " needs"))
