"""One trunk, many sizes: what cells share is trained once and changes no cell."""

import pytest
import torch

from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig, Quality
from workbench.errors import InputError
from workbench.studies.grid import Study
from workbench.studies.plan import plan
from workbench.training import loop
from workbench.training.loop import TrainState, branches, freeze, train
from workbench.training.optimizer import cooldown_start, learning_rate

LARGE = CellConfig(
    data="d",
    base="b",
    size=40,
    rank=4,
    batch_size=2,
    learning_rate=0.01,
    schedule="trunk",
    warmup_steps=3,
    steps=None,
    epochs=1.0,
)
CELLS = [LARGE.with_(size=9), LARGE, LARGE.with_(size=20), LARGE.with_(seed=1, size=20)]
DRAW = [(7 * place) % 40 for place in range(40)]
DRAWS = [DRAW[:9], DRAW, DRAW[:20], [39 - place for place in DRAW[:20]]]


def run_float64(frozen, cells, draws, on_step=None):
    stack = LoraStack(cells, frozen.decoder.config).to(torch.float64)
    return train(frozen, cells, draws, start=TrainState.fresh(stack), on_step=on_step)[1]


def test_the_rate_stays_and_falls_at_the_end():
    rates = [learning_rate(LARGE, step) for step in range(LARGE.total_steps)]
    assert rates[:3] == pytest.approx([0.01 / 3, 0.02 / 3, 0.01])
    assert rates[3:16] == pytest.approx([0.01] * 13)
    assert cooldown_start(LARGE) == 16
    assert rates[16:] == pytest.approx([0.01 * (1 - (place / 5) ** 0.5) for place in (1, 2, 3, 4)])


def test_cells_branch_off_where_their_rate_falls():
    assert branches(CELLS, DRAWS) == ([1, 1, 1, 3], [3, 0, 8, 0])
    other = [[*DRAW[:4], 0, *DRAW[5:9]], *DRAWS[1:]]
    assert branches(CELLS, other)[1][0] == 2  # an example differs: shared only as far as there
    constant = [cell.with_(schedule="constant") for cell in CELLS]
    assert branches(constant, DRAWS) == ([0, 1, 2, 3], [0] * 4)


def test_a_cell_of_a_trunk_is_what_it_is_alone(tiny_decoder_float64, tiny_pool, monkeypatch):
    """As for any stack, in float64 up to the rounding of sums; and the shared steps are taken once."""
    frozen = freeze(tiny_decoder_float64, tiny_pool, 0)
    widths = []
    gradient = loop.step_gradient

    def counted(frozen, stack, rows, at_once=None):
        widths.append(len(rows))
        return gradient(frozen, stack, rows, at_once)

    monkeypatch.setattr(loop, "step_gradient", counted)
    together = run_float64(frozen, CELLS, DRAWS)
    # the trunk, the other seed's cell, and the two falls of one and two steps
    assert sum(widths) == 20 + 10 + 1 + 2
    for row, (cell, draw) in enumerate(zip(CELLS, DRAWS, strict=True)):
        alone = run_float64(frozen, [cell], [draw])
        steps = cell.total_steps
        torch.testing.assert_close(together.losses[:steps, row], alone.losses[:, 0], rtol=0, atol=1e-9)
        torch.testing.assert_close(together.norms[:steps, row], alone.norms[:, 0], rtol=0, atol=1e-8)
        torch.testing.assert_close(together.weights[row], alone.weights[0], rtol=0, atol=1e-8)
        assert together.losses[steps:, row].isnan().all()


@pytest.mark.parametrize("steps", [1, 3, 8, 9])
def test_going_on_from_a_state_gives_the_same_bits(tiny_decoder, tiny_pool, steps):
    frozen = freeze(tiny_decoder, tiny_pool, 0)
    kept = {}

    def keep(state):
        if state.step == steps:
            kept.update({name: tensor.clone() for name, tensor in state.tensors().items()})

    _, whole = train(frozen, CELLS, DRAWS, on_step=keep)
    _, resumed = train(frozen, CELLS, DRAWS, start=TrainState.from_tensors(kept))
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor.nan_to_num(-1), resumed.tensors()[name].nan_to_num(-1)), name


def test_a_trunk_that_diverges_takes_along_who_still_follows(tiny_decoder, tiny_pool):
    wild = [cell.with_(learning_rate=1e30, warmup_steps=0) for cell in CELLS[:3]]
    _, state = train(freeze(tiny_decoder, tiny_pool, 0), [*wild, CELLS[3]], DRAWS)
    step = int(state.failed[1])
    assert 0 <= step < 3
    assert state.failed.tolist() == [step, step, step, -1]
    assert torch.equal(state.losses[:, 1].nan_to_num(-1), state.losses[:, 0].nan_to_num(-1))
    assert state.losses[:10, 3].isfinite().all()


@pytest.mark.parametrize(
    "changes", [{"warmup_steps": None}, {"epochs": 2.0}, {"epochs": None, "steps": 20}, {"warmup_steps": -1}]
)
def test_a_trunk_that_could_not_be_shared_is_refused(changes):
    with pytest.raises(InputError, match="warmup_steps"):
        LARGE.with_(**changes)


def test_a_study_keeps_a_trunk_together_and_counts_its_steps_once():
    study = Study(
        name="trunk",
        data="verbs",
        base="classroom",
        qualities=(Quality(), Quality(corruption="other_form", share=0.5)),
        sizes=(32, 512, 128),
        seeds=(0, 1),
        heldout=20,
        template="verbs",
        settings={"schedule": "trunk", "warmup_steps": 4, "steps": None, "epochs": 1.0},
    )
    concrete = plan(study)
    for stack in concrete.stacks:
        families = {(cell.quality, cell.seed) for cell in stack}
        assert len(stack) == 3 * len(families)
    # of 2, 8 and 32 steps of 16 examples the last 1, 2 and 7 are each cell's own
    own = {cell.size: concrete.own_steps[cell.key()] for cell in concrete.cells}
    assert own == {32: 1, 128: 2, 512: 32}
