"""Advice about adapters: which go together, and how they are combined."""

from dataclasses import replace

import pytest
import torch
from following import follows, told
from random_adapters import random_adapter

from workbench.adapters.formats import load_adapter, save_adapter
from workbench.adapters.sums import combine
from workbench.models.decoder_config import DecoderConfig

CONFIG = DecoderConfig(vocabulary=9, width=16, layers=2, heads=2, kv_heads=2, head_size=8, feed_forward=24)
Q = "layers.0.q_proj"


@pytest.fixture
def two(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, rank in (("A", 2), ("B", 3)):
        save_adapter(random_adapter(CONFIG, rank=rank), name)
    return load_adapter("A"), load_adapter("B")


@follows("is DoRA: what it changes in {layer}", "changes a weight of shape {tuple(product.shape)}")
def test_what_dora_changes_hangs_on_the_weight():
    adapter = random_adapter(CONFIG, dora=True)
    assert "adapter.changed(layer, weight)" in told(adapter.change, Q)
    message = told(adapter.changed, Q, torch.ones(3, 3))
    assert message.endswith("take the base that the adapter was trained on")
    assert adapter.changed(Q, torch.ones(16, 16)).shape == (16, 16)


@follows(
    "give a weight for each adapter",
    "choose a number above 0 and up to 1",
    "rank is {rank}; choose a rank",
    "adds matrices of one rank; take --how",
    "--how, --rank, --density and --seed are for several",
    "the weight is {number}; give a finite number",
)
def test_how_adapters_are_added(two, refused, followed):
    assert "give a weight for each adapter" in told(combine, two, [1.0])
    combine(two, [1.0, 1.0])
    message = refused("adapter", "convert", "A", "B", "out", "--how", "linear")
    assert message.endswith("take --how cat or svd")
    for place, how in enumerate(("cat", "svd")):
        followed("adapter", "convert", "A", "B", f"out{place}", "--how", how)
    assert "choose a number above 0" in refused(
        "adapter", "convert", "A:2", "o", "--how", "ties", "--density", "0"
    )
    followed("adapter", "convert", "A:2", "o", "--how", "ties", "--density", "0.5")
    assert "choose a rank of at least 1" in refused(
        "adapter", "convert", "A", "B", "p", "--how", "svd", "--rank", "0"
    )
    followed("adapter", "convert", "A", "B", "p", "--how", "svd", "--rank", "1")
    assert "leave them out" in refused("adapter", "convert", "A", "q", "--rank", "1")
    followed("adapter", "convert", "A", "q")
    assert refused("adapter", "convert", "A:inf", "r").endswith("such as A:0.5")
    followed("adapter", "convert", "A:0.5", "r")


@follows(
    "can't be added to others; leave it out",
    "are of different kinds of models; leave one out",
    "has inputs and outputs {shape}",
    "were trained on bases with different hashes",
    "two adapters have different vectors of the token",
)
def test_which_adapters_go_together(two):
    one, other = two
    for strange in (
        random_adapter(CONFIG, dora=True),
        random_adapter(replace(CONFIG, width=32)),
        replace(one, tensors={"unet:0.lora_A": torch.ones(1, 2), "unet:0.lora_B": torch.ones(2, 1)}),
    ):
        message = told(combine, [one, other, strange], [1.0] * 3)
        assert message.endswith(("leave it out", "leave one out", "take adapters of one base"))
    hashes = [replace(adapter, base_sha256=letter * 64) for adapter, letter in zip(two, "ab", strict=True)]
    assert told(combine, hashes, [1.0] * 2).endswith("take adapters of one base")
    token = [replace(one, extras={"<s>": torch.full((2,), float(k))}) for k in range(2)]
    assert told(combine, token, [1.0] * 2).endswith("leave one out")
    combine(two, [1.0] * 2)
