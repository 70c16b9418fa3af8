"""Every format of ``MODEL_FORMATS``: what is read back, what a file holds, in which order, and full disks."""

import json
import weakref
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_export import tiny_model, written

from qlora_kernels import QuantizedTensor
from qlora_kernels.quantize_k import quantize_k
from workbench.errors import InputError
from workbench.models.loaders import load_base
from workbench.models.writers import MODEL_FORMATS
from workbench.models.writers.numbers import KINDS_OF_NUMBERS, fitting

GGUF = [name for name, format in MODEL_FORMATS.items() if not format.is_folder]


@pytest.fixture(scope="module")
def model():
    return tiny_model(tied=False)


def by_the_package(values, kind):
    """Numbers rounded by others: NumPy and the package gguf; ggml's search is tested beside the kernel."""
    if kind in ("q4_k", "q6_k"):
        return quantize_k(torch.from_numpy(values), kind).dequantize().numpy()
    if kind == "f16":
        return values.astype(np.float16).astype(np.float32)
    type = gguf.GGMLQuantizationType[kind.upper()]
    return gguf.quants.dequantize(gguf.quants.quantize(values, type), type)


@pytest.mark.parametrize("name", MODEL_FORMATS)
def test_what_is_read_back_is_the_rounded_weight(model, tmp_path, name):
    format = MODEL_FORMATS[name]
    again = load_base(written(model, tmp_path / ("m" if format.is_folder else "m.gguf"), name))
    read = again.decoder.config
    assert read.norm_epsilon == pytest.approx(model.config.norm_epsilon)  # float32 in a GGUF
    assert replace(read, norm_epsilon=model.config.norm_epsilon) == model.config
    assert not again.decoder.tied
    kinds = format.kinds(model.shapes)
    for weight, values in model.weights.items():
        expected = by_the_package(values.numpy(), kinds[weight])
        np.testing.assert_array_equal(again.decoder.weight(weight).numpy(), expected, err_msg=weight)


@pytest.mark.parametrize("name", GGUF)
def test_a_gguf_holds_vectors_in_float32_and_matrices_as_asked(model, tmp_path, name):
    reader = gguf.GGUFReader(written(model, tmp_path / "m.gguf", name))
    kinds = {tensor.name: tensor.tensor_type.name.lower() for tensor in reader.tensors}
    assert kinds["blk.1.attn_norm.weight"] == kinds["output_norm.weight"] == "f32"
    assert kinds["blk.1.ffn_down.weight"] == kinds["blk.0.attn_q.weight"] == name
    few = "q6_k" if name.startswith("q4") else name
    assert kinds["token_embd.weight"] == kinds["output.weight"] == few
    assert reader.fields["general.quantization_version"].contents() == 2
    assert reader.fields["tokenizer.chat_template"].contents() == model.tokenizer.chat_template
    assert reader.fields["tokenizer.ggml.eos_token_id"].contents() == 1
    assert reader.fields["tokenizer.ggml.eot_token_id"].contents() == 3


@pytest.mark.parametrize("name", MODEL_FORMATS)
def test_text_is_read_and_ended_as_before(model, tmp_path, name):
    format = MODEL_FORMATS[name]
    path = written(model, tmp_path / ("m" if format.is_folder else "m.gguf"), name)
    ours, theirs = model.tokenizer, load_base(path).tokenizer
    for text in ("Is the parcel late?", "  two\n\nlines café 12345 中文 😀", "<|im_end|> x <s>y"):
        assert theirs.encode(text) == ours.encode(text)
    assert (theirs.bos, theirs.eos, theirs.pad, theirs.stops) == (0, 1, None, {1, 3})
    messages = [{"role": "user", "content": "hi"}]
    assert theirs.render_chat(messages) == ours.render_chat(messages)


@pytest.mark.parametrize("name", ["q4_k", "safetensors"])
def test_written_again_it_has_the_same_bytes(model, tmp_path, name):
    def files(path):
        found = [path] if path.is_file() else sorted(path.iterdir())
        return [(file.suffix, file.read_bytes()) for file in found]

    paths = [written(model, tmp_path / f"{n}.gguf", name) for n in range(2)]
    assert files(paths[0]) == files(paths[1])


class Counted(Mapping):
    """Weights that are made when they are asked for, and know how many of them are alive."""

    def __init__(self, weights):
        self.weights, self.asked, self.alive, self.most = weights, [], weakref.WeakSet(), 0

    def __getitem__(self, name):
        made = self.weights[name].clone()
        self.asked.append(name)
        self.alive.add(made)
        self.most = max(self.most, len(self.alive))
        return made

    def __contains__(self, name):
        return name in self.weights

    def __iter__(self):
        return iter(self.weights)

    def __len__(self):
        return len(self.weights)


@pytest.mark.parametrize("name", ["f32", "q8_0", "safetensors-f32"])
def test_weights_are_asked_for_once_and_let_go(model, tmp_path, name):
    counted = Counted(model.weights)
    written(replace(model, weights=counted), tmp_path / "m.gguf", name)
    # the check of types in tests looks at the first one, too
    first, *others = model.shapes
    assert [name for name in counted.asked if name != first] == others
    assert counted.most <= 2


@pytest.mark.parametrize("name", ["safetensors", "safetensors-f32"])
def test_a_large_folder_is_written_in_shards(model, tmp_path, name):
    folder = written(model, tmp_path / "m", name, largest_shard=400_000)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 3
    assert {file.name for file in shards} == set(index["weight_map"].values())
    assert shards[0].name == f"model-00001-of-{len(shards):05d}.safetensors"
    held = {tensor: file.name for file in shards for tensor in load_file(file)}
    assert held == index["weight_map"]
    sizes = [sum(tensor.nbytes for tensor in load_file(file).values()) for file in shards]
    assert sum(sizes) == index["metadata"]["total_size"]
    assert all(size <= 400_000 or len(load_file(file)) == 1 for size, file in zip(sizes, shards, strict=True))
    assert sum(a + b <= 400_000 for a, b in pairwise(sizes)) <= 1
    whole = load_base(written(model, tmp_path / "whole", name)).decoder
    for weight in model.weights:
        assert torch.equal(load_base(folder).decoder.weight(weight), whole.weight(weight))


@pytest.mark.parametrize("tied", [False, True])
def test_an_untied_head_is_said_to_be_one(tmp_path, tied):
    """A folder that came from a tied folder says of itself what it is."""
    source = written(tiny_model(tied=True), tmp_path / "source", "safetensors")
    model = replace(tiny_model(tied=tied), source=source)
    folder = written(model, tmp_path / "m", "safetensors")
    settings = json.loads((folder / "config.json").read_text())
    assert settings["tie_word_embeddings"] is tied
    assert settings["torch_dtype"] == "bfloat16"
    assert load_base(folder).notes == ()
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (source / name).read_bytes()


def test_rows_that_blocks_do_not_divide_are_stored_in_another_kind(tmp_path):
    model = tiny_model(width=96)
    kinds = MODEL_FORMATS["q4_k"].kinds(model.shapes)
    assert kinds["layers.0.q_proj"] == "q8_0"  # rows of 96
    assert kinds["layers.0.o_proj"] == "q4_k"  # of 256
    assert kinds["embedding"] == "q8_0"
    assert fitting("q4_0", 48) == "f16"
    assert load_base(written(model, tmp_path / "m.gguf", "q4_k")).decoder.config.width == 96


def test_a_weight_that_is_packed_already_keeps_its_bytes(tmp_path):
    model = tiny_model()
    weights = {**model.weights}
    packed = quantize_k(weights["layers.0.v_proj"], "q4_k")
    packed.stored.codes[0] = 0x79  # codes of 7 and 9 alone: an encoder would use all sixteen
    weights["layers.0.v_proj"] = packed
    again = load_base(written(replace(model, weights=weights), tmp_path / "m.gguf", "q4_k")).decoder.weights
    found = again["layers.0.v_proj"]
    assert isinstance(found, QuantizedTensor)
    assert torch.equal(found.to_gguf_bytes(), packed.to_gguf_bytes())


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        (torch.nan, "q8_0", "weight 'layers.1.up_proj' holds NaN or infinity"),
        (torch.inf, "safetensors", "weight 'layers.1.up_proj' holds NaN or infinity"),
        (1e5, "f16", "weight 'layers.1.up_proj' holds 100000, too large for f16; choose bf16 or f32"),
        (1e12, "q4_k", "weight 'layers.1.up_proj' can't be written as q4_k"),
    ],
)
def test_what_no_number_of_the_format_is_is_refused(tmp_path, value, name, message):
    model = tiny_model()
    model.weights["layers.1.up_proj"][3, 5] = value
    with pytest.raises(InputError, match=message):
        written(model, tmp_path / "m.gguf", name)


def test_more_end_marks_than_gguf_has_fields_are_refused(model, tmp_path):
    tokenizer = replace(model.tokenizer, stops=frozenset((0, 1, 2, 3)))
    with pytest.raises(InputError, match=r"it names 4 tokens that end an answer .*--format safetensors"):
        written(replace(model, tokenizer=tokenizer), tmp_path / "m.gguf", "f32")
    again = load_base(written(replace(model, tokenizer=tokenizer), tmp_path / "m", "safetensors"))
    assert again.tokenizer.stops == {0, 1, 2, 3}


def test_sizes_are_those_of_the_numbers(model, tmp_path):
    sizes = {name: written(model, tmp_path / f"{name}.gguf", name).stat().st_size for name in GGUF}
    assert sorted(sizes, key=sizes.get, reverse=True)[:4] in (
        ["f32", "f16", "bf16", "q8_0"],
        ["f32", "bf16", "f16", "q8_0"],
    )
    assert {name: KINDS_OF_NUMBERS[name].bits for name in ("f32", "q6_k", "q4_k")} == {
        "f32": 32,
        "q6_k": 6.5625,
        "q4_k": 4.5,
    }
