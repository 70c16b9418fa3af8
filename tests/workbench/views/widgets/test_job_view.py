"""Widgets of a job, without a browser: how far it is, the button, the beat that their page hears."""

import json
import os
import shutil
import time
from itertools import pairwise
from types import SimpleNamespace
from typing import ClassVar

import psutil
import pytest

from workbench.lessons.shipped import VERBS
from workbench.lessons.talk import find_cell
from workbench.studies.background import BackgroundRun
from workbench.studies.disk.store import Store
from workbench.views.widgets import GridMap, LiveStudy
from workbench.views.widgets.ticker import BEAT
from workbench.views.widgets.view import KernelView


def write_job(folder, lines, **state):
    """Make the folder of a job as its process leaves it, with the shipped study around it."""
    shutil.copytree(VERBS, folder, dirs_exist_ok=True)
    job = folder / "job"
    job.mkdir()
    (job / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (job / "state.json").write_text(json.dumps(state))
    (job / "config.json").write_text("{}")
    return folder


def step(number, keys, losses, **more):
    at = {"phase": "training", "stack": 1, "stacks": 2, "steps": 9, "cells": 4, "cells_done": 0, "share": 0.1}
    return {**at, "step": number, "keys": keys, "losses": losses, **more}


def test_live_shows_what_was_recorded_and_nothing_twice(tmp_path, check_shown):
    key = find_cell(VERBS, "clean", 32).key()
    lines = [step(1, [key], [2.0]), step(2, [key], [None]), step(2, [key], [1.5]), step(3, [key], [1.0])]
    lines[3].pop("keys")
    view = LiveStudy(write_job(tmp_path / "s", lines, name="stopped"))
    (curve,) = view.curves
    assert (curve["x"], curve["y"]) == ([1, 2, 3], [2.0, 1.5, 1.0])
    assert (curve["quality"], curve["size"], curve["seed"]) == ("clean", 32, 0)
    assert view.recorded == 3
    assert "3 points recorded" in view.status["words"]
    assert view.status["button"] == "Go on"
    check_shown(view)
    again = LiveStudy(tmp_path / "s")
    assert again.curves == view.curves


@pytest.mark.parametrize("looks_between", [True, False])
def test_live_begins_anew_with_a_job_whose_folder_was_deleted(tmp_path, looks_between):
    one, other = (find_cell(VERBS, "clean", size).key() for size in (32, 64))
    first = [step(number, [one], [2.0]) for number in (1, 2, 3)]
    view = LiveStudy(write_job(tmp_path / "s", first, name="stopped"))
    assert view.recorded == 3
    shutil.rmtree(tmp_path / "s")
    if looks_between:
        view.tick()
        assert (view.recorded, view.curves, view.status["state"]) == (0, [], "new")
    write_job(tmp_path / "s", [step(1, [other], [1.0])], name="stopped")
    view.tick()
    assert view.recorded == 1
    assert [curve["y"] for curve in view.curves] == [[1.0]]


def test_live_shows_what_was_said_and_loses_nothing(tmp_path, check_shown):
    keys = [find_cell(VERBS, "clean", 512).key(), find_cell(VERBS, "50% other_form", 512).key()]
    folder = write_job(tmp_path / "s", [step(1, keys, [2.0, 2.1])], name="stopped")
    prompts = [["walk", "walked"], ["go", "went"]]
    said = [
        {"cells": keys, "prompts": prompts},
        {"step": 1, "said": [["walk", "go"], ["", "go"]]},
        {"step": 2, "said": [["walked", "goed"], ["walking", "going"]]},
    ]

    def write(lines):
        with open(folder / "job" / "said.jsonl", "a") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))

    write(said)
    view = LiveStudy(folder)
    assert view.said["prompts"] == prompts
    assert [cell["quality"] for cell in view.said["cells"]] == ["clean", "50% other form"]
    assert {(cell["size"], cell["unit"]) for cell in view.said["cells"]} == {(512, "examples")}
    assert view.said["frames"] == said[1:]
    assert view.words().endswith("of 2 answers after step 2 are right: clean 1, 50% other form 0")
    texts = [text.get_text() for axes in view.picture().axes for text in axes.texts]
    assert {"✓ walked", "✗ goed", "✗ walking"} <= set(texts)
    check_shown(view)
    # the process went on from a checkpoint: a step that is said again counts as it was said last
    write([said[0], {"step": 2, "said": [["walked", "went"], ["walking", "goes"]]}])
    view.tick()
    assert [frame["said"][0] for frame in view.said["frames"]] == [["walk", "go"], ["walked", "went"]]
    assert LiveStudy(folder).said == view.said
    # another stack begins with its own
    write([{"cells": keys[:1], "prompts": prompts}, {"step": 1, "said": [["walk", "x" * 900]]}])
    view.tick()
    assert [len(text) for row in view.said["frames"][0]["said"] for text in row] == [4, 280]
    assert len(view.said["frames"]) == len(view.said["cells"]) == 1
    check_shown(view)


def test_live_says_from_the_start_what_is_going_on(tmp_path):
    me = psutil.Process()
    starting = write_job(tmp_path / "a", [], name="starting", since=time.time())
    assert LiveStudy(starting).words() == "starting: a process of its own begins; 0 points recorded"
    lines = [{**step(0, [], []), "phase": "loading", "stack": 0, "cells": 0}]
    folder = write_job(tmp_path / "b", lines, name="running", process=os.getpid(), born=me.create_time())
    view = LiveStudy(folder)
    for phase, words in [
        ("loading", "starting: loading the data and the base"),
        ("predicting", "starting: timing a step, to know how long all will take"),
        ("training", "starting: the first step"),
    ]:
        with open(folder / "job" / "events.jsonl", "a") as file:
            file.write(json.dumps({**lines[0], "phase": phase}) + "\n")
        view.tick()
        assert view.words().startswith(words)


def test_live_says_why_a_job_failed(tmp_path):
    view = LiveStudy(write_job(tmp_path / "s", [], name="failed", error="there is <b>no</b> base"))
    assert view.status["alert"] == "there is <b>no</b> base"
    assert view.picture() is not None


def test_live_asks_its_job_to_stop_once_pressed(tmp_path):
    me = psutil.Process()
    folder = write_job(tmp_path / "s", [], name="running", process=os.getpid(), born=me.create_time())
    view = LiveStudy(folder)
    assert view.status["button"] == "Stop"
    view.asked += 1
    assert (folder / "job" / "stop").exists()
    assert view.status["button"] == "Stopping …"
    assert not view.status["button_works"]


class Begun(BackgroundRun):
    """A job that is begun without a process."""

    begun: ClassVar[list] = []

    @classmethod
    def start(cls, study, folder, say=0):
        cls.begun.append((study, folder, say))
        return cls(folder)


def finished(folder, monkeypatch):
    monkeypatch.setattr("workbench.views.widgets.job_view.BackgroundRun", Begun)
    monkeypatch.setattr(Begun, "begun", [])
    write_job(folder, [step(1, [find_cell(VERBS, "clean", 32).key()], [2.0])], name="finished")
    with Store.open(VERBS, read_only=True) as store:
        study = store.manifest.study.parsed()
    (folder / "job" / "config.json").write_text(json.dumps({**study.to_dict(), "say": 7}))
    return study


@pytest.mark.parametrize("make", [LiveStudy, GridMap])
def test_a_finished_job_trains_again_and_what_it_made_is_kept(tmp_path, monkeypatch, make):
    folder = tmp_path / "s"
    for number in (1, 2):
        study = finished(folder, monkeypatch)
        before = sorted(path.name for path in folder.rglob("*"))
        view = make(folder)
        assert (view.status["button"], view.status["button_works"]) == ("Train again", True)
        view.asked += 1
        assert Begun.begun == [(study, folder, 7)]
        kept = folder.with_name(f"s-earlier-{number}")
        assert sorted(path.name for path in kept.rglob("*")) == before
        assert not folder.exists()
        assert view.status["share"] == 0
        if make is LiveStudy:
            assert (view.curves, view.recorded) == ([], 0)


def test_what_can_not_be_begun_is_said_and_the_next_press_clears_it(tmp_path):
    folder = write_job(tmp_path / "s", [], name="stopped")
    view = LiveStudy(folder)
    (folder / "job" / "config.json").unlink()
    view.asked += 1
    assert (
        view.status["alert"] == f"{folder} has no job to go on with; start one with wb.start(study, folder)"
    )
    assert folder.is_dir()


def test_a_map_says_how_far_its_job_is(tmp_path):
    me = psutil.Process()
    lines = [step(3, ["k"], [2.0], cells=4, cells_done=1, share=0.25, prediction={"seconds": 80.0})]
    folder = write_job(tmp_path / "s", lines, name="running", process=os.getpid(), born=me.create_time())
    view = GridMap(folder)
    assert "about 60 s left; 1 of 4 cells done" in view.words()
    assert (view.status["share"], view.status["button"]) == (0.25, "Stop")
    view.asked += 1
    assert (folder / "job" / "stop").exists()
    assert GridMap(VERBS).status["state"] == "new", "no bar beside a study that no job trained"
    assert GridMap(VERBS).words() == "exact match; 112 of 112 cells done"
    assert GridMap(tmp_path / "nothing").words() == "not started"


@pytest.mark.parametrize("make", [lambda: LiveStudy(VERBS), lambda: GridMap(VERBS)])
def test_a_page_hears_from_its_kernel_every_second(make, monkeypatch):
    heard = []
    monkeypatch.setattr(
        KernelView, "send", lambda self, content: heard.append((time.monotonic(), self, content))
    )
    assert not make().beating, "there is no kernel to hear from"
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    view = make()
    assert view.beating
    deadline = time.monotonic() + 30
    while (times := [at for at, who, what in list(heard) if who is view and what == {"beat": True}])[
        3:
    ] == []:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert all(second - first >= 0.9 * BEAT for first, second in pairwise(times))


def test_grid_map_marks_what_is_training(tmp_path):
    key = find_cell(VERBS, "clean", 32).key()
    born = psutil.Process().create_time()
    write_job(tmp_path / "s", [step(1, [key], [2.0])], name="running", process=os.getpid(), born=born)
    with Store.open(tmp_path / "s") as store:
        store._database.execute("DELETE FROM curve WHERE cell = (SELECT id FROM cell WHERE key = ?)", (key,))
        store._database.execute("DELETE FROM cell WHERE key = ?", (key,))
    cell = GridMap(tmp_path / "s").grid["cells"][0]
    assert (cell["training"], cell["done"]) == (True, cell["planned"] - 1)
