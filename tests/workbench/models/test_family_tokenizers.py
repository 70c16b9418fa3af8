"""The families' tokenizers: a folder's is read as by transformers, what is written of it as by llama.cpp."""

import json
import unicodedata
from dataclasses import replace

import pytest
import torch
from ask_llamacpp import Llama
from family_tokenizers import FAMILIES, write_family
from tiny_export import tiny_model, written
from tiny_pieces import metadata_of, trained
from tiny_pieces import read as unigram
from tiny_vocabularies import AWKWARD, read_vocabulary, write_vocabulary
from tokenizers import Tokenizer

from workbench.errors import InputError
from workbench.models.folder_tokenizer import read_tokenizer
from workbench.models.loaders import load_base
from workbench.models.tokenizer import LibraryBackend
from workbench.models.writers import WholeModel
from workbench.models.writers.folder_texts import library_state
from workbench.models.writers.gguf_vocabulary import name_for_llama_cpp, vocabulary_metadata

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """A function (family) -> its folder and our tokenizer of it."""
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("family") / "base"
            size = write_family(folder, name)
            config = json.loads((folder / "config.json").read_text())
            made[name] = folder, read_tokenizer(folder, size, config)[0]
        return made[name]

    return get


def texts_for(tokenizer):
    """The awkward ones, and each special token between letters, spaces and lines."""
    special = sorted(tokenizer.special)
    between = [f"{text}{middle}{text}" for text in special for middle in ("", "a", " a ", "\n", " \n b")]
    return [*AWKWARD, *between, "<think>a</think>\n\n\n\n<h1>▁▁ x", "".join(special)]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_is_read_as_transformers_reads_it(read, name):
    folder, ours = read(name)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in texts_for(ours):
        ids = ours.encode(text)
        assert ids == theirs(text, add_special_tokens=False)["input_ids"], text
        assert ours.decode(ids) == theirs.decode(ids), text
    begun = theirs("hi there")["input_ids"]
    assert [ours.bos] * (ours.bos is not None) + ours.encode("hi there") == begun
    assert (ours.eos, ours.pad) == (theirs.eos_token_id, theirs.pad_token_id)


def composed(text):
    return unicodedata.is_normalized("NFC", text)


def plain_letters(text):
    kinds = {unicodedata.category(character) for character in text if not character.isascii()}
    return not kinds & {"Mn", "Mc", "Me", "Lu", "Lt"}


def in_one_piece(special):
    # the class of LLaMA tokenizers puts its space before the first piece alone, and never before a space
    return lambda text: not text.startswith((" ", "▁")) and not any(token in text for token in special)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_written_of_it_means_the_same_to_llama_cpp(read, name, tmp_path):
    folder, ours = read(name)
    metadata = vocabulary_metadata(ours, folder)
    named = name_for_llama_cpp("toy", ours)
    path = write_vocabulary(tmp_path / "toy.gguf", metadata, named)
    again, oracle = read_vocabulary(path, metadata, named), Llama(path)
    same_in_both = {
        "qwen 2": composed,
        "qwen 3": composed,
        "mistral nemo": plain_letters,
        "llama 2": in_one_piece(ours.special),
        "mistral 7b": in_one_piece(ours.special),
    }.get(name, lambda text: True)
    compared = 0
    for text in texts_for(ours):
        ids = oracle.encode(text)
        assert again.encode(text) == ids, text
        if same_in_both(text):
            compared += 1
            assert ours.encode(text) == ids, text
    assert compared > 12
    assert (again.bos, again.eos, again.pad, again.stops) == (ours.bos, ours.eos, ours.pad, ours.stops)
    assert oracle.encode("a", bos=True) == [*[again.bos] * (again.bos is not None), *again.encode("a")]


def export(tokenizer, path, format):
    """Write a tiny model with this tokenizer as an export does, and read it again."""
    config = replace(tiny_model(width=64).config, vocabulary=tokenizer.vocabulary)
    weights = {name: torch.zeros(shape) for name, shape in config.shapes(tied=True).items()}
    model = WholeModel(config=config, weights=weights, tokenizer=tokenizer, name="mine")
    return load_base(written(model, path, format)).tokenizer


@pytest.mark.parametrize("name", ["gemma 3", "phi 3", "qwen 3", "mistral nemo", "unigram"])
def test_a_whole_model_goes_out_and_comes_back(read, name, tmp_path):
    ours = unigram(metadata_of(trained())) if name == "unigram" else read(name)[1]
    texts = [text for text in texts_for(ours) if plain_letters(text) and composed(text) and "\r" not in text]
    path = tmp_path / "mine.gguf"
    again = export(ours, path, "f32")
    oracle = Llama(path)
    for text in texts:
        assert again.encode(text) == ours.encode(text) == oracle.encode(text), text
    third = export(again, tmp_path / "mine", "safetensors-f32")
    for text in texts:
        assert third.encode(text) == ours.encode(text), text


@pytest.mark.parametrize("name", FAMILIES)
def test_what_came_from_a_gguf_is_written_as_a_folder(read, name, tmp_path):
    folder, ours = read(name)
    metadata = vocabulary_metadata(ours, folder)
    named = name_for_llama_cpp("toy", ours)
    again = read_vocabulary(tmp_path / "toy.gguf", metadata, named)
    state, settings = library_state(again)
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | dict(again.named)))
    third, _ = read_tokenizer(tmp_path, ours.vocabulary, {"model_type": FAMILIES[name].model_type})
    for text in texts_for(ours):
        assert third.encode(text) == again.encode(text), text


def test_a_token_of_blocks_is_spaces_to_llama_cpp(read, tmp_path):
    folder, ours = read("gemma 2")
    state = json.loads(ours.backend.library.to_str())
    place = state["model"]["vocab"]["▁▁"]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    state["added_tokens"] = [*state["added_tokens"], {"id": place, "content": "▁▁", **flags}]
    backend = LibraryBackend(Tokenizer.from_str(json.dumps(state)), ours.vocabulary)
    metadata = vocabulary_metadata(replace(ours, backend=backend), folder)
    oracle = Llama(write_vocabulary(tmp_path / "toy.gguf", metadata))
    ids = backend.encode("a  b")
    assert place in ids
    assert oracle.encode("a  b") == ids
    assert oracle.post("/detokenize", tokens=ids)["content"] == "a  b"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"normalizer": {"type": "Lowercase"}}, r"changes the text before it is cut \(normalizer\)"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, r"rules of its own \(pre_tokenizer\)"),
        ({"added": {"lstrip": True}}, "marks '<|endoftext|>' as lstrip"),
        ({"added": {"single_word": True}}, "marks '<|endoftext|>' as single_word"),
        ({"added": {"rstrip": True}}, "not as Phi-3 does"),
    ],
)
@pytest.mark.parametrize("name", ["qwen 2", "phi 3"])
def test_a_rule_that_has_no_name_is_refused(read, name, change, complaint):
    folder, ours = read(name)
    state = json.loads(ours.backend.library.to_str())
    for key, value in change.items():
        if key == "added":
            chosen = next(one for one in state["added_tokens"] if one["content"] == "<|endoftext|>")
            chosen |= value
        else:
            state[key] = value
    changed = type(ours)(
        name="tokenizer.json",
        backend=LibraryBackend(Tokenizer.from_str(json.dumps(state)), ours.vocabulary),
        vocabulary=ours.vocabulary,
        bos=None,
        eos=ours.eos,
        pad=None,
    )
    with pytest.raises(InputError, match=complaint) as refused:
        vocabulary_metadata(changed, folder)
    assert "--format safetensors" in str(refused.value)
