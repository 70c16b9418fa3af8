"""The blocks below all adapters run where something is left to train, and a prediction has their time."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest

from workbench.studies import plan as planning
from workbench.studies import runner
from workbench.studies.costs import shared_flops
from workbench.studies.plan import plan


@pytest.fixture
def frozen(monkeypatch):
    """Note each time that the blocks below the adapters are run."""
    runs = []
    real = planning.freeze_once
    monkeypatch.setattr(planning, "freeze_once", lambda *given: runs.append(given) or real(*given))
    return runs


def test_the_frozen_blocks_run_only_where_something_is_left_to_train(study, tmp_path, frozen):
    """On a base of a hundred million weights they take minutes."""
    study = replace(study, adapted_layers=1)
    stopped = runner.run(study, tmp_path / "study", should_stop=lambda: True)
    assert (stopped.manifest.outcome, [first for _, _, first in frozen]) == ("stopped", [2])
    frozen.clear()
    runner.run(study, tmp_path / "study")
    assert len(frozen) == 1, "once for all that it trains"
    frozen.clear()
    assert runner.run(study, tmp_path / "study").manifest.outcome == "finished"
    concrete = plan(study)
    shared = shared_flops(concrete)
    assert shared > 0
    assert frozen == [], "neither for a study that is done nor for what a plan tells"
    assert runner.run(study, tmp_path / "study").manifest.actual.shared_flops == shared
    runner.run(replace(study, sizes=(4, 16, 32)), tmp_path / "study")
    assert len(frozen) == 1


def test_a_prediction_holds_the_time_that_the_frozen_blocks_take(study, tmp_path, monkeypatch):
    clock = itertools.count()
    slow = SimpleNamespace(monotonic=lambda: float(next(clock)))
    monkeypatch.setattr(runner, "time", slow)
    real = planning.freeze_once

    def slowly(*given):
        for _ in range(1000):
            slow.monotonic()
        return real(*given)

    monkeypatch.setattr(planning, "freeze_once", slowly)
    manifest = runner.run(study, tmp_path / "study").manifest
    assert manifest.prediction.raw_seconds > 1000
