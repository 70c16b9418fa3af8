"""What is no base is named as what it is, and the advice, followed to its end, gives a base."""

import bz2
import gzip
import io
import json
import lzma
import shlex
import shutil
import subprocess
import tarfile
import zipfile

import gguf
import pytest
import torch
from follows import follows
from safetensors.torch import load_file

from workbench.errors import InputError
from workbench.models.loaders import load_base

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
EMPTY = b"\x02" + bytes(7) + b"{}"
"""A safetensors file of nothing."""


def refusal(path):
    with pytest.raises(InputError) as caught:
        load_base(path)
    message = str(caught.value)
    assert message.count("\n") == 0
    return message


def follow(message):
    """Run the command that a message gives between backticks, as it stands there."""
    command = message.split("`")[1]
    if command.startswith("python -c "):
        exec(shlex.split(command)[2], {})  # in this process, which has its libraries already
    else:
        subprocess.run(command, shell=True, check=True)


@pytest.fixture
def folder(make_folder, tmp_path):
    """A whole folder, to be spoiled."""
    return shutil.copytree(make_folder(tie_word_embeddings=False)[0], tmp_path / "whole")


def tarred(content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("model.gguf")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zipped(content, name="model.gguf"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


FILES = {
    "gzip": ("a.gguf.gz", gzip.compress, "a gzip file. Unpack it with `gunzip`"),
    "zip": ("a.zip", zipped, "a zip archive. Unpack it"),
    "xz": ("a.xz", lzma.compress, "an xz file. Unpack it with `unxz`"),
    "tar": ("a.tar", tarred, "a tar archive. Unpack it with `tar xf`"),
    "pickle": ("model.bin", lambda _: zipped(b"", "archive/data.pkl"), "a PyTorch pickle"),
    "old pickle": ("model.pth", lambda _: b"\x80\x02}q\x00.", "a PyTorch pickle"),
    "pointer": ("a.gguf", lambda _: POINTER, "a pointer of Git LFS.*`git lfs pull`"),
    "page": ("a.gguf", lambda _: b"\n<!DOCTYPE html><html>", "a web page.*Download it again"),
    "before GGUF": ("a.bin", lambda _: b"tjgg" + bytes(40), "from before GGUF. Get the base as a GGUF"),
    "onnx": ("model.onnx", lambda _: b"\x08\x07\x12\x07pytorch", "an ONNX file"),
    "safetensors": (
        "x.safetensors",
        lambda _: b"\x02" + bytes(7) + b"{}",
        "one file of a folder. Give the folder",
    ),
    "adapter": ("adapter_model.safetensors", lambda _: b"\x02" + bytes(7) + b"{}", "an adapter, not a base"),
    "settings": ("config.json", lambda _: b"{}", "one file of a folder. Give the folder"),
    "anything": ("a.txt", lambda _: b"hello there", "isn't a GGUF file: it begins with b'hell'"),
    "empty": ("a.gguf", lambda _: b"", "is empty"),
}


@follows(
    "Get the base with safetensors or as a GGUF",
    "Get the base as a GGUF",
    "or download the file by itself",
    "Give a .gguf file, or a folder with safetensors",
    "Give the base that {path.with_name('adapter_config.json')} names",
)
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_named_as_what_it_is(toy_gguf, folder, tmp_path, name):
    file, make, complaint = FILES[name]
    path = tmp_path / "given" / file
    path.parent.mkdir()
    path.write_bytes(make(toy_gguf.read_bytes()))
    message = refusal(path)
    assert str(path) in message
    with pytest.raises(InputError, match=complaint):
        load_base(path)
    # what it says to give or to get instead
    assert load_base(toy_gguf).decoder.config.layers == 2
    assert load_base(folder).decoder.config.layers == 3
    path.write_bytes(toy_gguf.read_bytes())
    if path.name.endswith("gguf"):
        assert load_base(path).decoder.config.layers == 2


PACKED = {
    "gunzip": ("packed.gguf.gz", gzip.compress),
    "bunzip2": ("packed.gguf.bz2", bz2.compress),
    "unxz": ("packed.gguf.xz", lzma.compress),
    "unzstd": ("packed.gguf.zst", None),
    "tar xf": ("packed.tar", tarred),
    "unzip": ("packed.zip", zipped),
}


@follows(
    "Unpack it with `gunzip` (a .tar.gz with `tar xf`) and give what was in it",
    "a zip archive. Unpack it and give the .gguf file or the folder that was in it",
    "Unpack it with `bunzip2` and give what was in it",
    "Unpack it with `unxz` and give what was in it",
    "Unpack it with `unzstd` and give what was in it",
    "Unpack it with `tar xf` and give the file or folder that was in it",
)
@pytest.mark.parametrize("program", PACKED)
def test_unpacking_is_enough(toy_gguf, tmp_path, program):
    if shutil.which(program.split()[0]) is None:
        pytest.skip(f"{program} isn't installed; with it this test runs")
    name, compress = PACKED[program]
    folder = tmp_path / "there"
    folder.mkdir()
    if compress:
        (folder / name).write_bytes(compress(toy_gguf.read_bytes()))
    else:
        subprocess.run(["zstd", "-q", toy_gguf, "-o", folder / name], check=True)
    assert ("Unpack it and" if program == "unzip" else f"`{program}`") in refusal(folder / name)
    subprocess.run([*program.split(), name], cwd=folder, check=True, capture_output=True)
    inside = next(path for path in folder.iterdir() if path.suffix == ".gguf")
    assert load_base(inside).decoder.config.layers == 2


@follows(
    "is one file of a folder. Give the folder: {path.parent}", "one file of a folder. Give the folder with"
)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_the_folder_of_a_file_is_named(folder, name):
    message = refusal(folder / name)
    assert load_base(message.rpartition(": ")[2].removesuffix(".")).decoder.config.layers == 3


PIECES = [(".aa", ".ab"), ("-split-a", "-split-b"), (".part1of2", ".part2of2"), (".001", ".002")]


@follows("Join the pieces in their order, such as with `cat")
@pytest.mark.parametrize("endings", PIECES, ids=str)
def test_pieces_are_joined_as_the_message_says(toy_gguf, tmp_path, endings):
    content, half = toy_gguf.read_bytes(), toy_gguf.stat().st_size // 2
    pieces = [tmp_path / f"cut.gguf{ending}" for ending in endings]
    pieces[0].write_bytes(content[:half])
    pieces[1].write_bytes(content[half:])
    message = refusal(pieces[0])
    assert "one piece of a file that was cut apart" in message
    follow(message)
    assert load_base(tmp_path / "cut.gguf").decoder.config.layers == 2


KINDS = {
    "part": (
        {"split.count": 3, "split.no": 1},
        "one of 3 parts of a GGUF that was split, but isn't",
    ),
    "lora": ({"general.type": "adapter"}, "an adapter .LoRA., not a base. Give the base"),
    "named lora": (
        {"general.type": "adapter", "general.base_model.0.name": "Llama 2"},
        "an adapter .LoRA. for 'Llama 2', not a base",
    ),
    "old lora": ({"adapter.type": "lora"}, "an adapter .LoRA., not a base"),
    "images": ({"general.type": "mmproj"}, "reads images or sound, not a base. Give the text model"),
    "old images": ({"general.architecture": "clip"}, "reads images or sound, not a base"),
    "imatrix": ({"general.type": "imatrix"}, "an importance matrix for quantizing, not a base"),
    "control": ({"general.architecture": "controlvector"}, "a control vector, not a base"),
    "other": ({"general.type": "poem"}, "of general.type 'poem', expected 'model'"),
    "family": ({"general.architecture": "gpt2"}, "is 'gpt2', expected one of .*; such are Llama 1 to 3"),
}


@follows(
    "not a base. Give the base that it was made for",
    "Give the text model's own .gguf file",
    "Give the .gguf file of the model",
    "expected 'model'. Give the .gguf file of a whole model",
)
@pytest.mark.parametrize("name", KINDS)
def test_a_gguf_is_named_as_what_it_is(toy_gguf, tmp_path, edit_gguf, name):
    fields, complaint = KINDS[name]
    path = edit_gguf(toy_gguf, tmp_path, fields=fields)
    with pytest.raises(InputError, match=complaint):
        load_base(path)
    assert load_base(toy_gguf).decoder.config.layers == 2


def test_one_part_of_one_is_whole(toy_gguf, tmp_path, edit_gguf):
    fields = {"split.count": 1, "split.no": 0, "split.tensors.count": 20}
    assert load_base(edit_gguf(toy_gguf, tmp_path, fields=fields)).notes == ()


@follows("a vocabulary without weights. Give the .gguf file of a whole model")
def test_a_vocabulary_is_no_base(toy_gguf, tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "vocab.gguf", "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "a vocabulary without weights" in refusal(tmp_path / "vocab.gguf")
    assert load_base(toy_gguf).decoder.config.layers == 2


@follows(". Give its base")
def test_an_adapter_folder_names_its_base_which_is_read(folder, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder)}))
    message = refusal(adapter)
    assert "holds an adapter (PEFT)" in message
    assert load_base(message.split("'")[1]).decoder.config.layers == 3


@follows("move adapter_config.json out of the folder")
def test_an_adapter_beside_whole_weights_is_not_passed_over(folder):
    """transformers would load the adapter's base and put the adapter on it."""
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "x/y"}))
    assert "move adapter_config.json out of the folder" in refusal(folder)
    (folder / "adapter_config.json").rename(folder.parent / "adapter_config.json")
    assert load_base(folder).decoder.config.layers == 3


@follows(
    "If you trust it, convert it with {program}",
    "or give its folder to learn how to convert it",
    "`python -c ",
)
def test_a_pickle_is_converted_as_the_message_says(folder):
    expected = load_base(folder).decoder.weight("head")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    told = refusal(folder / "pytorch_model.bin")
    assert "give its folder to learn how to convert it" in told
    message = refusal(folder)
    assert "pytorch_model.bin" in message
    follow(message)
    assert torch.equal(load_base(folder).decoder.weight("head"), expected)


@follows("Make it with ")
def test_a_tokenizer_is_made_as_the_message_says(folder):
    sentencepiece = pytest.importorskip("sentencepiece", reason="SentencePiece isn't installed")
    text = folder.parent / "text.txt"
    text.write_text("the cat sat on a mat and looked at the dog\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), vocab_size=40, hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    (folder / "tokenizer.json").unlink()
    names = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    message = refusal(folder)
    assert "lacks tokenizer.json. Make it with" in message
    follow(message)
    assert load_base(folder).tokenizer.encode("the cat")


@follows("is a folder with a GGUF in it{others}. Give the file")
def test_a_folder_around_a_gguf_names_the_file(toy_gguf, tmp_path):
    folder = tmp_path / "around"
    folder.mkdir()
    shutil.copy(toy_gguf, folder / "toy-Q4_0.gguf")
    (folder / "README.md").write_text("hello")
    message = refusal(folder)
    assert load_base(message.split("Give the file: ")[1].removesuffix(".")).decoder.config.layers == 2
    shutil.copy(toy_gguf, folder / "toy-Q8_0.gguf")
    assert "(2 are there)" in refusal(folder)


@follows("Give the folder that does")
def test_a_folder_around_folders_names_the_one(folder, tmp_path):
    cache = tmp_path / "models--org--name"
    shutil.copytree(folder, cache / "snapshots" / "abc123")
    message = refusal(cache)
    assert load_base(message.split("that does: ")[1].removesuffix(".")).decoder.config.layers == 3


@follows(". Give the study's base")
def test_a_study_is_no_base(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"base": {"name": "classroom"}}))
    (tmp_path / "cells.sqlite").touch()
    message = refusal(tmp_path)
    assert "the folder of a study, not a base; its base is 'classroom'" in message
    load_base(message.split("'")[1])


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_pointer_in_a_folder_is_named(folder, name):
    (folder / name).write_bytes(POINTER)
    message = refusal(folder)
    assert f"{folder / name} is a pointer of Git LFS" in message


WITHOUT = {
    "index": ({"model-00001-of-00002.safetensors"}, "lacks model.safetensors.index.json.*Download it too"),
    "onnx": ({"onnx/model.onnx"}, "lacks model.safetensors; model.onnx isn't read"),
    "keras": ({"tf_model.h5"}, "lacks model.safetensors; tf_model.h5 isn't read"),
    "their own": (
        {"consolidated.safetensors"},
        "lacks model.safetensors; consolidated.safetensors isn't read",
    ),
    "nothing": (set(), "lacks model.safetensors. Download the base's weights"),
    "gguf": ({"model.gguf"}, "is a folder with a GGUF in it. Give the file: .*model.gguf"),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_folder_without_weights_says_what_is_there(folder, name):
    files, complaint = WITHOUT[name]
    (folder / "model.safetensors").unlink()
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(b"")
    with pytest.raises(InputError, match=complaint):
        load_base(folder)


@follows("Give the folder that they were made from")
@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "fp8"])
def test_a_quantized_folder_is_named(folder, method):
    before = (folder / "config.json").read_text()
    settings = json.loads(before)
    settings |= {"quantization_config": {"quant_method": method}, "_name_or_path": "org/plain"}
    (folder / "config.json").write_text(json.dumps(settings))
    message = refusal(folder)
    assert f"quantized in the format '{method}', and quantization_config isn't read: " in message
    assert "It names 'org/plain' as their origin. Give the folder that they were made from" in message
    (folder / "config.json").write_text(before)
    assert load_base(folder).decoder.config.layers == 3


def test_their_own_format_is_named(tmp_path):
    (tmp_path / "params.json").write_text("{}")
    (tmp_path / "consolidated.00.pth").write_bytes(b"")
    assert "their maker's own format (consolidated)" in refusal(tmp_path)


@follows("Give a .gguf file, or a folder with config.json, model.safetensors")
def test_an_empty_folder_is_named(tmp_path, toy_gguf, folder):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "isn't a base: there is no config.json in it and no .gguf file" in refusal(empty)
    assert load_base(toy_gguf).decoder.config.layers == 2
    assert load_base(folder).decoder.config.layers == 3


def test_a_name_on_the_hub_is_told_how_to_download():
    assert "`hf download org/model-7b --local-dir model-7b`" in refusal("org/model-7b")
