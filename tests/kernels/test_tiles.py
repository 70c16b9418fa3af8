"""Which GPU gets which tiles: the table has every target that is compiled for; each card finds its own."""

import pytest
import torch
import triton

from qlora_kernels import dequantize, quantize, quantized_linear, tiles
from qlora_kernels.grouped_triton import narrow_tile
from qlora_kernels.lab.compiler import TARGETS, captured, running_on
from qlora_kernels.lab.interpreter import interpreted
from qlora_kernels.tiles import rounds_by_integers, table, target_of, tile_for, unrolled

CUDA = torch.device("cuda")


def test_every_target_has_every_tile():
    for kernel, targets in table().items():
        assert set(targets) == set(TARGETS), kernel
        assert all(set(cases) == {"few", "many", "float32"} for cases in targets.values()), kernel


@pytest.mark.parametrize(
    ("capability", "target"),
    [
        ((7, 0), "sm_75"),
        ((7, 5), "sm_75"),
        ((8, 0), "sm_80"),
        ((8, 6), "sm_86"),
        ((8, 7), "sm_86"),
        ((8, 9), "sm_89"),
        ((9, 0), "sm_90"),
        ((10, 3), "sm_100"),
        ((12, 1), "sm_120"),
        ((13, 0), "sm_120"),
    ],
)
def test_a_card_gets_the_tiles_of_the_next_below_it(capability, target, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert target_of.__wrapped__(CUDA) == target


def test_products_without_matrix_instructions_get_small_tiles():
    half, bfloat = torch.float16, torch.bfloat16
    with running_on("sm_75"):
        assert unrolled(half, CUDA)
        assert narrow_tile(16, half, CUDA) == narrow_tile(16, torch.float32, CUDA)
        many = tile_for("forward", CUDA, 2048, half)
        assert many.rows * many.columns <= 64 * 64
        assert tile_for("forward", CUDA, 2048, half, ranks=128).columns == 32
    with running_on("sm_86"):
        assert not unrolled(half, CUDA)
        assert unrolled(torch.float32, CUDA)
        assert narrow_tile(16, bfloat, CUDA).rows == 128


def test_only_gfx942_rounds_to_bfloat16_by_itself():
    rounding = {}
    for target in TARGETS:
        with running_on(target):
            rounding[target] = rounds_by_integers(torch.bfloat16, CUDA)
            assert not rounds_by_integers(torch.float16, CUDA)
    assert (
        [target for target, own in rounding.items() if own] == list(tiles.ROUNDED_BY_INTEGERS) == ["gfx942"]
    )


@pytest.mark.parametrize("version", ["3.6.0", "3.9.0"])
def test_a_join_is_hidden_from_older_versions_and_nothing_is_changed_by_it(version, monkeypatch, rng):
    weight = quantize(torch.randn(24, 64, generator=rng), "nf4")
    unit = torch.eye(64, dtype=torch.bfloat16)
    monkeypatch.setattr(triton, "__version__", version)
    for target in ("sm_80", "sm_90", "sm_120", "gfx942"):
        with running_on(target):
            (launch,) = captured(lambda: quantized_linear(unit, weight, backend="fused"))
            assert launch.options["HIDE_JOIN"] == (version == "3.6.0" and target in ("sm_80", "sm_120"))
            with interpreted():
                got = quantized_linear(unit, weight, backend="fused")
        assert torch.equal(got, dequantize(weight, torch.bfloat16, backend="reference").T)
