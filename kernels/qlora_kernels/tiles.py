"""Which tile each matrix kernel uses on which GPU: a frozen table, never a search at run time.

A search while training makes results depend on the machine's mood and hides wrong candidates behind fast
ones. ``tiles.json`` is written by ``benchmarks/choose_tiles.py`` from what the compiler reports (no spills,
shared memory within the limit, fewest instructions and bytes per product) and is reviewed like any other
code.
"""

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch

TABLE = Path(__file__).with_name("tiles.json")
CAPABILITIES = (75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities of NVIDIA's GPUs that the table has tiles for."""
FEW_ROWS = 32
"""Up to so many rows of a result reading the packed weight takes longer than multiplying with it."""
UNROLLED = ("sm_75",)
"""Targets whose matrix units Triton leaves alone, since 3.3: products there are unrolled, as in float32."""
ROUNDED_BY_INTEGERS = ("gfx942",)
"""Targets without an instruction that rounds to bfloat16."""
IN_WARPS = ("sm_80", "sm_86", "sm_89", "sm_120")
"""Targets whose matrix instructions take their operands from the registers of one warp (`mma.sync`)."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One program's share: ``rows`` x ``columns`` of the result, ``depth`` of the sum at a time."""

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int


@functools.cache
def table() -> dict[str, dict[str, dict[str, Tile]]]:
    """Read the table: kernel -> target -> "few", "many" (rows of the result) or "float32" -> tile."""
    raw = json.loads(TABLE.read_text(encoding="utf-8"))
    return {
        kernel: {
            target: {rows: Tile(**tile) for rows, tile in sizes.items()} for target, sizes in targets.items()
        }
        for kernel, targets in raw.items()
    }


def tile_for(
    kernel: str, device: torch.device, rows: int, dtype: torch.dtype = torch.bfloat16, ranks: int = 0
) -> Tile:
    """Look up the tile of ``kernel`` for a result of ``rows`` rows of ``dtype`` on ``device``.

    float32 products run outside the matrix units, unrolled: larger tiles would spill. So would those of the
    table, which is made at rank 16, where an update of high rank is added.
    """
    case = "float32" if dtype == torch.float32 else "few" if rows <= FEW_ROWS else "many"
    tile = table()[kernel][target_of(device)][case]
    if unrolled(dtype, device) and ranks > 32:
        # 16-bit operands are widened first, and then lie in registers twice
        wide = dtype == torch.float32 and ranks <= 64
        return Tile(rows=32, columns=64 if wide else 32, depth=32, warps=8, stages=2)
    return replace(tile, rows=min(tile.rows, 64)) if ranks > 64 else tile


def unrolled(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products of ``dtype`` on ``device`` are computed without matrix instructions."""
    return dtype == torch.float32 or target_of(device) in UNROLLED


def rounds_by_integers(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a kernel does better to round to ``dtype`` on ``device`` with integer arithmetic of its own."""
    return dtype == torch.bfloat16 and target_of(device) in ROUNDED_BY_INTEGERS


def multiplies_in_warps(device: torch.device) -> bool:
    """Whether ``device`` multiplies by `mma.sync`."""
    return target_of(device) in IN_WARPS


@functools.cache
def target_of(device: torch.device) -> str:
    """Name the listed target that ``device`` is, or the next below it; a CPU interprets as sm_80."""
    if device.type != "cuda":
        return "sm_80"
    if torch.version.hip:
        name = torch.cuda.get_device_properties(device).gcnArchName.split(":")[0]
        return name if name in ("gfx942", "gfx950") else "gfx942"
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{max((v for v in CAPABILITIES if v <= 10 * major + minor), default=CAPABILITIES[0])}"
