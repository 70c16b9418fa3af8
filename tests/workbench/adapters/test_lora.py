import pytest
import torch

from workbench.adapters.lora import LoraStack
from workbench.config import LINEARS, CellConfig
from workbench.errors import InputError

CELL = CellConfig(data="d", base="b", size=8, rank=4)


def test_a_fresh_adapter_changes_nothing(tiny_decoder, tiny_config, tiny_pool):
    stack = LoraStack([CELL, CELL.with_(seed=1)], tiny_config)
    batch = tiny_pool.batch([[0, 1], [2]])
    with torch.no_grad():
        assert torch.equal(tiny_decoder(batch, stack.adapters()), tiny_decoder(batch))


def test_the_number_of_weights(tiny_config):
    stack = LoraStack([CELL.with_(first_layer=1)], tiny_config)
    per_block = sum(4 * sum(tiny_config.linear_shape(leaf)) for leaf in LINEARS)
    assert stack.weights.shape == (1, 2 * per_block)


def test_first_weights_depend_on_the_seed_alone(tiny_config):
    alone = LoraStack([CELL.with_(seed=7)], tiny_config).weights
    among = LoraStack([CELL, CELL.with_(seed=7)], tiny_config).weights
    assert torch.equal(alone[0], among[1])
    assert not torch.equal(among[0], among[1])


def test_a_smaller_rank_is_filled_up_with_zeros_that_get_no_gradient(tiny_decoder, tiny_config, tiny_pool):
    stack = LoraStack([CELL.with_(rank=2), CELL], tiny_config)
    stack.weights.data.add_(0.01 * (stack.weights != 0))
    for a, b in stack.matrices().values():
        b.data[0, :, :2] = 0.1
        b.data[1] = 0.1
        assert (a[0, 2:] == 0).all()
    loss = tiny_decoder(tiny_pool.batch([[0], [1]]), stack.adapters()).square().sum()
    (gradient,) = torch.autograd.grad(loss, stack.weights)
    whole = LoraStack([CELL.with_(rank=2), CELL], tiny_config)
    whole.weights = gradient
    for a, b in whole.matrices().values():
        assert (a[0, 2:] == 0).all()
        assert (b[0, :, 2:] == 0).all()
        assert (a[0, :2] != 0).any()
        assert (a[1, 2:] != 0).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 17}, r"rank 17 is above 16, the smaller side of layers.0.k_proj \(16 x 32\)"),
        ({"first_layer": 3}, "first_layer is 3; the base has blocks 0 to 2"),
        ({"first_layer": -1}, "first_layer is -1"),
    ],
    ids=str,
)
def test_refuses(tiny_config, change, message):
    with pytest.raises(InputError, match=message):
        LoraStack([CELL.with_(**change)], tiny_config)


def test_rank_is_judged_by_the_layers_that_carry_it(tiny_config):
    assert LoraStack([CELL.with_(rank=32, targets=("gate_proj",))], tiny_config).rank == 32
