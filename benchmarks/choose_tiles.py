"""Choose each GPU's tiles for the matrix kernels from what the compiler says, and write the frozen table.

    python benchmarks/choose_tiles.py            # a few minutes; rewrites kernels/qlora_kernels/tiles.json
    python benchmarks/choose_tiles.py sm_75      # only these targets; the tiles of others stay

A candidate must compile for every kind of format without a spill, within the target's shared memory and
with its matrix instruction. Among those the least static cost for each multiply-add wins: cycles to issue
the loop's instructions plus cycles to bring its operands from the L2 cache. Both are counts from the
machine code and the shape, with an A100's widths; they rank candidates and predict no time.
"""

import argparse
import functools
import json
import os
import sys
import tempfile
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "kernels"))
os.environ.setdefault("TRITON_CACHE_DIR", tempfile.mkdtemp())

import torch  # noqa: E402

from qlora_kernels import quantize  # noqa: E402
from qlora_kernels.lab.compiler import (  # noqa: E402
    SHARED_LIMIT,
    SIXTEEN_BITS,
    TARGETS,
    Launch,
    MachineCode,
    build,
    captured,
    running_on,
)
from qlora_kernels.linear import lora_linear  # noqa: E402
from qlora_kernels.tiles import TABLE, UNROLLED, Tile  # noqa: E402

KERNELS = {"forward": "linear_forward", "input_gradient": "linear_input_gradient"}
CANDIDATES = {
    # two warps spill where sizes are those of SmolLM2
    "few": [Tile(16, 32, depth, 4, stages) for depth, stages in product((64, 128), (2, 3))],
    "many": [
        Tile(rows, columns, depth, warps, stages)
        for rows, columns, depth, warps, stages in product((64, 128), (64, 128), (64,), (4, 8), (2, 3))
        if 64 * 128 <= rows * columns <= 2048 * warps
    ],
    "float32": [Tile(64, 64, 32, 8, 2), Tile(64, 64, 16, 4, 2), Tile(32, 64, 32, 4, 2)],
}
WITHOUT_UNITS = {
    "few": [Tile(16, 32, depth, warps, 2) for depth, warps in product((32, 64), (2, 4))],
    "many": CANDIDATES["float32"],
    "float32": CANDIDATES["float32"],
}
"""For targets that products are unrolled on.

Few rows get narrow tiles: 4096 columns are then 128 programs, about one for each multiprocessor of a large
GPU, which between them have to read the packed weight as fast as the memory gives it.
"""
FORMATS = ("nf4", "q4_1", "q8_0")
"""One of each kind that compiles differently: a scale, a scale and an offset, bytes."""
ISSUED = 4 * 32
"""Instructions, counted by lane, that a multiprocessor issues in a cycle."""
L2_BYTES = 47
"""Bytes that a multiprocessor gets from the L2 cache in a cycle."""


@functools.cache
def launches(format: str, dtype: torch.dtype, target: str) -> dict[str, Launch]:
    """Record the kernels' launches at a training shape, by their name in the table; tiles come later."""
    size = 1024
    weight = quantize(torch.randn(size, size), format)
    x = torch.zeros(size, size, dtype=dtype, requires_grad=True)
    a, b = (torch.zeros(shape, dtype=dtype) for shape in ((16, size), (size, 16)))
    with running_on(target):
        recorded = captured(lambda: lora_linear(x, weight, a, b, 1.0, backend="fused").backward(x.detach()))
    by_name = {launch.name: launch for launch in recorded}
    return {key: by_name[name] for key, name in KERNELS.items()}


def compiled(launch: Launch, tile: Tile, target: str) -> MachineCode | None:
    """Compile the kernel with another tile than the recorded one."""
    shape = {"ROWS": tile.rows, "COLUMNS": tile.columns, "DEPTH": tile.depth}
    try:
        return build(launch, target, **shape, num_warps=tile.warps, num_stages=tile.stages)
    except RuntimeError as error:  # the compiler's own passes give up on some, such as 3 stages on gfx950
        print(f"{launch.name} on {target}, {tile}: {error}")
        return None


def allowed(report: MachineCode | None, case: str) -> TypeGuard[MachineCode]:
    """No spill, fits, and uses the matrix units where its type and height let it."""
    return (
        report is not None
        and report.spills == 0
        and report.shared <= SHARED_LIMIT[report.target]
        and (case != "many" or report.target in UNROLLED or report.matrix_instructions > 0)
    )


def static_cost(report: MachineCode, tile: Tile) -> float:
    """Cycles of one multiprocessor for each multiply-add, as counted."""
    products = tile.rows * tile.columns * tile.depth
    issue = report.loop_instructions_per(products) / ISSUED
    bytes_read = tile.depth * (2 * tile.rows + 0.5625 * tile.columns)
    return issue + bytes_read / products / L2_BYTES


def choose(kernel: str, target: str, case: str, recorded: dict[str, dict[str, Launch]]) -> Tile:
    """Pick the cheapest candidate that every format allows."""
    first, *others = (recorded[format][kernel] for format in FORMATS)
    candidates = WITHOUT_UNITS if target in UNROLLED else CANDIDATES
    reports = {tile: compiled(first, tile, target) for tile in candidates[case]}
    costs = {tile: static_cost(report, tile) for tile, report in reports.items() if allowed(report, case)}
    for tile in sorted(costs, key=costs.__getitem__):
        if all(allowed(compiled(other, tile, target), case) for other in others):
            return tile
    raise SystemExit(
        f"no candidate for {kernel} on {target} ({case}) compiles without spills; add smaller ones"
    )


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="*", help="choose for these alone; for all by default")
    parser.add_argument("--case", nargs="+", choices=CANDIDATES, help="choose for these alone")
    arguments = parser.parse_args()
    wanted = arguments.target or list(TARGETS)
    if unknown := set(wanted) - set(TARGETS):
        parser.error(f"no target {sorted(unknown)}. Known: {', '.join(TARGETS)}.")
    before = json.loads(TABLE.read_text(encoding="utf-8"))
    table: dict[str, dict[str, dict]] = {
        kernel: {target: dict(before[kernel].get(target, {})) for target in TARGETS} for kernel in KERNELS
    }
    for case in arguments.case or CANDIDATES:
        for kernel, target in product(KERNELS, wanted):
            dtype = torch.float32 if case == "float32" else SIXTEEN_BITS[target]
            recorded = {format: launches(format, dtype, target) for format in FORMATS}
            tile = choose(kernel, target, case, recorded)
            table[kernel][target][case] = asdict(tile)
            print(f"{kernel:15} {target:7} {case:8} {tile}", flush=True)
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
