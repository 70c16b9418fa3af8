"""A whole study on a base of random weights: small enough to run many times."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
import torch

from workbench.data.records import Record, digest_of
from workbench.errors import InputError
from workbench.studies import runner, stacks
from workbench.studies.disk.store import Store
from workbench.studies.executors import stack_task
from workbench.studies.grid import STUDIES
from workbench.studies.own_data import study_of_file


def table(store: Store) -> list[dict]:
    """Everything that a study measured, without the time it took."""
    times = ("seconds", "predicted_seconds")
    return [{name: value for name, value in row.items() if name not in times} for row in store.rows()]


def test_the_same_study_twice_gives_identical_tables(study, tmp_path):
    first, second = (runner.run(study, tmp_path / name) for name in ("first", "second"))
    assert table(first) == table(second)
    rows = table(first)
    assert len(rows) == 12
    assert all(row["status"] == "done" and row["loss"] > 0 for row in rows)
    assert len({row["loss"] for row in rows}) == 12
    for row in rows:
        assert first.curves(row["key"]) == second.curves(row["key"])


@pytest.fixture
def four_stacks(study, monkeypatch):
    """Four cells of the study, each in a stack of its own."""
    monkeypatch.setattr(stacks, "STEP_TOKENS", 30)
    return replace(study, seeds=(0,))


def test_a_study_that_is_stopped_goes_on_to_the_same_table(four_stacks, tmp_path):

    def stop_in_the_third_stack(progress):
        if progress.stack == 3 and progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run(four_stacks, tmp_path / "stopped", stop_in_the_third_stack)
    half = len(Store.open(tmp_path / "stopped").done())
    seen = []
    store = runner.run(four_stacks, tmp_path / "stopped", seen.append)
    whole = runner.run(four_stacks, tmp_path / "whole")
    assert half == 3, "the zero-shot line and two cells"
    assert sorted(table(store), key=str) == sorted(table(whole), key=str)
    assert seen[-1].phase == "done"
    assert seen[-1].cells_done == seen[-1].cells == 4


def test_a_study_that_is_asked_to_stop_ends_in_order_and_goes_on(four_stacks, tmp_path):
    seen = []
    store = runner.run(
        four_stacks, tmp_path / "study", seen.append, lambda: seen[-1].stack == 2 and seen[-1].step == 3
    )
    assert seen[-1].phase == "stopped"
    assert store.manifest.outcome == "stopped"
    assert len(store.rows()) == 1
    again = runner.run(four_stacks, tmp_path / "study")
    assert again.manifest.outcome == "finished"
    assert table(again) == table(runner.run(four_stacks, tmp_path / "whole"))


def test_a_stack_goes_on_from_its_checkpoint_to_the_same_bits(study, tmp_path):
    study = replace(study, seeds=(0,))
    whole = runner.run(study, tmp_path / "whole")
    for at in (1, 7):
        seen = []
        folder = tmp_path / f"stopped at {at}"
        runner.run(study, folder, seen.append, lambda: seen[-1].step == at)  # noqa: B023
        again = []
        store = runner.run(study, folder, again.append)
        assert next(progress.step for progress in again if progress.step) == at + 1
        assert table(store) == table(whole)
        for row in table(whole):
            assert store.curves(row["key"]) == whole.curves(row["key"])
            for name in ("adapter_model.safetensors", "adapter_config.json"):
                here, there = (path / "adapters" / row["key"] / name for path in (folder, tmp_path / "whole"))
                assert here.read_bytes() == there.read_bytes()
        assert not (folder / "checkpoints").exists()


def test_a_damaged_checkpoint_costs_time_and_is_noted(study, tmp_path):
    seen = []
    runner.run(study, tmp_path / "study", seen.append, lambda: seen[-1].step == 5)
    (path,) = (tmp_path / "study" / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    again = []
    store = runner.run(study, tmp_path / "study", again.append)
    assert next(progress.step for progress in again if progress.step) == 1
    assert any("is damaged" in progress.note for progress in again)
    assert {attempt["outcome"] for attempt in store.attempts()} == {"note"}
    assert table(store) == table(runner.run(study, tmp_path / "whole"))


def test_two_runs_on_one_folder_are_one_too_many(study, tmp_path):
    def second(progress):
        if progress.step == 1:
            with pytest.raises(InputError, match=r"another run is writing .*\(process \d+ on "):
                runner.run(study, tmp_path / "study")

    store = runner.run(study, tmp_path / "study", second)
    assert store.counts() == {"done": 12}


def test_an_error_of_a_listener_is_not_blamed_on_a_cell(study, tmp_path):
    def broken(progress):
        if progress.step == 2:
            raise RuntimeError("the widget is gone")

    with pytest.raises(RuntimeError, match="the widget is gone"):
        runner.run(study, tmp_path / "study", broken)
    with Store.open(tmp_path / "study") as store:
        assert store.attempts() == []
        assert store.manifest.outcome == "interrupted"


def test_a_stack_without_memory_is_noted_and_the_rest_goes_on(four_stacks, tmp_path, monkeypatch):
    real, full = stack_task.run_stack, []

    def short_of_memory(prepared, cells, *rest, **named):
        if not full:
            full.extend(cells)
            torch.empty(1 << 60)
        return real(prepared, cells, *rest, **named)

    monkeypatch.setattr(stack_task, "run_stack", short_of_memory)
    store = runner.run(four_stacks, tmp_path / "study")
    assert store.manifest.outcome == "incomplete"
    assert store.counts() == {"done": 4 - len(full)}
    assert {attempt["key"] for attempt in store.attempts()} == {cell.key() for cell in full}
    assert store.attempts()[0]["detail"].startswith("there was not enough memory; choose a smaller batch")
    assert "Traceback" in store.attempts()[0]["detail"]
    assert runner.run(four_stacks, tmp_path / "study").manifest.outcome == "finished"


def test_a_damaged_record_is_trained_again(study, tmp_path):
    whole = table(runner.run(study, tmp_path / "study"))
    with closing(sqlite3.connect(tmp_path / "study" / "cells.sqlite")) as database:
        database.execute(
            "UPDATE cell SET metrics = replace(metrics, '0.0', '0.1') WHERE key = ?", (whole[3]["key"],)
        )
        database.execute("UPDATE curve SET points = substr(points, 9) WHERE id = 9")
        database.commit()
    store = runner.run(study, tmp_path / "study")
    assert table(store) == whole
    assert {attempt["outcome"] for attempt in store.attempts()} == {"damaged"}


def test_the_threads_that_a_study_was_begun_with_are_kept(study, tmp_path):
    runner.run(study, tmp_path / "study", threads=2)
    more = runner.run(replace(study, sizes=(4, 16, 32)), tmp_path / "study")
    assert [session.threads for session in more.manifest.sessions] == [2, 2]
    assert torch.get_num_threads() == 1
    with pytest.raises(InputError, match="threads is 0"):
        runner.run(study, tmp_path / "study", threads=0)


def test_progress_names_the_cells_and_their_losses(study, tmp_path):
    seen = []
    store = runner.run(study, tmp_path / "study", seen.append)
    last = [progress for progress in seen if progress.step == progress.steps == 8][-1]
    assert set(last.keys) <= {row["key"] for row in store.rows()}
    for key, loss in zip(last.keys, last.losses, strict=True):
        assert store.curves(key)["train_loss"][-1] == loss
    assert last.mean_loss == pytest.approx(sum(last.losses) / len(last.losses))


def test_a_loss_that_is_not_a_number_is_none(study, tmp_path):
    seen = []
    wild = replace(study, settings={**study.settings, "learning_rate": 1e30, "warmup": 0.0})
    runner.run(wild, tmp_path / "wild", seen.append)
    last = [progress for progress in seen if progress.step][-1]
    assert set(last.losses) == {None}
    assert last.mean_loss is None


def test_a_finished_study_runs_nothing(study, tmp_path):
    runner.run(study, tmp_path / "study")
    seen = []
    runner.run(study, tmp_path / "study", seen.append)
    assert [progress.phase for progress in seen] == ["loading", "done"]


def test_what_a_kill_at_the_very_end_leaves_is_removed_by_the_next_run(study, tmp_path):
    """The record says that the study is finished, and the folder of checkpoints is still there."""
    with runner.run(study, tmp_path / "study") as store:
        assert store.manifest.outcome == "finished"
    (tmp_path / "study" / "checkpoints").mkdir()
    runner.run(study, tmp_path / "study").close()
    assert not (tmp_path / "study" / "checkpoints").exists()


def test_a_wider_grid_keeps_what_is_done(study, tmp_path):
    few = runner.run(study, tmp_path / "study")
    before = {row["key"]: row for row in table(few)}
    more = runner.run(replace(study, sizes=(4, 16, 32)), tmp_path / "study")
    after = {row["key"]: row for row in table(more)}
    assert len(after) == 18
    assert all(after[key] == row for key, row in before.items())


def test_the_record(study, tmp_path):
    store = runner.run(study, tmp_path / "study")
    manifest = Store.open(tmp_path / "study").manifest
    assert manifest == store.manifest
    assert manifest.data.train_records == 76
    assert manifest.base.sha256 == "0" * 64
    assert manifest.prediction.seconds > 0
    assert manifest.actual.seconds > 0
    assert manifest.versions["torch"]
    assert store.zero_shot()["loss"] > 0


def test_notes_are_told_once_and_recorded(study, tmp_path):
    path = tmp_path / "more.jsonl"
    lines = (tmp_path / "letters.jsonl").read_text() + '{"prompt": "ab", "response": null, "from": "me"}\n'
    path.write_text(lines.replace('"aa"}', '"aa", "from": "me"}'))
    study = replace(study, data=str(path), on_empty="drop")
    told = [
        "more.jsonl: 1 of 97 records left out: empty 'prompt' or 'response' (line 97)",
        "more.jsonl: kept as column 'from' (1 record)",
    ]
    seen = []
    store = runner.run(study, tmp_path / "study", seen.append)
    assert [at.note for at in seen if at.note] == told
    assert list(store.manifest.data.notes) == told
    # a study that was begun before notes were recorded learns them
    data = {name: value for name, value in store.manifest.to_json()["data"].items() if name != "notes"}
    store.update_manifest(data=data)
    assert runner.run(study, tmp_path / "study").manifest.data.written == data | {"notes": told}


def test_a_study_without_notes_records_none(study, tmp_path):
    assert "notes" not in runner.run(study, tmp_path / "study").manifest.data.written


def test_other_answers_to_one_prompt_make_a_study(study, tmp_path):
    answers = [f"{a}{b}" for a in "abcdef" for b in "ghijkl"]
    for name, chosen in (("one", answers[:30]), ("held", answers[30:])):
        lines = [json.dumps({"prompt": "ab", "response": answer}) + "\n" for answer in chosen]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    with pytest.raises(InputError, match=r"30 records, all with the same prompt, .*\(--heldout-file\)"):
        study_of_file(str(tmp_path / "one.jsonl"), "coffee", base="random")
    files = {
        "data": str(tmp_path / "one.jsonl"),
        "heldout_file": str(tmp_path / "held.jsonl"),
        "heldout": None,
    }
    store = runner.run(replace(study, **files), tmp_path / "study")
    assert all(row["status"] == "done" for row in table(store))
    assert store.manifest.data.notes[0].startswith("held.jsonl: 6 of 6 held-out records have a prompt")
    with pytest.raises(InputError, match="give only one of them"):
        study_of_file(files["data"], "coffee", base="random", heldout=2, heldout_file=files["heldout_file"])


def test_the_digest_of_records_is_all_that_is_trained_on():
    record = Record(id="a", prompt="p", response="r")
    others = [
        replace(record, system="s"),
        replace(record, history=(("s", ""),)),
        replace(record, response="s"),
    ]
    assert len({digest_of([one]) for one in (record, *others)}) == 4
    # recorded in manifests and compared by replays: it may not change
    assert digest_of([record]) == "8f07b5dd5a70ef5a"


def test_a_folder_of_another_study_is_refused(study, tmp_path):
    runner.run(study, tmp_path / "study")
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({"prompt": c, "response": c}) + "\n" for c in "abcdefghijkl"))
    with pytest.raises(InputError, match=r"\(heldout was 20 and is 3, data was letters and is other\)"):
        runner.run(replace(study, data=str(other), heldout=3, sizes=(4,)), tmp_path / "study")


def test_a_cell_that_fails_is_recorded_and_the_rest_goes_on(study, tmp_path, monkeypatch):
    wild = replace(study, settings={**study.settings, "learning_rate": 1e30, "warmup": 0.0})
    rows = runner.run(wild, tmp_path / "wild").rows()
    failed = [row for row in rows if row["status"] == "failed"]
    assert len(failed) == 12
    assert all("not a number at step" in row["failure"] for row in failed)
    assert all(row["loss"] is None and row["exact_match"] is None for row in failed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": (4, 77)}, "size 77 is larger than the data"),
        ({"sizes": ()}, "the study has no sizes"),
        ({"seeds": (1, 1)}, "seeds names one value twice"),
        ({"settings": {"rank": 17}}, "rank 17 is above 16"),
        ({"adapted_layers": 0}, "at least 1 block has to carry adapters"),
        ({"template": "chat"}, "chat template"),
        ({"template": "chad"}, "unknown template 'chad'"),
        ({"data": "verb"}, "verb"),
    ],
    ids=str,
)
def test_bad_input_leaves_nothing_behind(study, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        runner.run(replace(study, **change), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_stacks_are_a_function_of_the_study_alone(study, monkeypatch):
    monkeypatch.setattr(stacks, "STEP_TOKENS", 90)
    first, second = runner.plan(study), runner.plan(study)
    assert first.stacks == second.stacks
    assert len(first.stacks) > 2
    assert sorted(cell.key() for stack in first.stacks for cell in stack) == sorted(
        cell.key() for cell in first.cells
    )
    assert max(map(len, first.stacks)) - min(map(len, first.stacks)) <= 1


def test_adapters_sit_on_the_topmost_layers(study):
    for wanted, first in ((None, 0), (1, 2), (3, 0), (9, 0)):
        assert {cell.first_layer for cell in runner.plan(replace(study, adapted_layers=wanted)).cells} == {
            first
        }


def test_cells_of_similar_length_go_together(study, monkeypatch):
    by_epochs = replace(study, settings={**study.settings, "steps": None, "epochs": 2.0})
    assert {cell.total_steps for cell in runner.plan(by_epochs).cells} == {2, 8}
    assert len(runner.plan(by_epochs).stacks) == 1
    monkeypatch.setattr(stacks, "STEP_TOKENS", 90)
    several = runner.plan(by_epochs).stacks
    assert len(several) > 2
    lengths = [cell.total_steps for stack in several for cell in stack]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_budgets_are_the_same_grid_wider(name):
    coffee, lunch, night = (STUDIES[name](budget) for budget in ("coffee", "lunch", "night"))
    for smaller, larger in ((coffee, lunch), (lunch, night)):
        assert len(smaller.cells()) < len(larger.cells())
        assert set(smaller.sizes) <= set(larger.sizes)
        assert set(smaller.seeds) <= set(larger.seeds)
        assert set(smaller.qualities) <= set(larger.qualities)
        assert smaller.settings == larger.settings
    with pytest.raises(InputError, match=r"unknown budget 'coffe'\. Did you mean 'coffee'"):
        STUDIES[name]("coffe")


def test_sizes_of_an_own_file_end_at_what_it_has(study):
    grid = study_of_file(study.data, "coffee", base="random", heldout=20)
    assert grid.sizes == (4, 19, 76)
    assert grid.name == "letters"


def test_what_a_killed_run_left_half_written_is_swept_away(study, tmp_path):
    few = replace(study, sizes=(4,), seeds=(0,))
    runner.run(few, tmp_path / "study").close()
    adapter = next((tmp_path / "study" / "adapters").iterdir())
    halves = [tmp_path / "study" / ".manifest.json.abc", adapter / ".adapter_model.safetensors.x1"]
    mine = adapter / ".DS_Store"
    for file in (*halves, mine):
        file.write_bytes(b"half")
    runner.run(few, tmp_path / "study").close()
    assert [file.exists() for file in (*halves, mine)] == [False, False, True]
