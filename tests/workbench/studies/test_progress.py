"""What a run tells while it goes on: shares, counts and means, worked out by hand."""

from dataclasses import replace

import pytest

from workbench.data.records import digest_of
from workbench.studies import runner, stacks
from workbench.studies.disk.store import Store
from workbench.studies.executors.protocol import Event
from workbench.studies.plan import plan
from workbench.views.progress import describe


class Fake:
    """An executor that trains nothing."""

    workers = 1

    def close(self):
        """Nothing runs."""


@pytest.fixture
def four_stacks(study, monkeypatch):
    """Four cells of 8 steps, each in a stack of its own."""
    monkeypatch.setattr(stacks, "STEP_TOKENS", 30)
    return replace(study, seeds=(0,))


def test_a_share_is_of_the_steps_that_this_run_has_to_take(four_stacks, tmp_path):
    seen = []
    runner.run(four_stacks, tmp_path / "study", seen.append, lambda: seen[-1].stack == 2)
    again = []
    runner.run(four_stacks, tmp_path / "study", again.append)
    training = [at for at in again if at.phase == "training" and at.step]
    # one stack was done, and the second had begun: 3 stacks of 8 steps are left
    assert training[0].stacks == 3
    assert all(at.share == pytest.approx(((at.stack - 1) * 8 + at.step) / 24) for at in training)
    assert training[-1].share == 1.0
    assert [at.cells_done for at in training if at.step == 4] == [1, 2, 3]
    assert {at.cells for at in training} == {4}


def test_cells_of_a_smaller_grid_count_only_where_they_are_asked_for(four_stacks, tmp_path):
    runner.run(four_stacks, tmp_path / "study")
    seen = []
    fewer = replace(four_stacks, sizes=(4, 8))
    runner.run(fewer, tmp_path / "study", seen.append)
    assert (seen[-1].cells_done, seen[-1].cells) == (4, 4)
    assert next(at.cells_done for at in seen if at.phase == "predicting") == 2
    with Store.open(tmp_path / "study") as store:
        assert len(store.rows()) == 6


def test_the_mean_loss_is_over_the_cells_that_have_one(study, tmp_path, monkeypatch):
    """Two of three losses are numbers; the third cell has ended, or diverged."""

    class Telling(Fake):
        def execute(self, job, tasks, tell, should_stop):
            cells = job.stacks[tasks[0].stack]
            tell(Event("step", tasks[0], step=2, losses=(1.0, None, 4.0, *[None] * (len(cells) - 3))))

    seen = []
    runner.run(study, tmp_path / "study", seen.append, executor=Telling())
    assert next(at.mean_loss for at in seen if at.step == 2) == 2.5


def test_a_stack_is_tried_three_times_and_then_the_study_is_incomplete(four_stacks, tmp_path):
    tried = []

    class Losing(Fake):
        def execute(self, job, tasks, tell, should_stop):
            tried.append([(task.stack, task.attempt) for task in tasks])
            for task in tasks:
                tell(Event("lost", task, detail="gone"))

    with runner.run(four_stacks, tmp_path / "study", executor=Losing()) as store:
        assert store.manifest.outcome == "incomplete"
        assert [one["number"] for one in store.attempts()] == [1] * 4 + [2] * 4 + [3] * 4
    assert tried == [[(stack, attempt) for stack in range(4)] for attempt in (1, 2, 3)]


def test_a_subset_s_hash_is_of_its_records_in_their_order_with_their_answers(study):
    """Recorded so that a replay can say that other examples are drawn."""
    concrete = plan(study)
    hashes = concrete.subsets
    assert len(set(hashes.values())) == len(concrete.cells), "another quality, size or seed draws otherwise"
    records = concrete.dataset.train[:3]
    known = {digest_of(records), digest_of(records[::-1]), digest_of(records[:2])}
    for name in ("id", "prompt", "response", "system"):
        known.add(digest_of([replace(records[0], **{name: "other"}), *records[1:]]))
    assert len(known) == 7


@pytest.mark.parametrize(
    ("seconds", "bytes_", "told"),
    [
        (0.4, 2**30, "0 s, 1.0 GiB of memory"),
        (89.4, 3 * 2**29, "89 s, 1.5 GiB of memory"),
        (90.0, 2**29, "1.5 min, 0.5 GiB of memory"),
        (600.0, 10 * 2**30, "10.0 min, 10.0 GiB of memory"),
    ],
)
def test_a_cost_is_told_as_people_say_it(seconds, bytes_, told):
    assert describe(seconds, bytes_) == told
