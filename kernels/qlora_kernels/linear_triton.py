# ruff: noqa: ANN001, ANN201, D103 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""Triton twins of the products with the packed base weight: y = x W^T + update, and dx = dy W + update.

One kernel for each product, for every format, with or without adapters, for one cell or a stack of them. A
tile of the base is decoded on the chip, so that per weight only its packed bytes are read. Bytes, at least:

    forward   e (M K + M N + M R + G N R) of activations and adapters, plus the packed weight
    backward  the same with N and K exchanged: the packed weight is read as it lies, without a transposed copy

Tiles of the result take no notice of the cells: a tile whose rows belong to several adds each one's update to
its own rows. The base is therefore read once for every row of tiles, however many cells there are.

Before an `mma.sync` Triton up to 3.7 looks for the `tl.join` that an operand comes from, and then wants four
neighbours a lane, which `ldmatrix` can't load: twice the instructions. HIDE_JOIN puts a sum over an axis of
one number between the two, behind which it doesn't look.

A byte of two 4-bit codes is decoded by one look-up in a table of 256 pairs of float32 levels, which costs a
quarter to a tenth of the instructions of selecting among sixteen levels, and is exact.
"""

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.formats_layout import Affine, pair_table
from qlora_kernels.rows import power_of_two
from qlora_kernels.tiles import Tile, multiplies_in_warps, rounds_by_integers, tile_for
from qlora_kernels.triton_version import version_of

LARGEST_RANK = 128
NEIGHBOURS: tl.constexpr = tl.constexpr(8)
"""Tile rows that are computed side by side, so that they find each other's weights in the L2 cache."""
NOT_A_NUMBER: tl.constexpr = tl.constexpr(0x7FC00000)
"""Bits of the float32 that is not a number and stays none when its lower half is rounded away."""


@triton.jit
def narrowed(value, like, INTEGERS: tl.constexpr):
    """Round float32 to the nearest of the type that ``like`` points to, ties to even.

    With INTEGERS to bfloat16, where there is no instruction for it: in two instead of four operations, but a
    number that isn't one has to be NOT_A_NUMBER.
    """
    if INTEGERS:
        bits = value.to(tl.int32, bitcast=True)
        bits += 0x7FFF + ((bits >> 16) & 1)
        result = (bits >> 16).to(tl.int16).to(tl.bfloat16, bitcast=True)
    else:
        result = value.to(like.dtype.element_ty)
    return result


@triton.jit
def wide_scale(value, INTEGERS: tl.constexpr):
    """Convert scales to float32; with INTEGERS what isn't a number becomes the one that `narrowed` takes."""
    wide = value.to(tl.float32)
    if INTEGERS:
        # on the bits: a compiler may take one number that isn't one for as good as another
        bits = tl.where(wide == wide, wide.to(tl.int32, bitcast=True), NOT_A_NUMBER)
        wide = bits.to(tl.float32, bitcast=True)
    return wide


@triton.jit
def decoded_tile(
    codes, scales, offsets, table, row, row_inside, start, K, like, KIND: tl.constexpr,
    GROUP: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, INTEGERS: tl.constexpr,
    HIDE_JOIN: tl.constexpr,
):  # fmt: skip
    """Weights [ROWS, COLUMNS] from column ``start`` on, in the type that ``like`` points to.

    GROUP weights share a scale; where a tile is narrower than that, it has one. One return for all kinds:
    the compiler reads on behind a return in a branch.
    """
    if KIND == "dense":
        column = start + tl.arange(0, COLUMNS)
        inside = row_inside[:, None] & (column < K)[None, :]
        weight = tl.load(codes + row[:, None] * K + column[None, :], inside, other=0.0)
    else:
        SCALES: tl.constexpr = max(1, COLUMNS // GROUP)
        SHARED: tl.constexpr = COLUMNS // SCALES
        group = start // GROUP + tl.arange(0, SCALES)
        group_inside = row_inside[:, None] & (group * GROUP < K)[None, :]
        place = row[:, None] * (K // GROUP) + group[None, :]
        scale = wide_scale(tl.load(scales + place, group_inside, other=0.0), INTEGERS)[:, :, None]
        if KIND == "int8":
            column = start + tl.arange(0, COLUMNS)
            inside = row_inside[:, None] & (column < K)[None, :]
            code = tl.load(codes + row[:, None] * K + column[None, :], inside, other=0)
            weight = code.to(tl.float32).reshape(ROWS, SCALES, SHARED) * scale
            if offsets is not None:
                weight += wide_scale(tl.load(offsets + place, group_inside, other=0.0), INTEGERS)[:, :, None]
            weight = narrowed(weight, like, INTEGERS)
        else:
            column = start // 2 + tl.arange(0, COLUMNS // 2)
            inside = row_inside[:, None] & (column < K // 2)[None, :]
            byte = tl.load(codes + row[:, None] * (K // 2) + column[None, :], inside, other=0)
            index = byte.to(tl.int32).reshape(ROWS * COLUMNS // 2)
            pair = tl.gather(table, index, 0).reshape(ROWS, SCALES, SHARED // 2)
            first = pair.to(tl.int32).to(tl.float32, bitcast=True) * scale
            second = (pair >> 32).to(tl.int32).to(tl.float32, bitcast=True) * scale
            if offsets is not None:
                offset = wide_scale(tl.load(offsets + place, group_inside, other=0.0), INTEGERS)[:, :, None]
                first += offset
                second += offset
            weight = tl.join(narrowed(first, like, INTEGERS), narrowed(second, like, INTEGERS))
    weight = weight.reshape(ROWS, COLUMNS).to(like.dtype.element_ty)
    if HIDE_JOIN and KIND == "pairs":
        weight = tl.sum(weight.reshape(ROWS, COLUMNS, 1), 2)  # of one number each: nothing is computed
    return weight


@triton.jit
def tile_of(program, tile_rows, tile_columns):
    """Which tile a program computes: down NEIGHBOURS tile rows first, then one column on."""
    band = program // (NEIGHBOURS * tile_columns)
    first = band * NEIGHBOURS
    height = tl.minimum(tile_rows - first, NEIGHBOURS)
    within = program % (NEIGHBOURS * tile_columns)
    return first + within % height, within // height


@triton.jit
def adapter_update(
    narrow, wide, factors, segments, first_cell, last_cell, row, row_inside, column, column_inside,
    R, narrow_stride, cell_stride, rank_stride, column_stride,
    RANKS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sum over the cells of this tile of narrow[rows of the cell] times wide[cell], each by its factor."""
    rank = tl.arange(0, RANKS)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    first = tl.load(first_cell)
    for step in range(tl.load(last_cell) - first + 1):
        cell = first + step
        mine = row_inside & (row >= tl.load(segments + cell)) & (row < tl.load(segments + cell + 1))
        left = tl.load(
            narrow + row[:, None] * narrow_stride + rank[None, :],
            mine[:, None] & (rank < R)[None, :],
            other=0.0,
        )
        right = tl.load(
            wide + cell * cell_stride + rank[:, None] * rank_stride + column[None, :] * column_stride,
            (rank < R)[:, None] & column_inside[None, :],
            other=0.0,
        )
        factor = 1.0 if factors is None else tl.load(factors + cell)
        total += tl.dot(left, right, input_precision="ieee") * factor
    return total


@triton.jit
def linear_forward(
    x, codes, scales, offsets, table, s, b, factors, segments, first_cell, last_cell, y,
    M, N, K, R, x_stride, b_stride,
    KIND: tl.constexpr, GROUP: tl.constexpr, RANKS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
    INTEGERS: tl.constexpr, HIDE_JOIN: tl.constexpr,
):  # fmt: skip
    tile_row, tile_column = tile_of(tl.program_id(0), tl.cdiv(M, ROWS), tl.cdiv(N, COLUMNS))
    row = tile_row.to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tile_column.to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    row_inside, column_inside = row < M, column < N
    entries = None if table is None else tl.load(table + tl.arange(0, 256))
    if s is None:
        total = tl.zeros((ROWS, COLUMNS), tl.float32)
    else:
        total = adapter_update(
            s, b, factors, segments, first_cell + tile_row, last_cell + tile_row, row, row_inside,
            column, column_inside, R, R, b_stride, 1, R, RANKS, ROWS, COLUMNS,
        )  # fmt: skip
    for start in range(0, K, DEPTH):
        depth = start + tl.arange(0, DEPTH)
        inside = row_inside[:, None] & (depth < K)[None, :]
        left = tl.load(x + row[:, None] * x_stride + depth[None, :], inside, other=0.0)
        weight = decoded_tile(
            codes, scales, offsets, entries, column, column_inside, start, K, x, KIND, GROUP, COLUMNS, DEPTH,
            INTEGERS, HIDE_JOIN,
        )  # fmt: skip
        total = tl.dot(left, tl.trans(weight), total, input_precision="ieee")
    where = row[:, None] * N + column[None, :]
    tl.store(y + where, total.to(y.dtype.element_ty), row_inside[:, None] & column_inside[None, :])


@triton.jit
def linear_input_gradient(
    dy, codes, scales, offsets, table, ds, a, segments, first_cell, last_cell, dx,
    M, N, K, R, dy_stride, a_stride,
    KIND: tl.constexpr, GROUP: tl.constexpr, RANKS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
    INTEGERS: tl.constexpr, HIDE_JOIN: tl.constexpr,
):  # fmt: skip
    tile_row, tile_column = tile_of(tl.program_id(0), tl.cdiv(M, ROWS), tl.cdiv(K, COLUMNS))
    row = tile_row.to(tl.int64) * ROWS + tl.arange(0, ROWS)
    start = tile_column * COLUMNS
    column = start + tl.arange(0, COLUMNS)
    row_inside, column_inside = row < M, column < K
    entries = None if table is None else tl.load(table + tl.arange(0, 256))
    if ds is None:
        total = tl.zeros((ROWS, COLUMNS), tl.float32)
    else:
        total = adapter_update(
            ds, a, None, segments, first_cell + tile_row, last_cell + tile_row, row, row_inside,
            column, column_inside, R, R, a_stride, K, 1, RANKS, ROWS, COLUMNS,
        )  # fmt: skip
    output = tl.arange(0, DEPTH)
    for first in range(0, N, DEPTH):
        output_inside = first + output < N
        inside = row_inside[:, None] & output_inside[None, :]
        left = tl.load(dy + row[:, None] * dy_stride + (first + output)[None, :], inside, other=0.0)
        weight = decoded_tile(
            codes, scales, offsets, entries, output, output_inside, start, K, dy, KIND, GROUP, DEPTH, COLUMNS,
            INTEGERS, HIDE_JOIN,
        )  # fmt: skip
        total = tl.dot(left, weight, total, input_precision="ieee")
        # step by whole tiles, so that the offsets within one need no 64-bit products in the loop
        codes += DEPTH * (K // 2 if KIND == "pairs" else K)
        if scales is not None:
            scales += DEPTH * (K // GROUP)
        if offsets is not None:
            offsets += DEPTH * (K // GROUP)
    where = row[:, None] * K + column[None, :]
    tl.store(dx + where, total.to(dx.dtype.element_ty), row_inside[:, None] & column_inside[None, :])


def launch_forward(
    x: Tensor, weight: Affine, s: Tensor | None, b: Tensor | None, factors: Tensor, segments: Tensor
) -> Tensor:
    """Return y = x W^T, plus factor * s b^T of each cell where there are adapters."""
    (M, K), N = x.shape, weight.codes.shape[0]
    tile = tile_for("forward", x.device, M, x.dtype, ranks=_ranks(s))
    y = torch.empty((M, N), dtype=x.dtype, device=x.device)
    if M and N:
        linear_forward[(triton.cdiv(M, tile.rows) * triton.cdiv(N, tile.columns),)](
            x, *_packed(weight), s, b, *_cells(s, factors, segments, M, tile), y,
            M, N, K, 0 if s is None else s.shape[1], x.stride(0), 0 if b is None else b.stride(0),
            **_constants(weight, s, tile, x),
        )  # fmt: skip
    return y


def launch_input_gradient(
    dy: Tensor, weight: Affine, ds: Tensor | None, a: Tensor | None, segments: Tensor
) -> Tensor:
    """Return dx = dy W, plus ds a of each cell where there are adapters."""
    (M, N), K = dy.shape, weight.columns
    tile = tile_for("input_gradient", dy.device, M, dy.dtype, ranks=_ranks(ds))
    dx = torch.empty((M, K), dtype=dy.dtype, device=dy.device)
    if M and K:
        cells = (
            (None,) * 3 if ds is None else _cells_of_tiles(tuple(segments.tolist()), dy.device, M, tile.rows)
        )
        linear_input_gradient[(triton.cdiv(M, tile.rows) * triton.cdiv(K, tile.columns),)](
            dy, *_packed(weight), ds, a, *cells, dx,
            M, N, K, 0 if ds is None else ds.shape[1], dy.stride(0), 0 if a is None else a.stride(0),
            **_constants(weight, ds, tile, dy),
        )  # fmt: skip
    return dx


def _packed(weight: Affine) -> tuple[Tensor | None, ...]:
    """Codes, scales, offsets and the table of level pairs, or None for what the format doesn't have."""
    if weight.levels == "dense":
        return weight.codes, None, None, None
    table = None if weight.levels == "int8" else pair_table(weight.levels, weight.codes.device)
    offsets = None if weight.offsets is None else weight.offsets.contiguous()
    return weight.codes.contiguous(), weight.scales.contiguous(), offsets, table


def _cells(
    narrow: Tensor | None, factors: Tensor, segments: Tensor, rows: int, tile: Tile
) -> tuple[Tensor | None, ...]:
    """Factors and segment boundaries on the device, and the first and the last cell of each tile row."""
    if narrow is None:
        return None, None, None, None
    factors = factors.to(narrow.device, non_blocking=True)
    return factors, *_cells_of_tiles(tuple(segments.tolist()), narrow.device, rows, tile.rows)


@functools.lru_cache(maxsize=64)
def _cells_of_tiles(
    boundaries: tuple[int, ...], device: torch.device, rows: int, tile_rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Boundaries, first and last cell of each tile row on the device; made once for all layers of a step."""
    segments = torch.tensor(boundaries)
    starts = torch.arange(0, rows, tile_rows)
    ends = (starts + tile_rows).clamp(max=rows) - 1
    first, last = (torch.searchsorted(segments, edge, right=True) - 1 for edge in (starts, ends))
    segments, first, last = (t.to(device, non_blocking=True) for t in (segments, first, last))
    return segments, first, last


def padded_rank(rank: int) -> int:
    """Return the number of ranks that the kernels compute with; 16 is the least of a matrix instruction.

    Raises:
        ValueError: If the rank is above 128, for which no tile fits the chips' memory.
    """
    if rank > LARGEST_RANK:
        raise ValueError(
            f"the Triton kernels take ranks of up to {LARGEST_RANK}, got {rank}; use backend='torch'"
        )
    return max(16, power_of_two(rank))


def _ranks(narrow: Tensor | None) -> int:
    return 0 if narrow is None else padded_rank(narrow.shape[1])


def _constants(weight: Affine, narrow: Tensor | None, tile: Tile, like: Tensor) -> dict:
    kind = weight.levels if weight.levels in ("dense", "int8") else "pairs"
    return {
        "KIND": kind,
        "GROUP": 0 if kind == "dense" else weight.block_size,
        "RANKS": _ranks(narrow),
        "ROWS": tile.rows,
        "COLUMNS": tile.columns,
        "DEPTH": tile.depth,
        "INTEGERS": rounds_by_integers(like.dtype, like.device),
        "HIDE_JOIN": version_of(triton.__version__) < (3, 8) and multiplies_in_warps(like.device),
        "num_warps": tile.warps,
        "num_stages": tile.stages,
        "enable_fp_fusion": False,  # scale and offset round one after the other, as in the definition
    }
