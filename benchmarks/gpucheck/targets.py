"""What was wanted of a GPU, and whether the parts' results reach it. Nothing here needs torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpucheck.record import Record

Result = Mapping[str, Any]
GB = 1e9
"""Bytes of a gigabyte. Cards are sold in these; 12 GiB would be 7% more."""
MANY_ROWS, FEW_ROWS = 2048, 32
"""From so many rows on the bound of a product is the dense one, up to so few the reading of its weight."""
PRODUCTS = ("forward", "input gradient")
"""The operators that targets are set for."""
SHAPES = ("SmolLM2-135M", "1B", "8B")


@dataclass(frozen=True, slots=True)
class Target:
    """One number that was wanted."""

    name: str
    part: str
    """Whose result it is worked out from."""
    wanted: float
    at_least: bool
    """Whether more is better."""
    unit: str
    measured: Callable[[Result], float | None]
    """The part's result -> the number, or None where the part didn't get that far."""

    def reached(self, measured: float | None) -> bool | None:
        """Return whether a number is what was wanted; None where there is none."""
        if measured is None:
            return None
        return measured >= self.wanted if self.at_least else measured <= self.wanted


def better_ms(row: Result) -> float:
    """Return the milliseconds of the faster of the two routes of a product."""
    return min(row["fused_ms"], row["decoded_ms"])


def worst_share(result: Result, shape: str, *, many: bool) -> float | None:
    """Return the least share of its bound that a product reaches at a shape, with many rows or with few."""
    shares = [
        row["share_of_bound"]
        for row in result["rows"]
        if row["operator"] in PRODUCTS
        and row["shape"] == shape
        and (row["rows"] >= MANY_ROWS if many else row["rows"] <= FEW_ROWS)
    ]
    return min(shares, default=None)


def _of_cells(result: Result, cells: int) -> float | None:
    return next((row["ratio"] for row in result["rows"] if row["cells"] == cells and "ratio" in row), None)


def _peak(result: Result, shape: str) -> float | None:
    rows = (row for row in result["rows"] if row["shape"] == shape and row["who"].startswith("workbench"))
    return next((row["peak_bytes"] / GB for row in rows if row.get("peak_bytes") is not None), None)


def _shares(many: bool) -> list[Target]:
    of = "of the dense product, 2048 rows or more" if many else "of the copy bandwidth, 32 rows or fewer"
    return [
        Target(
            f"{shape}: share {of}, worst of forward and input gradient, better route",
            "operators",
            0.7 if many else 0.6,
            True,
            "",
            lambda result, shape=shape: worst_share(result, shape, many=many),
        )
        for shape in SHAPES
    ]


TARGETS: list[Target] = [
    Target(
        "hardware tests that failed",
        "hardware_tests",
        0,
        False,
        "",
        lambda result: result["failed"] + result["errors"] if result["passed"] and result["whole"] else None,
    ),
    *_shares(many=True),
    *_shares(many=False),
    Target(
        "64 cells in a stack, times a loop of PEFT's",
        "throughput",
        10.0,
        True,
        "",
        lambda r: _of_cells(r, 64),
    ),
    Target(
        "peak memory, NF4 training at the 8B shape", "memory", 12.0, False, "GB", lambda r: _peak(r, "8B")
    ),
    Target("synchronizations in a step", "synchronizations", 1, False, "", lambda result: result["count"]),
    Target(
        "median difference of a cell's loss between CPU and GPU, over the spread of seeds",
        "study",
        1.0,
        False,
        "",
        lambda result: result["median"] / result["spread"] if result.get("spread") else None,
    ),
]


def targets(parts: Mapping[str, Record]) -> list[Record]:
    """Return each target with what was measured, and whether that reaches it; None where nothing was."""
    found = []
    for target in TARGETS:
        result = parts.get(target.part, {}).get("result")
        measured = None if result is None else target.measured(result)
        found.append(
            {
                "name": target.name,
                "part": target.part,
                "wanted": target.wanted,
                "at_least": target.at_least,
                "unit": target.unit,
                "measured": measured,
                "reached": target.reached(measured),
            }
        )
    return found
