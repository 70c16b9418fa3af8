"""The reader of Hugging Face folders, fed with anything: a base, or one sentence."""

import json
import shutil

import pytest
import tokenizers
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from workbench.errors import InputError
from workbench.models.decoder_config import DecoderConfig
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import huggingface_name

NAMES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
SIZES = {
    "model_type": "llama",
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "tie_word_embeddings": True,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
SHARED_PATH = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small folder that loads."""
    folder = tmp_path_factory.mktemp("whole")
    shapes = DecoderConfig(
        vocabulary=40, width=16, layers=1, heads=2, kv_heads=2, head_size=8, feed_forward=16
    ).shapes(tied=True)
    weights = {huggingface_name(name): torch.ones(shape) for name, shape in shapes.items()}
    (folder / "model.safetensors").write_bytes(save(weights))
    (folder / "config.json").write_text(json.dumps(SIZES))
    vocabulary = {chr(97 + letter): letter for letter in range(26)}
    tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [])).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text("{}")
    load_base(folder)
    return folder


def read(whole, tmp_path, name: str, content: bytes) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    (folder / name).write_bytes(content)
    try:
        base = load_base(folder)
    except InputError:
        return
    assert base.decoder.config.layers == 1


@SHARED_PATH
@given(name=st.sampled_from(NAMES), data=st.data())
def test_a_file_with_changes(whole, tmp_path, name, data):
    content = bytearray((whole / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # half of the changes fall into the header
        place = data.draw(
            st.integers(0, max(0, min(len(content) - 1, data.draw(st.sampled_from([300, 1 << 20])))))
        )
        if data.draw(st.booleans()):
            content[place : place + 1] = data.draw(st.binary(max_size=4))
        else:
            del content[place : place + data.draw(st.integers(1, 400))]
    read(whole, tmp_path, name, bytes(content))


@SHARED_PATH
@given(
    name=st.sampled_from(NAMES), content=st.binary(max_size=100) | JSON.map(lambda v: json.dumps(v).encode())
)
def test_a_file_of_anything(whole, tmp_path, name, content):
    read(whole, tmp_path, name, content)


@SHARED_PATH
@given(key=st.sampled_from(list(SIZES)), value=JSON)
def test_a_setting_of_anything(whole, tmp_path, key, value):
    read(whole, tmp_path, "config.json", json.dumps({**SIZES, key: value}).encode())


@pytest.mark.parametrize("declared", [2**31, 2**40, 2**63, 2**64 - 1])
def test_a_header_that_says_it_is_huge(whole, tmp_path, declared):
    content = declared.to_bytes(8, "little") + (whole / "model.safetensors").read_bytes()[8:]
    shutil.copytree(whole, tmp_path / "folder")
    (tmp_path / "folder" / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_base(tmp_path / "folder")
