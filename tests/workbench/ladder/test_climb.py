"""Training the runs of a ladder: what is held out, the same numbers again, and going on after a kill."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from itertools import chain

import pytest
import torch
from tiny_ladder import PLAN, SHORT

from workbench.classroom.pretrain import deal, example_of, whole_example_of
from workbench.data.sources.verbs import load
from workbench.errors import InputError
from workbench.exporting.parity import log_probabilities
from workbench.ladder.climb import Climber, climb, shared_out, steps_of
from workbench.ladder.folder import LadderFolder
from workbench.ladder.rungs import LADDERS, LadderPlan, Run, parameters
from workbench.ladder.training import lessons, settings_of_run, train_run
from workbench.models.loaders import load_base

SMALL = LadderPlan(widths=(16,), seeds=(0, 1), ratio=0.05)


def test_every_run_has_a_row_and_a_base_in_float32(short_ladder, few_lessons):
    folder, _ = short_ladder
    rows = folder.rows()
    assert {row.run for row in rows} == {run.name for run in PLAN.runs()}
    for row in rows:
        base = load_base(folder.weights_of(row.run))
        assert base.sha256 == row.sha256
        assert base.formats == ("float32",)
        assert base.parameters == row.parameters == parameters(row.width)
        assert row.flops == 6 * row.parameters * row.tokens
        # whole steps of 8 examples: the tokens that were asked for, up to half a step
        assert abs(row.tokens - row.ratio * row.parameters) <= 0.51 * 8 * few_lessons.example_tokens
        assert row.began < row.ended


def test_the_held_out_loss_is_that_of_the_file(short_ladder, few_lessons):
    """Counted by hand: minus the log-probability of each token of each held-out example."""
    folder, _ = short_ladder
    row = folder.rows()[0]
    decoder = load_base(folder.weights_of(row.run)).decoder
    total, count = 0.0, 0
    for task in few_lessons.data.heldout:
        example = example_of(task)
        with torch.no_grad():
            log_p = log_probabilities(decoder, example.token_ids, {})
        for place in range(1, len(example.token_ids)):
            total -= float(log_p[place - 1, example.token_ids[place]])
            count += 1
    assert row.loss == pytest.approx(total / count, rel=1e-5)


def test_every_token_but_the_first_is_learnt(few_lessons):
    tasks = [*chain(*few_lessons.data.train.values())]
    examples = [example_of(task).token_ids for task in tasks]
    assert few_lessons.pool.label_tokens.tolist() == [token for one in examples for token in one[1:]]
    held = whole_example_of(tasks[0])
    assert held.labels == list(enumerate(examples[0]))[1:]
    assert held.prompt_length == example_of(tasks[0]).prompt_length, "exact match is of the answer alone"


def test_the_tokens_of_a_run_are_those_that_are_dealt(few_lessons):
    """All seeds get one number of tokens; each one's own examples come close to it."""
    lengths = [len(example_of(task).token_ids) for task in chain(*few_lessons.data.train.values())]
    for seed in (0, 1):
        config = settings_of_run(Run(16, 10.0, seed), few_lessons, SHORT)
        dealt = sum(lengths[index] for step in deal(few_lessons.data.train, config) for index in step)
        assert dealt == pytest.approx(10 * parameters(16), rel=0.01)


def test_settings_grow_with_the_rung(few_lessons):
    narrow, wide = (settings_of_run(Run(width, 20.0, 3), few_lessons, SHORT) for width in (32, 64))
    assert (narrow.seed, narrow.matrix_rate) == (3, wide.matrix_rate)
    assert narrow.vector_rate == 2 * wide.vector_rate
    assert settings_of_run(Run(128, 20.0, 0), few_lessons, SHORT).vector_rate == SHORT.vector_rate
    assert narrow.warmup_steps == round(narrow.steps / 10)
    assert narrow.quantized_share == 0


def test_the_same_run_gives_the_same_bytes(tmp_path, short_ladder, few_lessons):
    folder, _ = short_ladder
    row = folder.rows()[0]
    run = Run(row.width, row.ratio, row.seed)
    again = train_run(run, tmp_path / "again.gguf", few_lessons, settings=SHORT)
    assert (again.sha256, again.loss) == (row.sha256, row.loss)
    other = train_run(replace(run, seed=7), tmp_path / "other.gguf", few_lessons, settings=SHORT)
    assert other.loss != row.loss


def test_it_goes_on_where_it_was_stopped(tmp_path, few_lessons):
    folder, asked = LadderFolder(tmp_path / "ladder"), []

    def should_stop():
        asked.append(1)
        return len(asked) > 5  # in the midst of the second run

    assert not climb(folder, SMALL, Climber(should_stop=should_stop), settings=SHORT, known=few_lessons)
    (first,) = folder.rows()
    assert sorted(path.name for path in folder.path.glob("runs/*")) == [
        f"{first.run}.gguf",
        f"{first.run}.json",
    ]
    told = set()
    climber = Climber(tell=lambda at: told.add(at.run))
    assert climb(folder, SMALL, climber, settings=SHORT, known=few_lessons)
    assert told == {"w016-r0.05-s1"}, "what is done isn't trained twice"
    assert folder.rows()[0] == first
    assert folder.check() == []


def test_a_ladder_grows_but_is_not_mixed(tmp_path, few_lessons):
    folder = LadderFolder(tmp_path / "ladder")
    climb(folder, SMALL, Climber(), settings=SHORT, known=few_lessons)
    with pytest.raises(InputError, match=r"whose settings have matrix_rate 0.02, and here it is 0.01.*--out"):
        climb(folder, SMALL, Climber(), settings=replace(SHORT, matrix_rate=0.01), known=few_lessons)
    climb(folder, replace(SMALL, seeds=(0, 1, 2)), Climber(), settings=SHORT, known=few_lessons)
    assert len(folder.rows()) == 3
    text = folder.write_table().read_text()
    assert len(text.splitlines()) == 4
    assert text.startswith("run,width,parameters,ratio,seed,steps,tokens,flops,")


def test_rungs_are_asked_for_before_they_begin(short_ladder, tmp_path, few_lessons):
    _, asked = short_ladder
    assert asked == [40]
    assert [sorted({run.width for run in step}) for step in steps_of(LADDERS["coffee"])] == [
        [24, 32, 40],
        [48],
    ]


def test_a_rung_that_was_begun_is_not_predicted(tmp_path, few_lessons):
    folder, asked = LadderFolder(tmp_path / "ladder"), []
    plan = replace(PLAN, ratio=0.01, equal=())
    begun = Run(40, plan.ratio, 1)
    folder.keep(train_run(begun, folder.weights_of(begun), few_lessons, settings=SHORT))
    climb(folder, plan, Climber(before_rung=asked.append), settings=SHORT, known=few_lessons)
    assert asked == []


def test_the_longest_runs_are_shared_out_first():
    runs = LADDERS["coffee"].runs()
    shares = shared_out(runs, 2)
    assert sorted(run.name for share in shares for run in share) == sorted(run.name for run in runs)
    costs = [sum(run.work for run in share) for share in shares]
    assert max(costs) < 1.05 * min(costs)


def test_damage_is_told(tmp_path, few_lessons):
    folder = LadderFolder(tmp_path / "ladder")
    with pytest.raises(InputError, match=r"holds no ladder: ladder.json is missing"):
        folder.manifest()
    climb(folder, replace(SMALL, seeds=(0,)), Climber(), settings=SHORT, known=few_lessons)
    (row,) = folder.rows()
    weights = folder.weights_of(row.run)
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert folder.check() == [row.run]
    weights.unlink()
    with pytest.raises(InputError, match=r"s0.gguf is missing; delete w016-r0.05-s0.json beside it"):
        folder.rows()
    folder.row_of(row.run).write_text("{")
    with pytest.raises(InputError, match=r"is damaged: .*; restore it, or delete it to make it again"):
        folder.rows()
    folder.row_of(row.run).write_text("{}")
    with pytest.raises(InputError, match="isn't the row of a run; delete it"):
        folder.rows()
    folder.row_of(row.run).unlink()
    climb(folder, replace(SMALL, seeds=(0,)), Climber(), settings=SHORT, known=few_lessons)
    assert [one.sha256 for one in folder.rows()] == [row.sha256]


def test_a_training_that_diverges_is_no_rung(tmp_path, few_lessons):
    settings = replace(SHORT, vector_rate=math.inf)
    with pytest.raises(
        InputError,
        match=r"a matrix rate of 0.02 and a vector rate of inf; .*--matrix-rate 0.01 --vector-rate 0.003",
    ):
        train_run(Run(16, 0.05, 0), tmp_path / "a.gguf", few_lessons, settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_nothing_held_out_is_trained_on():
    """Neither a held-out word of the ladder, nor a past tense that the verbs study asks for."""
    known = lessons()
    trained = set(chain(*known.data.train.values()))
    words = {task.stem for task in trained if task.task != "reverse"}
    assert not words & {task.stem for task in known.data.heldout}
    assert len(known.data.heldout) > 2000
    study = load(600)
    past = {record.response for record in study.heldout} - {record.prompt for record in study.heldout}
    assert not past & {
        text for task in trained if task.task != "reverse" for text in (task.word, task.answer)
    }


@pytest.mark.slow
def test_processes_give_the_same_bytes_and_a_kill_costs_one_run_at_most(tmp_path):
    plan = LadderPlan(widths=(16,), seeds=(0, 1, 2), ratio=2.0)
    code = (
        "from pathlib import Path\n"
        "from workbench.ladder.climb import Climber, climb\n"
        "from workbench.ladder.folder import LadderFolder\n"
        "from workbench.ladder.rungs import LadderPlan\n"
        "if __name__ == '__main__':\n"
        f"    climb(LadderFolder(Path({str(tmp_path / 'ladder')!r})), {plan!r}, Climber(workers=2))\n"
    )
    script = tmp_path / "climb.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)])
    folder = LadderFolder(tmp_path / "ladder")
    while process.poll() is None and not list(folder.path.glob("runs/*.json")):
        pass
    process.kill()
    process.wait()
    assert 1 <= len(list(folder.path.glob("runs/*.json"))) <= 3
    assert climb(folder, plan, Climber(workers=1))
    alone = LadderFolder(tmp_path / "alone")
    assert climb(alone, plan, Climber())
    assert [row.sha256 for row in folder.rows()] == [row.sha256 for row in alone.rows()]
    assert json.loads((folder.path / "ladder.json").read_text())["data"]["held-out examples"] > 2000


def test_a_ladder_whose_folder_is_moved_away_ends_at_the_next_step(few_lessons, tmp_path):
    folder, told = LadderFolder(tmp_path / "ladder"), []

    def move(at):
        told.append(at)
        folder.path.rename(tmp_path / "elsewhere")

    with pytest.raises(InputError, match="was deleted, moved or replaced"):
        climb(folder, PLAN, Climber(tell=move), settings=SHORT, known=few_lessons)
    assert len(told) == 1
    assert not folder.path.exists()
