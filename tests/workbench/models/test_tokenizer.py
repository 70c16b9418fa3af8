"""Tokenizers and chat templates, on vocabularies small enough to read."""

import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from follows import follows
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.records import Record
from workbench.data.templates import render
from workbench.errors import InputError
from workbench.models.chat import render_chat, writes_date
from workbench.models.gguf_container import GgufFile
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_tokenizer import (
    ALLOWED_VALUES,
    HARMLESS_KEYS,
    READ_KEYS,
    read_tokenizer,
    tokenizer_metadata,
)
from workbench.models.tokenizer import CharacterTokenizer, Tokenizer

ALPHABET = "abcdefghijklmnopqrstuvwxyzé '="


@given(st.text(ALPHABET))
def test_characters_come_back(text):
    tokenizer = CharacterTokenizer(ALPHABET)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert all(3 <= token < tokenizer.vocabulary for token in tokenizer.encode(text))


def test_special_tokens_are_decoded_by_name():
    assert CharacterTokenizer("ab").decode([1, 3, 4, 2, 0]) == "<bos>ab<eos><pad>"


@follows("write the text with those characters, or choose a base that reads any text")
def test_an_unknown_character_is_named_with_its_text(smollm2):
    with pytest.raises(InputError, match=r"character 'Z' in 'the Zoo' isn't in the base's alphabet"):
        CharacterTokenizer(ALPHABET).encode("the Zoo")
    assert CharacterTokenizer(ALPHABET).encode("the zoo")
    assert smollm2.tokenizer.decode(smollm2.tokenizer.encode("the Zoo")) == "the Zoo"


@pytest.mark.parametrize("alphabet", ["", "aba"])
def test_an_alphabet_has_each_character_once(alphabet):
    with pytest.raises(InputError, match=f"alphabet '{alphabet}'"):
        CharacterTokenizer(alphabet)


def read(tmp_path, metadata):
    return read_tokenizer(GgufFile(tmp_path / "a.gguf", metadata, {}))


def test_a_character_tokenizer_survives_the_metadata(tmp_path):
    read_back = read(tmp_path, tokenizer_metadata(CharacterTokenizer(ALPHABET)))
    assert isinstance(read_back, Tokenizer)
    assert read_back.alphabet == ALPHABET


def byte_level(**changes):
    """A vocabulary of 'a', 'b', a space and 'ab', after one special token."""
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": ["<|end|>", "a", "b", "Ġ", "ab"],
        "tokenizer.ggml.token_type": [3, 1, 1, 1, 1],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.chat_template": "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}",
    } | {name.replace("__", "."): value for name, value in changes.items()}
    return {key: value for key, value in metadata.items() if value is not None}


def test_a_byte_level_tokenizer_merges_and_finds_special_tokens(tmp_path):
    tokenizer = read(tmp_path, byte_level())
    assert tokenizer.encode("ab ba<|end|>") == [4, 3, 2, 1, 0]
    assert tokenizer.decode([4, 3, 2, 1, 0]) == "ab ba<|end|>"
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == (None, 0, None)
    assert tokenizer.render_chat([{"content": "a"}]) == "a<|end|>"
    assert tokenizer_metadata(tokenizer) == byte_level()


def test_a_byte_without_a_token_is_left_out_and_keeps_its_neighbours_apart(tmp_path):
    assert read(tmp_path, byte_level()).encode("añb") == [1, 2]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tokenizer__ggml__model": None}, "tokenizer.ggml.model is missing"),
        ({"tokenizer__ggml__model": 3}, "tokenizer.ggml.model is '3', expected str"),
        ({"tokenizer__ggml__model": "gpt3"}, "unknown tokenizer 'gpt3'. Did you mean 'gpt2'"),
        ({"tokenizer__ggml__pre": None}, "tokenizer.ggml.pre is missing"),
        ({"tokenizer__ggml__pre": "smolm"}, "unknown pre-tokenizer 'smolm'. Did you mean 'smollm'"),
        ({"tokenizer__ggml__tokens": None}, "tokenizer.ggml.tokens is missing or empty"),
        ({"tokenizer__ggml__tokens": [1, 2]}, "tokenizer.ggml.tokens holds something other than str"),
        ({"tokenizer__ggml__token_type": [3]}, "token_type has 1 entries for 5 tokens"),
        ({"tokenizer__ggml__merges": ["a c"]}, "merges holds 'a c', which doesn't join two tokens"),
        ({"tokenizer__ggml__merges": None}, "merges is missing"),
        ({"tokenizer__ggml__eos_token_id": 5}, "eos_token_id is 5, expected less than 5"),
        ({"tokenizer__ggml__add_space_prefix": True}, "add_space_prefix is true"),
        ({"tokenizer__chat_template": 5}, "tokenizer.chat_template is no text"),
        ({"tokenizer__ggml__model": "llama"}, "lacks <0x00>, one of the 256 tokens"),
        ({"tokenizer__ggml__model": "workbench-character"}, "tokens begins with"),
    ],
)
def test_metadata_that_does_not_fit_is_named(tmp_path, changes, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        read(tmp_path, byte_level(**changes))
    assert str(tmp_path) in str(caught.value)


@follows("take it out of the text")
def test_half_a_surrogate_pair_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'ab\\ud800' holds '\\ud800' at position 2"):
        read(tmp_path, byte_level()).encode("ab\ud800")
    assert read(tmp_path, byte_level()).encode("ab")


@follows("use another template (--template plain), or a base that was trained on chats")
def test_without_a_chat_template_another_template_is_proposed(tmp_path, smollm2):
    for tokenizer in (CharacterTokenizer("a"), read(tmp_path, byte_level(tokenizer__chat_template=None))):
        with pytest.raises(InputError, match=r"no chat template .*--template plain.* --base smollm2-135m"):
            tokenizer.render_chat([{"role": "user", "content": "a"}])
    asked = Record(id="1", prompt="a", response="b")
    assert render("plain", asked, read(tmp_path, byte_level())).response_ids
    assert render("chat", asked, smollm2.tokenizer).response_ids


USER = [{"role": "user", "content": "<b> & é"}]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{% for m in messages %}\n  {% if true %}\nx\n  {% endif %}\n{% endfor %}", "x\n"),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "<b> & é"}]'),
        ("{{ messages[0].content }}{% if add_generation_prompt %}:{% endif %}", "<b> & é:"),
        ("{{ bos_token }}{{ eos_token }}", "<s></s>"),
        ("{% for m in [1, 2, 3] %}{% if m == 2 %}{% break %}{% endif %}{{ m }}{% endfor %}", "1"),
        ("{{ strftime_now('%Y') | length }}", "4"),
    ],
)
def test_templates_mean_what_they_do_in_transformers(template, expected):
    assert expected == render_chat(
        template, USER, tokens={"bos_token": "<s>", "eos_token": "</s>"}, add_generation_prompt=True
    )


@follows("Use a template without a chat format, such as 'plain' (--template plain)")
@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('roles must alternate') }}",
        "{% for %}",
        "{{ messages[0].role + 1 }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ range(1000000000) | list }}",
        "{{ absent.field }}",
        "{{ 1 / 0 }}",
        "{% include 'etc/passwd' %}",
    ],
)
def test_a_template_that_fails_or_attacks_is_refused(tmp_path, template):
    with pytest.raises(InputError, match=r"chat template failed on messages with the roles \['user'\]"):
        render_chat(template, USER)
    tokenizer = read(tmp_path, byte_level(tokenizer__chat_template=template))
    asked = Record(id="1", prompt="a", response="b")
    with pytest.raises(InputError, match="--template plain"):
        render("chat", asked, tokenizer)
    assert render("plain", asked, tokenizer).response_ids


def test_smollm2_speaks_chatml(smollm2):
    text = smollm2.tokenizer.render_chat([{"role": "user", "content": "Hi"}], add_generation_prompt=True)
    assert text == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert smollm2.tokenizer.encode(text)[0] == 1


def test_every_key_that_converters_write_is_used_or_known():
    from gguf.constants import Keys

    written = {
        value for name, value in vars(Keys.Tokenizer).items() if isinstance(value, str) and name.isupper()
    }
    short = {key.removeprefix("tokenizer.ggml.") for key in written if key.startswith("tokenizer.ggml.")}
    assert len(short) > 25
    named = (READ_KEYS, HARMLESS_KEYS, ALLOWED_VALUES)
    assert short <= set().union(*named)
    # each is in one place only
    assert sum(map(len, named)) == len(set().union(*named))


@pytest.mark.parametrize("key", sorted(HARMLESS_KEYS))
def test_a_harmless_key_changes_no_token(tmp_path, key):
    changed = read(tmp_path, byte_level(**{f"tokenizer__ggml__{key}": 1}))
    assert changed.encode("ab ba<|end|>") == [4, 3, 2, 1, 0]
    assert (changed.bos, changed.eos, changed.stops) == (None, 0, {0})


@pytest.mark.parametrize("key", sorted(ALLOWED_VALUES))
def test_a_key_that_would_change_the_tokens_is_refused(tmp_path, key):
    read(tmp_path, byte_level(**{f"tokenizer__ggml__{key}": ALLOWED_VALUES[key][0]}))
    with pytest.raises(InputError, match=rf"{key} is .*would change the tokens"):
        read(tmp_path, byte_level(**{f"tokenizer__ggml__{key}": True}))


@follows("make a copy without it with `")
def test_an_unknown_key_is_refused_and_the_advice_works(tmp_path, toy_gguf, edit_gguf):
    folder = tmp_path / "my bases"
    folder.mkdir()
    path = edit_gguf(toy_gguf, folder, fields={"tokenizer.ggml.swap_letters": True})
    with pytest.raises(InputError, match=r"tokenizer\.ggml\.swap_letters: not known") as refused:
        load_gguf(path, "toy")
    program, *rest = shlex.split(str(refused.value).split("`")[1])
    subprocess.run([Path(sys.executable).with_name(program), *rest], check=True, capture_output=True)
    text = "go home"
    assert load_gguf(Path(rest[-1]), "toy").tokenizer.encode(text) == load_gguf(
        toy_gguf, "toy"
    ).tokenizer.encode(text)


def test_a_generation_stops_at_every_end_that_the_file_names(tmp_path):
    ends = {"tokenizer__ggml__eot_token_id": 2, "tokenizer__ggml__eom_token_id": 4}
    assert read(tmp_path, byte_level(**ends)).stops == {0, 2, 4}


@pytest.mark.parametrize("place", ["before", "inside", "after"])
def test_what_the_assistant_writes_may_be_marked(place):
    """The tag of ``transformers`` for training on the assistant's words alone changes no text."""
    marked = {
        "before": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
        "inside": "{% for m in messages %}{% if true %}{%- generation -%}{{ m.content }}{%- endgeneration -%}"
        "{% endif %}{% endfor %}",
        "after": "{% for m in messages %}{% set x = m.content %}{% generation %}{{ x }}{% endgeneration %}"
        "{% endfor %}",
    }
    assert render_chat(marked[place], USER) == USER[0]["content"]


def test_a_template_s_day_is_the_one_that_is_given():
    template = "{{ strftime_now('%d %B %Y') }}"
    assert render_chat(template, USER, day=date(2024, 2, 29)) == "29 February 2024"
    assert writes_date(template)
    assert not writes_date("{{ messages[0].content }}")
