"""Studies that choose their own cells: what is trained, what is recorded, what a stop and a kill leave."""

import os
import signal
from dataclasses import replace

import pytest

from workbench.config import Quality
from workbench.errors import InputError
from workbench.studies import growth, runner
from workbench.studies.bill import bill
from workbench.studies.disk.listing import find_studies
from workbench.studies.disk.manifest import read_manifest
from workbench.studies.disk.store import Store
from workbench.studies.grid import Place, Study
from workbench.studies.growth import GrowthDecision
from workbench.studies.plan import plan
from workbench.studies.replay import replay

CLEAN, SPOILED = Quality(), Quality(corruption="other_record", share=0.5)
TIMES = ("seconds", "predicted_seconds")
NUMBERS = {"loss", "train_loss", "gradient_norm"}
"""Columns that are measured and no shares of items."""


def place(quality: Quality, size: int, seed: int) -> Place:
    return Place(quality=quality, size=size, seed=seed)


BATCHES = (
    (place(CLEAN, 8, 0), place(SPOILED, 8, 0), place(SPOILED, 8, 1)),
    (place(CLEAN, 16, 3), place(SPOILED, 32, 0)),
)


class Listed:
    """A rule that follows a list, and remembers what it was asked."""

    def __init__(self, rule: str = "--until rate:1.3") -> None:
        self.rule = rule
        self.asked: list[tuple[int, int]] = []

    def next(self, store: Store, room: int) -> GrowthDecision:
        """Choose the batch that stands behind those that the study has."""
        grown = store.manifest.study.parsed().grown
        done = len(store.rows())
        self.asked.append((done, room))
        cells = BATCHES[len(grown)] if len(grown) < len(BATCHES) else ()
        why = f"look {len(grown) + 1}" if cells else "reached"
        return GrowthDecision(
            rule=self.rule, why=why, cells=cells, metric="loss", low=2.0, after=done, minutes=0.5
        )


@pytest.fixture
def start(study) -> Study:
    """Eight cells."""
    return replace(study, seeds=(0, 1))


def measured(store: Store) -> dict[str, dict]:
    return {row["key"]: {name: row[name] for name in row if name not in TIMES} for row in store.rows()}


def grown(start: Study, folder, **options) -> Store:
    return runner.run(start, folder, grower=Listed(), **options)


def test_a_study_trains_the_batches_that_its_rule_chose_in_their_order(start, tmp_path):
    rule, seen = Listed(), []
    store = runner.run(start, tmp_path / "study", seen.append, grower=rule)
    assert [done for done, _ in rule.asked] == [8, 11, 13]
    assert {room for _, room in rule.asked} == {8}, "the start grid fits one stack"
    order = list(store.configurations().values())
    assert [place(cell.quality, cell.size, cell.seed) for cell in order[8:]] == [*BATCHES[0], *BATCHES[1]]
    notes = [at.note for at in seen if at.note]
    assert notes == [
        "8 cells, 0.5 minutes of training: look 1; next: 3 cells",
        "11 cells, 0.5 minutes of training: look 2; next: 2 cells",
        "13 cells, 0.5 minutes of training: reached; the end",
    ]
    assert [at.phase for at in seen].count("done") == 1
    assert seen[-1].phase == "done"


def test_the_manifest_says_which_cells_were_chosen_when_and_why(start, tmp_path):
    store = grown(start, tmp_path / "study")
    manifest = read_manifest(tmp_path / "study")
    assert manifest.study.parsed().grown == BATCHES
    found = [
        (one.rule, one.why, one.cells, one.after, one.low, one.high) for one in manifest.growth.decisions
    ]
    assert found == [
        ("--until rate:1.3", "look 1", 3, 8, 2.0, None),
        ("--until rate:1.3", "look 2", 2, 11, 2.0, None),
        ("--until rate:1.3", "reached", 0, 13, 2.0, None),
    ]
    assert all(one.at for one in manifest.growth.decisions)
    assert manifest.study.cells == len(manifest.planned()) == len(store.rows()) == 13
    assert manifest.planned().keys() == manifest.subsets.keys() == measured(store).keys()
    (listed,) = find_studies(tmp_path)
    assert (listed.done, listed.planned, listed.rule) == (13, 13, "--until rate:1.3")
    assert len(bill(tmp_path / "study").cells) == 13


def test_what_has_grown_is_measured_as_in_a_study_that_was_asked_for_it(start, tmp_path):
    store = grown(start, tmp_path / "study")
    asked = runner.run(replace(start, sizes=(4, 8, 16, 32), seeds=(0, 1, 3)), tmp_path / "asked")
    every = measured(asked)
    for key, row in measured(store).items():
        # other stacks: on some processors a product rounds otherwise where it has fewer than four rows
        assert {name: row[name] for name in row if name not in NUMBERS} == {
            name: every[key][name] for name in row if name not in NUMBERS
        }
        for name in NUMBERS & row.keys():
            assert row[name] == pytest.approx(every[key][name], rel=1e-4)


@pytest.mark.parametrize("after", [0, 8, 9])
def test_a_study_that_was_stopped_goes_on_as_one_that_never_was(start, tmp_path, after):
    whole = grown(start, tmp_path / "whole")
    seen = []
    stopped = grown(
        start,
        tmp_path / "study",
        on_progress=seen.append,
        should_stop=lambda: seen[-1].cells_done >= after and seen[-1].step == 3,
    )
    assert stopped.manifest.outcome == "stopped"
    assert len(stopped.rows()) < 13
    again = grown(start, tmp_path / "study")
    assert measured(again) == measured(whole)
    assert list(again.configurations()) == list(whole.configurations())
    words = [(one.why, one.cells, one.after) for one in again.manifest.growth.decisions]
    assert words == [(one.why, one.cells, one.after) for one in whole.manifest.growth.decisions]


@pytest.mark.parametrize("moment", ["chosen", "recorded", "training"])
def test_a_study_that_was_killed_goes_on_as_one_that_never_was(start, tmp_path, moment, monkeypatch):
    whole = grown(start, tmp_path / "whole")
    child = os.fork()
    if not child:  # a process of its own, killed in the middle of what it does
        die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        if moment == "chosen":
            growth._record = die
        elif moment == "recorded":
            record = growth._record
            growth._record = lambda *arguments: (record(*arguments), die())
        seen = []
        watched = (
            (lambda at: seen.append(at) or (at.cells_done == 8 and at.step == 5 and die()))
            if (moment == "training")
            else None
        )
        grown(start, tmp_path / "study", on_progress=watched, checkpoint_seconds=0.0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    again = grown(start, tmp_path / "study")
    assert measured(again) == measured(whole)
    assert list(again.configurations()) == list(whole.configurations())
    assert [one.why for one in again.manifest.growth.decisions] == ["look 1", "look 2", "reached"]


def test_a_study_that_has_ended_trains_and_records_nothing_again(start, tmp_path):
    grown(start, tmp_path / "study")
    before = read_manifest(tmp_path / "study")
    store = grown(start, tmp_path / "study")
    assert store.manifest == before


def test_another_rule_goes_on_and_is_recorded(start, tmp_path):
    grown(start, tmp_path / "study")
    store = runner.run(start, tmp_path / "study", grower=Listed("--for 30m"))
    rules = [one.rule for one in store.manifest.growth.decisions]
    assert rules == ["--until rate:1.3"] * 3 + ["--for 30m"]


def test_the_cells_are_trained_again_without_a_rule(start, tmp_path):
    grown(start, tmp_path / "study")
    found = replay(tmp_path / "study")
    assert len(found.identical) == 14, "the cells and the base without training"
    assert not found.different


def test_a_plain_run_and_a_wider_grid_keep_what_has_grown(start, tmp_path):
    grown(start, tmp_path / "study")
    assert len(runner.run(start, tmp_path / "study").rows()) == 13
    wider = runner.run(replace(start, sizes=(4, 8, 16)), tmp_path / "study")
    assert wider.manifest.study.cells == len(wider.rows()) == 14, "one of the twelve wasn't there"
    assert wider.manifest.growth.decisions
    for one in replay(tmp_path / "study").different:
        assert one.first == pytest.approx(one.second, rel=1e-4), one


def test_growth_leaves_the_stacks_before_it_as_they_were(start):
    small, large = plan(start), plan(replace(start, grown=BATCHES))
    assert large.stacks[: len(small.stacks)] == small.stacks
    assert [len(stack) for stack in large.stacks[len(small.stacks) :]] == [3, 2]
    twice = plan(replace(start, grown=(*BATCHES, BATCHES[0], (place(CLEAN, 4, 0), place(CLEAN, 5, 0)))))
    assert [len(stack) for stack in twice.stacks[len(large.stacks) :]] == [1], "none is planned twice"


def test_a_study_that_did_not_grow_is_described_as_before(start):
    assert "grown" not in start.to_dict()
    more = replace(start, grown=BATCHES)
    assert Study.from_dict(more.to_dict()) == more
    assert more.cells()[:8] == start.cells()


@pytest.mark.parametrize(
    "grown", [[[{"quality": {}, "size": "8", "seed": 0}]], [[{"quality": {}, "size": 8}]], [[3]], 3, [3]]
)
def test_a_damaged_record_of_growth_is_refused_in_a_sentence(start, grown):
    with pytest.raises(InputError, match="the study's description can't be read"):
        Study.from_dict({**start.to_dict(), "grown": grown})


def test_a_study_whose_cells_fail_for_want_of_memory_asks_no_rule(start, tmp_path, monkeypatch):
    def without_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr("workbench.studies.executors.stack_task.run_stack", without_memory)
    rule = Listed()
    store = runner.run(start, tmp_path / "study", grower=rule)
    assert store.manifest.outcome == "incomplete"
    assert rule.asked == []
