"""What cells cost: operations as torch counts them, joules from a meter, predictions that get better."""

import json
import math
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from small_study import small_study

from workbench.adapters.lora import LoraStack
from workbench.adapters.prefix import fresh_stack
from workbench.cli import main
from workbench.config import KINDS_OF_ADAPTER, CellConfig
from workbench.errors import InputError
from workbench.memory import peak_bytes
from workbench.models.decoder_config import SAME_INPUT
from workbench.models.generation import generate
from workbench.studies.bill import bill
from workbench.studies.costs import (
    EnergyMeter,
    evaluation_flops,
    generation_flops,
    makespan,
    shared_flops,
    training_flops,
)
from workbench.studies.disk.store import Store
from workbench.studies.plan import plan
from workbench.studies.predict import (
    STARTING_SECONDS,
    Lesson,
    Prediction,
    Rates,
    corrected,
    earlier_sessions,
    predict,
)
from workbench.studies.runner import run
from workbench.training.evaluation import evaluate
from workbench.training.loop import freeze, step_gradient, step_rows, train
from workbench.training.results import CellResult

OLD = Path(__file__).parent / "old" / "format-1"


ADAPTERS = {
    "all": {},
    "another rank": {"rank": 5},
    "two of three": {"targets": ("q_proj", "v_proj")},
    "after attention": {"targets": ("o_proj", "up_proj")},
    "the last layer": {"targets": ("down_proj",)},
    **{kind: {"adapter": kind} for kind in KINDS_OF_ADAPTER},
    "dora, two layers": {"adapter": "dora", "targets": ("q_proj", "up_proj")},
}


@pytest.mark.parametrize("blocks", [None, 2, 1])
@pytest.mark.parametrize("name", ADAPTERS)
def test_operations_are_those_that_torch_counts(study, counted, name, blocks):
    """On the real decoder, forward and backward, with adapters; the examples all have one length."""
    concrete = plan(replace(study, adapted_layers=blocks, settings={**study.settings, **ADAPTERS[name]}))
    frozen, cell = concrete.prepared.frozen, concrete.cells[-1]
    assert len(frozen.pool.lengths.unique()) == 1
    stack = fresh_stack([cell], frozen.decoder.config, frozen.decoder)
    rows = step_rows([cell], [concrete.prepared.draws[cell.key()]], 0)
    assert training_flops(concrete, cell, 1) == counted(lambda: step_gradient(frozen, stack, rows))
    assert training_flops(concrete, cell) == 8 * training_flops(concrete, cell, 1)
    heldout = concrete.prepared.heldout
    assert evaluation_flops(concrete, cell) == counted(lambda: evaluate(frozen, heldout, stack))
    assert shared_flops(concrete) == counted(lambda: freeze(frozen.decoder, frozen.pool, frozen.first))


def test_examples_of_many_lengths_are_counted_almost_as_torch_does(counted):
    concrete = plan(small_study())
    frozen, cell = concrete.prepared.frozen, concrete.cells[0]
    stack = LoraStack([cell], frozen.decoder.config)
    rows = step_rows([cell], [concrete.prepared.draws[cell.key()]], 0)
    theirs = counted(lambda: step_gradient(frozen, stack, rows))
    # what they leave out is attention behind an example's end
    assert 0.94 * theirs < training_flops(concrete, cell, 1) < theirs
    theirs = counted(lambda: evaluate(frozen, concrete.prepared.heldout, stack))
    assert 0.94 * theirs < evaluation_flops(concrete, cell) < theirs


def choosing(study, heldout):
    """The letters' study with two choices for each record, of several tokens each."""
    path = Path(study.data).with_name("choices.jsonl")
    lines = [json.loads(line) for line in Path(study.data).read_text().splitlines()]
    chosen = [line | {"response": answer} for line, answer in zip(lines, ["aab", "bba"] * 48, strict=True)]
    path.write_text("\n".join(json.dumps(line | {"choices": ["aab", "bba"]}) for line in chosen))
    return replace(study, data=str(path), heldout=heldout)


def test_choices_are_operations_too(study, counted):
    concrete = plan(choosing(study, 20))
    heldout = concrete.prepared.heldout
    assert len(heldout.choices) == 20
    stack = LoraStack(concrete.cells[:1], concrete.base.decoder.config)
    ours = evaluation_flops(concrete, concrete.cells[0])
    assert ours == counted(lambda: evaluate(concrete.prepared.frozen, heldout, stack))


def test_what_cells_write_are_operations_too(study, counted):
    """Every response goes on to the limit, so that none computes while it waits for another."""
    settings = {**study.settings, "targets": ("down_proj",)}
    concrete = plan(replace(study, adapted_layers=2, metrics=("token_f1",), settings=settings))
    cell, prepared = concrete.cells[0], concrete.prepared
    pool, references, limit = prepared.pool, prepared.heldout.references, prepared.generation["heldout"].limit
    stack = LoraStack([cell], concrete.base.decoder.config)
    (length,) = set(pool.prompts[references].tolist())
    prompts = [pool.tokens[pool.starts[one] :][:length].tolist() for one in references]
    writing = partial(generate, concrete.base.decoder, [prompts], stops=(), limit=limit)
    theirs = counted(partial(writing, adapters=stack.adapters()))
    curves = {"item_written": [float(limit)] * len(references)}
    assert generation_flops(concrete, cell, curves) == theirs
    assert generation_flops(concrete, cell, {}) == 0
    # one token less each is the last step of all, by hand: products, and attention to all that stands there
    less = {"item_written": [limit - 2.0] * len(references)}
    decoder = concrete.base.decoder.config
    linear = 3 * sum(2 * math.prod(decoder.linear_shape(leaf)) for leaves in SAME_INPUT for leaf in leaves)
    linear += 2 * 2 * cell.rank * sum(decoder.linear_shape("down_proj"))
    extra = theirs - generation_flops(concrete, cell, less)
    attention = 3 * 4 * (length + limit - 1) * decoder.heads * decoder.head_size
    head = 2 * decoder.vocabulary * decoder.width
    assert extra == len(references) * (linear + attention + head)


def test_a_row_has_the_operations_of_what_its_cell_wrote(study, tmp_path):
    judged = replace(study, metrics=("token_f1",), sizes=(4,), seeds=(0,))
    concrete = plan(judged)
    with run(judged, tmp_path / "study", threads=1) as store:
        for row in store.rows():
            cell = next(one for one in concrete.cells if one.key() == row["key"])
            curves = store.curves(row["key"])
            assert len(curves["item_written"]) == len(concrete.prepared.heldout.references)
            written = generation_flops(concrete, cell, curves)
            assert written > 0
            assert row["flops"] == training_flops(concrete, cell) + evaluation_flops(concrete, cell) + written
        assert not any("written" in name for name in store.rows()[0])


def of_trunks(study):
    """Three sizes on one trunk."""
    settings = {
        "batch_size": 4,
        "rank": 2,
        "schedule": "trunk",
        "warmup_steps": 1,
        "steps": None,
        "epochs": 1.0,
    }
    return replace(study, sizes=(8, 16, 32), seeds=(0,), settings=settings)


def test_what_a_trunk_trains_is_counted_once(study, counted):
    concrete = plan(of_trunks(study))
    draws = [[concrete.prepared.draws[cell.key()] for cell in stack] for stack in concrete.stacks]
    frozen = concrete.prepared.frozen
    trained = sum(counted(partial(train, frozen, *one)) for one in zip(concrete.stacks, draws, strict=True))
    assert sum(training_flops(concrete, cell) for cell in concrete.cells) == trained


def test_a_row_has_the_operations_of_its_cell_s_own_steps_and_its_evaluation(study, tmp_path):
    grown = of_trunks(study)
    concrete = plan(grown)
    rows = {row["key"]: row for row in run(grown, tmp_path / "study", threads=1).rows()}
    for cell in concrete.cells:
        expected = training_flops(concrete, cell) + evaluation_flops(concrete, cell)
        assert rows[cell.key()]["flops"] == expected
        numbers = LoraStack([cell], concrete.base.decoder.config).weights.numel()
        assert rows[cell.key()]["adapter_bytes"] == 4 * numbers


def test_a_meter_adds_up_and_survives_its_wrap(tmp_path):
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    (zone / "energy_uj").write_text("900000\n")
    (zone / "max_energy_range_uj").write_text("1000000\n")
    meter = EnergyMeter(tmp_path)
    (zone / "energy_uj").write_text("950000\n")
    assert meter.joules() == pytest.approx(0.05)
    (zone / "energy_uj").write_text("50000\n")
    assert meter.joules() == pytest.approx(0.15)


def test_a_meter_reads_each_package_once_and_none_of_its_parts(tmp_path):
    """``intel-rapl:0:0`` are the cores within package 0, and a meter that can't be read is none."""
    readings = {"intel-rapl:0": 100, "intel-rapl:1": 200, "intel-rapl:0:0": 50, "intel-rapl-mmio:0": 30}
    for name, reading in readings.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(str(reading))
    (tmp_path / "intel-rapl:2").mkdir()
    meter = EnergyMeter(tmp_path)
    for name, reading in readings.items():
        (tmp_path / name / "energy_uj").write_text(str(reading + 1_000_000))
    assert meter.joules() == 2.0
    assert meter.joules() == 2.0, "nothing was used since"


def test_a_machine_without_a_meter_says_nothing(tmp_path):
    assert EnergyMeter(tmp_path / "none").joules() is None


def test_tasks_go_to_the_worker_that_is_free_first():
    assert makespan([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert makespan([2.0, 4.0, 1.0, 3.0], 2) == 6.0, "2 + 1 + 3 beside 4: by turns, and not the best order"
    assert makespan([1.0, 2.0, 3.0], 1) == 6.0
    assert makespan([1.0, 2.0, 3.0], 5) == 3.0
    assert makespan([], 2) == 0.0


def test_a_prediction_is_loading_zero_shot_and_stacks(study):
    """By hand: each cell trains its tokens and is evaluated, the base is evaluated once."""
    concrete = plan(study)
    rates = Rates(token=0.001, item=0.1)
    cell = concrete.cells[0]
    # seven tokens each, of which the first begins all four of a step
    tokens = 1 + 4 * 6
    assert rates.cell_seconds(concrete, cell) == pytest.approx(0.001 * tokens * 8 + 0.1 * 20)
    one = rates.cell_seconds(concrete, cell)
    stacks = [concrete.cells[:4], concrete.cells[4:6], concrete.cells[6:8]]
    found = predict(concrete, stacks, rates, loading=7.0)
    assert found.seconds == found.raw_seconds == pytest.approx(7.0 + 0.1 * 20 + 8 * one)
    shared = predict(concrete, stacks, rates, workers=2, loading=7.0)
    assert shared.seconds == pytest.approx(7.0 + 0.1 * 20 + 4 * one + STARTING_SECONDS)
    assert STARTING_SECONDS > 0


def test_a_cell_of_a_trunk_is_predicted_its_own_steps(study):
    concrete = plan(of_trunks(study))
    own = concrete.own_steps
    assert sorted(set(own.values())) == [1, 8], "the others follow the largest until their rates fall"
    rates = Rates(token=1.0, item=0.0)
    seconds = {cell.key(): rates.cell_seconds(concrete, cell) for cell in concrete.cells}
    assert len({seconds[key] / own[key] for key in own}) == 1


def test_memory_is_told_in_bytes():
    """The most that the process has held is about what it holds now, and no thousand times less."""
    now = psutil.Process().memory_info().rss
    assert now / 2 < peak_bytes() < 100 * now


def session(raw: float, actual: float, predicted: float | None = None) -> dict:
    prediction = Prediction(seconds=predicted or raw, raw_seconds=raw, peak_bytes=1)
    return {"prediction": asdict(prediction), "actual": {"seconds": actual}, "outcome": "finished"}


def lesson(raw: float, actual: float, predicted: float | None = None) -> Lesson:
    return Lesson(raw, predicted or raw, actual)


def test_a_prediction_learns_from_earlier_ones():
    raw = Prediction(seconds=10.0, raw_seconds=10.0, peak_bytes=1)
    assert corrected(raw, []) == raw
    once = corrected(raw, [lesson(10.0, 15.0)])
    assert (once.seconds, once.correction, once.learned_from) == (15.0, 1.5, 1)
    assert once.error == pytest.approx(1 / 3)
    # the later ones were already corrected, so their error is smaller
    later = corrected(raw, [lesson(10.0, 15.0), lesson(20.0, 31.0, 30.0), lesson(8.0, 12.0, 12.1)])
    assert later.error < once.error


def test_a_correction_is_the_median_of_actual_over_raw():
    sessions = [lesson(10.0, 15.0, 12.0), lesson(10.0, 20.0, 25.0), lesson(10.0, 90.0, 45.0)]
    found = corrected(Prediction(seconds=4.0, raw_seconds=4.0, peak_bytes=1), sessions)
    assert (found.correction, found.seconds, found.raw_seconds) == (2.0, 8.0, 4.0)
    # they were off by a fifth, a quarter and a half of what they took
    assert found.error == pytest.approx(0.25)
    assert found.learned_from == 3


def test_the_newest_twenty_runs_teach(tmp_path):
    runs = [session(1.0, float(place + 1)) | {"started": f"2026-01-{place + 1:02}"} for place in range(25)]
    Store.create(tmp_path / "one", {"sessions": runs[::-1]}).close()
    found = earlier_sessions(tmp_path / "one", {})
    assert [one.actual for one in found] == [float(place) for place in range(6, 26)]


def test_only_finished_sessions_of_such_a_machine_teach(tmp_path):
    for name in ("one", "two", "broken"):
        Store.create(tmp_path / name, {}).close()
    with Store.open(tmp_path / "one") as store:
        good, stopped = session(1.0, 2.0), {**session(1.0, 9.0), "outcome": "stopped"}
        bare = {"threads": 1, "outcome": "finished"}
        store.update_manifest(
            sessions=[good | {"threads": 1}, stopped | {"threads": 1}, good | {"threads": 2}, bare]
        )
    (tmp_path / "broken" / "manifest.json").write_text("{")
    found = earlier_sessions(tmp_path / "two", {"threads": 1})
    assert found == [Lesson(1.0, 1.0, 2.0)]


def test_the_costs_of_a_study_are_recorded(tmp_path, capsys):
    few = small_study(sizes=(8,), seeds=(0,), settings={"steps": 2, "batch_size": 4, "rank": 2})
    store = run(few, tmp_path / "study", threads=1)
    for row in store.rows():
        assert row["flops"] > 1e6
        assert row["adapter_bytes"] > 1000
        assert row["predicted_seconds"] > 0
        assert row["seconds"] > 0
    (session,) = store.manifest.to_json()["sessions"]
    assert session["outcome"] == "finished"
    assert session["prediction"]["raw_seconds"] > 0
    assert session["actual"]["seconds"] > 0
    again = run(small_study(sizes=(8, 16), seeds=(0,), settings=few.settings), tmp_path / "study", threads=1)
    assert again.manifest.sessions[1].prediction.learned_from == 1
    assert main(["costs", str(tmp_path / "study")]) == 0
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert "without the 1 earlier runs" in second
    assert "without" not in first


@pytest.fixture
def billed(tmp_path):
    """Two cells of 3 and 1 seconds; a finished run of half an hour and a stopped one of a quarter."""
    run_of = {"prediction": {"raw_seconds": 1500.0, "seconds": 1600.0, "learned_from": 2}}
    sessions = [
        run_of | {"outcome": "finished", "actual": {"seconds": 1800.0, "joules": 60.0, "shared_flops": 7.0}},
        run_of | {"outcome": "stopped", "actual": {"seconds": 900.0, "joules": 20.0, "shared_flops": 7.0}},
    ]
    cell = CellConfig(data="d", base="b", size=8)
    results = {
        str(size): CellResult(cell=cell.with_(size=size), metrics={"loss": 1.0}, seconds=seconds)
        for size, seconds in ((8, 3.0), (16, 1.0))
    }
    with Store.create(tmp_path / "study", {"sessions": sessions}) as store:
        costs = {"flops": 100.0, "adapter_bytes": 40, "predicted_seconds": 2.0}
        store.commit(results, dict.fromkeys(results, costs))
    return tmp_path / "study"


def test_the_bill_adds_up(billed, capsys):
    found = bill(billed, price_per_hour=3.0)
    first, second = found.cells
    assert (first.name, first.seconds, first.predicted_seconds, first.bytes) == (
        "clean, 8, seed 0",
        3.0,
        2.0,
        40,
    )
    assert (first.joules, second.joules) == (60.0, 20.0), "of 80, by their seconds"
    assert first.money == pytest.approx(3.0 * 3.0 / 3600)
    assert (found.total.seconds, found.total.joules) == (2700.0, 80.0)
    assert found.total.money == pytest.approx(2.25), "three quarters of an hour"
    assert found.total.flops == 100.0 + 100.0 + 7.0 + 7.0
    assert found.total.bytes == sum(path.stat().st_size for path in billed.iterdir())
    (finished,) = found.estimates
    assert (finished.raw, finished.predicted, finished.actual, finished.learned_from) == (1500, 1600, 1800, 2)
    assert bill(billed).total.money is None
    with pytest.raises(InputError, match="the price is -1"):
        bill(billed, -1.0)
    assert main(["costs", str(billed), "--price-per-hour", "3"]) == 0
    heading, _, _, rest, whole, _ = capsys.readouterr().out.splitlines()
    assert heading.split() == ["cell", "seconds", "predicted", "operations", "joules", "bytes", "money"]
    assert rest.split() == ["loading", "and", "planning", "2,696.00", *"-----"]
    assert whole.split()[:2] == ["all", "2,700.00"], "the lines above add up to it"
    assert "2.2500" in whole
    assert main(["costs", str(billed)]) == 0
    assert "money" not in capsys.readouterr().out, "a column without a number is left out"


def test_a_sum_with_a_part_missing_is_missing(billed):
    with Store.open(billed) as store:
        sessions = store.manifest.to_json()["sessions"]
        sessions[1]["actual"]["joules"] = None
        store.update_manifest(sessions=sessions)
        store.commit({"32": CellResult(cell=CellConfig(data="d", base="b", size=32), status="failed")})
    found = bill(billed, price_per_hour=3.0)
    assert found.total.joules is None
    assert {cell.joules for cell in found.cells} == {None}
    assert found.total.flops is found.cells[2].money is None, "one cell has none"


def test_what_an_old_study_did_not_record_is_missing():
    found = bill(OLD, price_per_hour=1.0)
    assert [item.flops for item in found.cells] == [None] * 4
    assert (found.total.seconds, found.total.joules, found.estimates) == (None, None, [])
