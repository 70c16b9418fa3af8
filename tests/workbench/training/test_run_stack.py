"""What a stack hands back: times shared by its cells, failures with their step, no false number."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch

from workbench.config import CellConfig
from workbench.training import run_stack as module
from workbench.training.evaluation import HeldOut
from workbench.training.loop import freeze
from workbench.training.prepare import Prepared
from workbench.training.run_stack import run_stack, zero_shot

CELL = CellConfig(data="d", base="b", size=6, steps=4, rank=2, batch_size=3, learning_rate=0.01)
CELLS = [CELL, CELL.with_(seed=1), CELL.with_(seed=2)]


@pytest.fixture
def prepared(tiny_decoder, tiny_pool):
    draws = {cell.key(): list(range(6)) for cell in CELLS}
    heldout = HeldOut(list(range(20, 30)))
    return Prepared(tiny_pool, 0, lambda: freeze(tiny_decoder, tiny_pool, 0), draws, heldout)


def test_a_cell_s_time_is_its_share_of_the_stack_s(prepared, monkeypatch):
    ticks = itertools.count(100.0, 12.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    assert [result.seconds for result in run_stack(prepared, CELLS).values()] == [4.0, 4.0, 4.0]
    assert zero_shot(prepared).seconds == 12.0


def test_each_item_and_each_step_is_handed_back(prepared):
    results = run_stack(prepared, CELLS)
    assert list(results) == [cell.key() for cell in CELLS]
    weights = torch.tensor(zero_shot(prepared).curves["item_tokens"])
    for result in results.values():
        assert result.status == "done"
        assert [len(result.curves[name]) for name in ("train_loss", "gradient_norm")] == [4, 4]
        losses = torch.tensor(result.curves["item_loss"])
        assert result.metrics["loss"] == pytest.approx(float((losses * weights).sum() / weights.sum()))
        assert result.metrics["exact_match"] == sum(result.curves["item_exact"]) / 10
        assert result.metrics["choice_accuracy"] is None


def test_a_cell_that_fails_says_at_which_step_and_has_no_number(prepared):
    wild = CELL.with_(learning_rate=1e30, warmup=0.0)
    prepared.draws[wild.key()] = list(range(6))
    result = run_stack(prepared, [wild, *CELLS[1:]])[wild.key()]
    kept = result.curves["train_loss"]
    assert result.status == "failed"
    assert 1 <= len(kept) < 4
    assert all(math.isfinite(loss) for loss in kept)
    assert result.failure.endswith(f"was not a number at step {len(kept) + 1} of 4")
    assert set(result.metrics.values()) == {None}
    assert result.adapter is None
    assert "item_loss" not in result.curves
