"""Bases out of a GGUF and back: nothing lost, nothing guessed."""

import re
from dataclasses import replace

import gguf
import numpy as np
import pytest
import torch

from qlora_kernels import FORMATS, QuantizedTensor, quantize
from workbench.errors import InputError
from workbench.models.decoder import Decoder
from workbench.models.gguf_container import read_container
from workbench.models.gguf_layout import gguf_name, to_halves, to_pairs
from workbench.models.gguf_reader import load_gguf
from workbench.models.gguf_writer import write_gguf
from workbench.models.loaders import load_base
from workbench.models.tokenizer import CharacterTokenizer

QUANTIZED_BYTES = 96_436_224
"""Of SmolLM2's file: 210 matrices in Q4_1 and the embedding in Q8_0."""


def packed_bytes(weight):
    return weight.to_gguf_bytes().numpy().tobytes()


def quantized(file):
    return {name: tensor for name, tensor in file.tensors.items() if len(tensor.shape) == 2}


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("format", ["q4_0", "q4_1", "q8_0", "plain"])
def test_what_was_written_is_read(tmp_path, toy_config, make_weights, format, tied):
    weights = make_weights(toy_config, format, tied)
    path, tokenizer = tmp_path / "a.gguf", CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '")
    write_gguf(path, toy_config, weights, tokenizer, name="a", licence="MIT", description="notices")
    base = load_gguf(path, "a")
    assert base.licence == "MIT"
    assert base.tokenizer.alphabet == tokenizer.alphabet
    assert base.decoder.tied is tied
    read = base.decoder.weights
    assert set(read) == set(weights)
    for name, weight in weights.items():
        if isinstance(weight, QuantizedTensor):
            assert packed_bytes(read[name]) == packed_bytes(weight), name
            torch.testing.assert_close(base.decoder.weight(name), weight.dequantize(), rtol=0, atol=0)
        else:
            torch.testing.assert_close(read[name], weight, rtol=0, atol=0)


def test_the_sizes_survive(toy_gguf, toy_config):
    read = load_gguf(toy_gguf, "toy").decoder.config
    for field in toy_config.__slots__:
        # the file holds numbers in float32
        written = getattr(toy_config, field)
        expected = pytest.approx(written, rel=1e-7) if isinstance(written, float) else written
        assert getattr(read, field) == expected, field


def test_rows_of_a_head_are_reordered_as_rotary_pairs():
    rows = np.arange(8)[:, None]
    # two heads of four features: the file's neighbours (0, 1) are the decoder's (0, 2)
    assert to_halves(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert to_pairs(to_halves(rows, 2), 2).ravel().tolist() == rows.ravel().tolist()


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_half_precision_is_read(tmp_path, toy_gguf, dtype, edit_gguf):
    kind = gguf.GGMLQuantizationType[dtype]
    values = np.random.default_rng(1).normal(size=64).astype(np.float32)
    stored = gguf.quants.quantize(values, kind)
    path = edit_gguf(toy_gguf, tmp_path, {"output_norm.weight": (stored, kind)})
    expected = torch.from_numpy(gguf.quants.dequantize(stored, kind))
    torch.testing.assert_close(load_gguf(path, "half").decoder.weight("norm"), expected, rtol=0, atol=0)


F32 = gguf.GGMLQuantizationType.F32
MISFITS = {
    "architecture": (
        {},
        {"general.architecture": "gpt2"},
        "general.architecture is 'gpt2', expected one of 'gemma2', .*such are Llama 1",
    ),
    "no width": ({}, {"llama.embedding_length": None}, "'llama.embedding_length' is missing"),
    "wide": (
        {},
        {"llama.embedding_length": 128},
        "'token_embd.weight' has the shape .*31, 64.*expected .*31, 128",
    ),
    "zero heads": ({}, {"llama.attention.head_count": 0}, "attention.head_count is 0, expected 1 to"),
    "crooked heads": ({}, {"llama.attention.head_count_kv": 3}, "a multiple of attention.head_count_kv, 3"),
    "heads in words": ({}, {"llama.attention.head_count": "four"}, "head_count is 'four', expected int"),
    "partly rotary": (
        {},
        {"llama.rope.dimension_count": 16},
        "rope.dimension_count is 16, expected the head size",
    ),
    "scaled": ({}, {"llama.rope.scaling.type": "su"}, "llama.rope.scaling.type is 'su'"),
    "no epsilon": (
        {},
        {"llama.attention.layer_norm_rms_epsilon": float("nan")},
        "is nan, expected a positive",
    ),
    "many blocks": ({}, {"llama.block_count": 1 << 24}, "block_count is 16777216, expected at most 20"),
    "a block less": ({}, {"llama.block_count": 1}, "'blk.1.attn_norm.weight' has no place"),
    "missing": (
        {"blk.1.ffn_up.weight": None},
        {},
        "'blk.1.ffn_up.weight' is missing, expected the shape .96, 64",
    ),
    "no embedding": ({"token_embd.weight": None}, {}, "'token_embd.weight' is missing"),
    "bias": ({"blk.0.attn_q.bias": (np.zeros(128, np.float32), F32)}, {}, "'blk.1.attn_q.bias' is missing"),
    "norm": (
        {"blk.0.attn_q_norm.weight": (np.zeros(8, np.float32), F32)},
        {},
        "attn_q_norm.weight' has no pla",
    ),
    "shape": ({"output_norm.weight": (np.zeros(32, np.float32), F32)}, {}, "has the shape .32,., expected"),
    "few tokens": (
        {},
        {"tokenizer.ggml.tokens": ["<pad>", "<bos>", "<eos>", "a"]},
        "has 4 entries and token_embd",
    ),
    "no tokens": ({}, {"tokenizer.ggml.tokens": None}, "tokenizer.ggml.tokens is missing"),
    "tokenizer": ({}, {"tokenizer.ggml.model": "rwkv"}, "unknown tokenizer 'rwkv'"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_misfit_is_named(toy_gguf, tmp_path, name, edit_gguf):
    tensors, fields, complaint = MISFITS[name]
    path = edit_gguf(toy_gguf, tmp_path, tensors, fields)
    with pytest.raises(InputError, match=complaint) as caught:
        load_gguf(path, "misfit")
    assert str(path) in str(caught.value)


def test_blocks_that_are_not_supported_are_named(tmp_path, toy_config, make_weights, edit_gguf):
    config = replace(toy_config, feed_forward=256)
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '")
    write_gguf(tmp_path / "a.gguf", config, make_weights(config), tokenizer, name="a", licence=None)
    blocks = np.zeros((64, 66), np.uint8), gguf.GGMLQuantizationType.TQ2_0
    path = edit_gguf(tmp_path / "a.gguf", tmp_path, {"blk.0.ffn_down.weight": blocks})
    complaint = (
        "'blk.0.ffn_down.weight' has the block type TQ2_0, expected F32, F16, BF16 or one of IQ4_NL, "
        "IQ4_XS, MXFP4, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0. Take"
    )
    with pytest.raises(InputError, match=re.escape(complaint)):
        load_gguf(path, "toy")


@pytest.mark.parametrize("format", [name for name, one in FORMATS.items() if one.block_bytes])
def test_every_block_type_is_read_packed(tmp_path, toy_config, make_weights, logits, format):
    """Rows of 256, so that every type fits; logits are those of what the `gguf` package decodes."""
    config = replace(toy_config, width=256, feed_forward=256, head_size=64)
    kind = gguf.GGMLQuantizationType[format.upper()]
    rng, weights = torch.Generator().manual_seed(0), dict(make_weights(config, "plain"))
    exact = dict(weights)
    for name, (rows, columns) in {n: s for n, s in config.shapes(tied=True).items() if len(s) == 2}.items():
        data = small_blocks(format, rng, rows, columns)
        weights[name] = QuantizedTensor.from_gguf_bytes(format, (rows, columns), data)
        exact[name] = torch.from_numpy(gguf.quants.dequantize(data, kind))
    tokenizer = CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '")
    write_gguf(tmp_path / "a.gguf", config, weights, tokenizer, name="a", licence=None)
    base = load_gguf(tmp_path / "a.gguf", "a")
    for name, weight in exact.items():
        assert torch.equal(base.decoder.weight(name), weight), name
    assert base.formats == (format, "float32")
    assert base.notes == ()
    plain = replace(base, decoder=Decoder(config, exact))
    assert torch.equal(logits(base, [3, 5, 9, 12]), logits(plain, [3, 5, 9, 12]))


def small_blocks(format, rng, rows, columns):
    """Random blocks whose weights are below 1."""
    known = FORMATS[format]
    blocks = columns // known.multiple
    data = torch.randint(256, (rows, blocks, known.block_bytes), generator=rng, dtype=torch.uint8)
    places = {"q4_1": (0, 2), "q4_k": (0, 2), "q6_k": (208,), "q5_1": (0, 2), "q5_k": (0, 2)}
    places |= {"q3_k": (108,), "q2_k": (80, 82)}
    numbers = (torch.rand(rows, blocks, 1, generator=rng) / 4096).half().view(torch.uint8)
    for place in places.get(format, (0,)):
        data[:, :, place : place + 2] = numbers
    if format == "mxfp4":
        data[:, :, 0] = 121
    return data.view(rows, -1).numpy()


def test_an_edited_copy_is_still_good(toy_gguf, tmp_path, edit_gguf):
    assert load_gguf(edit_gguf(toy_gguf, tmp_path), "copy").decoder.config.width == 64


def test_a_full_disk_leaves_no_half_file(tmp_path, toy_config, make_weights, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workbench.models.gguf_writer.os.fsync", full)
    with pytest.raises(InputError, match=r"could not write .*No space left on device"):
        write_gguf(
            tmp_path / "a.gguf",
            toy_config,
            make_weights(toy_config),
            CharacterTokenizer("abcdefghijklmnopqrstuvwxyz '"),
            name="a",
            licence=None,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_a_base(toy_gguf):
    base = load_base(toy_gguf)
    assert base.name == str(toy_gguf)
    assert "0.0" in str(base)


def test_an_unknown_base_offers_the_nearest():
    with pytest.raises(InputError, match=r"no file or folder 'classrom'.*Did you mean 'classroom'"):
        load_base("classrom")


def test_smollm2_is_written_back_byte_for_byte(smollm2, smollm2_path, tmp_path):
    path = tmp_path / "again.gguf"
    weights = smollm2.decoder.weights
    write_gguf(path, smollm2.decoder.config, weights, smollm2.tokenizer, name="again", licence="apache-2.0")
    before, after = quantized(read_container(smollm2_path)), quantized(read_container(path))
    assert sum(tensor.data.nbytes for tensor in before.values()) == QUANTIZED_BYTES
    for name, tensor in before.items():
        assert after[name].format == tensor.format
        np.testing.assert_array_equal(after[name].data, tensor.data, err_msg=name)
    fields = read_container(path).metadata
    for key, value in read_container(smollm2_path).metadata.items():
        if key.startswith("tokenizer."):
            assert fields[key] == value, key


def test_requantizing_decoded_smollm2_gives_its_bytes(smollm2, smollm2_path):
    stored = quantized(read_container(smollm2_path))
    total = 0
    for name, weight in smollm2.decoder.weights.items():
        if isinstance(weight, QuantizedTensor):
            again = packed_bytes(quantize(weight.dequantize(), weight.format))
            assert again == packed_bytes(weight), name
            assert len(again) == stored[gguf_name(name)].data.nbytes
            total += len(again)
    assert total == QUANTIZED_BYTES


def test_smollm2_is_what_its_card_says(smollm2):
    assert smollm2.parameters == 134_515_008
    assert smollm2.licence == "apache-2.0"
    assert smollm2.decoder.tied
    assert (smollm2.tokenizer.bos, smollm2.tokenizer.eos, smollm2.tokenizer.pad) == (None, 2, 2)
