"""What a ladder has: sizes counted by hand, arithmetic that is equal, plans that are refused."""

from dataclasses import replace

import pytest

from workbench.classroom.pretrain import DECODER, TOKENIZER
from workbench.errors import InputError
from workbench.ladder.rungs import (
    LADDERS,
    TOKENS_A_PARAMETER,
    VOCABULARY,
    LadderPlan,
    Run,
    architecture,
    ladder_plan,
    parameters,
)


def test_the_shipped_base_is_a_rung():
    assert architecture(128) == DECODER
    assert TOKENIZER.vocabulary == VOCABULARY


def test_parameters_by_hand():
    # width 32: an embedding of 99 x 32, and in each of 4 blocks q 32 x 32, k and v 16 x 32, o 32 x 32, three
    # matrices of 88 x 32, two norms of 32; then the last norm
    assert parameters(32) == 99 * 32 + 4 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 88 * 32 + 2 * 32) + 32
    assert parameters(32) == pytest.approx(0.05e6, rel=0.01)
    assert parameters(256) == pytest.approx(3e6, rel=0.02)


@pytest.mark.parametrize("budget", LADDERS)
def test_every_budget(budget):
    plan = ladder_plan(budget)
    runs = plan.runs()
    assert len({run.name for run in runs}) == len(runs)
    assert len(plan.seeds) >= 3
    assert [parameters(width) for width in plan.widths] == sorted(parameters(width) for width in plan.widths)
    # six operations for each parameter and token: equal on a curve of equal arithmetic
    for other in plan.equal:
        cost = 6 * TOKENS_A_PARAMETER * parameters(other) ** 2
        on_it = {
            run.width for run in runs if 6 * run.ratio * parameters(run.width) ** 2 == pytest.approx(cost)
        }
        assert len(on_it) >= 4, other
        assert other in on_it


def test_a_budget_goes_on_as_the_next():
    names = [{run.name for run in LADDERS[budget].runs()} for budget in ("coffee", "lunch", "night")]
    assert names[0] < names[1] < names[2]


def test_operations_of_a_run():
    run = Run(32, 20.0, 1)
    assert run.name == "w032-r20-s1"
    assert run.flops == 6 * parameters(32) * (20 * parameters(32))


def test_curves_stay_within_a_factor_of_ten():
    plan = LadderPlan(widths=(32, 96), equal=(32,))
    assert [run.ratio for run in plan.runs()] == [20.0] * 6, "96 would have 0.3 tokens a parameter there"


PLAN = LadderPlan(widths=(32, 40))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": ()}, "at least one width and one seed; give --widths and --seeds"),
        ({"widths": (30,)}, "a rung's width is 30; it has to be a multiple of 8 from 16 to 1024"),
        ({"widths": (8,)}, "a rung's width is 8; it has to be"),
        ({"widths": (40, 32)}, "widths are 40 32; give each once, none below 0, in ascending order"),
        ({"seeds": (1, 1)}, "seeds are 1 1; give each once"),
        ({"equal": (48,)}, "48 is none of the widths 32 40; add it to --widths, or leave it out of --equal"),
        ({"ratio": 0.0}, "the ratio is 0; tokens a parameter are a number above 0"),
    ],
)
def test_plans_that_can_not_be_trained(changes, message):
    with pytest.raises(InputError, match=message):
        replace(PLAN, **changes)


def test_an_unknown_budget_is_refused():
    with pytest.raises(InputError, match="unknown budget 'tea'"):
        ladder_plan("tea")
