"""Choose for each GPU which product with a packed weight a shape takes, and write the frozen table.

    python benchmarks/choose_routes.py                          # counted, without a GPU: some minutes
    python benchmarks/choose_routes.py --measured times.json    # where a card was timed, its times decide

Fused, a tile of the weight is decoded for every tile of rows; decoded once, it goes through the memory and
the vendor's library multiplies. Both costs are counted here: a loop's instructions from the machine code,
bytes from the shapes, and what a card of each target does in a second from its data sheet. A count ranks, it
predicts no time; so decoding once is chosen only where it costs a tenth less, because the fused product needs
no scratch.

A file of measured times is the record that `make gpu-check` writes, or a list of {"operator": "forward" or
"input gradient", "format", "rows", "K", "N", "target", "card", "fused_ms", "decoded_ms"}. A target for which
there are some is decided by those alone.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from itertools import product
from math import ceil, log
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "kernels"))
os.environ.setdefault("TRITON_CACHE_DIR", tempfile.mkdtemp())

import torch  # noqa: E402

from qlora_kernels import FORMATS, quantize  # noqa: E402
from qlora_kernels.lab.compiler import SIXTEEN_BITS, TARGETS, Launch, build, captured, running_on  # noqa: E402
from qlora_kernels.linear import lora_linear  # noqa: E402
from qlora_kernels.product_routes import ROUTES  # noqa: E402
from qlora_kernels.tiles import FEW_ROWS, Tile, table  # noqa: E402

KERNELS = {"forward": "linear_forward", "input_gradient": "linear_input_gradient"}
FORMAT_OF = {"pairs": "q4_1", "int8": "q8_0"}
"""The format that stands for each kind of codes: of the pairs the one with the most instructions."""
BYTES = ("q8_0", "int8")
"""Formats of a byte a weight."""
SIZES: dict[int | None, list[tuple[int, int]]] = {
    2**20: [(576, 576), (1536, 576), (576, 1536)],
    2**23: [(2048, 2048), (512, 2048), (1024, 4096)],
    None: [(4096, 4096), (14336, 4096), (4096, 14336)],
}
"""Most weights of a layer -> the (N, K) that stand for it: layers of models of 135M, of 1B, of 8B."""
ROWS = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768]
MARGIN = 1.1
"""How much cheaper decoding once has to be."""


@dataclass(frozen=True)
class Card:
    """What a card of a target does, by its data sheet: dense 16-bit products summed in float32."""

    name: str
    teraflops: float
    gigabytes: float
    processors: int
    gigahertz: float
    lanes: int = 128
    """Instructions, counted by lane, that a multiprocessor issues in a cycle."""


CARDS = {
    "sm_75": Card("T4", 65, 320, 40, 1.59),
    "sm_80": Card("A100", 312, 1555, 108, 1.41),
    "sm_86": Card("RTX 3090", 71, 936, 82, 1.70),
    "sm_89": Card("RTX 4090", 165, 1008, 128, 2.52),
    "sm_90": Card("H100", 989, 3350, 132, 1.83),
    "sm_100": Card("B200", 2250, 8000, 148, 1.85),
    "sm_120": Card("RTX 5090", 210, 1792, 170, 2.41),
    "gfx942": Card("MI300X", 1307, 5300, 304, 2.10, lanes=64),
    "gfx950": Card("MI355X", 2300, 8000, 256, 2.40, lanes=64),
}
PRODUCT_SHARE = 0.7
"""Share of the peak that a good product reaches, the library's or a kernel's."""
COPY_SHARE = 0.85
"""Share of the memory's rate that a copy reaches."""
LAUNCH = 5e-6
"""Seconds that each launch of a program costs that isn't recorded as a graph."""


def recorded(kernel: str, format: str, target: str) -> Launch:
    """Record the fused kernel's launch at a training shape, as a target gets it."""
    size, dtype = 1024, SIXTEEN_BITS[target]
    weight = quantize(torch.randn(size, size), format)
    x = torch.zeros(size, size, dtype=dtype, requires_grad=True)
    a, b = (torch.zeros(shape, dtype=dtype) for shape in ((16, size), (size, 16)))
    with running_on(target):
        found = captured(lambda: lora_linear(x, weight, a, b, 1.0, backend="fused").backward(x.detach()))
    return next(launch for launch in found if launch.name == KERNELS[kernel])


def per_weight(launch: Launch, tile: Tile, target: str) -> float:
    """Instructions of the hot loop for each weight that it decodes, by lane."""
    shape = {"ROWS": tile.rows, "COLUMNS": tile.columns, "DEPTH": tile.depth}
    report = build(launch, target, **shape, num_warps=tile.warps, num_stages=tile.stages)
    return report.loop_instructions_per(tile.columns * tile.depth)


def fused_seconds(card: Card, tile: Tile, instructions: float, bits: float, M: int, N: int, K: int) -> float:
    """Waves of tiles, each decoding and then multiplying; or the bytes, where those take longer."""
    issue = instructions / (card.lanes * card.gigahertz * 1e9)
    multiply = 2 * tile.rows * card.processors / (card.teraflops * 1e12 * PRODUCT_SHARE)
    one_tile = tile.columns * K * (issue + multiply)
    waves = ceil(ceil(M / tile.rows) * ceil(N / tile.columns) / card.processors)
    moved = bits / 8 * N * K + 2 * M * (K + N)
    return max(waves * one_tile, moved / _copied(card)) + LAUNCH


def decoded_seconds(card: Card, bits: float, M: int, N: int, K: int) -> float:
    """Decode through the memory, multiply into float32, add the update and round."""
    decode = (bits / 8 + 2) * N * K / _copied(card)
    moved = 2 * N * K + 2 * M * K + 4 * M * N
    product = max(2 * M * N * K / (card.teraflops * 1e12 * PRODUCT_SHARE), moved / _copied(card))
    return decode + product + 6 * M * N / _copied(card) + 3 * LAUNCH


def _copied(card: Card) -> float:
    return card.gigabytes * 1e9 * COPY_SHARE


def read_times(path: Path) -> list[dict]:
    """Read the products' times from a list, or from a record of `make gpu-check`."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(found, dict):
        rows = found["parts"]["operators"]["result"]["rows"]
        found = [{**row, "card": found["card"]} for row in rows]
    named = [{**row, "operator": row["operator"].replace(" ", "_")} for row in found]
    return [row for row in named if row["operator"] in KERNELS and row["fused_ms"] and row["decoded_ms"]]


Step = tuple[int | None, int | None, str]
"""Most weights, most rows, and the product up to there; None is no limit."""
Times = list[tuple[int, float, float]]
"""Rows, and what both products cost: fused, and decoded once."""


def instructions(kernel: str, target: str, launches: dict[str, Launch]) -> dict[str, float]:
    """Count the hot loop's instructions for each weight, with the tile for many rows, by kind of codes."""
    tile = table()[kernel][target]["many"]
    return {kind: round(per_weight(launches[kind], tile, target), 2) for kind in FORMAT_OF}


def counted(kernel: str, target: str, costs: dict[str, float]) -> dict[str, list[Step]]:
    """Bands of one target by kind of codes, from the cost model."""
    card, tile, bands = CARDS[target], table()[kernel][target]["many"], {}
    for kind, format in FORMAT_OF.items():
        bits = FORMATS[format].bits_per_weight(FORMATS[format].block_size)
        bands[kind] = []
        for most, shapes in SIZES.items():
            times: Times = []
            for M, (outputs, inputs) in product(ROWS, shapes):
                # dx = dy W is the same product with N and K exchanged
                shape = (outputs, inputs) if kernel == "forward" else (inputs, outputs)
                fused = fused_seconds(card, tile, costs[kind], bits, M, *shape)
                times.append((M, fused, MARGIN * decoded_seconds(card, bits, M, *shape)))
            bands[kind] += steps(most, times, least=FEW_ROWS)
    return bands


def measured(kernel: str, found: list[dict]) -> dict[str, list[Step]]:
    """Bands of one target by kind of codes, from times on a card."""
    bands = {}
    for kind in FORMAT_OF:
        mine = [t for t in found if t["operator"] == kernel and (t["format"] in BYTES) == (kind == "int8")]
        bands[kind] = []
        for least, most in zip([0, *SIZES], SIZES, strict=False):
            sized = [t for t in mine if (least or 0) < t["N"] * t["K"] <= (most or t["N"] * t["K"])]
            bands[kind] += steps(most, [(t["rows"], t["fused_ms"], t["decoded_ms"]) for t in sized])
    return bands


def steps(most: int | None, times: Times, least: int = 0) -> list[Step]:
    """Find up to how many rows, at least ``least``, fused is taken: the product of all times decides."""
    if not times:
        return []
    rows = sorted({m for m, _, _ in times})

    def cost(limit: int) -> float:
        return sum(log(fused if m <= limit else decoded) for m, fused, decoded in times)

    limit = min([*reversed(rows), least], key=cost)
    if limit == rows[-1]:
        return [(most, None, "fused")]
    return [*([(most, limit, "fused")] if limit else []), (most, None, "decoded")]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--measured", type=Path, help="JSON of times on a card, for the targets that it names"
    )
    arguments = parser.parse_args()
    times = read_times(arguments.measured) if arguments.measured else []
    written = json.loads(ROUTES.read_text(encoding="utf-8")) if ROUTES.exists() else {}
    for kernel in KERNELS:
        entries = written.setdefault(kernel, {})
        for target in {t["target"]: None for t in times}:
            mine = [t for t in times if t["target"] == target]
            made_from = "measured on " + ", ".join(sorted({t["card"] for t in mine}))
            entries[target] = {"made_from": made_from, "bands": measured(kernel, mine)}
        if times:
            continue
        for target in TARGETS:
            launches = {kind: recorded(kernel, format, target) for kind, format in FORMAT_OF.items()}
            if not entries.get(target, {}).get("made_from", "").startswith("measured"):
                made_from = f"counted by the data sheet of {CARDS[target].name}, not measured"
                costs = instructions(kernel, target, launches)
                bands = counted(kernel, target, costs)
                entries[target] = {"made_from": made_from, "instructions": costs, "bands": bands}
                print(kernel, target, entries[target]["bands"], flush=True)
    ROUTES.write_text(_compact(written), encoding="utf-8")


def _compact(routes: dict) -> str:
    """JSON with a line for each band."""
    return (
        re.sub(
            r"\[\s+([^\[\]]+?),\s+([^\[\]]+?),\s+([^\[\]]+?)\s+\]",
            r"[\1, \2, \3]",
            json.dumps(routes, indent=1),
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
