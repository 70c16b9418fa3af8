"""A study on a base with experts: what it costs, and that it runs from the start to a table."""

from dataclasses import replace

import pytest

from workbench.adapters.lora import LoraStack
from workbench.errors import InputError
from workbench.models.upcycling import upcycled
from workbench.studies import plan as planning
from workbench.studies.costs import evaluation_flops, shared_flops, training_flops
from workbench.studies.plan import plan
from workbench.studies.runner import run
from workbench.training.evaluation import evaluate
from workbench.training.loop import freeze, step_gradient, step_rows

ON_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


@pytest.mark.parametrize("experts", [2, 6])
@pytest.mark.parametrize("used", [1, 2])
@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), ("o_proj",)])
def test_operations_of_experts_are_those_that_torch_counts(
    study, counted, monkeypatch, experts, used, targets
):
    """And hang on the experts of a token, not on how many there are, but for the router's scores."""
    dense = planning.load_base("random", "float32", "cpu")
    settings = {**study.settings, "targets": targets}
    concrete = plan(replace(study, adapted_layers=2, settings=settings))
    of_dense = training_flops(concrete, concrete.cells[-1], 1)
    base = upcycled(dense, experts, used=used)
    monkeypatch.setattr(planning, "load_base", lambda name, precision, device, hold: base)
    concrete = plan(replace(study, adapted_layers=2, settings=settings))
    frozen, cell = concrete.prepared.frozen, concrete.cells[-1]
    stack = LoraStack([cell], frozen.decoder.config)
    rows = step_rows([cell], [concrete.prepared.draws[cell.key()]], 0)
    ours = training_flops(concrete, cell, 1)
    assert ours == counted(lambda: step_gradient(frozen, stack, rows))
    heldout = concrete.prepared.heldout
    assert evaluation_flops(concrete, cell) == counted(lambda: evaluate(frozen, heldout, stack))
    assert shared_flops(concrete) == counted(lambda: freeze(frozen.decoder, frozen.pool, frozen.first))
    if used == 1:
        assert of_dense < ours < 1.05 * of_dense


def test_a_study_runs_on_experts(study, monkeypatch, tmp_path):
    """With equal experts its numbers are those of the dense base, stack by stack of several cells."""
    settings = {**study.settings, "targets": ON_ATTENTION}
    asked = replace(study, settings=settings, seeds=(0, 1))
    dense = planning.load_base("random", "float32", "cpu")
    expected = run(asked, tmp_path / "dense", threads=1).rows()
    base = upcycled(dense, 3)
    monkeypatch.setattr(planning, "load_base", lambda name, precision, device, hold: base)
    found = run(asked, tmp_path / "sparse", threads=1).rows()
    assert len(found) == len(expected) == 8
    for one, other in zip(found, expected, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-4)


def test_adapters_of_experts_are_refused_before_anything_is_trained(study, monkeypatch):
    base = upcycled(planning.load_base("random", "float32", "cpu"), 2)
    monkeypatch.setattr(planning, "load_base", lambda name, precision, device, hold: base)
    with pytest.raises(InputError, match="give --targets q_proj k_proj v_proj o_proj"):
        plan(study)
