# ruff: noqa: ANN001, ANN201 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twins of the adapters' own products: S = x A^T, dS and dB from one reading of dy, and dA = dS^T x.

Tiles never cross the boundary between two cells here, so each program needs one adapter. dB sums over rows:
every program writes the share of its rows, and a second kernel adds a cell's shares in a fixed order. No
atomics, so two runs agree to the bit. Bytes, at least:

    S         e (M K + G R K + M R)
    dS, dB    e (M N + G N R + 2 M R) + 4 G N R, plus 8 N R for each tile: its share goes out and back
    dA        e (M R + M K) + 4 G R K
"""

import functools
from dataclasses import dataclass, replace

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.linear_triton import padded_rank
from qlora_kernels.tiles import Tile, unrolled

SUMMED = 1024
"""Elements of dB that one program of the second pass adds up."""


def narrow_tile(rank: int, dtype: torch.dtype, device: torch.device) -> Tile:
    """Return the tile of these kernels on ``device``; its columns are the ranks.

    With 128 rows a share of dB costs 8 R / (128 e) of reading dy, half at rank 16 in bfloat16. Smaller tiles
    where the sums don't fit the registers: products without matrix instructions, such as those of float32,
    and high ranks have many.
    """
    ranks = padded_rank(rank)
    if unrolled(dtype, device):
        return Tile(rows=32, columns=ranks, depth=32 if ranks <= 64 else 16, warps=8, stages=2)
    if ranks > 32:
        return Tile(rows=64, columns=ranks, depth=32 if ranks <= 64 else 16, warps=8, stages=2)
    return Tile(rows=128, columns=ranks, depth=64, warps=4 if ranks <= 16 else 8, stages=2)


@triton.jit
def shrink(
    x, a, s, tile_cell, tile_start, segments, K, R, x_stride, a_stride,
    RANKS: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """One tile of S: rows of one cell, all ranks."""
    tile = tl.program_id(0)
    cell = tl.load(tile_cell + tile)
    row = tl.load(tile_start + tile) + tl.arange(0, ROWS)
    row_inside = row < tl.load(segments + cell + 1)
    rank = tl.arange(0, RANKS)
    total = tl.zeros((ROWS, RANKS), tl.float32)
    for start in range(0, K, DEPTH):
        depth = start + tl.arange(0, DEPTH)
        inside = row_inside[:, None] & (depth < K)[None, :]
        left = tl.load(x + row[:, None] * x_stride + depth[None, :], inside, other=0.0)
        right = tl.load(
            a + cell * a_stride + rank[:, None] * K + depth[None, :],
            (rank < R)[:, None] & (depth < K)[None, :],
            other=0.0,
        )
        total = tl.dot(left, tl.trans(right), total, input_precision="ieee")
    where = row[:, None] * R + rank[None, :]
    tl.store(s + where, total.to(s.dtype.element_ty), row_inside[:, None] & (rank < R)[None, :])


@triton.jit
def output_gradients(
    dy, b, s, factors, ds, shares, tile_cell, tile_start, segments, N, R, dy_stride, b_stride,
    RANKS: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """One tile of dS, and its rows' share of dB, from one reading of dy."""
    tile = tl.program_id(0)
    cell = tl.load(tile_cell + tile)
    row = tl.load(tile_start + tile) + tl.arange(0, ROWS)
    row_inside = row < tl.load(segments + cell + 1)
    rank = tl.arange(0, RANKS)
    narrow_inside = row_inside[:, None] & (rank < R)[None, :]
    factor = tl.load(factors + cell)
    shrunk = tl.load(s + row[:, None] * R + rank[None, :], narrow_inside, other=0.0)
    total = tl.zeros((ROWS, RANKS), tl.float32)
    for start in range(0, N, DEPTH):
        output = start + tl.arange(0, DEPTH).to(tl.int64)
        wide_inside = (output < N)[:, None] & (rank < R)[None, :]
        upstream = tl.load(
            dy + row[:, None] * dy_stride + output[None, :],
            row_inside[:, None] & (output < N)[None, :],
            other=0.0,
        )
        wide = tl.load(b + cell * b_stride + output[:, None] * R + rank[None, :], wide_inside, other=0.0)
        total = tl.dot(upstream, wide, total, input_precision="ieee")
        share = tl.dot(tl.trans(upstream), shrunk, input_precision="ieee") * factor
        tl.store(shares + (tile.to(tl.int64) * N + output[:, None]) * R + rank[None, :], share, wide_inside)
    where = row[:, None] * R + rank[None, :]
    tl.store(ds + where, (total * factor).to(ds.dtype.element_ty), narrow_inside)


@triton.jit
def sum_shares(shares, db, cell_tiles, size, SUMMED: tl.constexpr):
    """Add up the shares of one cell in the order of its tiles."""
    cell = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1).to(tl.int64) * SUMMED + tl.arange(0, SUMMED)
    total = tl.zeros((SUMMED,), tl.float32)
    first = tl.load(cell_tiles + cell)
    for step in range(tl.load(cell_tiles + cell + 1) - first):
        total += tl.load(shares + (first + step) * size + i, i < size, other=0.0)
    tl.store(db + cell * size + i, total.to(db.dtype.element_ty), i < size)


@triton.jit
def shrink_gradient(
    ds, x, da, segments, K, R, x_stride,
    RANKS: tl.constexpr, ROWS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """One tile of dA: all ranks, some columns of one cell; sums over the cell's rows."""
    cell = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * DEPTH + tl.arange(0, DEPTH)
    rank = tl.arange(0, RANKS)
    first, end = tl.load(segments + cell), tl.load(segments + cell + 1)
    total = tl.zeros((RANKS, DEPTH), tl.float32)
    for start in range(0, end - first, ROWS):
        row = first + start + tl.arange(0, ROWS)
        row_inside = row < end
        left = tl.load(
            ds + row[:, None] * R + rank[None, :], row_inside[:, None] & (rank < R)[None, :], other=0.0
        )
        right = tl.load(
            x + row[:, None] * x_stride + column[None, :],
            row_inside[:, None] & (column < K)[None, :],
            other=0.0,
        )
        total = tl.dot(tl.trans(left), right, total, input_precision="ieee")
    where = (cell * R + rank[:, None]) * K + column[None, :]
    tl.store(da + where, total.to(da.dtype.element_ty), (rank < R)[:, None] & (column < K)[None, :])


@dataclass(frozen=True)
class RowTiles:
    """Tiles of rows, none across the boundary of two cells; on the device."""

    tile: Tile
    segments: Tensor
    cell: Tensor
    """Which cell each tile belongs to."""
    start: Tensor
    """First row of each tile."""
    of_cell: Tensor
    """First tile of each cell, and the number of tiles at the end."""

    @classmethod
    def of(cls, segments: Tensor, device: torch.device, tile: Tile) -> "RowTiles":
        """Cut the rows of every cell into tiles."""
        return _row_tiles(tuple(segments.tolist()), device, tile)


@functools.lru_cache(maxsize=64)
def _row_tiles(boundaries: tuple[int, ...], device: torch.device, tile: Tile) -> RowTiles:
    """Make the tiles once for a step: all its layers have the same, and each copy to a GPU takes its time."""
    segments = torch.tensor(boundaries)
    counts = (segments.diff() + tile.rows - 1) // tile.rows
    of_cell = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    cell = torch.repeat_interleave(torch.arange(len(counts)), counts)
    start = segments[cell] + (torch.arange(len(cell)) - of_cell[cell]) * tile.rows
    tensors = (t.to(device, non_blocking=True) for t in (segments, cell, start, of_cell))
    return RowTiles(tile, *tensors)


def launch_shrink(x: Tensor, a: Tensor, tiles: RowTiles) -> Tensor:
    """Return S = x A^T, each cell's rows with its own A."""
    (M, K), R = x.shape, a.shape[1]
    s = torch.empty((M, R), dtype=x.dtype, device=x.device)
    if len(tiles.cell):
        shrink[(len(tiles.cell),)](
            x,
            a,
            s,
            tiles.cell,
            tiles.start,
            tiles.segments,
            K,
            R,
            x.stride(0),
            a.stride(0),
            **_constants(tiles.tile),
        )
    return s


def launch_output_gradients(
    dy: Tensor, b: Tensor, s: Tensor, factors: Tensor, tiles: RowTiles
) -> tuple[Tensor, Tensor]:
    """Return dS = factor * dy B and dB = factor * dy^T S, cell by cell."""
    (M, N), (G, _, R) = dy.shape, b.shape
    ds = torch.empty((M, R), dtype=dy.dtype, device=dy.device)
    db = torch.empty((G, N, R), dtype=b.dtype, device=dy.device)
    shares = torch.empty((len(tiles.cell), N, R), dtype=torch.float32, device=dy.device)
    if len(tiles.cell):
        output_gradients[(len(tiles.cell),)](
            dy, b, s, factors.to(dy.device), ds, shares, tiles.cell, tiles.start, tiles.segments,
            N, R, dy.stride(0), b.stride(0), **_constants(tiles.tile),
        )  # fmt: skip
    sum_shares[(G, triton.cdiv(N * R, SUMMED))](shares, db, tiles.of_cell, N * R, SUMMED=SUMMED, num_warps=4)
    return ds, db


def launch_shrink_gradient(ds: Tensor, x: Tensor, cells: int, tiles: RowTiles) -> Tensor:
    """Return dA = dS^T x, cell by cell."""
    K, R = x.shape[1], ds.shape[1]
    da = torch.empty((cells, R, K), dtype=x.dtype, device=x.device)
    # the depth of the other two is this one's width, and of 16 columns it would spill
    tile = replace(tiles.tile, depth=max(32, tiles.tile.depth))
    shrink_gradient[(cells, triton.cdiv(K, tile.depth))](
        ds, x, da, tiles.segments, K, R, x.stride(0), **_constants(tile)
    )
    return da


def _constants(tile: Tile) -> dict:
    return {
        "RANKS": tile.columns,
        "ROWS": tile.rows,
        "DEPTH": tile.depth,
        "num_warps": tile.warps,
        "num_stages": tile.stages,
    }
