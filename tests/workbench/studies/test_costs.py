"""What cells cost: operations as torch counts them, joules from a meter, predictions that get better."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from small_study import small_study
from torch.utils.flop_counter import FlopCounterMode

from workbench.cli import main
from workbench.config import LINEARS
from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.studies import costs
from workbench.studies.bill import bill
from workbench.studies.costs import EnergyMeter, evaluation_flops, makespan, shared_flops, training_flops
from workbench.studies.disk.store import Store
from workbench.studies.plan import plan
from workbench.studies.predict import Lesson, Prediction, corrected, earlier_sessions
from workbench.studies.runner import run

OLD = Path(__file__).parent / "old" / "format-1"


@pytest.fixture(scope="module")
def concrete():
    return plan(small_study())


def test_a_forward_pass_is_counted_as_torch_counts_it(concrete):
    base = concrete.base.decoder
    names = base.config.shapes(tied=base.tied)
    # weights that are trained take the route whose operations torch's counter knows
    counted = Decoder(base.config, {name: base.weight(name).clone().requires_grad_() for name in names})
    pool = concrete.prepared.frozen.pool
    batch = pool.batch([[0, 1, 2, 3]])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        hidden = counted(batch)
        counted.head(hidden.flatten(0, 1)[batch.label_slots])
    tokens, labels = batch.tokens.numel(), len(batch.labels)
    linear = (
        2
        * tokens
        * base.config.layers
        * sum(outputs * inputs for outputs, inputs in map(base.config.linear_shape, LINEARS))
    )
    ours = linear + 2 * labels * base.config.vocabulary * base.config.width
    assert counter.get_total_flops() == pytest.approx(ours, rel=0.05)
    assert costs._block(base.config) * 2 * tokens * base.config.layers == linear


def test_training_costs_two_passes_of_the_frozen_weights_and_three_of_the_adapters(concrete):
    cell = concrete.cells[0]
    one, all_of_them = training_flops(concrete, cell, 1), training_flops(concrete, cell)
    assert all_of_them == pytest.approx(cell.total_steps * one)
    wider = cell.with_(rank=2 * cell.rank)
    concrete.prepared.draws[wider.key()] = concrete.prepared.draws[cell.key()]
    adapters = training_flops(concrete, wider, 1) - one
    assert 0 < adapters < one
    assert training_flops(concrete, cell, 0) == 0
    assert evaluation_flops(concrete, cell) > 0
    assert shared_flops(concrete) == 0, "every block carries adapters"


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


def test_a_machine_without_a_meter_says_nothing(tmp_path):
    assert EnergyMeter(tmp_path / "none").joules() is None


def test_tasks_go_to_the_worker_that_is_free_first():
    assert makespan([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert makespan([], 2) == 0.0


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


def test_the_bill_adds_up(tmp_path, capsys):
    few = small_study(sizes=(8,), seeds=(0,), settings={"steps": 2, "batch_size": 4, "rank": 2})
    run(few, tmp_path / "study", threads=1).close()
    with Store.open(tmp_path / "study") as store:
        (session,) = store.manifest.to_json()["sessions"]
        session["actual"] |= {"joules": 100.0, "seconds": 1800.0}
        store.update_manifest(sessions=[session])
    found = bill(tmp_path / "study", price_per_hour=3.0)
    assert sum(item.joules for item in found.cells) == pytest.approx(100.0)
    assert found.total.money == pytest.approx(1.5)
    assert found.total.flops >= sum(item.flops for item in found.cells)
    assert found.estimates[0].actual == 1800.0
    assert bill(tmp_path / "study").total.money is None
    with pytest.raises(InputError, match="the price is -1"):
        bill(tmp_path / "study", -1.0)
    assert main(["costs", str(tmp_path / "study"), "--price-per-hour", "3"]) == 0
    assert "1.5000" in capsys.readouterr().out


def test_what_an_old_study_did_not_record_is_missing():
    found = bill(OLD, price_per_hour=1.0)
    assert [item.flops for item in found.cells] == [None] * 4
    assert (found.total.seconds, found.total.joules, found.estimates) == (None, None, [])
