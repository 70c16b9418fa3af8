"""Quantize and dequantize on Triton: the bytes of the definitions, each moved once; registration."""

import pytest
import torch
from bench.blocks import packed_blocks

from qlora_kernels import FORMATS, dequantize, quantize
from qlora_kernels.decode import _decode
from qlora_kernels.lab.compiler import build, captured
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import compulsory_bytes, traced
from qlora_kernels.quantize import _quantize
from qlora_kernels.quantize_triton import launch_pack

PACKED = [name for name, format in FORMATS.items() if format.pack]
CHOICES = [(name, block) for name in PACKED for block in FORMATS[name].block_sizes]


def awkward(rng, rows=24, columns=768):
    weight = torch.randn(rows, columns, generator=rng) * torch.randn(rows, 1, generator=rng).exp()
    weight[0] = 0.0
    weight[1, :64] = 1.0
    weight[2] *= 1e-8
    weight[3] *= 1e-38
    weight[4] *= 1e-40
    weight[5] = 1.4e-45
    weight[6, ::2], weight[6, 1::2] = 1.0, -1.0
    weight[7] = -0.3
    return weight


@pytest.mark.filterwarnings("ignore:.*(overflow|invalid).*:RuntimeWarning")  # NumPy, for a subnormal scale
@pytest.mark.parametrize(("name", "block"), CHOICES)
def test_packs_to_the_same_bytes(name, block, rng):
    weight = awkward(rng)
    with interpreted():
        got = quantize(weight, name, block_size=block, backend="triton")
    expected = quantize(weight, name, block_size=block, backend="reference")
    for part, tensor in expected.stored.tensors().items():
        assert torch.equal(got.stored.tensors()[part], tensor), part


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("name", "block"), CHOICES)
def test_decodes_to_the_same_bits(name, block, dtype, rng):
    packed = quantize(awkward(rng, 8, 512), name, block_size=block)
    with interpreted():
        got = dequantize(packed, dtype, backend="triton")
    assert torch.equal(got, dequantize(packed, dtype, backend="reference"))


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in PACKED])
def test_decodes_formats_that_are_only_read(name, rng):
    packed = packed_blocks(name, rng, 3, 512)
    with interpreted():
        got = dequantize(packed, backend="triton")
    assert torch.equal(got, dequantize(packed, backend="reference"))


@pytest.mark.parametrize("layout", ["transposed", "every second row", "three axes"])
def test_any_layout(layout, rng):
    weight = awkward(rng, 64, 64)
    view = {"transposed": weight.T, "every second row": weight[::2], "three axes": weight.view(4, 16, 64)}[
        layout
    ]
    with interpreted():
        got = quantize(view, "nf4", backend="triton")
        back = got.dequantize(backend="triton")
    assert got.shape == tuple(view.shape) == tuple(back.shape)
    assert torch.equal(back, quantize(view.contiguous(), "nf4").dequantize())


@pytest.mark.parametrize("name", ["nf4", "q4_1", "q8_0", "int4"])
def test_every_byte_is_moved_once(name, rng):
    weight = torch.randn(64, 512, generator=rng)
    with traced() as trace:
        packed = quantize(weight, name, backend="triton")
        numbers = dequantize(packed, torch.bfloat16, backend="triton")
    trace.assert_clean()
    bounds = 60 if name == "nf4" else 0
    programs = trace["pack"].grid[0]
    assert trace["pack"].moved == compulsory_bytes(weight) + packed.nbytes + bounds * programs
    # each program also reads the table of 256 pairs; what weights share is read once by each instruction
    table = 0 if name == "q8_0" else 256 * 8 * trace["decode"].grid[0]
    assert trace["decode"].moved == compulsory_bytes(numbers) + packed.nbytes + table


@pytest.mark.parametrize("name", ["nf4", "q4_0", "q4_1", "q8_0", "int4", "int8"])
def test_divisions_round_correctly_on_a_gpu(name):
    launch = captured(lambda: launch_pack(torch.ones(64, 512), name, FORMATS[name].block_size))[0]
    report = build(launch, "sm_80")
    assert report.spills == 0
    # a plain division compiles to an approximate reciprocal, which can move a code
    assert "tt.precise_divf" in report.ttir
    assert "arith.divf" not in report.ttir
    # nothing is computed in float64: a tiny constant would be one, and 3.6 compiles no division of it
    assert "f64" not in report.ttir


def test_operators_are_registered_completely(rng):
    weight = torch.randn(4, 64, generator=rng)
    for name in PACKED:
        torch.library.opcheck(_quantize.registered, (weight, name, FORMATS[name].block_size, "torch"))
        affine = quantize(weight, name).affine()
        arguments = (affine.codes, affine.scales, affine.offsets, affine.levels, torch.bfloat16, "torch")
        torch.library.opcheck(_decode.registered, arguments)


@pytest.mark.usefixtures("unchecked")
def test_refuses():
    packed = quantize(torch.ones(1, 64), "nf4")
    with pytest.raises(ValueError, match="decode to float64 with backend='torch'"):
        dequantize(packed, torch.float64, backend="triton")
    with pytest.raises(ValueError, match="unknown backend 'cuda'"):
        quantize(torch.ones(1, 64), "nf4", backend="cuda")
    with pytest.raises(
        RuntimeError, match="driver"
    ):  # no GPU here: naming Triton never falls back in silence
        quantize(torch.ones(1, 64), "nf4", backend="triton")
