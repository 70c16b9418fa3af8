"""LoRA adapters as GGUF: what llama.cpp will find in the file, read by the gguf package, and back."""

import gguf
import numpy as np
import pytest
import torch
from follows import follows
from random_adapters import random_adapter

from workbench.adapters.formats import load_adapter, save_adapter
from workbench.errors import InputError
from workbench.models.loaders import load_base


def heads_of(config):
    return config.heads, config.kv_heads


def opened(path):
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {tensor.name: np.array(tensor.data) for tensor in reader.tensors}


def test_the_file_is_what_llama_cpp_expects(tiny_config, tmp_path):
    adapter = random_adapter(tiny_config, heads=heads_of(tiny_config), base="my/base.gguf")
    save_adapter(adapter, path := tmp_path / "a.gguf")
    fields, tensors = opened(path)
    expected = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
    assert {key: fields[key] for key in expected} == expected
    assert fields["adapter.lora.alpha"] == 6.0
    assert tensors["blk.1.attn_v.weight.lora_a"].shape == (4, 32)
    assert tensors["blk.2.ffn_down.weight.lora_b"].shape == (32, 4)
    v = adapter.tensors["layers.1.v_proj.lora_B"].numpy()
    assert np.array_equal(tensors["blk.1.attn_v.weight.lora_b"], v)


@pytest.mark.parametrize(("leaf", "theirs", "heads"), [("q_proj", "attn_q", 4), ("k_proj", "attn_k", 2)])
def test_rows_of_queries_and_keys_are_in_pairs_and_ranks_are_not(tiny_config, tmp_path, leaf, theirs, heads):
    """By hand: in a head of 8, row 1 of GGUF is row 4 of ours, the other half of the first pair."""
    adapter = random_adapter(tiny_config, heads=heads_of(tiny_config))
    save_adapter(adapter, path := tmp_path / "a.gguf")
    _, tensors = opened(path)
    ours = adapter.tensors[f"layers.0.{leaf}.lora_B"].numpy()
    found = tensors[f"blk.0.{theirs}.weight.lora_b"]
    for head in range(heads):
        for row, mine in enumerate((0, 4, 1, 5, 2, 6, 3, 7)):
            assert np.array_equal(found[8 * head + row], ours[8 * head + mine])
    a = adapter.tensors[f"layers.0.{leaf}.lora_A"].numpy()
    assert np.array_equal(tensors[f"blk.0.{theirs}.weight.lora_a"], a)


@pytest.mark.parametrize(
    "fields",
    [
        {"rslora": True},
        {"ranks": {"layers.0.q_proj": 9}},
        {"ranks": {"layers.0.q_proj": 9}, "rslora": True},
        {"alphas": {"layers.1.k_proj": 1.5}},
        {"dtype": torch.float16},
        {"dtype": torch.bfloat16},
    ],
    ids=str,
)
def test_alpha_over_rank_of_the_file_is_the_scale_of_every_layer(tiny_config, tmp_path, fields):
    adapter = random_adapter(tiny_config, heads=heads_of(tiny_config), **fields)
    save_adapter(adapter, path := tmp_path / "a.gguf")
    metadata, tensors = opened(path)
    for layer, name in (("layers.1.v_proj", "attn_v"), ("layers.1.down_proj", "ffn_down")):
        a, b = (tensors[f"blk.1.{name}.weight.lora_{half}"] for half in "ab")
        found = torch.from_numpy(metadata["adapter.lora.alpha"] / len(a) * b @ a).float()
        torch.testing.assert_close(found, adapter.change(layer), rtol=1e-5, atol=1e-6)
    again = load_adapter(path)
    for layer in adapter.layers:
        torch.testing.assert_close(again.change(layer), adapter.change(layer), rtol=1e-5, atol=1e-6)


def test_without_the_number_of_heads_queries_are_refused_and_values_are_not(tiny_config, tmp_path):
    plain = random_adapter(tiny_config, leaves=("v_proj", "gate_proj"))
    save_adapter(plain, path := tmp_path / "a.gguf")
    again = load_adapter(path)
    assert all(torch.equal(again.tensors[name], plain.tensors[name]) for name in plain.tensors)
    with pytest.raises(
        InputError, match=r"orders the rows of layers\.0\.q_proj .* name the base with --base"
    ):
        save_adapter(random_adapter(tiny_config, leaves=("q_proj",)), tmp_path / "b.gguf")
    assert not (tmp_path / "b.gguf").exists()


@follows("orders the rows of {layer} by the heads of the base")
def test_a_base_gives_heads_and_hash(tmp_path):
    base = load_base("classroom")
    adapter = random_adapter(base.decoder.config, leaves=("q_proj", "k_proj"))
    with pytest.raises(InputError, match=r"in Python: base=wb\.load_base"):
        save_adapter(adapter, tmp_path / "a.gguf")
    save_adapter(adapter, path := tmp_path / "a.gguf", base=base)
    again = load_adapter(path)
    assert again.base_sha256 == base.sha256
    assert all(torch.equal(again.tensors[name], adapter.tensors[name]) for name in adapter.tensors)


def test_dora_is_refused(tiny_config, tmp_path):
    with pytest.raises(InputError, match=r"is DoRA, which llama\.cpp's adapters can't be; merge it"):
        save_adapter(random_adapter(tiny_config, dora=True), tmp_path / "a.gguf")


CHANGED = {
    "nothing": ({}, {}, None),
    "a model": ({"general.type": "model"}, {}, "general.type is 'model', expected 'adapter'"),
    "another kind": ({"adapter.type": "lokr"}, {}, "adapter.type is 'lokr', expected 'lora'"),
    "another family": ({"general.architecture": "gpt2"}, {}, "general.architecture is 'gpt2'"),
    "no alpha": ({"adapter.lora.alpha": 0.0}, {}, "adapter.lora.alpha is 0.0; expected a number above 0"),
    "an embedding": ({}, {"token_embd.weight.lora_a": (2, 3)}, "which is no LoRA weight of a linear layer"),
    "half a layer": ({}, {"blk.9.attn_v.weight.lora_a": (2, 3)}, r"A of shape \(2, 3\) and B of shape None"),
    "wrong ranks": (
        {},
        {"blk.9.attn_v.weight.lora_a": (2, 3), "blk.9.attn_v.weight.lora_b": (3, 5)},
        r"A of shape \(2, 3\) and B of shape \(3, 5\)",
    ),
    "odd rows": (
        {},
        {"blk.9.attn_q.weight.lora_a": (2, 3), "blk.9.attn_q.weight.lora_b": (3, 2)},
        r"\(3, 2\), whose rows aren't those of 4 heads",
    ),
}


@follows("expected {expected}; give a LoRA adapter", "whose rows aren't those of {heads} heads")
@pytest.mark.parametrize("what", CHANGED)
def test_a_foreign_file_is_refused_by_what_is_wrong(tmp_path, what):
    changes, tensors, said = CHANGED[what]
    path = tmp_path / "a.gguf"
    values = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 4.0} | changes
    writer = gguf.GGUFWriter(path, str(values.pop("general.architecture", "llama")))
    for key, value in values.items():
        if isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_float32(key, value)
    writer.add_uint32("llama.attention.head_count", 4)
    writer.add_uint32("llama.attention.head_count_kv", 2)
    for name, shape in (
        {"blk.0.attn_v.weight.lora_a": (1, 3), "blk.0.attn_v.weight.lora_b": (3, 1)} | tensors
    ).items():
        writer.add_tensor(name, np.ones(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if said is None:
        assert load_adapter(path).layers == ("layers.0.v_proj",)
        return
    with pytest.raises(InputError, match=said):
        load_adapter(path)
