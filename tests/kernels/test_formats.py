"""Formats: bytes equal to the outside oracles, decoding as defined, sizes as stated, refusals."""

import warnings
from dataclasses import replace

import gguf
import numpy as np
import pytest
import torch
from bench.blocks import awkward_blocks, packed_blocks, random_blocks, same_bits
from gguf import GGMLQuantizationType
from real_weights import real_tensors

from qlora_kernels import FORMATS, QuantizedTensor, dequantize, quantize
from qlora_kernels.formats_layout import NF4_LEVELS, pack_pairs, unpack_pairs
from qlora_kernels.formats_nf4 import DYNAMIC_LEVELS, NF4_BOUNDS

GGUF = [name for name, format in FORMATS.items() if format.block_bytes]
PACKED = [name for name, format in FORMATS.items() if format.pack]


def awkward(rng, rows=48, columns=1024):
    """Rows of very different sizes, with every case that an encoder can trip over."""
    weight = torch.randn(rows, columns, generator=rng) * torch.randn(rows, 1, generator=rng).exp()
    weight[0] = 0.0
    weight[1, :64] = 1.0
    weight[2] *= 1e-8  # scales vanish in float16
    weight[3] *= 1e-38  # on the edge of float32's subnormal numbers
    weight[4] *= 1e-40  # subnormal, and their reciprocals infinite
    weight[5] = 1.4e-45  # the smallest number there is
    weight[6, ::2], weight[6, 1::2] = 1.0, -1.0  # ties for the largest magnitude, with both signs
    weight[7] = -0.3
    weight[8, 1:] = 0.0  # one weight in a block of zeros
    return weight


def gguf_type(name):
    return GGMLQuantizationType[name.upper()]


@pytest.mark.parametrize("awkward_scales", [False, True])
@pytest.mark.parametrize("name", GGUF)
def test_gguf_decodes_to_the_same_bits(name, awkward_scales, rng):
    """A million weights of random codes, then of scales that vanish, overflow or are no numbers."""
    rows, blocks = 512, 2048 // FORMATS[name].multiple
    data = (awkward_blocks if awkward_scales else random_blocks)(name, rng, rows, blocks)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = gguf.quants.dequantize(data.numpy(), gguf_type(name))
    assert expected.size == 2**20
    packed = QuantizedTensor.from_gguf_bytes(name, expected.shape, data.numpy())
    assert same_bits(packed.dequantize(), expected)
    assert same_bits(packed.dequantize(backend="reference"), expected)


@pytest.mark.parametrize("name", GGUF)
def test_gguf_bytes_come_back(name, rng):
    data = random_blocks(name, rng)
    shape = (40, data.shape[1] // FORMATS[name].block_bytes * FORMATS[name].multiple)
    for given in (data, data.numpy(), data.numpy().tobytes(), memoryview(data.numpy().tobytes())):
        packed = QuantizedTensor.from_gguf_bytes(name, shape, given)
        assert torch.equal(packed.to_gguf_bytes(), data)
    assert packed.nbytes == data.numel()
    assert packed.bits_per_weight == FORMATS[name].bits_per_weight(FORMATS[name].block_size)


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q8_0"])
def test_gguf_encodes_to_the_same_bytes(name, rng):
    weight = torch.cat([awkward(rng), torch.randn(4096, 1024, generator=rng)])  # 4.2 M weights
    with warnings.catch_warnings():  # the oracle divides by subnormal scales and says so
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = gguf.quants.quantize(weight.numpy(), gguf_type(name))
    assert np.array_equal(quantize(weight, name).to_gguf_bytes().numpy(), expected)


@pytest.mark.parametrize("block", FORMATS["nf4"].block_sizes)
def test_nf4_is_that_of_bitsandbytes(block, rng):
    functional = pytest.importorskip(
        "bitsandbytes.functional", reason="bitsandbytes, the oracle, is not installed"
    )
    weight = torch.cat(
        [awkward(rng), torch.randn(1024, 1024, generator=rng)]
    )  # 1.1 M for each of 4 block sizes
    codes, state = functional.quantize_4bit(weight, blocksize=block, quant_type="nf4")
    packed = quantize(weight, "nf4", block_size=block)
    assert torch.equal(packed.codes.flatten(), codes.flatten())
    assert torch.equal(packed.scales.flatten(), state.absmax)
    assert torch.equal(packed.dequantize(), functional.dequantize_4bit(codes, state))


@pytest.mark.parametrize("block", FORMATS["nf4_double"].block_sizes)
def test_nf4_double_is_byte_equal_to_bitsandbytes(block, rng):
    functional = pytest.importorskip(
        "bitsandbytes.functional", reason="bitsandbytes, the oracle, is not installed"
    )
    # 1.1 M weights; then all maxima equal; then maxima that are denormal once the mean is off
    flat, tiny = torch.full((64, 1024), 0.5), torch.full((64, 1024), 1e-38)
    tiny[::3] *= 1 + 1e-6
    ragged = torch.randn(40, 768, generator=rng)  # its last outer block is not full
    for weight in (awkward(rng, 1024), flat, tiny, ragged):
        codes, state = functional.quantize_4bit(
            weight, blocksize=block, quant_type="nf4", compress_statistics=True
        )
        packed = quantize(weight, "nf4_double", block_size=block)
        assert torch.equal(packed.codes.flatten(), codes.flatten())
        assert torch.equal(packed.scales.flatten(), state.absmax)
        assert torch.equal(packed.stored.outer_scales, state.state2.absmax)
        assert torch.equal(packed.stored.outer_offsets[0], state.offset)
        assert torch.equal(packed.dequantize(), functional.dequantize_4bit(codes, state))


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_any_codes_decode_as_in_bitsandbytes(kind, double, rng):
    """A million codes with scales that vanish, are subnormal, huge or no numbers, by its own definition."""
    functional = pytest.importorskip(
        "bitsandbytes.functional", reason="bitsandbytes, the oracle, is not installed"
    )
    name = f"{kind}_double" if double else kind
    packed = packed_blocks(name, rng, 1024, 1024)
    awkward_scales = torch.tensor([0.0, -0.0, 1e-45, -1e-40, 3e38, torch.inf, -torch.inf, torch.nan])
    scales = packed.stored.outer_scales if double else packed.stored.scales
    chosen = torch.rand(scales.shape, generator=rng) < 0.2
    scales[chosen] = awkward_scales[torch.randint(8, scales.shape, generator=rng)][chosen]
    state = functional.QuantState(
        absmax=packed.stored.scales.flatten(), shape=packed.shape, dtype=torch.float32, quant_type=kind,
        blocksize=packed.block_size,
    )  # fmt: skip
    if double:
        state.offset = packed.stored.outer_offsets[0]
        state.state2 = functional.QuantState(
            absmax=scales, blocksize=256, code=functional.create_dynamic_map(), dtype=torch.float32
        )
        state.nested = True
    expected = functional.dequantize_4bit(packed.codes.view(-1, 1), state)
    assert same_bits(packed.dequantize(), expected)
    assert same_bits(packed.dequantize(backend="reference"), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_zero_points_are_taken_off_exactly(dtype, rng):
    """(code - zero) * scale in float64, on a million weights, some with scales below the normal numbers."""
    packed = packed_blocks("int4_zero", rng, 1024, 1024)
    small = 10 ** (-8 * torch.rand(1024, 1, generator=rng))
    scales = (torch.randn(packed.scales.shape, generator=rng) * small).to(dtype)
    scales[::7] = torch.tensor([0.0, -0.0, 6e-8, 65504.0]).to(dtype)
    packed = replace(packed, stored=replace(packed.stored, scales=scales))
    scales, zeros = (
        one.double().repeat_interleave(packed.block_size, 1) for one in (scales, packed.stored.offsets)
    )
    expected = (unpack_pairs(packed.codes).double() - zeros) * scales
    assert torch.equal(packed.dequantize().double(), expected)
    assert torch.equal(packed.dequantize(backend="reference").double(), expected)


def test_int4_is_the_arithmetic_of_pytorchs_product(rng):
    weight = torch.randn(64, 256, generator=rng)
    packed = quantize(weight, "int4", block_size=64)
    affine = packed.affine()
    numbers = torch.stack([affine.scales, affine.offsets], dim=-1).transpose(0, 1).contiguous()
    codes = torch._convert_weight_to_int4pack_for_cpu(unpack_pairs(packed.codes).int(), 1)
    identity = torch.eye(256, dtype=torch.bfloat16)
    product = torch._weight_int4pack_mm_for_cpu(identity, codes, 64, numbers)
    assert torch.equal(product.mT, packed.dequantize(torch.bfloat16))


def test_constants_are_those_of_bitsandbytes():
    functional = pytest.importorskip(
        "bitsandbytes.functional", reason="bitsandbytes, the oracle, is not installed"
    )
    assert functional.create_dynamic_map().tolist() == list(DYNAMIC_LEVELS)
    assert functional.get_4bit_type("nf4", device="cpu").tolist() == list(NF4_LEVELS)
    assert len(NF4_BOUNDS) == 15


# the largest error of a weight, as a share of the largest magnitude of its block
BOUND = {
    "q4_0": 1 / 8 + 2**-10,  # one step: +8 has no code; and a float16 number
    "q4_1": 1 / 15 + 2**-10,  # half of a step of 2/15, and two float16 numbers
    "q8_0": 0.5 / 127 + 2**-11,
    "nf4": (NF4_LEVELS[1] - NF4_LEVELS[0]) / 2,
    "nf4_double": (NF4_LEVELS[1] - NF4_LEVELS[0]) / 2 + 0.02,  # an 8-bit level beside it
    "int4": 1 / 15 + 2**-7,  # half of a step, and two bfloat16 numbers
    "int8": 0.5 / 127 + 2**-20,
}


@pytest.mark.parametrize("name", PACKED)
def test_error_is_bounded(name, rng):
    weight = torch.randn(64, 1024, generator=rng)
    for block in FORMATS[name].block_sizes:
        packed = quantize(weight, name, block_size=block)
        error = (packed.dequantize() - weight).view(-1, block).abs().amax(1)
        assert (error / weight.view(-1, block).abs().amax(1)).max() <= BOUND[name]


@pytest.mark.parametrize("name", FORMATS)
def test_every_route_decodes_to_the_same_bits(name, rng):
    packed = quantize(awkward(rng), name) if name in PACKED else packed_blocks(name, rng, 40, 768)
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        fast, slow = (dequantize(packed, dtype, backend=route) for route in ("torch", "reference"))
        assert fast.dtype == dtype
        assert torch.equal(fast, slow)


@pytest.mark.parametrize("name", PACKED)
def test_size_is_as_stated(name):
    for block in FORMATS[name].block_sizes:
        packed = quantize(torch.zeros(256, 1024), name, block_size=block)
        extra = 32 / packed.scales.numel() / block if name == "nf4_double" else 0.0  # the mean
        stated = FORMATS[name].bits_per_weight(block) + extra
        assert packed.bits_per_weight == pytest.approx(stated, rel=1e-9)


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q8_0", "nf4", "int8"])
def test_packing_twice_changes_nothing(name, rng):
    once = quantize(torch.randn(64, 1024, generator=rng), name)
    twice = quantize(once.dequantize(), name)
    assert torch.equal(once.codes, twice.codes)
    if name != "int8":  # the float32 scale of int8 may move by its last bit
        assert torch.equal(once.scales, twice.scales)


def test_conventions_that_both_sides_could_get_wrong_together():
    assert pack_pairs(torch.tensor([[0xA, 0x5]])).tolist() == [[0xA5]]
    nf4 = QuantizedTensor.from_gguf_bytes("q4_0", (1, 32), bytes([0, 0x3C, 0xF0, *[0x88] * 15]))
    weight = nf4.dequantize()[0]  # scale 1.0; the first byte holds weight 0 low and weight 16 high
    assert (weight[0], weight[16], weight[1]) == (-8.0, 7.0, 0.0)
    zeros = quantize(torch.zeros(1, 64), "nf4")
    assert zeros.codes.unique().tolist() == [0x77]
    assert (zeros.dequantize() == 0).all()


def test_describes_itself(rng):
    packed = quantize(torch.randn(64, 128, generator=rng), "q4_1")
    assert repr(packed) == (
        "QuantizedTensor(q4_1, 64 x 128, 5.000 bits per weight in blocks of 32, 5,120 bytes, cpu)"
    )
    assert "6.4 times less than float32" in packed._repr_html_()


# ------------------------------------------------------------------------------------------ real weights


@pytest.mark.slow
def test_real_weights_come_back_to_the_byte():
    """Every quantized byte of SmolLM2: decoded as the oracle does, packed again to the bytes of the file."""
    total = 0
    for name, format, shape, data in real_tensors():
        packed = QuantizedTensor.from_gguf_bytes(format, shape, data)
        weight = packed.dequantize()
        assert np.array_equal(packed.to_gguf_bytes().numpy().ravel(), data.ravel()), name
        assert np.array_equal(quantize(weight, format).to_gguf_bytes().numpy().ravel(), data.ravel()), name
        if name.startswith("blk.0."):
            assert np.array_equal(weight.numpy(), gguf.quants.dequantize(data, gguf_type(format))), name
        total += data.size
    assert total == 96_436_224


# ------------------------------------------------------------------------------------------ refusals

REFUSALS = {
    "unknown format": (lambda: quantize(torch.zeros(2, 64), "q1_0"), "unknown format 'q1_0'"),
    "decoded only": (lambda: quantize(torch.zeros(2, 256), "q4_k"), "can be read but not made"),
    "block size": (lambda: quantize(torch.zeros(2, 64), "nf4", block_size=48), "no blocks of 48"),
    "ragged row": (lambda: quantize(torch.zeros(2, 40), "q4_1"), "multiple of 32"),
    "row shorter than a block": (
        lambda: quantize(torch.zeros(2, 64), "int8", block_size=128),
        "multiple of 128",
    ),
    "no axis": (lambda: quantize(torch.tensor(1.0), "q4_1"), "at least one axis"),
    "integers": (lambda: quantize(torch.zeros(2, 64, dtype=torch.int32), "q4_1"), "floating-point type"),
    "NaN": (lambda: quantize(torch.full((2, 64), torch.nan), "nf4"), "NaN or infinity"),
    "too large": (lambda: quantize(torch.full((2, 64), 1e30), "q8_0"), "too large for the torch.float16"),
    "cut off": (
        lambda: QuantizedTensor.from_gguf_bytes("q4_1", (2, 64), bytes(79)),
        "takes 80 bytes, got 79",
    ),
    "not of GGUF": (lambda: QuantizedTensor.from_gguf_bytes("nf4", (2, 64), b""), "not a format of GGUF"),
    "no GGUF to write": (lambda: quantize(torch.zeros(2, 64), "nf4").to_gguf_bytes(), "no format nf4"),
    "bytes of another type": (
        lambda: QuantizedTensor.from_gguf_bytes("q8_0", (1, 32), torch.zeros(34)),
        "tensor of uint8",
    ),
    "decoding to integers": (lambda: dequantize(quantize(torch.zeros(2, 64), "nf4"), torch.int8), "floating"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mistake", REFUSALS)
def test_refuses(mistake):
    call, message = REFUSALS[mistake]
    with pytest.raises(ValueError, match=message):
        call()
