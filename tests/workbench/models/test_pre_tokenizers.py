"""Every pre-tokenizer that a GGUF may name cuts a text as llama.cpp does."""

import json

import pytest
import tokenizers
from ask_llamacpp import Llama
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_vocabularies import AWKWARD, CHARACTERS, byte_level, read_vocabulary, write_vocabulary
from tokenizers import Regex, pre_tokenizers

from workbench.models.pre_tokenizers import (
    CASE_FREE_CONTRACTIONS,
    PRE_TOKENIZERS,
    SPELLED_CONTRACTIONS,
)

FIRST = {pre: name for name, pre in reversed(PRE_TOKENIZERS.items())}
"""One name for each way to cut; the others are compared in a slow test."""
PIECES = ["aaaaa", " aaaa", "²", "\t", "<|end|>", "'S", "  ", "\u00a0", "😀", "हि", "ǅ", "ー", "가", "$", "|"]


def compare(tmp_path, name, examples):
    metadata = byte_level(name)
    path = write_vocabulary(tmp_path / "toy.gguf", metadata)
    oracle, tokenizer = Llama(path), read_vocabulary(path, metadata)
    assert (tokenizer.bos is not None) == (oracle.encode("a", bos=True) != oracle.encode("a"))

    @settings(max_examples=examples, deadline=None)
    @given(st.lists(st.sampled_from([*CHARACTERS, *PIECES]), max_size=20).map("".join))
    def check(text):
        assert tokenizer.encode(text) == oracle.encode(text)

    for text in [*AWKWARD, "aaaaa aaaa SSSSS", "!!\n\n a", "I'S 's 111 1111", "!!\n/a !/\n//\n1"]:
        assert tokenizer.encode(text) == oracle.encode(text), text
        assert tokenizer.decode(tokenizer.encode(text)) == text
    check()


@pytest.mark.parametrize("name", sorted(FIRST.values()))
def test_every_way_to_cut_is_llama_cpp_s(tmp_path, name):
    compare(tmp_path, name, 120)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*PRE_TOKENIZERS} - {*FIRST.values()}))
def test_every_name_means_to_llama_cpp_what_it_means_here(tmp_path, name):
    compare(tmp_path, name, 30)


def words(patterns, text):
    cut = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns])
    return [word for word, _ in cut.pre_tokenize_str(text)]


@pytest.mark.parametrize("name", sorted(name for pre, name in FIRST.items() if pre.original))
def test_the_two_spellings_of_a_pattern_differ_only_in_marks_and_letters_outside_ascii(name):
    pre = PRE_TOKENIZERS[name]

    @settings(max_examples=300, deadline=None)
    @given(st.text(st.sampled_from("abAB'sS中文1 \n/!_-٣"), max_size=30))
    def check(text):
        assert words(pre.patterns, text) == words(pre.original, text)

    check()
    # known: a capital outside ASCII begins no word of its own to llama.cpp, and a mark ends one
    assert words(pre.original, "écoleÉcole") == ["école", "École"]
    assert words(pre.patterns, "écoleÉcole") == ["écoleÉcole"]
    assert words(pre.original, "हिन्दी") == ["हिन्दी"]
    assert words(pre.patterns, "हिन्दी") == ["ह", "िन", "्द", "ी"]


def test_the_patterns_are_those_of_the_families_tokenizers():
    """Where transformers builds a family's tokenizer itself, its pattern is ours in another spelling."""
    transformers = pytest.importorskip("transformers")
    theirs = {
        "qwen2": transformers.Qwen2Tokenizer(vocab={"a": 0}, merges=[]),
        "gpt-2": transformers.GPT2Tokenizer(vocab={"a": 0}, merges=[]),
    }
    for name, family in theirs.items():
        state = json.loads(family.backend_tokenizer.to_str())["pre_tokenizer"]
        steps = state.get("pretokenizers", [state])
        split = [step["pattern"]["Regex"] for step in steps if step["type"] == "Split"]
        ours = [
            one.replace(SPELLED_CONTRACTIONS, CASE_FREE_CONTRACTIONS) for one in PRE_TOKENIZERS[name].patterns
        ]
        if split:
            assert split == ours
        else:
            for text in AWKWARD:
                library = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
                offsets = [text[a:b] for _, (a, b) in library.pre_tokenize_str(text)]
                assert offsets == words(PRE_TOKENIZERS[name].patterns, text)
