"""Hugging Face folders: transformers' own LlamaForCausalLM is the oracle."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.errors import InputError
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import huggingface_name

VOCABULARY = 40


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"tie_word_embeddings": True}, id="tied"),
        pytest.param({"tie_word_embeddings": False}, id="untied"),
        pytest.param({"num_key_value_heads": 4}, id="as-many-key-heads"),
        pytest.param({"num_key_value_heads": 1, "head_dim": 16}, id="one-key-head-and-its-own-size"),
        pytest.param({"rope_theta": 500_000.0}, id="rope-base"),
        pytest.param({"rope_scaling": {"rope_type": "linear", "factor": 4.0}}, id="linear-scaling"),
        pytest.param({"dtype": torch.float64}, id="float64"),
        pytest.param({"shards": "20KB"}, id="shards"),
        pytest.param({"dtype": torch.bfloat16}, id="bfloat16"),
        pytest.param({"dtype": torch.float16, "tie_word_embeddings": True}, id="float16"),
    ],
)
def test_logits_are_those_of_transformers(make_folder, logits, settings):
    folder, model = make_folder(**settings)
    base = load_base(folder)
    tokens = [0, 5, 17, 3, 28, 9, 9, 1]
    with torch.no_grad():
        expected = model(torch.tensor([tokens])).logits[0]
    torch.testing.assert_close(logits(base, tokens), expected, rtol=1e-4, atol=1e-4)


def test_settings_of_older_files_are_read(make_folder):
    """transformers 5 writes rope_parameters, all before it rope_theta."""
    folder, _ = make_folder(rope_theta=500_000.0)
    settings = json.loads((folder / "config.json").read_text())
    settings.pop("rope_parameters", None)
    change_config(folder, settings | {"rope_theta": 500_000.0, "rope_scaling": None})
    assert load_base(folder).decoder.config.rope_base == 500_000.0


def change_config(folder, settings):
    (folder / "config.json").write_text(json.dumps(settings))


@pytest.fixture
def folder(make_folder):
    return make_folder(tie_word_embeddings=True)[0]


def test_the_tokenizer_comes_along(folder):
    base = load_base(folder)
    tokenizer = base.tokenizer
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == (0, 1, None)
    assert tokenizer.encode("abc</s>") == [3, 4, 5, 1]
    assert tokenizer.vocabulary == VOCABULARY
    assert tokenizer.render_chat([{"role": "user", "content": "hi"}]) == "<s>[user]hi</s>"
    assert len(base.sha256) == 64


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2', expected one of llama, mistral"),
        ({"attention_bias": True}, "q_proj.bias' is missing"),
        ({"attention_bias": "yes"}, "attention_bias is 'yes', expected true or false"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', expected 'silu'"),
        (
            {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}},
            "rope_parameters.low_freq_factor is None, expected a positive number",
        ),
        (
            {"rope_parameters": {"rope_type": "ntk"}},
            "rope_parameters is .*ntk.*expected a rope_type out of 'default', 'linear', 'llama3', 'yarn'",
        ),
        ({"hidden_size": "wide"}, "hidden_size is 'wide', expected a whole number"),
        ({"hidden_size": 1 << 60}, "hidden_size is .*, expected a whole number from 1 to"),
        ({"num_hidden_layers": 9999}, "num_hidden_layers is 9999, expected at most"),
        (
            {"num_hidden_layers": 2},
            "'model.layers.2.* has no place in a decoder of the family 'llama'",
        ),
        ({"num_hidden_layers": 4}, "'model.layers.3.* is missing, expected the shape"),
        (
            {"num_key_value_heads": 3},
            "num_attention_heads is 4, expected a multiple of num_key_value_heads, 3",
        ),
        ({"head_dim": 7}, "head_dim is 7, expected an even number"),
        ({"intermediate_size": 64}, "has the shape .48, 32., expected .64, 32."),
        ({"vocab_size": 10}, "tokens and config.json a vocab_size of 10|expected .10, 32."),
        ({"rms_norm_eps": -1}, "rms_norm_eps is -1, expected a positive number"),
        ({"tie_word_embeddings": False}, "'lm_head.weight' is missing"),
    ],
)
def test_what_would_change_the_arithmetic_is_refused(folder, change, complaint):
    change_config(folder, json.loads((folder / "config.json").read_text()) | change)
    with pytest.raises(InputError, match=complaint):
        load_base(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", None),
        ("config.json", b"{not json"),
        ("config.json", b"[]"),
        ("config.json", b"\xff\xfe"),
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("model.safetensors", struct.pack("<Q", 1 << 60) + b"{}"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../elsewhere"}}'),
        ("model.safetensors.index.json", b'{"weight_map": 7}'),
        ("tokenizer.json", None),
        ("tokenizer.json", b"{}"),
        ("tokenizer_config.json", b"7"),
        ("tokenizer_config.json", b'{"chat_template": 7}'),
    ],
)
def test_a_damaged_file_is_named(folder, name, content):
    (folder / name).unlink(missing_ok=True)
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        load_base(folder)


def test_a_cut_off_file_is_named(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"could not read .*model\.safetensors"):
        load_base(folder)


def test_whole_numbers_are_no_weights(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].int()
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"'model.norm.weight' is torch.int32, expected float32"):
        load_base(folder)


def test_smollm2_as_a_folder_is_smollm2(smollm2, tmp_path, transformers, logits):
    """Exported to a folder, our reader and transformers agree with what the GGUF gave."""
    config = smollm2.decoder.config
    settings = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": config.width,
        "intermediate_size": config.feed_forward,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_base,
        "rms_norm_eps": config.norm_epsilon,
        "tie_word_embeddings": True,
    }
    change_config(tmp_path, settings)
    weights = {huggingface_name(name): smollm2.decoder.weight(name) for name in smollm2.decoder.weights}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    smollm2.tokenizer.backend.library.save(str(tmp_path / "tokenizer.json"))
    tokens = smollm2.tokenizer.encode("The capital of France is")
    expected = logits(smollm2, tokens)
    model = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        theirs = model(torch.tensor([tokens])).logits[0]
    torch.testing.assert_close(expected, theirs, rtol=1e-3, atol=1e-3)
