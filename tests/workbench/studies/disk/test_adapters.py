"""Adapters as PEFT reads them: its logits are ours."""

import json

import pytest
import torch
from hugging_face import as_transformers
from safetensors.torch import load_file, save_file
from small_study import small_study

from workbench.adapters.formats.peft import peft_name
from workbench.adapters.lora import LoraStack
from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.errors import InputError
from workbench.models.loaders import CLASSROOM, load_base
from workbench.studies.disk.adapters import check_adapter, read_adapter, write_adapter
from workbench.studies.plan import plan


@pytest.fixture
def cell():
    return plan(small_study()).cells[0]


@pytest.fixture
def tensors(cell):
    stack = LoraStack([cell], load_base("classroom").decoder.config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        stack.weights.normal_(0, 0.05, generator=generator)
    return stack.tensors(0)


def test_what_was_written_is_read_back(cell, tensors, tmp_path):
    write_adapter(tmp_path, cell, tensors)
    again = read_adapter(tmp_path, cell.key())
    assert set(again) == set(tensors)
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)
    check_adapter(tmp_path, cell.key())


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(InputError, match="the cell abc has no adapter"):
        read_adapter(tmp_path, "abc")


def test_a_tensor_from_elsewhere_is_refused(cell, tensors, tmp_path):
    write_adapter(tmp_path, cell, tensors)
    path = tmp_path / "adapters" / cell.key() / "adapter_model.safetensors"
    save_file(load_file(path) | {"base_model.model.lm_head.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="is no LoRA weight of this decoder"):
        read_adapter(tmp_path, cell.key())


def test_a_name_of_the_decoder_has_one_of_peft():
    name = "layers.3.q_proj.lora_A"
    assert peft_name(name) == "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"


@pytest.mark.slow
def test_peft_computes_our_logits(cell, tensors, tmp_path):
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    base = load_base("classroom", "float32")
    config, decoder = base.decoder.config, base.decoder
    theirs = as_transformers(transformers, decoder)
    write_adapter(tmp_path, cell, tensors)
    with_adapter = peft.PeftModel.from_pretrained(theirs, tmp_path / "adapters" / cell.key())
    tokens = base.tokenizer.encode("past walk=walked")
    stack = LoraStack([cell], config)
    stack.load(0, tensors)
    batch = Pool([Example(tuple(tokens), 1)]).batch([[0]])
    with torch.no_grad():
        expected = with_adapter(torch.tensor([tokens])).logits[0]
        bare = decoder.head(decoder(batch).flatten(0, 1))
        got = decoder.head(decoder(batch, stack.adapters()).flatten(0, 1))
    assert (got - bare).abs().max() > 0.1, "the adapter does something"
    torch.testing.assert_close(got[:-1], expected[: len(got) - 1], rtol=1e-4, atol=1e-4)


def test_the_configuration_is_what_peft_needs(cell, tensors, tmp_path):
    write_adapter(tmp_path, cell, tensors)
    config = json.loads((tmp_path / "adapters" / cell.key() / "adapter_config.json").read_bytes())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", cell.rank, cell.alpha)
    assert config["target_modules"] == list(cell.targets)
    # an update scaled by alpha over the rank, and nothing else between base and adapter
    assert [config[name] for name in ("use_rslora", "use_dora", "lora_dropout", "bias")] == [
        False,
        False,
        0.0,
        "none",
    ]


def config_of(folder, cell) -> dict:
    return json.loads((folder / "adapters" / cell.key() / "adapter_config.json").read_bytes())


@pytest.mark.parametrize("name", ["base", "~/base", "base.gguf", "classroom"])
def test_the_base_is_named_by_its_absolute_folder(cell, tensors, tmp_path, monkeypatch, name):
    (tmp_path / "base").mkdir()
    (tmp_path / "base.gguf").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    write_adapter(tmp_path, cell.with_(base=name), tensors)
    expected = {"base.gguf": tmp_path, "classroom": CLASSROOM.parent}.get(name, tmp_path / "base")
    assert config_of(tmp_path, cell.with_(base=name))["base_model_name_or_path"] == str(expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "gguf"])
def test_peft_finds_the_base_from_another_folder(cell, tensors, tmp_path, monkeypatch, kind):
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    name, options = "classroom", {"gguf_file": CLASSROOM.name}
    if kind == "folder":
        name, options = "my base", {}
        as_transformers(transformers, load_base("classroom", "float32").decoder).save_pretrained(name)
    write_adapter(tmp_path / "study", cell.with_(base=name), tensors)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder = f"../study/adapters/{cell.with_(base=name).key()}"
    model = peft.AutoPeftModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
    base = load_base("classroom", "float32")
    tokens = base.tokenizer.encode("past walk=walked")
    stack = LoraStack([cell], base.decoder.config)
    stack.load(0, tensors)
    batch = Pool([Example(tuple(tokens), 1)]).batch([[0]])
    with torch.no_grad():
        expected = model(torch.tensor([tokens])).logits[0]
        got = base.decoder.head(base.decoder(batch, stack.adapters()).flatten(0, 1))
    torch.testing.assert_close(got[:-1], expected[: len(got) - 1], rtol=1e-3, atol=1e-3)
