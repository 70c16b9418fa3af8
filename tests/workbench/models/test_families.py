"""Every family against transformers, PEFT and llama.cpp, by small random models."""

import re

import pytest
import torch
from ask_llamacpp import Llama
from made_families import MODELS, bytes_tokenizer, make

from workbench.errors import InputError
from workbench.models.families import FAMILIES
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_writer import write_gguf
from workbench.models.loaders import load_base
from workbench.models.safetensors_folder import _shards, read_weights
from workbench.models.folder_config import read_config
from workbench.models.folder_tokenizer import read_json

TOKENS = [0, 5, 17, 3, 28, 9, 9, 1, 30, 4, 22, 11, 7, 7, 2]


@pytest.fixture(scope="module")
def saved(transformers, tmp_path_factory, put_tokenizer):
    """A function (name of a model, sizes) -> its folder and transformers' model; each made once."""
    kept = {}

    def give(name, **sizes):
        key = (name, *sorted(sizes.items()))
        if key not in kept:
            folder = tmp_path_factory.mktemp("family")
            kept[key] = folder, make(transformers, *MODELS[name], folder, **sizes)
            put_tokenizer(folder)
        return kept[key]

    return give


def test_each_family_has_a_model():
    assert {kind for kind, _ in MODELS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(saved, logits, name):
    folder, model = saved(name)
    with torch.no_grad():
        theirs = model(torch.tensor([TOKENS])).logits[0]
    assert theirs.std() > 0.2
    torch.testing.assert_close(logits(load_base(folder), TOKENS), theirs, rtol=0, atol=1e-5)


UNSAID = {
    "qwen3, yarn, biases": "can't hold biases of k_proj, o_proj, q_proj, v_proj",
    "qwen2 with windows": "windows is (None, None, 5, 5)",
    "gemma2": "attention_scale is 0.2041",
    "gemma3_text": "attention_scale is 0.2041",
    "gemma3_text, long": "windows is (5, None, 5, None)",
    "smollm3 with windows": "unturned is frozenset({1, 3})",
}
"""What no GGUF can say, since llama.cpp takes one value for the whole family."""


@pytest.mark.parametrize("name", UNSAID)
def test_what_a_gguf_cannot_say_is_refused(saved, tmp_path, name):
    tokenizer = bytes_tokenizer()
    folder, _ = saved(name, vocab_size=tokenizer.vocabulary)
    config, tied, _ = read_config(folder, read_json(folder / "config.json"))
    weights = read_weights(folder, _shards(folder), config, tied)
    with pytest.raises(InputError, match=re.escape(UNSAID[name])):
        write_gguf(tmp_path / "family.gguf", config, weights, tokenizer, name="toy", licence=None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in MODELS if name not in UNSAID])
def test_a_gguf_means_to_llama_cpp_what_the_folder_means(saved, logits, tmp_path, name):
    tokenizer = bytes_tokenizer()
    folder, _ = saved(name, vocab_size=tokenizer.vocabulary)
    config, tied, _ = read_config(folder, read_json(folder / "config.json"))
    weights = read_weights(folder, _shards(folder), config, tied)
    path = tmp_path / "family.gguf"
    write_gguf(path, config, weights, tokenizer, name="toy", licence=None)
    base = load_gguf(path, "toy")
    # llama.cpp tells no probabilities where the likeliest token is no whole letter; the first 94 are ASCII
    texts = ([(37 * place + shift) % 200 for place in range(24)] for shift in range(99))
    tokens = next(one for one in texts if logits(base, one)[-1].argmax() < 94)
    ours = logits(base, tokens)
    torch.testing.assert_close(ours, logits(load_base(folder), tokens), rtol=0, atol=1e-4)
    oracle = Llama(path).top(tokens, 50)
    expected = ours[-1].log_softmax(-1)
    worst = max(abs(float(expected[token]) - value) for token, value in oracle.items())
    assert worst < 0.03, f"{worst:.4f} nats"
