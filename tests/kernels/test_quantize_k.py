"""Q4_K and Q6_K as ggml makes them: its own C code is the oracle, its Python package decodes."""

import ctypes
import re
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from qlora_kernels import quantize
from qlora_kernels.quantize_k import K_ENCODERS, quantize_k

BLOCK_BYTES = {"q4_k": 144, "q6_k": 210}


@pytest.fixture(scope="module")
def weight():
    """Rows of many sizes, with what a search over scales can trip over."""
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(80, 1024, generator=rng) * torch.randn(80, 1, generator=rng).exp()
    weight[0] = 0.0
    weight[1] = 1.0
    weight[2] *= 1e-8  # scales vanish in float16
    weight[3] *= 1e-38
    weight[4] = -0.3
    weight[5, 1:] = 0.0
    weight[6, ::2], weight[6, 1::2] = 1.0, -1.0
    weight[7] = weight[7].abs() + 3  # Q4_K can't add an offset
    weight[8] *= 1e-18
    return weight


def by_ggml(weight, name):
    """The blocks that ggml's own C code makes, out of the library that xllamacpp brings."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp isn't installed: pip install -e '.[test]'")
    library = next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))
    encode = ctypes.CDLL(str(library)).ggml_quantize_chunk
    encode.restype = ctypes.c_size_t
    encode.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    rows, columns = weight.shape
    source = np.ascontiguousarray(weight.numpy())
    made = np.zeros((rows, columns // 256 * BLOCK_BYTES[name]), np.uint8)
    kind = gguf.GGMLQuantizationType[name.upper()]
    assert encode(kind, source.ctypes.data, made.ctypes.data, 0, rows, columns, None) == made.size
    return made


def decoded(data, name):
    return gguf.quants.dequantize(data, gguf.GGMLQuantizationType[name.upper()])


@pytest.mark.parametrize("name", K_ENCODERS)
def test_blocks_are_those_of_ggml(weight, name):
    """The order of sums differs, so now and then a search ends at a neighbour: never at a worse one."""
    ours, theirs = quantize_k(weight, name).to_gguf_bytes().numpy(), by_ggml(weight, name)
    numbers = decoded(ours, name), decoded(theirs, name)
    equal = (numbers[0] == numbers[1]).reshape(-1, 256).all(1)
    assert equal.mean() > 0.9
    errors = [np.square(found - weight.numpy()).sum(1) for found in numbers]
    np.testing.assert_allclose(errors[0], errors[1], rtol=0.02, atol=1e-30)
    np.testing.assert_array_equal(numbers[0][:2], weight[:2].numpy() if name == "q6_k" else numbers[1][:2])


@pytest.mark.parametrize("name", K_ENCODERS)
def test_our_reader_and_the_package_decode_the_same(weight, name):
    packed = quantize_k(weight, name)
    assert packed.shape == weight.shape
    assert packed.to_gguf_bytes().shape[1] == 4 * BLOCK_BYTES[name]
    np.testing.assert_array_equal(packed.dequantize().numpy(), decoded(packed.to_gguf_bytes().numpy(), name))


def test_more_bits_and_more_search_are_nearer():
    """The order that the issue of formats promises, on weights that were never in four bits."""
    weight = torch.randn(64, 1024, generator=torch.Generator().manual_seed(1))
    packed = {name: quantize_k(weight, name) for name in K_ENCODERS}
    packed |= {name: quantize(weight, name) for name in ("q8_0", "q4_1", "q4_0")}
    error = {name: float((one.dequantize() - weight).square().mean()) for name, one in packed.items()}
    assert error["q8_0"] < error["q6_k"] < error["q4_k"] < error["q4_1"] < error["q4_0"]


def test_the_same_bytes_however_many_at_once(weight, monkeypatch):
    whole = {name: quantize_k(weight, name).to_gguf_bytes() for name in K_ENCODERS}
    monkeypatch.setattr("qlora_kernels.quantize_k.AT_ONCE", 7)
    for name, data in whole.items():
        assert torch.equal(quantize_k(weight, name).to_gguf_bytes(), data)


@pytest.mark.parametrize(
    ("weight", "format", "message"),
    [
        pytest.param(torch.zeros(2, 256), "q4_0", "unknown K format 'q4_0'. Known: q4_k, q6_k", id="other"),
        pytest.param(torch.zeros(2, 96), "q4_k", "has to be a multiple of 256", id="ragged"),
        pytest.param(torch.full((1, 256), torch.nan), "q6_k", "holds NaN or infinity", id="nan"),
        pytest.param(torch.full((1, 256), 1e30), "q6_k", "too large for the float16 scales", id="huge"),
        pytest.param(torch.full((1, 256), -1e30), "q4_k", "too large for the float16 scales", id="huge-4"),
    ],
)
def test_refuses(weight, format, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        quantize_k(weight, format)


def test_the_message_of_quantize_names_it():
    with pytest.raises(ValueError, match="q4_k can be read but not made by quantize; quantize_k makes it"):
        quantize(torch.zeros(2, 256), "q4_k")
