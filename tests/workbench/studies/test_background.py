"""Jobs as whoever shows them sees them: files, written by a real process."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace

import pytest

from workbench.config import Quality
from workbench.errors import InputError
from workbench.studies import background
from workbench.studies.background import BackgroundRun
from workbench.studies.disk.store import Store
from workbench.studies.grid import verbs

SOON = 120.0
"""Seconds within which a small job has long ended, on a busy machine too."""


def small(steps=3, sizes=(8,), seeds=(0,)):
    return replace(
        verbs("coffee"),
        qualities=(Quality(),),
        sizes=sizes,
        seeds=seeds,
        heldout=20,
        settings={"steps": steps, "batch_size": 4, "rank": 2},
    )


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start jobs that are ended with the test, one thread each."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    started = []

    def start(study, name="study"):
        started.append(BackgroundRun.start(study, tmp_path / name))
        return started[-1]

    yield start
    for job in started:
        job.stop()
        job.wait(SOON)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small job that has ended; who changes its files takes a copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        job = BackgroundRun.start(small(), tmp_path_factory.mktemp("finished") / "study")
        assert job.wait(SOON).name == "finished"
    return job


def first_loss(job):
    until = time.monotonic() + SOON
    while time.monotonic() < until:
        if any(event["losses"] for event in job.events()[0]):
            return
        assert job.state().active, job.state()
        time.sleep(0.05)
    raise AssertionError("no step in time")


def process_of(job):
    return json.loads((job.folder / "state.json").read_text())["process"]


def test_a_job_does_what_a_run_does(finished):
    job = finished
    events, end = job.events()
    assert [event["phase"] for event in events][-1] == "done"
    steps = [event for event in events if event["losses"]]
    assert {event["step"] for event in steps} >= {1, 2, 3}
    with Store.open(job.study_folder, read_only=True) as store:
        (row,) = store.rows()
        assert events[-1]["cells_done"] == 1
        assert any(event.get("keys") == [row["key"]] for event in events)
        assert list(store.manifest.planned()) == [row["key"]]
        assert steps[-1]["losses"][0] == pytest.approx(store.curves(row["key"])["train_loss"][-1])
    assert job.events(end) == ([], end)


def test_starting_again_attaches_and_loses_nothing(finished):
    before = finished.events()[0]
    again = BackgroundRun.start(small(), finished.study_folder)
    assert again.state().name == "finished"
    assert again.events()[0] == before


def test_a_job_that_was_asked_stops_soon_and_goes_on_later(start):
    job = start(small(steps=2000, sizes=(64,)))
    first_loss(job)
    job.stop()
    assert job.wait(SOON).name == "stopped"
    assert max(event["step"] for event in job.events()[0]) < 2000
    recorded = len(job.events()[0])
    again = start(small(steps=2000, sizes=(64,)))
    assert again.state().active
    again.stop()
    again.wait(SOON)
    assert len(job.events()[0]) >= recorded


def test_a_job_that_is_still_loading_stops_too(start):
    job = start(small(steps=2000))
    job.stop()
    assert job.wait(SOON).name == "stopped"
    assert not any(event["losses"] for event in job.events()[0]), "it trained before it stopped"


def test_a_killed_job_is_lost_and_can_be_started_again(start):
    job = start(small(steps=2000))
    first_loss(job)
    os.kill(process_of(job), signal.SIGKILL)
    state = job.wait(SOON)
    assert state.name == "lost"
    assert "log.txt" in state.error
    assert start(small(steps=2000)).state().active


def test_another_reader_sees_the_end_of_a_process_that_is_not_its_child(start):
    job = start(small(steps=2000))
    first_loss(job)
    reader = BackgroundRun(job.study_folder)
    assert reader.state().name == "running"
    os.kill(process_of(job), signal.SIGKILL)
    assert reader.wait(SOON).name == "lost"


def test_a_number_given_to_another_process_is_not_the_job(finished, tmp_path):
    job = BackgroundRun(shutil.copytree(finished.study_folder, tmp_path / "study"))
    (job.folder / "state.json").write_text(
        json.dumps({"name": "running", "process": os.getpid(), "born": 1.0})
    )
    assert BackgroundRun(job.study_folder).state().name == "lost"


def test_bad_input_is_told_in_its_own_words(start):
    job = start(replace(small(), base="no-such-base"))
    state = job.wait(SOON)
    assert state.name == "failed"
    assert "no-such-base" in state.error


def test_a_folder_that_is_busy_with_another_study_is_refused(start):
    first_loss(start(small(steps=2000)))
    with pytest.raises(InputError, match="another study"):
        start(small(steps=1999))


def moved_away(folder):
    folder.rename(folder.with_name("elsewhere"))


def deleted(folder):
    moved_away(folder)  # first, or what trains may write into it meanwhile
    shutil.rmtree(folder.with_name("elsewhere"))


@pytest.mark.parametrize("gone", [moved_away, deleted])
def test_a_job_begun_anew_never_hears_of_one_whose_folder_is_gone(start, gone):
    study = small(steps=2000, sizes=(64,))
    first = start(study)
    first_loss(first)
    gone(first.study_folder)
    second = start(study)
    first_loss(second)
    first._process.wait(SOON)
    assert second.state().name == "running"
    with Store.open(second.study_folder, read_only=True) as store:
        assert store.manifest.outcome == "running"
        assert len(store.manifest.sessions) == 1


@pytest.mark.parametrize("left", [None, {"name": "starting", "since": 1.0}])
def test_a_job_writes_no_end_over_what_another_says_in_its_place(tmp_path, monkeypatch, left):
    job = BackgroundRun(tmp_path)
    state = job.folder / "state.json"

    def run(_):
        state.unlink()
        if left:
            state.write_text(json.dumps(left))
        raise InputError("its folder is gone")

    monkeypatch.setattr(background, "_run", run)
    monkeypatch.setattr(background, "_interrupt_on_request", lambda *given: None)
    monkeypatch.setattr(background.os, "nice", lambda more: 0)
    background._work(job)
    assert (json.loads(state.read_text()) if state.exists() else None) == left


def test_a_line_that_is_being_written_waits(tmp_path):
    job = BackgroundRun(tmp_path)
    job.folder.mkdir()
    (job.folder / "events.jsonl").write_bytes(b'{"step": 1}\n{"st')
    events, end = job.events()
    assert (events, end) == ([{"step": 1}], 12)
    with open(job.folder / "events.jsonl", "ab") as file:
        file.write(b'ep": 2}\n')
    assert job.events(end)[0] == [{"step": 2}]


def test_a_folder_without_a_job_is_new(tmp_path):
    job = BackgroundRun(tmp_path / "nothing")
    assert job.state().name == "new"
    assert job.events() == ([], 0)
    job.stop()
    assert not (tmp_path / "nothing").exists()
