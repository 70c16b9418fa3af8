"""Measure every kernel of the catalogue: what each target's compiler makes of it, and what it moves.

``budgets.json`` holds the committed figures; ``benchmarks/kernel_table.py`` writes it and the table in
``kernels/README.md``. A figure may only change with a reason in the same commit.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from bench.catalogue import CATALOGUE
from bench.compiler import Launch, Report, build, captured, versions
from bench.examples import TRAINING, Size
from bench.interpreter import first_program
from bench.trace import Launch as Observed
from bench.trace import traced
from bench.waves import Product

from qlora_kernels.tiles import table, tile_for

CPU = torch.device("cpu")  # whose kernels are interpreted with the tiles of sm_80
TILED = {"linear_forward": "forward", "linear_input_gradient": "input_gradient"}
"""Kernels with tiles from the table, and their names there."""
_reports: dict[tuple[str, str], Report] = {}
FILE = Path(__file__).parents[1] / "budgets.json"
ELSEWHERE = 2.5
"""What a decoded weight may cost on another Triton than the one measured, over the committed figure.

The figures are one version's. Those before 3.8 move a tile of weights between the lanes on sm_80, sm_89 and
sm_120, which costs 2.2 times the instructions; `kernels/README.md` has the table.
"""


@dataclass(frozen=True)
class Traffic:
    """What one launch at the training shape computes and moves."""

    flops: int
    compulsory: int
    ratio: float


@dataclass(frozen=True)
class Cost:
    """What one target's compiler made of one kernel."""

    registers: int
    spills: int
    shared: int
    instructions: int
    matrix: int
    """Matrix instructions of the target's kind, or of a warp where there are none of those."""
    per_weight: float | None
    """Instructions in the hot loop for each weight decoded there; None for kernels that decode nothing."""


def launches(operator: str, size: Size = TRAINING) -> dict[str, Launch]:
    """The operator's launches by kernel; the first where one kernel is launched several times."""
    found: dict[str, Launch] = {}
    for launch in captured(CATALOGUE[operator](size)):
        found.setdefault(launch.name, launch)
    return found


def report(launch: Launch, target: str) -> Report:
    """Compile with the target's own tile; several operators launch the same kernels, compiled once."""
    if (launch.key, target) not in _reports:
        _reports[launch.key, target] = build(launch, target, **_tile(launch, target))
    return _reports[launch.key, target]


def cost(launch: Launch, target: str) -> Cost:
    """Compile with the target's own tile, and count."""
    made = report(launch, target)
    weights = launch.weights_per_turn(**_tile(launch, target))
    return Cost(
        registers=made.registers,
        spills=made.spills,
        shared=made.shared,
        instructions=made.instructions.total(),
        matrix=made.matrix_instructions or made.narrow_matrix_instructions,
        per_weight=round(made.loop_instructions_per(weights), 2) if weights and made.loop else None,
    )


def _tile(launch: Launch, target: str) -> dict[str, int]:
    if launch.name not in TILED:
        return {}
    tile = table()[TILED[launch.name]][target]["many"]
    shape = {"ROWS": tile.rows, "COLUMNS": tile.columns, "DEPTH": tile.depth}
    return shape | {"num_warps": tile.warps, "num_stages": tile.stages}


def traffic(operator: str, size: Size = TRAINING) -> dict[str, Traffic]:
    """What each launch computes and moves.

    The tiles divide the training shape, so every program does the same: one is run, and multiplied by their
    number. The tiled products read their operands again for every tile; theirs is the traffic to memory, by
    the rule of `bench.waves`.
    """
    example = CATALOGUE[operator](size)
    with traced(programs=first_program) as trace:
        example()
    found: dict[str, Traffic] = {}
    for launch in trace.launches:
        work = (launch.flops + launch.elementwise) * launch.programs
        moved = launch.moved * launch.programs
        if launch.kernel in TILED:
            moved = _product(launch, size).fetched(tile_for(TILED[launch.kernel], CPU, size.tokens))
        found.setdefault(
            launch.kernel, Traffic(work, launch.tensors_once, round(moved / launch.tensors_once, 2))
        )
    return found


def _product(launch: Observed, size: Size) -> Product:
    packed = sum(int(r.allowed.sum()) for r in launch.regions if r.name in ("codes", "scales", "offsets"))
    weight = packed / size.width**2
    return Product(rows=size.tokens, columns=size.width, depth=size.width, rank=size.rank, weight=weight)


def read() -> dict:
    """The committed figures: {"versions": ..., "operators": {operator: {kernel: {"traffic", "targets"}}}}."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def looseness() -> float:
    """1 on the Triton that the figures were measured with, which have to hold there; ELSEWHERE on others."""
    return 1.0 if versions() == read()["versions"] else ELSEWHERE


def measure(targets: list[str], names: Iterable[str]) -> dict:
    """Measure the operators called ``names``; the others keep their committed figures, in the form of `read`.

    Raises:
        ValueError: If a name isn't in the catalogue, or this Triton isn't that of the figures that are kept.
    """
    before, wanted = read(), set(names)
    if unknown := wanted - set(CATALOGUE):
        raise ValueError(f"no operator {sorted(unknown)}. Known: {', '.join(CATALOGUE)}.")
    if wanted != set(CATALOGUE) and versions() != before["versions"]:
        raise ValueError(
            f"this is {versions()}, the figures are those of {before['versions']}: measure all operators, or "
            "install that version"
        )
    operators = {name: kernels for name, kernels in before["operators"].items() if name in CATALOGUE}
    for operator in [name for name in CATALOGUE if name in wanted]:
        print(operator, flush=True)
        moved = traffic(operator)
        operators[operator] = {
            kernel: {
                "traffic": asdict(moved[kernel]),
                "targets": {target: asdict(cost(launch, target)) for target in targets},
            }
            for kernel, launch in launches(operator).items()
        }
    return {"versions": versions(), "operators": operators}
