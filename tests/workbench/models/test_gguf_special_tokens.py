"""Special tokens of a GGUF: which they are and what they take along, as llama.cpp has it."""

from pathlib import Path

import pytest
from ask_llamacpp import Llama
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_vocabularies import AWKWARD, byte_level, read_vocabulary, write_vocabulary

from workbench.errors import InputError
from workbench.models.gguf_tokenizer import CONTROL_TEXTS
from workbench.models.sentencepiece import SPACE

SPECIAL = ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|user|>", "<|end|>"]


def pieces(special=SPECIAL, kinds=None, **fields):
    """A SentencePiece vocabulary with these tokens before it, control tokens if nothing else is said."""
    words = [a + b for a in ["", SPACE, "a", "b"] for b in ["a", "b", "ab", SPACE, "\n", "\u3000"]]
    words = sorted({*words, *(2 * word for word in words)} - {*special})
    single = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = [*special, *single, *words]
    scores = [0.0] * (len(special) + 256) + [-float(sum(map(ord, word)) % 5) for word in words]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": [*(kinds or [3] * len(special)), *[6] * 256, *[1] * len(words)],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        **fields,
    }


def with_special(special):
    """A byte-level vocabulary with these control tokens."""
    metadata = byte_level("gpt-2")
    special = [text for text in special if text not in metadata["tokenizer.ggml.tokens"]]
    metadata["tokenizer.ggml.tokens"] = [*metadata["tokenizer.ggml.tokens"], *special]
    metadata["tokenizer.ggml.token_type"] = [*metadata["tokenizer.ggml.token_type"], *[3] * len(special)]
    return metadata


def compare(tmp_path, metadata, texts, name="toy"):
    path = write_vocabulary(tmp_path / "toy.gguf", metadata, name)
    oracle, tokenizer = Llama(path), read_vocabulary(path, metadata, name)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.sampled_from(texts), max_size=15).map("".join))
    def check(text):
        assert tokenizer.encode(text) == oracle.encode(text)

    for text in [*AWKWARD, *texts]:
        assert tokenizer.encode(text) == oracle.encode(text), text
    check()
    return tokenizer


SPACES = ["<|user|>\u3000a", "<|user|>\n\u3000 a", *"ab \n\t\v\f\r\u3000\u00a0", *SPECIAL]


@pytest.mark.parametrize("name", ["Phi-3 Mini", "my PHI3", "toy"])
@pytest.mark.parametrize("make", [pieces, lambda: with_special(SPECIAL)])
def test_the_special_tokens_of_phi_3_strip_what_is_behind_them(tmp_path, make, name):
    # only white space of ASCII: what the library takes for white space beyond it is tested below
    texts = [text for text in SPACES if make is pieces or text.isascii()]
    tokenizer = compare(tmp_path, make(), texts, name)
    strips = name != "toy"
    assert (tokenizer.encode("<|user|>\na") == tokenizer.encode("<|user|>a")) == strips
    assert tokenizer.encode("<|endoftext|>\na") != tokenizer.encode("<|endoftext|>a")


def test_what_the_user_defined_is_found_before_anything_is_joined(tmp_path):
    special = ["<pad>", "<bos>", "<eos>", "<unk>", "\n\n", "\n\n\n", "  ", "    ", "ab", "<mask>"]
    metadata = pieces(special, [3, 3, 3, 2, 4, 4, 4, 4, 4, 5])
    metadata["tokenizer.ggml.add_space_prefix"] = False
    tokenizer = compare(tmp_path, metadata, ["a", "b", " ", "\n", "ab", "<eos>", "<unk>", "<mask>"])
    # Gemma keeps every space and puts none in front
    assert tokenizer.decode(tokenizer.encode("  a    b\n\n\n")) == "  a    b\n\n\n"


@pytest.mark.parametrize("model", ["llama", "gpt2"])
def test_some_texts_are_control_tokens_whatever_the_file_says(tmp_path, model):
    controls = sorted(CONTROL_TEXTS)
    metadata = pieces(controls, [1] * len(controls)) if model == "llama" else with_special(controls)
    metadata["tokenizer.ggml.token_type"] = [
        1 if kind == 3 else kind for kind in metadata["tokenizer.ggml.token_type"]
    ]
    tokenizer = compare(tmp_path, metadata, [*controls, "a", " ", "b"])
    assert tokenizer.encode(controls[0]) == [metadata["tokenizer.ggml.tokens"].index(controls[0])]
    assert controls[0] in tokenizer.special


def test_a_text_ends_at_a_nul_and_an_empty_one_has_a_name(tmp_path):
    metadata = pieces([*SPECIAL, "", "", "xy\0z", "\0"], [3] * 8 + [1] * 2)
    tokenizer = compare(tmp_path, metadata, ["a", "\0", "xy", "xy\0z", "[EMPTY_6]"])
    assert tokenizer.encode("[EMPTY_7]")  # nothing of a broken file's is lost


def test_a_text_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"tokens holds '<.x.>' more than once"):
        read_vocabulary(tmp_path / "toy.gguf", pieces([*SPECIAL, "<|x|>", "<|x|>"], [3] * 8))


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_is_a_number(tmp_path, score):
    metadata = pieces()
    metadata["tokenizer.ggml.scores"][300] = score
    with pytest.raises(InputError, match=r"scores holds .*expected finite numbers"):
        read_vocabulary(tmp_path / "toy.gguf", metadata)


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.one_of(st.integers(-2, 2**40), st.floats(), st.text(max_size=3)), max_size=5),
)


@pytest.mark.parametrize("make", [pieces, lambda: with_special(SPECIAL)])
@settings(max_examples=100, deadline=None)
@given(changes=st.data())
def test_metadata_of_any_kind_is_read_or_refused(make, changes):
    metadata = make()
    for key in changes.draw(st.lists(st.sampled_from(sorted(metadata)), max_size=3)):
        value = metadata.get(key)
        if isinstance(value, list) and value and changes.draw(st.booleans()):
            place = changes.draw(st.integers(0, len(value) - 1))
            metadata[key] = [*value[:place], changes.draw(HOSTILE), *value[place + 1 :]]
        else:
            metadata[key] = changes.draw(HOSTILE)
    try:
        tokenizer = read_vocabulary(Path("toy.gguf"), metadata)
    except InputError:
        return
    for text in AWKWARD[:12]:
        tokenizer.decode(tokenizer.encode(text))
