import math

import pytest
import torch

from workbench.config import SCHEDULES, CellConfig
from workbench.training.optimizer import StackedAdamW, learning_rate

CELL = CellConfig(data="d", base="b", size=8, learning_rate=0.01, warmup=0.1, steps=20, weight_decay=0.1)


TRUNK = {"schedule": "trunk", "warmup_steps": 2, "steps": None, "epochs": 1.0, "size": 20 * CELL.batch_size}
"""A trunk of as many steps."""


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_row_is_torch_adamw_with_its_own_rate_and_norm(schedule):
    cells = [
        CELL.with_(**(TRUNK if schedule == "trunk" else {"schedule": schedule})),
        CELL.with_(learning_rate=0.3, gradient_clip=0.5),
        CELL.with_(weight_decay=0.0),
    ]
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 50, generator=generator, dtype=torch.float64)
    stacked = start.clone()
    optimizer = StackedAdamW(stacked, cells)
    theirs = [torch.nn.Parameter(row.clone()) for row in start]
    singles = [
        torch.optim.AdamW([row], lr=1.0, weight_decay=cell.weight_decay)
        for row, cell in zip(theirs, cells, strict=True)
    ]
    usable = torch.ones(3, dtype=torch.bool)
    for step in range(20):
        gradient = torch.randn(3, 50, generator=generator, dtype=torch.float64)
        norms = optimizer.update(gradient, step, torch.arange(3), usable)
        for row, cell, single, norm, grad in zip(theirs, cells, singles, norms, gradient, strict=True):
            row.grad = grad.clone()
            clipped = torch.nn.utils.clip_grad_norm_([row], cell.gradient_clip)
            torch.testing.assert_close(norm, clipped)
            single.param_groups[0]["lr"] = learning_rate(cell, step)
            single.step()
    # float64; torch adds 1e-6 to the norm before it divides, which is 1e-6 of the gradient
    torch.testing.assert_close(stacked, torch.stack([row.detach() for row in theirs]), rtol=0, atol=1e-6)


def test_a_row_that_is_absent_unusable_or_not_a_number_stays():
    weights = torch.ones(4, 4)
    optimizer = StackedAdamW(weights, [CELL] * 4)
    gradient = torch.ones(3, 4)
    gradient[0, 2] = torch.nan
    norms = optimizer.update(gradient, 0, torch.tensor([0, 2, 3]), torch.tensor([True, True, False]))
    assert norms.shape == (3,)
    assert (weights[2] < 1).all()
    assert (weights[[0, 1, 3]] == 1).all()
    assert (optimizer.mean[[0, 1, 3]] == 0).all()


def test_schedules():
    rates = {
        name: [learning_rate(CELL.with_(schedule=name), step) for step in range(20)]
        for name in SCHEDULES
        if name != "trunk"  # in test_trunk.py
    }
    for curve in rates.values():
        assert curve[0] == pytest.approx(0.005)  # two steps of warm-up
        assert curve[1] == curve[2] == pytest.approx(0.01)
    assert rates["constant"][19] == pytest.approx(0.01)
    assert rates["linear"][19] == pytest.approx(0.01 / 18)
    assert 0 < rates["cosine"][19] < rates["linear"][19]
    assert rates["cosine"] == sorted(rates["cosine"][:2]) + sorted(rates["cosine"][2:], reverse=True)
    assert learning_rate(CELL.with_(warmup=0.0), 0) == pytest.approx(0.01)
    assert learning_rate(CELL.with_(warmup=1.0), 19) == pytest.approx(0.01)


def test_tiny_gradients_meet_torch_s_epsilon():
    """Where gradients are about as small as epsilon, it decides the step."""
    cell = CELL.with_(weight_decay=0.0, warmup=0.0, schedule="constant")
    gradient = torch.tensor([[1e-8, 1e-7, 1e-6]], dtype=torch.float64)
    ours, theirs = (
        torch.zeros(1, 3, dtype=torch.float64),
        torch.nn.Parameter(torch.zeros(3, dtype=torch.float64)),
    )
    optimizer, single = StackedAdamW(ours, [cell]), torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.0)
    for step in range(3):
        optimizer.update(gradient, step, torch.tensor([0]), torch.tensor([True]))
        theirs.grad = gradient[0].clone()
        single.step()
    torch.testing.assert_close(ours[0], theirs.detach(), rtol=1e-9, atol=0)


def test_the_norm_that_is_told_is_that_before_clipping():
    cells = [CELL.with_(gradient_clip=0.5), CELL]
    optimizer = StackedAdamW(torch.zeros(2, 2), cells)
    gradient = torch.tensor([[3.0, 4.0], [0.54, 0.72]])
    norms = optimizer.update(gradient, 0, torch.arange(2), torch.tensor([True, True]))
    assert norms.tolist() == pytest.approx([5.0, 0.9])
    # the first is scaled to its own cell's largest norm, the second is below its own
    assert optimizer.mean[0].tolist() == pytest.approx([0.1 * 0.3, 0.1 * 0.4])
    assert optimizer.mean[1].tolist() == pytest.approx([0.1 * 0.54, 0.1 * 0.72])


def test_a_broken_share_of_warm_up_steps_is_one_step_more():
    rates = [learning_rate(CELL.with_(warmup=0.11, schedule="constant"), step) for step in range(4)]
    assert rates == pytest.approx([0.01 / 3, 0.02 / 3, 0.01, 0.01])  # 2.2 of 20 steps


def test_a_cosine_falls_to_zero_by_half_in_the_middle():
    rates = [learning_rate(CELL.with_(warmup=0.0), step) for step in range(20)]
    assert rates[10] == pytest.approx(0.005)
    assert rates[19] == pytest.approx(0.01 * (0.5 - 0.5 * math.cos(math.pi / 20)))
    assert [rates[step] + rates[20 - step] for step in range(1, 10)] == pytest.approx([0.01] * 9)
