import pytest
import torch
from scipy import stats

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


MANY = [CELL.with_(seed=seed) for seed in range(60)]


def first_a(config, name: str) -> torch.Tensor:
    """All numbers of the first A of one layer, over 60 seeds."""
    return LoraStack(MANY, config).matrices()[name][0].detach().flatten()


@pytest.mark.parametrize("name", ["layers.0.q_proj", "layers.2.down_proj"])
def test_first_weights_are_uniform_and_as_wide_as_the_inputs_ask(tiny_config, name):
    """Kaiming's rule with a = sqrt(5), PEFT's choice: between -1 and 1 over the root of the inputs."""
    bound = tiny_config.linear_shape(name.split(".")[2])[1] ** -0.5
    found = first_a(tiny_config, name)
    assert stats.kstest(found.numpy(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01
    assert found.abs().max() <= bound
    assert all((b == 0).all() for _, b in LoraStack(MANY, tiny_config).matrices().values())


def test_first_weights_are_drawn_as_peft_draws_them(tiny_config):
    peft = pytest.importorskip("peft", reason="the test extra brings peft")
    torch.manual_seed(0)
    layers = torch.nn.Sequential(*(torch.nn.Linear(32, 32) for _ in MANY))
    asked = peft.LoraConfig(r=CELL.rank, lora_alpha=CELL.alpha, target_modules=r"\d+")
    peft.inject_adapter_in_model(asked, layers)
    assert all((layer.lora_B["default"].weight == 0).all() for layer in layers)
    assert layers[0].scaling["default"] == LoraStack([CELL], tiny_config).scale[0]
    theirs = torch.cat([layer.lora_A["default"].weight.detach().flatten() for layer in layers])
    ours = first_a(tiny_config, "layers.0.q_proj")
    assert len(ours) == len(theirs)
    assert stats.ks_2samp(ours.numpy(), theirs.numpy()).pvalue > 0.01


def test_every_layer_begins_with_numbers_of_its_own(tiny_config):
    matrices = LoraStack([CELL], tiny_config).matrices()
    rows = {tuple(a[0, 0, :8].tolist()) for a, _ in matrices.values()}
    assert len(rows) == len(matrices)


def test_an_update_is_scaled_by_alpha_over_its_own_rank(tiny_config):
    cells = [CELL.with_(rank=rank, alpha=alpha) for rank, alpha in ((2, 16.0), (4, 16.0), (4, 6.0))]
    assert LoraStack(cells, tiny_config).scale.tolist() == [8.0, 4.0, 1.5]


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
