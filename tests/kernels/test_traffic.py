"""Bytes of the tiled products: counted at a small shape, by the same rule at a training shape."""

import dataclasses

import pytest
import torch
from bench.waves import Product

from qlora_kernels import quantize, tiles
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.lab import trace as trace_module
from qlora_kernels.lab.compiler import TARGETS
from qlora_kernels.lab.trace import traced
from qlora_kernels.tiles import Tile

SMALL_TILE = Tile(rows=32, columns=64, depth=64, warps=4, stages=2)


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles so small that a small product has many waves of them."""
    monkeypatch.setattr(tiles, "tile_for", lambda *_, **__: SMALL_TILE)
    monkeypatch.setattr("qlora_kernels.linear_triton.tile_for", lambda *_, **__: SMALL_TILE)
    monkeypatch.setattr(trace_module, "SIDE_BY_SIDE", 13)


def run(cells, size=256, rank=16):
    x = torch.randn(size, size, dtype=torch.bfloat16, requires_grad=True)
    weight = quantize(torch.randn(size, size), "nf4")
    a, b = torch.randn(cells, rank, size).bfloat16(), torch.randn(cells, size, rank).bfloat16()
    segments = torch.linspace(0, size, cells + 1).long()
    with traced() as trace:
        y = grouped_lora_linear(x, weight, a, b, torch.ones(cells), segments, backend="fused")
        y.backward(torch.ones_like(y))
    trace.assert_clean()
    return trace


@pytest.mark.usefixtures("small_tiles")
def test_the_rule_is_what_the_tracer_counts():
    trace = run(cells=1)
    rule = Product(rows=256, columns=256, depth=256, rank=16).fetched(SMALL_TILE)
    for kernel in ("linear_forward", "linear_input_gradient"):
        # the rest is the table of levels and the cells' boundaries, a few kB a wave
        assert rule <= trace[kernel].fetched <= 1.05 * rule


@pytest.mark.usefixtures("small_tiles")
def test_the_base_is_read_once_for_each_tile_row_whatever_the_number_of_cells():
    one, four = run(cells=1), run(cells=4)
    for kernel in ("linear_forward", "linear_input_gradient"):
        for name in ("codes", "scales"):
            assert one[kernel].rereads(name) == four[kernel].rereads(name) == 256 / SMALL_TILE.rows


@pytest.mark.parametrize("kernel", ["forward", "input_gradient"])
@pytest.mark.parametrize("target", [target for target in TARGETS if target not in tiles.UNROLLED])
def test_training_shape_stays_near_the_least(kernel, target):
    product = Product(rows=2048, columns=2048, depth=2048, rank=16)
    ratio = product.fetched(tiles.table()[kernel][target]["many"]) / product.compulsory()
    assert ratio <= 1.8


def test_flat_tiles_would_be_noticed():
    """Flat tiles fetch the weight again and again; the bound must see it."""
    product = Product(rows=2048, columns=2048, depth=2048, rank=16)
    narrow = dataclasses.replace(tiles.table()["forward"]["sm_80"]["many"], rows=16)
    assert product.fetched(narrow) / product.compulsory() > 1.8
