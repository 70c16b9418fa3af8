"""The page about hosted notebooks: its links, its setup cell, and what Binder installs."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from workbench.lessons.library import LESSONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "hosted.md").read_text(encoding="utf-8")
CELL = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture
def links(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import hosted

    return hosted


def test_without_an_address_no_link_is_made(links):
    assert links.repository('title: "x"\nurl: "https://arxiv.org/abs/1"\n') is None
    rows = list(links.hosted(None))
    assert [row[0] for row in rows[1:]] == list(LESSONS)
    assert all(set(row[1:]) == {"no address yet"} for row in rows[1:])


def test_the_address_is_said_once_and_every_notebook_has_its_links(links):
    said = 'version: 0.1.0\nrepository-code: "https://github.com/some-one/work.bench"\n'
    assert links.repository(said) == "some-one/work.bench"
    rows = {row[0]: row[1:] for row in links.hosted("some-one/work.bench")}
    for name in LESSONS:
        colab, kaggle, binder = rows[name]
        path = f"some-one/work.bench/blob/main/notebooks/{name}.ipynb"
        assert f"(https://colab.research.google.com/github/{path})" in colab
        assert f"src=https://github.com/{path})" in kaggle
        assert f"/gh/some-one/work.bench/HEAD?labpath=notebooks/{name}.ipynb)" in binder
        assert (ROOT / "notebooks" / f"{name}.ipynb").is_file()


def test_the_setup_cell_keeps_what_the_host_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: asked.append((command, check)))
    exec(CELL, {})
    kept = dict(line.split("==") for line in Path("here.txt").read_text().splitlines())
    for name in ("torch", "numpy", "ipykernel", "ipywidgets"):
        assert kept[name] == version(name)
    ((command, check),) = asked
    assert check
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[command.index("-c") + 1] == "here.txt"
    assert "anywidget" in command
    assert not [word for word in command if "[lab]" in word], "a host has its own notebook"


def test_binder_gets_the_range_of_torch_that_the_package_takes_without_gpu_libraries():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (torch,) = (one for one in project["dependencies"] if one.startswith("torch>"))
    environment = (ROOT / "binder" / "environment.yml").read_text(encoding="utf-8")
    assert f"- {torch.replace('torch', 'pytorch-cpu')}\n" in environment
    assert "cuda" not in environment
    build = ROOT / "binder" / "postBuild"
    assert build.stat().st_mode & 0o111, "repo2docker runs it"
    assert "'.[lab]'" in build.read_text(encoding="utf-8")
