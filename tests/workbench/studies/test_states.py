"""The words for how far something is: one list each, all of them met, none written anywhere else."""

import ast
import json
import re
from pathlib import Path
from typing import get_args

import pytest

import workbench
from workbench.errors import InputError
from workbench.laws.statuses import STATUSES
from workbench.studies import runner, states
from workbench.studies.background import BackgroundRun
from workbench.studies.disk.manifest import Manifest
from workbench.studies.disk.schema import MIGRATIONS
from workbench.studies.executors.protocol import Event, Task
from workbench.studies.executors.wire import BadFrame, pack_event, pack_frame, unpack, unpack_event
from workbench.studies.states import (
    ACTIVE,
    GOING_ON,
    LAST_PHASE,
    AttemptOutcome,
    CellStatus,
    Ending,
    EventKind,
    JobName,
    Outcome,
    Phase,
)
from workbench.training.results import Status
from workbench.views.widgets.job_view import STATE_WORDS
from workbench.views.widgets.live import LiveStudy

PACKAGE = Path(workbench.__file__).parent


def test_each_end_of_a_run_has_its_phase():
    assert set(LAST_PHASE) == set(get_args(Ending))
    assert set(LAST_PHASE.values()) == set(get_args(Phase)) - {"loading", "predicting", "training"}
    assert len(set(LAST_PHASE.values())) == len(LAST_PHASE)
    assert set(get_args(Ending)) < set(get_args(Outcome))
    assert set(get_args(Ending)) < set(get_args(JobName))


def test_what_is_at_work_and_what_goes_on_are_some_of_their_words():
    assert set(ACTIVE) < set(get_args(JobName))
    assert set(GOING_ON) < set(get_args(EventKind))


def test_a_cell_has_the_words_that_its_table_takes():
    (check,) = re.findall(r"status IN \((.*?)\)", " ".join(MIGRATIONS[0]))
    assert tuple(word.strip("' ") for word in check.split(",")) == get_args(CellStatus) == STATUSES
    assert set(get_args(Status)) == set(get_args(CellStatus)) - {"censored"}


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_a_manifest_may_say_every_outcome_and_no_other(outcome):
    assert Manifest.of({"format": 2, "outcome": outcome}).outcome == outcome
    with pytest.raises(InputError, match="outcome is"):
        Manifest.of({"format": 2, "outcome": f"{outcome}!"})


@pytest.mark.parametrize("name", get_args(JobName))
def test_a_job_may_be_in_every_state_and_no_other(tmp_path, name):
    job = BackgroundRun(tmp_path / "study")
    job.folder.mkdir(parents=True)

    def said(**values):
        (job.folder / "state.json").write_text(json.dumps(values))
        return job.state().name

    if name == "starting":
        assert said(name=name, since=9e9) == name
    elif name == "running":
        assert said(name=name, process=1, born=None) in (name, "lost")
    else:
        assert said(name=name) == name
    with pytest.raises(InputError, match="doesn't say how far the job is"):
        said(name=f"{name}!")
    said(name=name, since=9e9, process=1, born=None)
    if name != "running":
        assert LiveStudy(job).words().startswith(STATE_WORDS[name])


def test_the_live_view_has_words_for_every_state():
    assert set(STATE_WORDS) | {"running"} == set(get_args(JobName))


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_an_event_of_every_kind_travels_and_no_other(kind):
    event = Event(kind, Task(3))
    assert unpack_event(pack_event(event)) == event
    value, tensors = unpack(pack_event(event))
    with pytest.raises(BadFrame, match="no known kind"):
        unpack_event(pack_frame({**value, "kind": f"{kind}!"}, tensors))


class Says:
    """An executor that tells one event of each task, and the task's result after that."""

    workers = 1

    def __init__(self, kind):
        self.kind, self.tasks = kind, []

    def execute(self, job, tasks, tell, should_stop):
        self.tasks += tasks
        for task in tasks:
            tell(Event(self.kind, task, detail="so it is"))

    def close(self):
        pass


ENDS = {
    "started": "stopped",
    "step": "stopped",
    "note": "stopped",
    "result": "stopped",
    "error": "incomplete",
    "lost": "incomplete",
    "full": "incomplete",
    "refused": "refused",
}
"""How a run ends whose every task tells an event of this kind and brings no cell."""


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_the_runner_understands_every_kind(study, tmp_path, kind):
    seen, executor = [], Says(kind)

    def run():
        return runner.run(study, tmp_path / "study", seen.append, executor=executor)

    if kind == "refused":
        with pytest.raises(InputError, match="so it is"):
            run()
    else:
        run().close()
        assert seen[-1].phase == LAST_PHASE[ENDS[kind]]
    with runner.Store.open(tmp_path / "study", read_only=True) as store:
        assert store.manifest.outcome == store.manifest.sessions[-1].outcome == ENDS[kind]
        noted = {attempt["outcome"] for attempt in store.attempts()}
    # a stack that is too large is cut in two until each cell has been too large alone
    assert noted == ({"note", "error"} if kind == "full" else {kind} & set(get_args(AttemptOutcome)))
    assert len(executor.tasks) == {"lost": runner.ATTEMPTS, "full": 2 * 12 - 1}.get(kind, 1)


def test_the_words_are_listed_in_one_place():
    """A list of three or more of the words of one kind, written elsewhere, is a second vocabulary."""
    kinds = [set(get_args(kind)) for kind in (Outcome, Phase, JobName, EventKind)]
    for path in sorted((PACKAGE / "studies").rglob("*.py")):
        if path == Path(states.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Subscript):
                words = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
                assert not any(len(words & kind) > 3 for kind in kinds), f"{path}:{node.lineno}"
