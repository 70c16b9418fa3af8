"""Measure every kernel of the catalogue: what each target's compiler makes of it, and what it moves.

``budgets.json`` holds the committed figures; ``benchmarks/kernel_table.py`` writes it and the table in
``kernels/README.md``. A figure may only change with a reason in the same commit.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.catalogue import CATALOGUE, SMALL, TRAINING, Size
from bench.compiler import Launch, Report, build, captured, versions
from bench.interpreter import every_program, first_program
from bench.trace import traced

FILE = Path(__file__).parents[1] / "budgets.json"


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
    """Matrix instructions of the target's kind."""
    per_weight: float | None
    """Instructions in the hot loop for each weight decoded there; None for kernels that decode nothing."""


def launches(operator: str, size: Size = TRAINING) -> dict[str, Launch]:
    """The operator's launches by kernel; the first where one kernel is launched several times."""
    found: dict[str, Launch] = {}
    for launch in captured(CATALOGUE[operator](size)):
        found.setdefault(launch.name, launch)
    return found


def cost(launch: Launch, target: str) -> Cost:
    """Compile and count."""
    report = build(launch, target)
    return Cost(
        registers=report.registers,
        spills=report.spills,
        shared=report.shared,
        instructions=report.instructions.total(),
        matrix=report.matrix_instructions,
        per_weight=_per_weight(launch, report),
    )


def _per_weight(launch: Launch, report: Report) -> float | None:
    weights = launch.weights_per_turn()
    return round(report.loop_instructions_per(weights), 2) if weights and report.loop else None


def traffic(operator: str, size: Size = TRAINING, *, whole: bool = False) -> dict[str, Traffic]:
    """What each launch computes and moves.

    At a shape that the tiles divide, every program does the same: running one and multiplying gives what
    running all of them gives. ``whole=True`` runs all, which a test does at a small shape to hold this
    line.
    """
    example = CATALOGUE[operator](size)
    with traced(programs=every_program if whole else first_program) as trace:
        example()
    found: dict[str, Traffic] = {}
    for launch in trace.launches:
        times = 1 if whole else launch.programs
        once = launch.compulsory if whole else launch.tensors_once
        work = (launch.flops + launch.elementwise) * times
        found.setdefault(launch.kernel, Traffic(work, once, round(launch.moved * times / once, 3)))
    return found


def read() -> dict:
    """The committed figures: {"versions": ..., "operators": {operator: {kernel: {"traffic", "targets"}}}}."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def measure(targets: list[str]) -> dict:
    """Measure everything, in the form of `read`."""
    operators: dict[str, dict] = {}
    for operator in CATALOGUE:
        moved = traffic(operator)
        operators[operator] = {
            kernel: {
                "traffic": asdict(moved[kernel]),
                "targets": {target: asdict(cost(launch, target)) for target in targets},
            }
            for kernel, launch in launches(operator).items()
        }
    return {"versions": versions(), "operators": operators}


__all__ = ["FILE", "SMALL", "TRAINING", "Cost", "Traffic", "cost", "launches", "measure", "read", "traffic"]
