"""The tokenizer of a Hugging Face folder is read as transformers reads it, wherever a file says something."""

import json
from itertools import product

import pytest
import tiny_chat

from workbench.models.folder_tokenizer import read_tokenizer

transformers = pytest.importorskip("transformers")

TEXT = "<s>[INST] is it late? [/INST] Yes </s>\nNo</s>Yes  two é"
CHAT = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
CLASSES = ("PreTrainedTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", None)
SETTINGS = (
    {},
    {"legacy": True},
    {"legacy": False},
    {"add_bos_token": True},
    {"add_bos_token": False},
    {"add_eos_token": True},
    {"add_prefix_space": False},
    {"additional_special_tokens": ["e"]},
    {"extra_special_tokens": ["e"]},
    {"added_tokens_decoder": {}},
)
PLACES = ("tokenizer_config.json", "special_tokens_map.json", "both")


def write(folder, cut, adds_bos, kind, settings, place):
    folder.mkdir()
    made = tiny_chat.tokenizer(cut, ["<s>", "</s>"], adds_bos=adds_bos)
    made.save(str(folder / "tokenizer.json"))
    config = {"chat_template": tiny_chat.LLAMA2, "tokenizer_class": kind, **settings}
    config |= {} if place == "special_tokens_map.json" else NAMES
    (folder / "tokenizer_config.json").write_text(
        json.dumps({k: v for k, v in config.items() if v is not None})
    )
    if place != "tokenizer_config.json":
        whole = {
            "content": "</s>",
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "single_word": False,
        }
        (folder / "special_tokens_map.json").write_text(json.dumps(NAMES | {"eos_token": whole}))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return made.get_vocab_size()


@pytest.mark.parametrize(("cut", "adds_bos"), product(tiny_chat.TOKENIZERS, (True, False)))
def test_every_combination_of_files_is_read_as_transformers_does(tmp_path, cut, adds_bos):
    for number, (kind, settings, place) in enumerate(product(CLASSES, SETTINGS, PLACES)):
        folder = tmp_path / str(number)
        size = write(folder, cut, adds_bos, kind, settings, place)
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        ours, _ = read_tokenizer(folder, size, {})
        case = f"{kind}, {settings}, names in {place}"
        assert ours.encode(TEXT) == theirs(TEXT, add_special_tokens=False)["input_ids"], case
        begun = theirs("hi there")["input_ids"]
        # a text that is trained on gets its end behind the response, not behind the prompt
        begun = begun[:-1] if begun[-1] == theirs.eos_token_id else begun
        assert [ours.bos] * (ours.bos is not None) + ours.encode("hi there") == begun, case
        assert ours.decode(begun) == theirs.decode(begun), case
        assert ours.eos == theirs.eos_token_id, case
        if "tokens" not in str(settings):
            written = theirs.apply_chat_template(CHAT, tokenize=False)
            assert ours.render_chat(CHAT) == written, case


@pytest.mark.parametrize(
    ("generation", "config", "named", "expected"),
    [
        ({"eos_token_id": [5, 2]}, {"eos_token_id": 7}, "</s>", {5, 2}),
        ({"eos_token_id": 5}, {}, "</s>", {5, 2}),
        ({}, {"eos_token_id": 7}, "</s>", {7, 2}),
        (None, {"eos_token_id": [7, 8]}, "</s>", {7, 8, 2}),
        (None, {}, "</s>", {2}),
    ],
)
def test_a_generation_stops_where_the_files_say(tmp_path, generation, config, named, expected):
    size = write(
        tmp_path / "base", "sentencepiece", True, None, {"eos_token": named}, "tokenizer_config.json"
    )
    if generation is not None:
        (tmp_path / "base" / "generation_config.json").write_text(json.dumps(generation))
    ours, _ = read_tokenizer(tmp_path / "base", size, config)
    assert (ours.eos, ours.stops) == (2, frozenset(expected))


def test_without_a_name_the_end_is_the_config_s(tmp_path):
    size = write(tmp_path / "base", "byte-level", False, None, {"eos_token": None}, "tokenizer_config.json")
    (tmp_path / "base" / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ eos_token }}"}))
    ours, _ = read_tokenizer(tmp_path / "base", size, {"eos_token_id": 1})
    assert (ours.eos, ours.stops, ours.render_chat(CHAT)) == (1, frozenset({1}), "</s>")


def test_a_legacy_tokenizer_json_is_read_as_its_class_says_and_that_is_told(tmp_path):
    cut = "legacy sentencepiece"
    for legacy, told in ((True, 0), (False, 1)):
        folder = tmp_path / str(legacy)
        size = write(folder, cut, True, "LlamaTokenizer", {"legacy": legacy}, "both")
        _, notes = read_tokenizer(folder, size, {})
        assert len(notes) == told
