"""A whole study on a GPU, rehearsed: what it trains, keeps and records is what a processor's study does."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "kernels"))

from bench.rehearsal import DEVICE, rehearsal

import workbench as wb
from workbench import devices
from workbench.devices import Device
from workbench.models.decoder import Decoder
from workbench.studies import arithmetic, runner
from workbench.studies import plan as planning
from workbench.studies.disk.store import Store

pytestmark = pytest.mark.alone


@pytest.fixture
def small(study):
    """Four cells whose lowest blocks carry no adapter."""
    settings = {"steps": 3, "batch_size": 4, "rank": 2}
    return replace(
        study, sizes=(4,), seeds=(0, 1), heldout=6, adapted_layers=1, precision="float32", settings=settings
    )


@pytest.fixture
def gpu(monkeypatch):
    """Plan studies for the made-up GPU, as a computer with one would."""
    monkeypatch.setattr(devices, "pinned", lambda tensor: tensor)
    monkeypatch.setattr(arithmetic, "card_of", lambda device: "Made Up 1" if device.type != "cpu" else "cpu")
    found = Device(torch.device(DEVICE), "Made Up 1", 2**34, "there is one")
    monkeypatch.setattr(planning, "choose_device", lambda name: found)
    load = planning.load_base

    def load_there(name, precision, device, hold):
        base = load(name, precision, "cpu")
        there = Decoder(base.decoder.config, base.decoder.weights, precision, device)
        return replace(base, decoder=there)

    monkeypatch.setattr(planning, "load_base", load_there)
    with rehearsal() as record:
        yield record


def of_cells(store: Store) -> dict[str, dict[str, float]]:
    return {row["key"]: row for row in store.rows()}


def test_a_study_on_a_gpu_gives_the_numbers_of_a_processor(small, tmp_path, request):
    with runner.run(small, tmp_path / "here") as store:
        here = of_cells(store)
    record = request.getfixturevalue("gpu")
    stops = iter([False] * 4)
    interrupted = runner.run(small, tmp_path / "there", should_stop=lambda: next(stops, True))
    interrupted.close()
    with runner.run(small, tmp_path / "there") as store:
        there, manifest = of_cells(store), store.manifest
    assert here.keys() == there.keys()
    for key, row in here.items():
        assert math.isclose(there[key]["loss"], row["loss"], rel_tol=1e-5)
        assert there[key]["exact_match"] == row["exact_match"]
        here_adapter, there_adapter = (
            wb.load_adapter(tmp_path / place / "adapters" / key) for place in ("here", "there")
        )
        assert here_adapter.tensors.keys() == there_adapter.tensors.keys()
        for name, expected in here_adapter.tensors.items():
            torch.testing.assert_close(there_adapter.tensors[name], expected, rtol=1e-3, atol=1e-6)
    assert {"linear_forward", "shrink_gradient"} <= {*record.launches}
    assert manifest.arithmetic.to_json()["device"] == "Made Up 1"
    assert manifest.arithmetic.to_json()["path"] == "triton"
