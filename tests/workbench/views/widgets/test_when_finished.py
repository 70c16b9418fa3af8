"""An answer that comes by itself when a job has ended, and goes when it begins anew."""

import json
import os
import threading

import psutil
import pytest

from workbench.lessons import WhenFinished
from workbench.studies.background import BackgroundRun


@pytest.fixture
def write_state(tmp_path):
    """Write what a job's process says of itself."""
    job = tmp_path / "study" / "job"
    job.mkdir(parents=True)
    (job / "events.jsonl").write_text("")
    (job / "config.json").write_text("{}")

    def write(name):
        me = {"process": os.getpid(), "born": psutil.Process().create_time()} if name == "running" else {}
        (job / "state.json").write_text(json.dumps({"name": name, **me}))
        return tmp_path / "study"

    return write


def test_the_answer_comes_by_itself_and_goes_when_the_study_begins_anew(write_state, check_shown):
    asked = []
    view = WhenFinished(write_state("running"), lambda: asked.append(threading.current_thread()) or "9 to 1.")
    assert view.said == ""
    assert view.words().startswith("Your study isn't finished: starting")
    check_shown(view)
    write_state("stopped")
    assert view.tick(), "another widget's button may go on with it"
    assert view.said == ""
    write_state("finished")
    view.tick()
    assert view.wait_for_answer(10) == "9 to 1."
    view.tick()
    assert len(asked) == 1, "it is computed once"
    assert asked[0] is not threading.main_thread(), "the other widgets go on meanwhile"
    assert view.words() == "9 to 1."
    check_shown(view)
    write_state("running")
    view.tick()
    assert view.said == ""


def test_an_answer_that_fails_is_said(write_state):
    view = WhenFinished(BackgroundRun(write_state("finished")), lambda: str(1 / 0))
    assert view.wait_for_answer(10) == "There is no answer: division by zero"
