# ruff: noqa: ANN001, ANN201 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""The other route of the products with the packed base: decode once, and let the vendor's library multiply.

``linear_triton.py`` decodes a tile of the base for every tile of rows; with thousands of rows that is done
dozens of times. Here a part of one layer's weight is decoded into a scratch, multiplied, and overwritten by
the next part. For y = x W^T a part is some rows of W, for dx = dy W some of its columns, so that every
element of the result is one whole sum. ``product_routes.py`` says which of the two routes a shape takes.

Where there are adapters, the product is kept in float32 until `add_update` has added the update of each
cell, and is rounded once, as in the fused route. Bytes for each pass, at least, with e bytes an element:

    decode    the packed weight, and e N K of the scratch written, and read again by the product
    product   e (M K + M N); with adapters e M K + 4 M N
    update    4 M N read and e M N written, and e (M R + G N R) of the adapters

Memory beside the result: a part of the weight, and of the float32 product, of ``vendor.SCRATCH_BYTES`` each.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from qlora_kernels.formats_layout import Affine, pair_table
from qlora_kernels.linear_triton import _cells_of_tiles, adapter_update, padded_rank
from qlora_kernels.tiles import Tile, unrolled
from qlora_kernels.vendor import multiply, part_width

ROWS_AT_ONCE = 8
BYTES_OF_A_ROW = 128
"""Rows, and bytes of codes of each, that one program decodes."""


@triton.jit
def decode_part(
    codes, scales, offsets, table, out, first_byte, rows, width, codes_stride, scales_stride, out_stride,
    KIND: tl.constexpr, GROUP: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Decode ``width`` bytes of codes of each row, from ``first_byte`` on, one weight each or two."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    byte = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = (row < rows)[:, None] & (byte < width)[None, :]
    code = tl.load(codes + row[:, None] * codes_stride + (first_byte + byte)[None, :], inside, other=0)
    BYTES: tl.constexpr = GROUP if KIND == "int8" else GROUP // 2
    place = row[:, None] * scales_stride + ((first_byte + byte) // BYTES)[None, :]
    scale = tl.load(scales + place, inside, other=0.0).to(tl.float32)
    if KIND == "int8":
        weight = code.to(tl.float32) * scale
        if offsets is not None:
            weight += tl.load(offsets + place, inside, other=0.0).to(tl.float32)
        tl.store(out + row[:, None] * out_stride + byte[None, :], weight.to(out.dtype.element_ty), inside)
    else:
        index = code.to(tl.int32).reshape(ROWS * BLOCK)
        pair = tl.gather(tl.load(table + tl.arange(0, 256)), index, 0).reshape(ROWS, BLOCK)
        first = pair.to(tl.int32).to(tl.float32, bitcast=True) * scale
        second = (pair >> 32).to(tl.int32).to(tl.float32, bitcast=True) * scale
        if offsets is not None:
            offset = tl.load(offsets + place, inside, other=0.0).to(tl.float32)
            first += offset
            second += offset
        both = tl.join(first, second).to(out.dtype.element_ty)
        column = 2 * byte[None, :, None] + tl.arange(0, 2)[None, None, :]
        tl.store(out + row[:, None, None] * out_stride + column, both, inside[:, :, None])


@triton.jit
def add_update(
    product, narrow, wide, factors, segments, first_cell, last_cell, out,
    M, N, R, product_stride, out_stride, cell_stride, rank_stride, column_stride,
    RANKS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One tile of the product and its cells' updates, added in float32 and rounded once."""
    tile_row = tl.program_id(0)
    row = tile_row.to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    row_inside, column_inside = row < M, column < N
    total = adapter_update(
        narrow, wide, factors, segments, first_cell + tile_row, last_cell + tile_row, row, row_inside,
        column, column_inside, R, R, cell_stride, rank_stride, column_stride, RANKS, ROWS, COLUMNS,
    )  # fmt: skip
    inside = row_inside[:, None] & column_inside[None, :]
    total += tl.load(product + row[:, None] * product_stride + column[None, :], inside, other=0.0)
    tl.store(out + row[:, None] * out_stride + column[None, :], total.to(out.dtype.element_ty), inside)


def update_tile(rank: int, dtype: torch.dtype, device: torch.device) -> Tile:
    """Return the tile of `add_update`; its sum runs over the rank at once: high ranks take smaller ones."""
    ranks = padded_rank(rank)
    if unrolled(dtype, device):  # products without matrix instructions
        return Tile(rows=32, columns=64 if ranks <= 32 else 32, depth=ranks, warps=8, stages=1)
    if ranks > 64:
        return Tile(rows=32, columns=64, depth=ranks, warps=8, stages=1)
    return Tile(rows=64, columns=128 if ranks <= 32 else 64, depth=ranks, warps=8, stages=1)


@dataclass(frozen=True)
class Update:
    """What is added to a product: each cell's rows of ``narrow`` by its matrix, times its factor."""

    narrow: Tensor
    factors: Tensor | None
    tile: Tile
    cells: tuple[Tensor | None, ...]
    """The cells' boundaries, and the first and the last cell of each row of tiles; on the device."""

    @classmethod
    def of(cls, narrow: Tensor, factors: Tensor | None, segments: Tensor) -> "Update":
        """Find the cells of each row of tiles."""
        tile = update_tile(narrow.shape[1], narrow.dtype, narrow.device)
        cells = _cells_of_tiles(tuple(segments.tolist()), narrow.device, narrow.shape[0], tile.rows)
        given = None if factors is None else factors.to(narrow.device, non_blocking=True)
        return cls(narrow, given, tile, cells)

    def add(self, product: Tensor, wide: Tensor, out: Tensor) -> None:
        """Write product + factor * narrow wide into ``out``; ``wide`` is (cells, ranks, columns)."""
        (M, N), tile = product.shape, self.tile
        add_update[(triton.cdiv(M, tile.rows), triton.cdiv(N, tile.columns))](
            product, self.narrow, wide, self.factors, *self.cells, out,
            M, N, wide.shape[1], product.stride(0), out.stride(0), *wide.stride(),
            RANKS=tile.depth, ROWS=tile.rows, COLUMNS=tile.columns,
            num_warps=tile.warps, num_stages=tile.stages,
        )  # fmt: skip


def launch_decoded_forward(
    x: Tensor, weight: Affine, s: Tensor | None, b: Tensor | None, factors: Tensor, segments: Tensor
) -> Tensor:
    """Return y = x W^T, plus factor * s b^T of each cell where there are adapters."""
    y = torch.empty((x.shape[0], weight.codes.shape[0]), dtype=x.dtype, device=x.device)
    update = None if s is None else Update.of(s, factors, segments)
    scratch = Scratch(weight, x.dtype)
    for part, product in _parts(y, weight.columns, adapted=update is not None):
        multiply(x, scratch.decoded(rows=part).mT, product)
        if update is not None and b is not None:
            update.add(product, b[:, part].mT, y[:, part])
    return y


def launch_decoded_input_gradient(
    dy: Tensor, weight: Affine, ds: Tensor | None, a: Tensor | None, segments: Tensor
) -> Tensor:
    """Return dx = dy W, plus ds a of each cell where there are adapters."""
    dx = torch.empty((dy.shape[0], weight.columns), dtype=dy.dtype, device=dy.device)
    update = None if ds is None else Update.of(ds, None, segments)
    scratch = Scratch(weight, dy.dtype)
    for part, product in _parts(dx, dy.shape[1], adapted=update is not None):
        multiply(dy, scratch.decoded(columns=part), product)
        if update is not None and a is not None:
            update.add(product, a[:, :, part], dx[:, part])
    return dx


ALL_OF_IT = slice(0, 1 << 62)


class Scratch:
    """Where parts of one weight are decoded, each over the one before."""

    def __init__(self, weight: Affine, dtype: torch.dtype) -> None:
        """Decode parts of ``weight`` to ``dtype``: computed in float32, then rounded."""
        self.weight, self.dtype = weight, dtype
        self.held = torch.empty(0, dtype=dtype, device=weight.codes.device)

    def decoded(self, rows: slice = ALL_OF_IT, columns: slice = ALL_OF_IT) -> Tensor:
        """Return some rows and columns, to the bits that ``decode`` gives, until the next call.

        Plain numbers are only converted. Columns begin and end at even places.
        """
        weight = self.weight
        if weight.levels == "dense":
            return weight.codes[rows, columns].to(self.dtype)
        codes, scales = weight.codes[rows].contiguous(), weight.scales[rows].contiguous()
        offsets = None if weight.offsets is None else weight.offsets[rows].contiguous()
        signed = weight.levels == "int8"
        each = 1 if signed else 2
        first, end, _ = columns.indices(weight.columns)
        out = self._room(len(codes), end - first)
        if out.numel():
            width = (end - first) // each
            decode_part[(triton.cdiv(len(codes), ROWS_AT_ONCE), triton.cdiv(width, BYTES_OF_A_ROW))](
                codes, scales, offsets, None if signed else pair_table(weight.levels, codes.device), out,
                first // each, len(codes), width, codes.stride(0), scales.stride(0), out.stride(0),
                KIND="int8" if signed else "pairs", GROUP=weight.block_size,
                ROWS=ROWS_AT_ONCE, BLOCK=BYTES_OF_A_ROW, num_warps=4, enable_fp_fusion=False,
            )  # fmt: skip
        return out

    def _room(self, rows: int, columns: int) -> Tensor:
        if self.held.numel() < rows * columns:
            self.held = self.held.new_empty(rows * columns)
        return self.held[: rows * columns].view(rows, columns)


def _parts(result: Tensor, summed: int, adapted: bool) -> Iterator[tuple[slice, Tensor]]:
    """Cut the columns of the result, each a sum over ``summed`` weights; and say where its product goes.

    Where nothing is added to a product, or its type is float32 already, it goes to its place in the result.
    """
    rows, columns = result.shape
    apart = adapted and result.dtype != torch.float32
    width = part_width(max(result.element_size() * summed, 4 * rows if apart else 0))
    buffer = result.new_empty(rows * min(width, columns) if apart else 0, dtype=torch.float32)
    for start in range(0, columns if rows else 0, width):
        part = slice(start, min(start + width, columns))
        size = part.stop - start
        yield part, buffer[: rows * size].view(rows, size) if apart else result[:, part]
