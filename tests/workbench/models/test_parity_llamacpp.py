"""The outside oracle for GGUF files: llama.cpp gives the same tokens and next-token distributions."""

from dataclasses import replace

import pytest
import tokenizers
import torch
from ask_llamacpp import Llama
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.batches import Pool
from workbench.data.templates import Example
from workbench.models.gguf_config import HARMLESS_KEYS
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_writer import write_gguf
from workbench.models.sentencepiece import SPACE
from workbench.models.tokenizer import LibraryBackend, SubwordTokenizer


@pytest.fixture(scope="module")
def llama_cpp(smollm2_path):
    return Llama(smollm2_path)


AWKWARD = [
    "",
    " ",
    "   two  and   three   spaces   ",
    "1234567890 3.14159 ١٢٣ ½ ²",
    "tab\tand\n\nlines\r\nand \u00a0hard\u3000spaces\u200b",
    "naïve café, Ångström, e\u0301 ñ ß",
    "我们在学习。日本語 한국어 ไทย हिन्दी",
    "😀👩‍👩‍👧🏳️‍🌈 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "I'm, you're, we'll; DON'T 'S 'twas",
    "<|im_start|>user\nHello<|im_end|>\n<|endoftext|>",
    "<|im_end|><|im_end|> <|im_ end|> <repo_name>",
    "def f(x):\n    return x_1 ** 2  # why?\n",
    "\x00\x04\x1c\x7f\x85\u2028\ufeff\U0010ffff",
]


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_awkward_texts_have_the_same_tokens(smollm2, llama_cpp, text):
    assert smollm2.tokenizer.encode(text) == llama_cpp.encode(text)


PIECES = st.sampled_from(
    ["<|im_end|>", "<|im_start|>", " ", "  ", "\n", "\t", "'s", "12", "é", "中文", "😀", "ab"]
)
# none that Unicode has not assigned yet: whether it is a letter, libraries of different years disagree
CHARACTERS = st.characters(exclude_categories=["Cs", "Cn"])
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=40),
    st.lists(PIECES | CHARACTERS, max_size=15).map("".join),
)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_any_text_has_the_same_tokens(smollm2, llama_cpp, text):
    assert smollm2.tokenizer.encode(text) == llama_cpp.encode(text)


PROMPTS = [
    "The capital of France is",
    "Once upon a time there was a little",
    "2 + 2 =",
    "def fibonacci(n):\n    if n < 2:\n        return",
    "The past tense of 'go' is '",
    "<|im_start|>user\nIs 'a dull, lifeless film' positive or negative?<|im_end|>\n<|im_start|>assistant\n",
]


def log_probabilities(base, tokens):
    batch = Pool([Example(tuple(tokens), 1)]).batch([[0]])
    with torch.no_grad():
        return base.decoder.head(base.decoder(batch)[0, -1]).log_softmax(-1)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_next_token_distributions_agree(smollm2, llama_cpp, prompt):
    tokens = smollm2.tokenizer.encode(prompt)
    ours = log_probabilities(smollm2, tokens)
    theirs = llama_cpp.log_probabilities(tokens, smollm2.tokenizer.vocabulary)
    assert theirs.isfinite().all()
    assert ours.argmax() == theirs.argmax()
    # llama.cpp rounds activations to 8 bits, which is what remains between the two
    divergence = float((ours.exp() * (ours - theirs)).sum())
    assert 0 <= divergence <= 0.01, f"{prompt!r}: KL {divergence:.4f} nats"


@pytest.fixture(scope="module")
def write_toy(tmp_path_factory, make_weights, toy_config):
    """A function that writes a small random model with a given tokenizer, which both sides then read."""

    def write(metadata, format="q4_0", tied=True, **changes):
        tokens = metadata["tokenizer.ggml.tokens"]
        config = replace(toy_config, vocabulary=len(tokens), **changes)
        tokenizer = SubwordTokenizer(
            name="toy",
            backend=LibraryBackend(tokenizers.Tokenizer(tokenizers.models.BPE()), len(tokens)),
            vocabulary=len(tokens),
            bos=None,
            eos=None,
            pad=None,
            gguf_metadata=metadata,
        )
        path = tmp_path_factory.mktemp("toy") / "toy.gguf"
        write_gguf(path, config, make_weights(config, format, tied), tokenizer, name="toy", licence=None)
        return path

    return write


LETTERS = "aSs1'! \n\r_"


def byte_level_metadata(pre):
    """A vocabulary that joins whatever stands in one word, so that every cut between words shows."""
    alphabet = sorted({*tokenizers.pre_tokenizers.ByteLevel.alphabet()})
    letters = ["Ġ" if c == " " else chr(256 + ord(c)) if c in "\n\r" else c for c in LETTERS]
    pairs = [(a, b) for a in letters for b in letters]
    triples = [(a + b, c) for a, b in pairs for c in letters]
    merges = [f"{left} {right}" for left, right in pairs + triples]
    # no merge leads to these: only a pre-tokenizer that takes whole words finds them
    whole = ["aaaaa", "Ġaaaa", "SSSSS"]
    tokens = [*alphabet, *(merge.replace(" ", "") for merge in merges), *whole, "<|end|>"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 1) + [3],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": len(tokens) - 1,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
    }


def sentencepiece_metadata(space_prefix):
    """A vocabulary with many ways to join the same letters, and equal scores among them."""
    pieces = [
        a + b
        for a in ["", SPACE, "a", "b", "ab", "é", "中"]
        for b in ["a", "b", "aa", "ab", SPACE, "é", "中"]
    ]
    words = sorted({SPACE, "<", "|", *pieces, *(2 * piece for piece in pieces)})
    special = ["<unk>", "<s>", "</s>", "<|user|>"]
    single = [f"<0x{byte:02X}>" for byte in range(256)]
    scores = [-float(sum(map(ord, word)) % 7) for word in words]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [*special, *single, *words],
        "tokenizer.ggml.scores": [0.0] * (len(special) + 256) + scores,
        "tokenizer.ggml.token_type": [2, 3, 3, 4] + [6] * 256 + [1] * len(words),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_space_prefix": space_prefix,
    }


@pytest.mark.parametrize("space_prefix", [True, False])
def test_sentencepiece_joins_alike(write_toy, space_prefix):
    path = write_toy(sentencepiece_metadata(space_prefix))
    oracle, tokenizer = Llama(path), load_gguf(path, "toy").tokenizer
    assert tokenizer.bos == 1

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.sampled_from([*"aaabbé中 xñ<|", "</s>", "<|user|>", "<unk>"]), max_size=30).map("".join)
    )
    def check(text):
        ids = tokenizer.encode(text)
        assert ids == oracle.encode(text)
        if "<" not in text:  # behind a special token a space is put in
            assert tokenizer.decode(ids) == text

    check()
    for text in AWKWARD:
        assert tokenizer.encode(text) == oracle.encode(text), text


@pytest.mark.parametrize("format", ["q4_0", "q8_0", "plain"])
def test_what_the_writer_writes_means_the_same_to_llama_cpp(write_toy, format):
    """Untied head, grouped heads, a head size of its own: a mistake in any of them changes the numbers."""
    path = write_toy(byte_level_metadata("smollm"), format, tied=False)
    base, oracle = load_gguf(path, "toy"), Llama(path)
    tokens = [11, 300, 45, 45, 702, 8, 1001, 77]
    ours = log_probabilities(base, tokens)
    theirs = oracle.log_probabilities(tokens, base.tokenizer.vocabulary)
    # what llama.cpp's 8-bit activations and 16-bit keys and values leave; a wrong row order gives 0.7
    error = (ours - theirs).norm() / (ours - ours.mean()).norm()
    assert error < 0.05, f"relative error {error:.4f}"


LINEAR = {
    "as we write it": ({}, 4.0),
    "scale_linear": ({"llama.rope.scale_linear": 4.0}, 1.0),
    "a factor without a type": ({"llama.rope.scaling.factor": 4.0}, 1.0),
    "the type none": ({"llama.rope.scaling.factor": 4.0, "llama.rope.scaling.type": "none"}, 1.0),
    "a factor of 0": ({"llama.rope.scaling.factor": 0.0}, 1.0),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_rotary_scaling_means_the_same_to_llama_cpp(write_toy, edit_gguf, name):
    fields, scale = LINEAR[name]
    path = write_toy(byte_level_metadata("smollm"), "plain", tied=False, rope_scale=scale)
    path = edit_gguf(path, path.parent, fields=fields)
    base, oracle = load_gguf(path, "toy"), Llama(path)
    tokens = [(37 * place) % 1000 for place in range(30)]
    ours = log_probabilities(base, tokens)
    theirs = oracle.log_probabilities(tokens, base.tokenizer.vocabulary)
    divergence = float((ours.exp() * (ours - theirs)).sum())
    assert abs(divergence) < 0.01, f"KL {divergence:.4f} nats"


@pytest.fixture(scope="module")
def scaled(write_toy):
    """A file with scaled positions, since some keys show only there, and what llama.cpp says to it."""
    path = write_toy(byte_level_metadata("smollm"), "plain", rope_scale=2.0)
    return path, Llama(path).log_probabilities(SOME, load_gguf(path, "toy").tokenizer.vocabulary)


SOME = [(37 * place) % 1000 for place in range(30)]


@pytest.mark.parametrize("key", sorted(HARMLESS_KEYS))
def test_a_key_known_as_harmless_changes_nothing_in_llama_cpp(scaled, edit_gguf, tmp_path, key):
    path, before = scaled
    special = {"pooling_type": 3, "rope.scaling.finetuned": True, "rope.scaling.original_context_length": 7}
    changed = edit_gguf(path, tmp_path, fields={f"llama.{key}": special.get(key, 2.5)})
    load_gguf(changed, "toy")
    assert torch.equal(Llama(changed).log_probabilities(SOME, len(before)), before)
