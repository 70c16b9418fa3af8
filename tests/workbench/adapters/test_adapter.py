"""What an adapter amounts to: by hand, and by counts that papers give."""

import math
from dataclasses import replace

import pytest
import torch
from random_adapters import random_adapter

from workbench.adapters.adapter import MAGNITUDE, LoraAdapter
from workbench.adapters.fits import check_fits
from workbench.adapters.ranks import count_parameters, effective_rank, numerical_rank, singular_values
from workbench.errors import InputError
from workbench.models.decoder_config import DecoderConfig
from workbench.models.loaders import load_base

A, B = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [0.0], [-1.0]])
WEIGHT = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
Q = "layers.0.q_proj"


def by_hand(**fields) -> LoraAdapter:
    tensors = {f"{Q}.lora_A": A, f"{Q}.lora_B": B} | fields.pop("tensors", {})
    return LoraAdapter(name="mine", base="base", rank=1, **{"alpha": 2.0, "tensors": tensors, **fields})


def test_lora_adds_scale_times_b_times_a():
    expected = [[6.0, 12.0], [0.0, 0.0], [-2.0, -4.0]]
    assert by_hand().change(Q).tolist() == expected
    assert by_hand().changed(Q, WEIGHT).tolist() == (WEIGHT + torch.tensor(expected)).tolist()


@pytest.mark.parametrize(
    ("fields", "scale"),
    [
        ({}, 6 / 4),
        ({"rslora": True}, 6 / math.sqrt(4)),
        ({"alphas": {Q: 3.0}}, 3 / 4),
        ({"alphas": {Q: 3.0}, "rslora": True}, 3 / 2),
        ({"ranks": {Q: 9}}, 6 / 9),
        ({"ranks": {Q: 9}, "rslora": True}, 6 / 3),
    ],
)
def test_the_scale_is_alpha_over_the_layers_own_rank_or_its_root(tiny_config, fields, scale):
    adapter = random_adapter(tiny_config, leaves=("q_proj", "v_proj"), **fields)
    assert adapter.scale(Q) == pytest.approx(scale, rel=1e-12)
    other = 6 / (2 if adapter.rslora else 4)
    assert adapter.scale("layers.1.v_proj") == other


def test_dora_gives_each_row_the_length_that_was_trained():
    adapter = by_hand(tensors={f"{Q}.{MAGNITUDE}": torch.tensor([5.0, 1.0, 2.0])})
    # W + scale B A is (7, 12), (0, 2), (-1, -3)
    expected = [
        [5 * 7 / math.sqrt(193), 5 * 12 / math.sqrt(193)],
        [0.0, 1.0],
        [-2 / math.sqrt(10), -6 / math.sqrt(10)],
    ]
    torch.testing.assert_close(adapter.changed(Q, WEIGHT), torch.tensor(expected))
    with pytest.raises(InputError, match=r"mine is DoRA: .* ask for adapter\.changed\(layer, weight\)"):
        adapter.change(Q)
    with pytest.raises(InputError, match="carries plain products of B and A only"):
        adapter.for_decoder()


def test_a_weight_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"changes a weight of shape \(3, 2\), and the base's has \(2, 3\)"):
        by_hand().changed(Q, WEIGHT.T)


def test_the_decoder_carries_what_the_weights_would_be(tiny_decoder, tiny_config, tiny_pool):
    adapter = random_adapter(tiny_config, ranks={"layers.1.k_proj": 7}, alphas={Q: 2.0}, rslora=True)
    batch = tiny_pool.batch([[0, 1]])
    weights = {
        name: adapter.changed(name, weight) if name in adapter.layers else weight
        for name, weight in tiny_decoder.weights.items()
    }
    merged = type(tiny_decoder)(tiny_config, weights)
    expected, bare = merged(batch), tiny_decoder(batch)
    got = tiny_decoder(batch, adapter.for_decoder())
    assert (got - bare).abs().max() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


LLAMA_7B = DecoderConfig(
    vocabulary=32_000, width=4096, layers=32, heads=32, kv_heads=32, head_size=128, feed_forward=11_008
)
GPT_3 = DecoderConfig(
    vocabulary=50_257, width=12_288, layers=96, heads=96, kv_heads=96, head_size=128, feed_forward=49_152
)


def test_counts_that_papers_give_come_out_without_allocating():
    """LLaMA-7B: the 4.2 million that Alpaca-LoRA prints; GPT-3 175B: the 37.7 million of the LoRA paper."""
    assert count_parameters(LLAMA_7B, 8, ("q_proj", "v_proj")) == 4_194_304
    assert count_parameters(GPT_3, 8, ("q_proj", "v_proj")) == 37_748_736


def test_the_count_is_that_of_an_adapter(tiny_config):
    for fields in ({}, {"dora": True}):
        adapter = random_adapter(tiny_config, leaves=("q_proj", "down_proj"), blocks=(1, 2), **fields)
        assert count_parameters(tiny_config, 4, ("q_proj", "down_proj"), 2, **fields) == adapter.parameters


def test_ranks_by_hand():
    values = torch.tensor([2.0, 2.0, 0.0], dtype=torch.float64)
    assert numerical_rank(values, (3, 3)) == 2
    assert effective_rank(values) == pytest.approx(2)
    assert effective_rank(torch.tensor([3.0, 1.0])) == pytest.approx(4 / 3**0.75)
    zero = torch.zeros(2)
    assert (numerical_rank(zero, (2, 2)), effective_rank(zero)) == (0, 0)


def test_singular_values_are_those_of_the_change(tiny_config):
    adapter = random_adapter(tiny_config, leaves=("v_proj",), rank=20)
    expected = torch.linalg.svdvals(adapter.change("layers.0.v_proj").double())
    torch.testing.assert_close(singular_values(adapter, "layers.0.v_proj"), expected, rtol=1e-5, atol=1e-6)


def test_an_adapter_of_another_base_is_refused():
    base = load_base("classroom")
    config = base.decoder.config
    adapter = random_adapter(config, leaves=("v_proj", "down_proj"))
    check_fits(adapter, base)
    check_fits(replace(adapter, base_sha256=base.sha256), base)
    with pytest.raises(InputError, match=r"with the SHA-256 0{16} …, and classroom has [0-9a-f]{16} …: its"):
        check_fits(replace(adapter, base_sha256="0" * 64), base)
    narrow = random_adapter(replace(config, kv_heads=config.heads * 2), leaves=("v_proj",))
    with pytest.raises(InputError, match=r"changes a layers\.0\.v_proj of shape .* classroom has"):
        check_fits(narrow, base)
    deep = random_adapter(replace(config, layers=99), leaves=("v_proj",))
    with pytest.raises(InputError, match=r"adapts layers\.4\.v_proj, and classroom has blocks 0 to 3 only"):
        check_fits(deep, base)
    image = by_hand(tensors={"unet:0.lora_A": A, "unet:0.lora_B": B})
    with pytest.raises(InputError, match="is an adapter of an image model, and classroom is a decoder"):
        check_fits(image, base)
