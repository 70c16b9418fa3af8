"""Every key of a config.json is used, changes nothing in transformers either, or is refused by name."""

import json
import re

import pytest
import torch
from follows import follows
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from workbench.errors import InputError
from workbench.models.families import FAMILIES
from workbench.models.folder_config import read_config
from workbench.models.folder_settings import (
    ALLOWED_VALUES,
    GREEDY,
    HARMLESS_BEGINNINGS,
    HARMLESS_KEYS,
    READ_KEYS,
)
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import OWN_HEAD

TOKENS = [0, 5, 17, 3, 28, 9, 9, 1]
BEGINNINGS = tuple(HARMLESS_BEGINNINGS)

OTHER = {
    "model_type": "gpt2",
    "architectures": ["LlamaForSequenceClassification"],
    "hidden_act": "gelu",
    "hidden_activation": "gelu",
    "layer_types": ["chunked_attention"] * 3,
    "sliding_window": 6,
    "rope_scaling": {"rope_type": "linear", "factor": 4.0},
    "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10_000.0},
    "quantization_config": {"quant_method": "gptq", "bits": 4},
    "quantization": {"bits": 4, "group_size": 64},
    "position_embedding_type": "alibi",
    "pad_token_id": 7,
    "max_new_tokens": 7,
    "dtype": "float64",
    "torch_dtype": "float64",
    "tokenizer_class": "LlamaTokenizer",
    "attn_implementation": "eager",
    "max_position_embeddings": 32,
    "id2label": {"0": "a", "1": "b", "2": "c"},
    "label2id": {"a": 0, "b": 1, "c": 2},
    "num_labels": 3,
    "problem_type": "regression",
    "transformers_version": "4.31.0",
    "tie_encoder_decoder": False,
    "chunk_size_feed_forward": 4,
    "initializer_range": 0.9,
    "attention_dropout": 0.5,
    "is_decoder": True,
    "pruned_heads": {"0": [1]},
    "auto_map": {"AutoModelForCausalLM": "modeling_other.Other"},
}
"""Values that a key gets in the walk, where negating, doubling or adding 1 wouldn't do."""


def other(key, value):
    if key in OTHER:
        return OTHER[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 if value else 1
    truths = [allowed for allowed in ALLOWED_VALUES.get(key, ()) if isinstance(allowed, bool)]
    return not truths[0] if truths else 7


@pytest.fixture(scope="module")
def folder(make_folder):
    return make_folder(tie_word_embeddings=True)[0]


@pytest.fixture(scope="module")
def whole(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.fixture
def load(folder, whole):
    """A function (changes) -> base, from the folder with other settings; None takes a key out."""

    def change(changes, base=None):
        kept = (whole if base is None else base) | changes
        (folder / "config.json").write_text(json.dumps({k: v for k, v in kept.items() if v is not None}))
        return load_base(folder)

    yield change
    (folder / "config.json").write_text(json.dumps(whole))


@pytest.fixture(scope="module")
def keys(transformers):
    defaults = transformers.MistralConfig().to_dict() | transformers.LlamaConfig().to_dict()
    named = READ_KEYS | ALLOWED_VALUES.keys() | HARMLESS_KEYS.keys() | GREEDY.keys()
    return defaults | {key: defaults.get(key) for key in sorted(named)}


SIZES = {
    "vocab_size": 32000,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 16,
}


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_what_a_folder_leaves_out_is_what_transformers_takes(tmp_path, kind):
    """The defaults of LlamaConfig and MistralConfig, as they stand in their source."""
    config, tied, _ = read_config(tmp_path, {"model_type": kind, **SIZES})
    assert (config.rope_base, config.rope_scale, config.norm_epsilon) == (10_000.0, 1.0, 1e-6)
    assert config.kv_heads == {"llama": 16, "mistral": 8}[kind]
    assert config.context == {"llama": 2048, "mistral": 4096}[kind], (
        "a Mistral's window is shorter than its text"
    )
    assert config.head_size == 4
    assert not tied


def test_a_window_shortens_the_context_and_a_wide_one_does_not(tmp_path):
    for window, context in ((6, 6), (64, 64), (100, 64), (None, 64)):
        given = {"model_type": "llama", **SIZES, "max_position_embeddings": 64, "sliding_window": window}
        assert read_config(tmp_path, given)[0].context == context


def attempt(load, changes):
    try:
        return load(changes), ""
    except InputError as error:
        return None, str(error)


def test_the_walk_over_every_key(keys, whole, load, logits):
    """Another value changes the numbers, or is refused by the key's name, or the key is known as harmless."""
    unchanged = load({})
    expected, before = logits(unchanged, TOKENS), unchanged.decoder.config
    assert len(keys) > 80
    for key, default in keys.items():
        value = other(key, whole.get(key, default))
        assert value != whole.get(key, default) or key in OTHER
        harmless = key in HARMLESS_KEYS or key in GREEDY or key.startswith(BEGINNINGS)
        base, refusal = attempt(load, {key: value})
        if base is None:
            # a size that doesn't fit the weights, or a bias that isn't there, may be told by the tensor
            read = READ_KEYS | FAMILIES["llama"].biases.keys()
            assert key in refusal or (key in read and "expected" in refusal), (key, refusal)
            assert not harmless, f"{key} is on the list of the harmless: {refusal}"
            continue
        same = torch.equal(logits(base, TOKENS), expected) and base.decoder.config == before
        assert same == harmless, f"{key}: {value!r} {'changes nothing' if same else 'changes the numbers'}"
        assert bool(base.notes) == (key in GREEDY or key == "sliding_window"), key


@pytest.mark.parametrize("absent", [7, True, False], ids=str)
def test_the_harmless_change_nothing_in_transformers(keys, whole, folder, load, logits, transformers, absent):
    """All of them at once; a key without a default gets the value ``absent``."""
    harmless = [k for k in keys if k in HARMLESS_KEYS or k in GREEDY or k.startswith(BEGINNINGS)]
    changed = {key: other(key, whole.get(key, keys[key])) for key in harmless}
    changed |= {k: absent for k in changed if k not in OTHER and whole.get(k, keys[k]) is None}
    # these stop transformers before it loads, or choose what it prints
    for key in ("device_map", "return_dict", "output_attentions", "task_specific_params"):
        changed.pop(key, None)
    assert len(changed) > 50
    expected = logits(load({}), TOKENS)
    base = load(changed)
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        theirs = model(torch.tensor([TOKENS])).logits[0]
    assert torch.equal(logits(base, TOKENS), expected)
    torch.testing.assert_close(expected, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling.factor is None"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "rope_scaling.factor is 0"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling is .*dynamic"),
        ({"rope_scaling": {"rope_type": "default", "factor": 2.0}}, "rope_scaling.factor is 2.0"),
        ({"rope_scaling": {"rope_type": "linear", "type": "yarn", "factor": 2}}, "rope_scaling is .*yarn"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "mscale": 0.7}}, "rope_scaling.mscale is 0.7"),
        ({"rope_scaling": {"type": "linear", "factor": 2, "attention_factor": 2}}, "attention_factor is 2"),
        ({"rope_scaling": "linear"}, "rope_scaling is 'linear', expected an object"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "rope_parameters.full_attention"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "rope_parameters.partial_rotary_factor is 0.5"),
        ({"rope_theta": 7.0}, "rope_theta is 7.0, expected 10000.0, as in rope_parameters"),
        ({"rope_theta": 10**400, "rope_parameters": None}, "rope_theta is 1000.*expected a positive number"),
        ({"tie_word_embeddings": "false"}, "tie_word_embeddings is 'false', expected true or false"),
        ({"layer_types": ["sliding_attention"]}, "layer_types is .*nothing but full_attention"),
        ({"sliding_window": 0}, "sliding_window is 0, expected a whole number"),
        ({"architectures": 7}, "architectures is 7"),
        (
            {"model_type": "gpt2"},
            "model_type is 'gpt2', expected one of llama, mistral, mix.*are Llama 1",
        ),
        ({"model_type": ["llama"]}, "model_type is .*expected one of llama"),
    ],
)
def test_other_values_are_refused_by_name(load, change, named):
    with pytest.raises(InputError, match=named):
        load(change)


KNOWN = READ_KEYS | ALLOWED_VALUES.keys() | HARMLESS_KEYS.keys() | GREEDY.keys()
UNKNOWN = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=20).filter(
    lambda key: key not in KNOWN and not key.startswith(BEGINNINGS)
)
VALUES = (
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.just([])
    | st.just({})
)


@follows("take {one} out of the file")
@settings(max_examples=60, deadline=None)
@given(strangers=st.dictionaries(UNKNOWN, VALUES, min_size=1, max_size=3))
def test_an_unknown_key_is_refused_and_its_advice_works(folder, whole, strangers):
    with pytest.raises(InputError) as caught:
        read_config(folder / "config.json", whole | strangers)
    assert all(f"{key} is" in str(caught.value) for key in strangers)
    assert "take that key out" in str(caught.value) or "take those keys out" in str(caught.value)
    read_config(folder / "config.json", whole | dict.fromkeys(strangers))  # null is no setting


COMMON = {"hidden_act": "silu", "initializer_range": 0.02, "use_cache": True, "tie_word_embeddings": False}
REAL = {
    "SmolLM2": {
        "is_llama_config": True,
        "rope_interleaved": False,
        "rope_scaling": None,
        "rope_theta": 100000,
    }
    | {"attention_bias": False, "attention_dropout": 0.0, "pretraining_tp": 1, "mlp_bias": False}
    | {"transformers.js_config": {"kv_cache_dtype": {"fp16": "float16"}}, "torch_dtype": "bfloat16"},
    "Llama 1": {
        "max_sequence_length": 2048,
        "pad_token_id": 0,
        "_name_or_path": "x",
        "torch_dtype": "float16",
    },
    "Llama 2": {"pretraining_tp": 1, "rope_scaling": None, "transformers_version": "4.31.0.dev0"},
    "Llama 3": {"rope_theta": 500000.0, "bos_token_id": 128000, "eos_token_id": [128001, 128009]},
    "TinyLlama": {"num_key_value_heads": 2, "rope_theta": 10000.0, "attention_bias": False},
    "Vicuna 16k": {"rope_scaling": {"factor": 8.0, "type": "linear"}, "pad_token_id": 0, "temperature": 0.9},
    "Mistral 0.1": {"model_type": "mistral", "sliding_window": 4096, "rope_theta": 10000.0},
    "Mistral 0.3": {"model_type": "mistral", "sliding_window": None, "rope_theta": 1000000.0},
    "Zephyr": {"model_type": "mistral", "sliding_window": 4096, "pad_token_id": 2},
    "unsloth": {"unsloth_version": "2024.9", "unsloth_fixed": True, "head_dim": 8, "pad_token_id": 11},
    "long window": {
        "use_sliding_window": False,
        "max_window_layers": 3,
        "layer_types": ["full_attention"] * 3,
    },
}


@pytest.mark.parametrize("name", REAL)
def test_settings_as_real_folders_have_them_load_and_agree(folder, load, logits, transformers, name):
    """The keys of folders on the Hub, with the sizes of the tiny one."""
    sizes = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
    sizes |= {"vocab_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5}
    sizes |= {"max_position_embeddings": 32768, "tie_word_embeddings": True}
    config = sizes | COMMON | REAL[name] | {"tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(config))
    base = load_base(folder)
    kind = "MistralForCausalLM" if config["model_type"] == "mistral" else "LlamaForCausalLM"
    model = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        theirs = model(torch.tensor([TOKENS])).logits[0]
    torch.testing.assert_close(logits(base, TOKENS), theirs, rtol=1e-4, atol=1e-4)
    assert base.decoder.config.context == (config.get("sliding_window") or 32768)


def test_defaults_are_those_of_transformers(whole, folder, transformers):
    """Keys that are left out mean what transformers' own classes mean by leaving them out."""
    needed = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    for kind in FAMILIES:
        bare = {key: whole[key] for key in needed} | {"model_type": kind, "num_attention_heads": 32}
        bare["hidden_size"] = 64
        config, tied, _ = read_config(folder / "config.json", bare)
        theirs = transformers.AutoConfig.for_model(**bare)
        assert config.kv_heads == theirs.num_key_value_heads, kind
        assert config.head_size == (getattr(theirs, "head_dim", None) or 2), kind
        assert (config.norm_epsilon, tied) == (theirs.rms_norm_eps, theirs.tie_word_embeddings), kind
        rope = theirs.rope_parameters
        if kind == "gemma3_text":
            assert config.windowed_rope_base == rope["sliding_attention"]["rope_theta"]
            rope = rope["full_attention"]
        assert config.rope_base == rope["rope_theta"], kind
        window = getattr(theirs, "sliding_window", None)
        if config.windows:
            windowed = [one == "sliding_attention" for one in theirs.layer_types]
            assert config.windows == tuple(window if one else None for one in windowed), kind
            window = None
        assert config.context == min(theirs.max_position_embeddings, window or 1 << 30), kind
        for ours, key in (
            ("attention_softcap", "attn_logit_softcapping"),
            ("logit_softcap", "final_logit_softcapping"),
        ):
            assert getattr(config, ours) == getattr(theirs, key, None), kind
        scalar = getattr(theirs, "query_pre_attn_scalar", config.head_size)
        scale = getattr(theirs, "attention_multiplier", scalar**-0.5)
        assert config.score_scale == pytest.approx(scale), kind
        turns = getattr(theirs, "no_rope_layers", [1] * config.layers)
        assert config.unturned == {layer for layer, one in enumerate(turns) if not one}, kind


def test_within_the_window_a_window_changes_nothing(folder, load, logits, whole, transformers):
    base = load({"model_type": "mistral", "sliding_window": 6, "architectures": ["MistralForCausalLM"]})
    assert base.decoder.config.context == 6
    assert base.notes == (
        "the base attends to no more than 6 tokens at once (sliding_window), so 6 is the longest example; up "
        "to that length the window changes nothing",
    )
    model = transformers.MistralForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        theirs = model(torch.tensor([TOKENS])).logits[0]
    ours = logits(base, TOKENS)
    torch.testing.assert_close(ours[:6], theirs[:6], rtol=1e-4, atol=1e-4)
    assert (ours[6:] - theirs[6:]).abs().max() > 0.01


def test_settings_for_generation_are_said(folder, load):
    file = folder / "generation_config.json"
    kept = file.read_bytes() if file.is_file() else None
    file.write_text(json.dumps({"repetition_penalty": 1.2, "do_sample": True, "temperature": 0.6}))
    notes = load({}).notes
    file.write_bytes(kept) if kept else file.unlink()
    assert len(notes) == 1
    assert "repetition_penalty 1.2, which" in notes[0]
    assert load({}).notes == ()


@pytest.mark.parametrize("change", [1.0, 0.0], ids=["its own", "equal"])
def test_a_stored_head_is_used_where_it_differs(make_folder, logits, transformers, tmp_path, change):
    folder = make_folder(tie_word_embeddings=True, hidden_size=64)[0]
    tensors = load_file(folder / "model.safetensors")
    embedding = tensors["model.embed_tokens.weight"]
    tensors["lm_head.weight"] = embedding + change * torch.randn_like(embedding)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    base = load_base(folder)
    assert base.decoder.tied == (change == 0)
    assert base.notes == ((OWN_HEAD,) if change else ())
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        theirs = model(torch.tensor([TOKENS])).logits[0]
    torch.testing.assert_close(logits(base, TOKENS), theirs, rtol=1e-4, atol=1e-4)


@follows("set tie_word_embeddings to true in config.json")
def test_a_head_that_is_missing_is_refused_and_the_advice_works(load, logits):
    expected = logits(load({}), TOKENS)
    with pytest.raises(InputError, match=re.escape("set tie_word_embeddings to true in config.json")):
        load({"tie_word_embeddings": False})
    assert torch.equal(logits(load({"tie_word_embeddings": True}), TOKENS), expected)
