"""What a message about a base advises is done, and then the base is read."""

import json
import re
import shutil
from dataclasses import replace

import gguf
import numpy as np
import pytest
import torch
from follows import follows
from safetensors.torch import load_file, save_file

from qlora_kernels import quantize
from workbench.data.records import Record
from workbench.data.sources import load_dataset
from workbench.data.templates import render
from workbench.errors import InputError
from workbench.models.gguf_writer import write_gguf
from workbench.models.loaders import load_base
from workbench.models.tokenizer import CharacterTokenizer


def told(act, *arguments):
    with pytest.raises(InputError) as caught:
        act(*arguments)
    return str(caught.value)


@pytest.fixture
def folder(make_folder, tmp_path):
    """A whole folder, to be spoiled."""
    return shutil.copytree(make_folder(tie_word_embeddings=False)[0], tmp_path / "whole")


@pytest.fixture
def q8_0_gguf(tmp_path, toy_config, make_weights):
    path = tmp_path / "q8_0.gguf"
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '")
    write_gguf(path, toy_config, make_weights(toy_config, "q8_0"), tokenizer, name="toy", licence=None)
    return path


@follows("{ANOTHER_BASE}")
def test_another_base(toy_gguf, edit_gguf, tmp_path, folder, smollm2):
    tokenizer = CharacterTokenizer("abc\n")
    tokenizer.eos = None
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"model_type": "gpt2"}))
    asked = Record(id="1", prompt="a", response="b")
    messages = [
        told(load_base, edit_gguf(toy_gguf, tmp_path, fields={"general.architecture": "qwen2"})),
        told(load_base, folder),
        told(render, "plain", asked, tokenizer),
    ]
    names = {re.search(r"choose another base, such as --base ([\w-]+)\.?$", one)[1] for one in messages}
    for name in names:
        assert load_base(name).sha256 == smollm2.sha256
    assert render("plain", asked, smollm2.tokenizer).response_ids


@follows("{self.path}: {what}. Get the file again", "is empty; expected a GGUF file. Get the file again")
@pytest.mark.parametrize("left", [0, 100, -10])
def test_a_file_that_is_cut_off_is_got_again(toy_gguf, tmp_path, left):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(toy_gguf.read_bytes()[:left])
    assert "Get the file again" in told(load_base, cut)
    shutil.copy(toy_gguf, cut)
    assert load_base(cut).decoder.config.layers == 2


@follows("Get the folder again, which needs config.json", "expected a JSON object; get the folder again")
@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", b"{"), ("tokenizer.json", b"{}"), ("model.safetensors", b""), ("config.json", b"[]")],
)
def test_a_damaged_folder_is_got_again(make_folder, folder, name, content):
    (folder / name).write_bytes(content)
    assert "et the folder again" in told(load_base, folder)
    shutil.rmtree(folder)
    shutil.copytree(make_folder(tie_word_embeddings=False)[0], folder)
    assert load_base(folder).decoder.config.layers == 3


@follows(
    "take them out of added_tokens in tokenizer.json; otherwise take tokenizer.json and config.json from"
)
def test_tokens_without_a_row(folder):
    file = folder / "tokenizer.json"
    whole = json.loads(file.read_text())
    extra = {"id": 40, "content": "<extra>", "special": True} | dict.fromkeys(
        ("single_word", "lstrip", "rstrip", "normalized"), False
    )
    tokens = [
        *whole["added_tokens"],
        *({**extra, "id": 29 + one, "content": f"<{one}>"} for one in range(15)),
    ]
    file.write_text(json.dumps(whole | {"added_tokens": tokens}))
    name = re.search(r"such as '(.*?)'", told(load_base, folder))[1]
    rest = [token for token in tokens if token["id"] < 40]
    assert name in {token["content"] for token in tokens if token not in rest}
    file.write_text(json.dumps(whole | {"added_tokens": rest}))
    assert load_base(folder).tokenizer.vocabulary == 40
    file.write_text(json.dumps(whole))
    assert load_base(folder).tokenizer.vocabulary == 40


@follows("Put the template's text into a file chat_template.jinja beside it")
def test_a_chat_template_that_is_no_text(folder):
    (folder / "tokenizer_config.json").write_text('{"chat_template": 7}')
    name = re.search(r"into a file (\S+) beside it", told(load_base, folder))[1]
    (folder / name).write_text("{{ messages[0].content }}")
    assert load_base(folder).tokenizer.render_chat([{"role": "user", "content": "hi"}]) == "hi"


@follows(
    "there is no file or folder {name!r}; {unknown_name('base', name, NAMES, ADD_IN)} Or give a .gguf file"
)
def test_a_base_that_is_not_there(toy_gguf, folder):
    name = re.search("Did you mean '(.*?)'", told(load_base, "clasroom"))[1]
    for given in (name, toy_gguf, folder):
        assert load_base(given).decoder


@follows("which GGUF doesn't have; quantize it to q4_0, q4_1 or q8_0")
def test_a_format_that_a_gguf_does_not_have(tmp_path, toy_config, make_weights):
    config = replace(toy_config, feed_forward=128)
    plain = make_weights(config, "plain")
    path = tmp_path / "written.gguf"

    def write(format):
        weights = {name: quantize(one, format) if one.ndim == 2 else one for name, one in plain.items()}
        tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '")
        write_gguf(path, config, weights, tokenizer, name="toy", licence=None)

    for format in re.search("quantize it to (.*)\\.", told(write, "int8"))[1].replace(" or", ",").split(", "):
        write(format)
        assert load_base(path).decoder.config.layers == 2


@follows("a GGUF model; give it with --base", "is a model's folder; give it with --base")
def test_a_base_that_is_given_as_data(toy_gguf, folder):
    for path in (toy_gguf, folder):
        assert "give it with --base" in told(load_dataset, path)
        assert load_base(path).decoder


@follows("Take the model's Q8_0 file, or quantize it to Q8_0")
def test_q8_0_is_what_a_refused_block_type_is_told_to_become(tmp_path, toy_config, make_weights, edit_gguf):
    """A file of IQ3 or fewer bits holds blocks that aren't read: the advice names one that is everywhere."""
    config = replace(toy_config, feed_forward=256)
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '")
    write_gguf(tmp_path / "a.gguf", config, make_weights(config), tokenizer, name="toy", licence=None)
    bad, good = gguf.GGMLQuantizationType.IQ3_S, gguf.GGMLQuantizationType.Q8_0
    blocks = np.zeros((64, 110), np.uint8), gguf.quants.quantize(np.ones((64, 256), np.float32), good)
    name = "blk.0.ffn_down.weight"
    message = told(load_base, edit_gguf(tmp_path / "a.gguf", tmp_path, {name: (blocks[0], bad)}))
    assert "has the block type IQ3_S" in message
    assert "Take the model's Q8_0 file" in message
    path = edit_gguf(tmp_path / "a.gguf", tmp_path, {name: (blocks[1], good)})
    assert load_base(path).decoder.config.layers == 2


@follows("Get the base in one of these types, or as a GGUF in Q8_0")
def test_quantized_weights_are_named_without_the_setting(folder, q8_0_gguf):
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.float8_e4m3fn)
    save_file(tensors, folder / "model.safetensors")
    assert "'model.norm.weight' is torch.float8_e4m3fn, expected float32" in told(load_base, folder)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        save_file({name: one.to(dtype) for name, one in tensors.items()}, folder / "model.safetensors")
        assert load_base(folder).decoder.config.layers == 3
    assert load_base(q8_0_gguf).decoder.config.layers == 2
