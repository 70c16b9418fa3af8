"""Measure every kernel of the catalogue: what each target's compiler makes of it, and what it moves.

``budgets.json`` holds the committed figures; ``benchmarks/kernel_table.py`` writes it and the table in
``kernels/README.md``. A figure may only change with a reason in the same commit.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from bench.catalogue import CATALOGUE
from bench.examples import TRAINING, Size
from bench.waves import Product

from qlora_kernels import tiles
from qlora_kernels.lab.compiler import (
    SIXTEEN_BITS,
    Launch,
    MachineCode,
    build,
    captured,
    running_on,
    versions,
)
from qlora_kernels.lab.interpreter import first_program
from qlora_kernels.lab.trace import LaunchTrace, traced

CPU = torch.device("cpu")  # whose kernels are interpreted with the tiles of sm_80
TILED = {"linear_forward": "forward", "linear_input_gradient": "input_gradient"}
"""Kernels with tiles from the table, and their names there."""
_reports: dict[tuple[str, str], MachineCode] = {}
FILE = Path(__file__).parents[1] / "budgets.json"
ELSEWHERE = {"3.6": 1.25, "3.7": 1.05, "3.8": 1.05, "3.9": 1.05}
"""What a decoded weight may cost on another Triton than that of the figures, over the committed figure.

The most that was measured is 1.23 times as much on 3.6.0 (on sm_120; elsewhere 1.09), and 1.02 on 3.7.1 and
3.8.0; `kernels/README.md` has the table.
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


def launches(operator: str, target: str, size: Size = TRAINING) -> dict[str, Launch]:
    """The operator's launches on ``target`` by kernel; the first where one is launched several times."""
    found: dict[str, Launch] = {}
    if size.dtype.itemsize == 2:
        size = replace(size, dtype=SIXTEEN_BITS[target])
    with running_on(target):
        for launch in captured(CATALOGUE[operator](size)):
            found.setdefault(launch.name, launch)
    return found


def report(launch: Launch, target: str) -> MachineCode:
    """Compile; several operators launch the same kernels, compiled once."""
    if (launch.key, target) not in _reports:
        _reports[launch.key, target] = build(launch, target)
    return _reports[launch.key, target]


def cost(launch: Launch, target: str) -> Cost:
    """Compile, and count."""
    made = report(launch, target)
    weights = launch.weights_per_turn()
    return Cost(
        registers=made.registers,
        spills=made.spills,
        shared=made.shared,
        instructions=made.instructions.total(),
        matrix=made.matrix_instructions or made.narrow_matrix_instructions,
        per_weight=round(made.loop_instructions_per(weights), 2) if weights and made.loop else None,
    )


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
            moved = _product(launch, size).fetched(tiles.tile_for(TILED[launch.kernel], CPU, size.tokens))
        found.setdefault(
            launch.kernel, Traffic(work, launch.tensors_once, round(moved / launch.tensors_once, 2))
        )
    return found


def _product(launch: LaunchTrace, size: Size) -> Product:
    packed = sum(int(r.allowed.sum()) for r in launch.regions if r.name in ("codes", "scales", "offsets"))
    weight = packed / size.width**2
    return Product(rows=size.tokens, columns=size.width, depth=size.width, rank=size.rank, weight=weight)


def read() -> dict:
    """The committed figures: {"versions": ..., "operators": {operator: {kernel: {"traffic", "targets"}}}}."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def looseness() -> float:
    """1 on the Triton of the committed figures, which have to hold there; on others what ELSEWHERE says."""
    if versions() == read()["versions"]:
        return 1.0
    return ELSEWHERE[".".join(versions().removeprefix("triton ").split(".")[:2])]


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
            kernel: {"traffic": asdict(moves), "targets": {}} for kernel, moves in moved.items()
        }
        for target in targets:
            for kernel, launch in launches(operator, target).items():
                operators[operator][kernel]["targets"][target] = asdict(cost(launch, target))
    return {"versions": versions(), "operators": operators}
