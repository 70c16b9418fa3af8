"""A card that goes or is full in mid-run: a stack is tried again or cut in two, and nothing is lost."""

import json
from dataclasses import replace

import pytest
import torch
from follows import follows
from small_study import measured, small_study

from workbench import devices
from workbench.cli import main
from workbench.errors import InputError
from workbench.studies import runner
from workbench.studies.disk.store import Store
from workbench.studies.executors import processes, stack_task
from workbench.studies.executors.ray_cluster import _body
from workbench.studies.executors.stack_task import CardFailed
from workbench.studies.replay import replay
from workbench.studies.runner import run
from workbench.studies.stacks import cut_in_two

GONE = torch.AcceleratorError("CUDA error: unspecified launch failure\nCUDA kernel errors might be ...")
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")


@pytest.mark.parametrize(
    ("error", "failed", "full"),
    [
        (GONE, True, False),
        (FULL, False, True),
        (RuntimeError("CUDA error: the launch timed out and was terminated"), True, False),
        (RuntimeError("Triton Error [CUDA]: unspecified launch failure"), True, False),
        (RuntimeError("Triton Error [CUDA]: out of memory"), False, True),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            False,
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"), True, False),
        (torch.AcceleratorError("HIP error: device kernel image is invalid"), True, False),
        (RuntimeError("The size of tensor a (3) must match"), False, False),
        (MemoryError(), False, False),
        (ValueError("CUDA error"), False, False),
    ],
    ids=lambda one: str(one)[:40],
)
def test_what_an_error_says_of_a_card(error, failed, full):
    assert (devices.has_failed(error), devices.is_full(error)) == (failed, full)


def one_stack():
    return small_study(sizes=(8,))


@pytest.fixture
def failing(monkeypatch):
    """Return a function that lets stacks raise an error while it is not None, at a step or at once."""
    train = stack_task.run_stack
    tried = []

    def install(error_of, at_step=None):
        def run_stack(prepared, cells, on_step, start, branched):
            tried.append((len(cells), 0 if start is None else start.step))
            error = error_of(len(cells), len(tried))
            if error is None:
                return train(prepared, cells, on_step, start, branched)
            if at_step is None:
                raise error

            def until(state):
                on_step(state)
                if state.step == at_step:
                    raise error

            return train(prepared, cells, until, start, branched)

        monkeypatch.setattr(stack_task, "run_stack", run_stack)
        return tried

    return install


def test_a_card_that_goes_ends_the_run_and_the_same_command_goes_on(failing, tmp_path, monkeypatch):
    with run(one_stack(), tmp_path / "reference", threads=1) as store:
        reference = measured(store)
    tried = failing(lambda cells, times: GONE if times == 1 else None, at_step=3)
    with pytest.raises(InputError) as told:
        run(one_stack(), tmp_path / "study", threads=1, checkpoint_seconds=0.0)
    message = str(told.value)
    assert message.startswith("the card failed (CUDA error: unspecified launch failure), and this process")
    assert "might be" not in message, "one sentence, not torch's page"
    manifest = json.loads((tmp_path / "study" / "manifest.json").read_text())
    assert manifest["outcome"].startswith("interrupted: the card failed")
    with run(one_stack(), tmp_path / "study", threads=1) as store:
        assert measured(store) == reference, "to the bit, from the checkpoint"
    assert tried == [(6, 0), (6, 3)]


def test_the_command_line_says_it_in_a_sentence(failing, tmp_path, capsys):
    failing(lambda cells, times: GONE)
    few = ["--sizes", "8", "--seeds", "0", "--steps", "2", "--heldout", "20", "--quality", "clean"]
    assert main(["run", "verbs", *few, "--out", str(tmp_path / "study")]) == 2
    said = capsys.readouterr().err
    assert "the same command goes on from there" in said
    assert "Traceback" not in said


def test_a_card_that_goes_before_the_training_is_told_as_well(tmp_path, monkeypatch):
    def gone(*arguments):
        raise GONE

    monkeypatch.setattr(runner, "zero_shot", gone)
    with pytest.raises(InputError, match="the card failed"):
        run(one_stack(), tmp_path / "study")


def test_a_full_card_gets_the_stack_in_halves_and_every_cell_its_result(failing, tmp_path):
    with run(one_stack(), tmp_path / "reference", threads=1) as store:
        reference = measured(store)
    tried = failing(lambda cells, times: FULL if cells > 2 else None)
    notes = []
    store = run(one_stack(), tmp_path / "study", lambda at: at.note and notes.append(at.note), threads=1)
    assert store.manifest.outcome == "finished"
    assert sorted(cells for cells, _ in tried) == [1, 1, 2, 2, 3, 3, 6]
    assert len(store.made()) == len(reference)
    assert sorted(len(made["stack"]) for made in store.made().values()) == [1, 1, 2, 2, 2, 2]
    for (row, _), (then, _) in zip(measured(store), reference, strict=True):
        assert row["loss"] == pytest.approx(then["loss"], abs=1e-4), "another stack changes roundings alone"
    said = {attempt["detail"] for attempt in store.attempts()}
    assert (
        "the card's memory was full with 6 cells (CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 "
        in (next(one for one in said if "6 cells" in one))
    )
    assert said <= set(notes)
    store.close()


def test_cells_of_a_stack_that_was_cut_are_replayed_to_the_bit(failing, tmp_path):
    failing(lambda cells, times: FULL if cells > 3 else None)
    run(one_stack(), tmp_path / "study", threads=1).close()
    found = replay(tmp_path / "study")
    assert (len(found.identical), found.different) == (7, [])


def test_one_cell_that_fills_the_card_is_given_up_and_the_rest_goes_on(failing, tmp_path):
    study = small_study(sizes=(8,), seeds=(0,))
    alone = []

    def error_of(cells, times):
        if cells > 1:
            return FULL
        alone.append(times)
        return FULL if len(alone) == 1 else None

    failing(error_of)
    store = run(study, tmp_path / "study", threads=1)
    assert store.manifest.outcome == "incomplete"
    assert len(store.rows()) == 1
    assert any("full with one cell alone" in attempt["detail"] for attempt in store.attempts())
    store.close()
    failing(lambda cells, times: None)
    with run(replace(study, device="cpu"), tmp_path / "study", threads=1) as again:
        assert again.manifest.outcome == "finished"


def test_a_step_that_is_timed_shrinks_until_the_card_has_room(tmp_path, monkeypatch):
    measure, sizes = runner.measure_rates, []

    def full(plan, stack):
        sizes.append(len(stack))
        if len(stack) > 2:
            raise FULL
        return measure(plan, stack)

    monkeypatch.setattr(runner, "measure_rates", full)
    with run(one_stack(), tmp_path / "study") as store:
        assert store.manifest.outcome == "finished"
    assert sizes == [6, 3, 2]


@follows("the card's memory was full ({first_line(error)})")
def test_a_card_that_is_full_before_anything_is_smaller_is_told(tmp_path, monkeypatch):
    def full(*arguments):
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(runner, "zero_shot", full)
        with pytest.raises(
            InputError, match=r"the card's memory was full \(CUDA out of memory.*--device cpu"
        ):
            run(one_stack(), tmp_path / "study")
    run(replace(one_stack(), device="cpu"), tmp_path / "study").close()


def test_halves_keep_the_cells_of_a_trunk_together():
    trunk = {"schedule": "trunk", "warmup_steps": 1, "steps": None, "epochs": 1.0}
    study = small_study(settings={**trunk, "batch_size": 4, "rank": 2}, sizes=(8, 16), seeds=(0, 1, 2))
    cells = study.cells()
    one, other = cut_in_two(cells)
    assert len(one) + len(other) == len(cells)
    assert {(cell.quality, cell.seed) for cell in one}.isdisjoint((cell.quality, cell.seed) for cell in other)
    assert cut_in_two(cells[:1]) == [cells[:1]]


def test_a_task_of_ray_whose_card_goes_is_lost_and_not_the_stack_s_fault(monkeypatch):
    import sys
    from types import SimpleNamespace

    from workbench.studies.executors import ray_cluster
    from workbench.studies.executors.wire import unpack_event

    def gone(*arguments):
        raise CardFailed("CUDA error: an illegal memory access")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    monkeypatch.setattr(ray_cluster, "run_task", gone)
    event = unpack_event(_body({}, {}, {"stack": 0, "attempt": 1}, None))
    assert (event.kind, event.detail) == ("lost", "the card failed: CUDA error: an illegal memory access")


FIRST_PROCESS_FAILS = """
import os, sys
import torch
from workbench.studies.executors import stack_task
from workbench.studies.executors.worker import main
train, mark = stack_task.run_stack, {mark!r}

def run_stack(prepared, cells, on_step, start, branched):
    def until(state):
        on_step(state)
        if state.step == 3 and not os.path.exists(mark):
            open(mark, "w").close()
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
    return train(prepared, cells, until, start, branched)

stack_task.run_stack = run_stack
main()
"""


@pytest.mark.slow
def test_a_worker_whose_card_goes_is_replaced_and_the_stack_goes_on(tmp_path, monkeypatch):
    with run(one_stack(), tmp_path / "reference", threads=1) as store:
        reference = measured(store)
    monkeypatch.setattr(processes, "PROGRAM", FIRST_PROCESS_FAILS.format(mark=str(tmp_path / "mark")))
    steps = []
    store = run(
        one_stack(),
        tmp_path / "study",
        lambda at: steps.append(at.step),
        executor="processes",
        threads=1,
        checkpoint_seconds=0.0,
    )
    assert store.manifest.outcome == "finished"
    assert measured(store) == reference
    assert [one["outcome"] for one in store.attempts()] == ["note"] * 6 + ["lost"] * 6
    assert (
        "the card failed: CUDA error: unspecified launch failure; the stack goes on from its checkpoint"
        in (store.attempts()[0]["detail"])
    )
    assert steps.count(2) == 1, "the second process went on where the first one's checkpoint was"
    with Store.open(tmp_path / "study", read_only=True) as again:
        assert again.manifest.sessions[-1].outcome == "finished"
