"""Advice about notebooks and about what is written from a study."""

import shlex
import sys

import pytest
from following import SMALL, SOURCE, between, follows, small_study, told
from planned_studies import planned, write_planned

from workbench.cli import lab, main
from workbench.lessons.talk import BlindTest, find_cell
from workbench.studies.runner import run
from workbench.views.manuscript import folder as folder_of_papers
from workbench.views.manuscript.source import PaperSource
from workbench.views.report import write_report


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
    monkeypatch.setattr(PaperSource, "read", lambda study: None)
    message = refused("paper", "a study", "--check", "--output", tmp_path / "my paper")
    followed(*shlex.split(between(message, "workbench ")))
    followed("paper", "a study", "--check", "--output", tmp_path / "my paper")
    (tmp_path / "mine").write_text("precious")
    assert "with --output" in refused("paper", "a study", "--output", tmp_path)
    (tmp_path / "my paper" / "manifest.json").write_text("{}")
    assert "with --output" in refused("paper", "a study", "--output", tmp_path / "my paper")
    followed("paper", "a study", "--output", tmp_path / "another")


@follows("name a new folder, the page's alone, with --output", "name a folder for the page with --output")
def test_a_site(tmp_path, refused, followed):
    study = write_planned(tmp_path / "study", planned())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    assert "with --output" in refused("site", study, "--output", tmp_path / "mine")
    assert "with --output" in refused("site", study, "--output", tmp_path / "mine" / "notes.txt")
    followed("site", study, "--output", tmp_path / "a new folder")


@follows("has no finished cell yet; the command that began the study goes on with it")
def test_a_study_that_was_stopped_at_once(tmp_path):
    run(small_study(), tmp_path / "study", threads=1, should_stop=lambda: True).close()
    told(PaperSource.read, tmp_path / "study")
    told(write_report, tmp_path / "study")
    run(small_study(), tmp_path / "study", threads=1).close()
    assert PaperSource.read(tmp_path / "study").rows
    write_report(tmp_path / "study")


def test_a_study_that_diverged(tmp_path, followed):
    wild = small_study(settings={"steps": 4, "batch_size": 4, "rank": 2, "learning_rate": 1e30})
    run(wild, tmp_path / "study", threads=1).close()
    sentence = write_report(tmp_path / "study").sentence
    assert "in a new folder (--out) with a smaller --learning-rate" in sentence
    followed("run", "verbs", "--out", tmp_path / "another", *SMALL, "--learning-rate", "0.001")
    assert "all of them failed" not in write_report(tmp_path / "another").sentence


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
    message = told(find_cell, study, "dirty", 7)
    known, sizes = between(message, "qualities are ", ", its sizes"), between(message, "its sizes ")
    find_cell(study, known.split(", ")[0], int(sizes.split(", ")[0]))
