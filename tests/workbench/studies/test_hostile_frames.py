"""What other processes say and leave behind: frames, files of jobs. A reason, or the right content."""

import json
import os
import sys
from typing import get_args

import pytest
import torch
from anything import JSON, changes
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import measured, three_stacks

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.studies.background import BackgroundRun
from workbench.studies.executors.protocol import Event, Task
from workbench.studies.executors.wire import (
    LARGEST_FRAME,
    LENGTH,
    BadFrame,
    frame_length,
    pack_event,
    pack_frame,
    unpack,
    unpack_event,
)
from workbench.studies.runner import run
from workbench.studies.states import EventKind
from workbench.training.results import CellResult

CELL = CellConfig(data="d", base="b", size=4, rank=2)
RESULT = CellResult(
    cell=CELL,
    metrics={"loss": 0.5, "choice_accuracy": None},
    curves={"train_loss": [2.0, 1.0]},
    seconds=1.5,
    adapter={"layers.0.q_proj.lora_A": torch.ones(2, 8)},
)
EVENT = Event("result", Task(3, 2), step=7, losses=(0.5, None), results={CELL.key(): RESULT}, seconds=2.0)


def test_an_event_arrives_as_it_left():
    again = unpack_event(pack_event(EVENT))
    assert (again.task, again.step, again.losses, again.seconds) == (Task(3, 2), 7, (0.5, None), 2.0)
    result = again.results[CELL.key()]
    assert (result.cell, result.metrics, result.curves) == (CELL, RESULT.metrics, RESULT.curves)
    assert torch.equal(result.adapter["layers.0.q_proj.lora_A"], torch.ones(2, 8))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_frame(data):
    content = changes(data, pack_event(EVENT))
    try:
        event = unpack_event(content)
    except BadFrame:
        return
    assert event.kind in get_args(EventKind)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_a_frame_of_anything(content):
    with pytest.raises(BadFrame, match="bytes that are no frame"):
        unpack(content)


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from(["kind", "task", "step", "losses", "detail", "results", "seconds"]), value=JSON)
def test_an_event_of_anything(field, value):
    whole, tensors = unpack(pack_event(EVENT))
    try:
        event = unpack_event(pack_frame({**whole, field: value}, tensors))
    except BadFrame:
        return
    assert isinstance(event.task, Task)
    assert event.kind in get_args(EventKind)
    assert all(isinstance(result, CellResult) for result in event.results.values())


@pytest.mark.parametrize("declared", [LARGEST_FRAME + 1, 2**40, 2**64 - 1])
def test_a_frame_that_says_it_is_huge(declared):
    with pytest.raises(BadFrame, match=f"says it is {declared} bytes long"):
        frame_length(LENGTH.pack(declared))


LIAR = """
import os, sys
if os.environ.get("LIAR") and "worker" in " ".join(sys.orig_argv):
    os.write(1, bytes.fromhex(os.environ["LIAR"]))
    sys.stdin.read()
"""


@pytest.mark.parametrize("sent", [b"\xff" * 8, LENGTH.pack(5) + b"pickl"], ids=["huge", "text"])
def test_a_worker_that_sends_something_else_is_lost_and_the_study_is_told(tmp_path, monkeypatch, sent):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    (tmp_path / "sitecustomize.py").write_text(LIAR)
    monkeypatch.setenv("LIAR", sent.hex())
    store = run(three_stacks(), tmp_path / "study", executor="processes", workers=2, threads=1)
    assert store.manifest.outcome == "incomplete"
    assert measured(store) == []
    assert {attempt["outcome"] for attempt in store.attempts()} == {"lost"}
    assert "sent bytes that are no frame" in store.attempts()[0]["detail"] or (
        "says it is" in store.attempts()[0]["detail"]
    )


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["state.json", "config.json", "events.jsonl"]),
    content=st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode() + b"\n")
    | st.fixed_dictionaries(
        {"name": st.sampled_from(["starting", "running", "finished"])},
        optional={"since": JSON, "process": JSON, "born": JSON, "error": JSON},
    ).map(lambda value: json.dumps(value).encode()),
)
def test_a_jobs_file_of_anything(name, content, tmp_path_factory):
    job = BackgroundRun(tmp_path_factory.mktemp("job"))
    job.folder.mkdir()
    (job.folder / name).write_bytes(content)
    try:
        assert isinstance(job.state().name, str)
        configuration = job.configuration()
        assert configuration is None or isinstance(configuration, dict)
        assert all(isinstance(event, dict) for event in job.events()[0])
    except InputError:
        return


@pytest.mark.parametrize("process", [-1, 0, 2**31, 2**80])
def test_a_job_of_no_possible_process_is_damaged(tmp_path, process):
    job = BackgroundRun(tmp_path)
    job.folder.mkdir()
    (job.folder / "state.json").write_text(json.dumps({"name": "running", "process": process, "born": 1.0}))
    with pytest.raises(InputError, match="it doesn't say how far the job is"):
        job.state()
