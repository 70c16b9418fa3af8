"""The linear layer by decoding once and the vendor's product under the bench."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

import itertools
import json

import torch
from bench.checks import agrees, bytes_with_offsets, drawn
from bench.mutants import mutants
from bench.operators.grouped import example_on

from qlora_kernels import product_routes, quantize, vendor
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.product_routes import ROUTES


def check() -> None:
    """Three cells of uneven length, several parts with a ragged last one, each kind of format."""
    cells, rank, inputs, outputs = 3, 5, 320, 270
    segments, scale = torch.tensor([0, 30, 80, 140], device="cpu"), torch.tensor([0.5, 2.0, 1.0])
    a, b = drawn(cells, rank, inputs, scale=inputs**-0.5, seed=1), drawn(cells, outputs, rank, seed=2)
    x = drawn(140, inputs)
    dense = drawn(outputs, inputs, scale=inputs**-0.5, seed=3)
    small = bytes_with_offsets(outputs, inputs)
    before, vendor.SCRATCH_BYTES = vendor.SCRATCH_BYTES, 1
    try:
        for weight in (dense, *(quantize(dense, format) for format in ("nf4", "q4_1", "q8_0")), small):
            agrees(
                lambda x, a, b, to, w=weight: grouped_lora_linear(
                    x, w, a, b, scale, segments, backend="decoded" if to == "triton" else to
                ),
                x, a, b, terms=inputs,
            )  # fmt: skip
    finally:
        vendor.SCRATCH_BYTES = before


def check_routes() -> None:
    """At every edge of a band, the table as it stands in the file."""
    device, rows_beyond = torch.device("cpu"), 10**7  # a CPU interprets as sm_80
    for kernel, targets in json.loads(ROUTES.read_text(encoding="utf-8")).items():
        for kind, levels in (("pairs", "nf4"), ("int8", "int8")):
            bands = targets["sm_80"]["bands"][kind]
            sizes = {(weights or 2**30) + more for weights, _, _ in bands for more in (0, 64)}
            heights = {(rows or rows_beyond) + more for _, rows, _ in bands for more in (0, 1)} | {1}
            for size, rows in itertools.product(sizes, heights):
                fits = (p for w, m, p in bands if (w is None or size <= w) and (m is None or rows <= m))
                shape = (rows, 64, size // 64)
                for asked, expected in (("auto", next(fits)), ("fused", "fused"), ("decoded", "decoded")):
                    chosen = product_routes.product_for(kernel, levels, shape, torch.bfloat16, device, asked)
                    assert chosen.route == expected, (kernel, kind, size, rows)
    wide = (4096, 4096, 4096)
    for dtype, expected in ((torch.float16, "decoded"), (torch.float32, "fused")):
        assert product_routes.product_for("forward", "int8", wide, dtype, device, "auto").route == expected
    few = (1, 64, 64)
    assert (
        product_routes.product_for("forward", "dense", few, torch.float16, device, "auto").route == "decoded"
    )


CHECKS = {"decode_once": check, "product_routes": check_routes}
EXAMPLES = {
    "LoRA on nf4, decoded once": example_on("nf4", cells=1, backend="decoded"),
    "LoRA on q8_0, 4 cells, decoded once": example_on("q8_0", cells=4, backend="decoded"),
}
MUTANTS = [
    *mutants(
        "decode_once_triton",
        check,
        ("every part decodes the first columns", "first // each, len(codes), width", "0, len(codes), width"),
        ("scales of the first columns", "((first_byte + byte) // BYTES)[None, :]", "(byte // BYTES)[None, :]"),
        ("offset forgotten in a part", "            second += offset\n", ""),
        ("offset of signed bytes forgotten", "weight += tl.load(offsets", "weight + tl.load(offsets"),
        ("weights of a pair swapped", "tl.join(first, second)", "tl.join(second, first)"),
        ("rows of the next part", "inside = (row < rows)[:, None] & (byte < width)[None, :]", "inside = (row <= rows)[:, None] & (byte < width)[None, :]"),
        ("product forgotten", "    total += tl.load(product", "    total + tl.load(product"),
        ("product's row stride is the result's", "row[:, None] * product_stride", "row[:, None] * N * 2"),
        ("update of the first columns for every part", "update.add(product, b[:, part].mT, y[:, part])", "update.add(product, b[:, : part.stop - part.start].mT, y[:, part])"),
        ("each part goes to the first columns", "update.add(product, a[:, :, part], dx[:, part])", "update.add(product, a[:, :, part], dx[:, : part.stop - part.start])"),
        ("last part forgotten", "for start in range(0, columns if rows else 0, width):", "for start in range(0, columns - width if rows else 0, width):"),
        ("factors not passed on", "return cls(narrow, given, tile, cells)", "return cls(narrow, None, tile, cells)"),
        ("cells of the tile above", "first_cell + tile_row, last_cell + tile_row", "first_cell, last_cell + 0 * tile_row"),
    ),
    *mutants(
        "product_routes",
        check_routes,
        ("a band ends before its last row", "band.rows >= M", "band.rows > M"),
        ("a band ends before its last weight", "band.weights >= N * K", "band.weights > N * K"),
        ("bytes go by the bands of pairs", '"int8" if levels == "int8" else "pairs"', '"pairs"'),
        ("asking for a product is ignored", "if backend in PRODUCTS:", "if False:"),
        ("float32 goes to the library", "if dtype == torch.float32:", "if False:"),
    ),
    *mutants(
        "vendor",
        check,
        ("the right operand transposed twice", "widened(a) @ widened(b)", "widened(a) @ widened(b).flip(0)"),
    ),
]  # fmt: skip
