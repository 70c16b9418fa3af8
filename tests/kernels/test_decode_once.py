"""The route that decodes a part of the base and lets the vendor multiply: parts, bits, and memory.

That its results are right is tested in ``test_grouped.py``, beside the other routes.
"""

import pytest
import torch
from bench.blocks import packed_blocks
from bench.linear_case import Case

from qlora_kernels import FORMATS, quantize, vendor
from qlora_kernels.decode_once_triton import Scratch
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.lab.trace import traced
from qlora_kernels.vendor import SCRATCH_BYTES, WIDTH, part_width

MEGABYTE = 2**20


def some_weight(rng, format, rows, columns, block=None):
    if FORMATS[format].pack is None:
        return packed_blocks(format, rng, rows, columns)
    return quantize(torch.randn(rows, columns, generator=rng), format, block_size=block)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("format", FORMATS)
def test_parts_are_decoded_to_the_bit(rng, format, dtype):
    """Rows, columns, both, and the last ragged ones, against the definition."""
    weight = some_weight(rng, format, 37, 768)
    whole = weight.dequantize(dtype, backend="reference")
    scratch = Scratch(weight.affine(), dtype)
    for rows, columns in (
        (slice(0, 37), slice(0, 768)), (slice(5, 21), slice(0, 768)), (slice(0, 37), slice(256, 512)),
        (slice(30, 37), slice(512, 768)), (slice(36, 37), slice(2, 4)), (slice(3, 3), slice(0, 768)),
    ):  # fmt: skip
        with interpreted():
            assert torch.equal(scratch.decoded(rows, columns), whole[rows, columns])


def test_a_block_wider_than_a_part_is_cut_rightly(rng):
    weight = some_weight(rng, "nf4", 9, 512, block=256)
    scratch = Scratch(weight.affine(), torch.float32)
    with interpreted():
        assert torch.equal(scratch.decoded(columns=slice(100, 300)), weight.dequantize()[:, 100:300])


def test_decoding_reads_and_writes_each_byte_once(rng):
    weight = some_weight(rng, "q4_1", 40, 768)
    with traced() as trace:
        Scratch(weight.affine(), torch.bfloat16).decoded()
    trace.assert_clean()
    launch = trace["decode_part"]
    # an offset and a scale of two bytes for each 16 bytes of codes, a warp reads them once
    assert launch.rereads("codes") == 1
    assert launch.moved <= 1.01 * launch.compulsory + launch.programs * 2048


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("boundaries", [(0, 300), (0, 70, 70, 131, 300)], ids=["one cell", "a stack"])
def test_several_parts_are_one_result(rng, monkeypatch, dtype, boundaries):
    """Parts of 256 rows or columns, the last one ragged, in both directions."""
    monkeypatch.setattr(vendor, "SCRATCH_BYTES", 1)
    case = Case(rng, 390, 576, 5, boundaries, dtype)
    case.check("decoded")
    with traced() as trace:
        x = case.x.requires_grad_()
        y = grouped_lora_linear(x, case.weight, case.a, case.b, case.scale, case.segments, backend="decoded")
        y.backward(case.dy)
    trace.assert_clean()
    parts = [launch.kernel for launch in trace.launches].count("decode_part")
    assert parts == 2 + 3, "390 rows of W forward, 576 columns of it backward"


@pytest.mark.parametrize(
    ("rows", "columns", "summed"), [(2048, 14336, 4096), (16384, 4096, 14336), (7, 64, 64)]
)
def test_parts_are_bounded(rows, columns, summed):
    """The decoded part and the float32 product of an 8B model's largest layers stay within their bytes."""
    width = min(columns, part_width(max(2 * summed, 4 * rows)))
    assert width == columns or width % WIDTH == 0
    assert width * 2 * summed <= SCRATCH_BYTES == 64 * MEGABYTE
    assert width * 4 * rows <= SCRATCH_BYTES


def test_one_scratch_serves_all_parts(rng):
    weight = some_weight(rng, "q8_0", 64, 256)
    scratch = Scratch(weight.affine(), torch.bfloat16)
    with interpreted():
        places = {scratch.decoded(rows=slice(i, i + 16)).data_ptr() for i in range(0, 64, 16)}
    assert len(places) == 1


def test_the_update_is_not_rounded_apart_from_the_product(rng):
    """A product of ones and an update of a quarter of a step: only their sum decides how both are rounded."""
    case = Case(rng, 64, 64, 1, (0, 16), torch.bfloat16, "dense")
    case.x, case.weight = torch.zeros(16, 64).bfloat16(), torch.zeros(64, 64).bfloat16()
    case.x[:, 0], case.weight[:, 0] = 1.0, 1.0
    case.x[:, 1], case.weight[:, 1] = 2.0**-9, 1.0  # 1 + 2^-9 rounds to 1, half a step of bfloat16 is 2^-8
    case.a, case.b = torch.zeros(1, 1, 64).bfloat16(), torch.full((1, 64, 1), 2.0**-8).bfloat16()
    case.a[0, 0, 0] = 1.0
    case.scale = torch.ones(1)
    # 1 + 2^-9 + 2^-8 is nearer to 1 + 2^-7; rounded first, 1 + 2^-8 would tie to 1
    for backend in ("fused", "decoded"):
        assert (case.results(backend)["y"] == 1 + 2.0**-7).all()
