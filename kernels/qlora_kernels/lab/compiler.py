"""Compile for GPUs that are not here, and read what the compiler decided.

    launches = captured(lambda: rms_norm(x, weight, backend="triton"))
    report = build(launches[0], "sm_90")
    assert report.spills == 0 and report.shared <= SHARED_LIMIT["sm_90"]

`captured` runs an operator but records its launches instead of performing them, so what is compiled is what a
real call would compile: the same types, constants, warps, and the same divisibility by 16 that Triton reads
off pointers and sizes. Nothing has to be described twice.
"""

import contextlib
import functools
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend
from triton.runtime.jit import JITFunction, create_function_from_signature

from qlora_kernels import tiles
from qlora_kernels.lab.sass import amd_instructions, hot_loop, instructions

os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")  # the default changes in 3.10; say which one is meant

TARGETS = {
    "sm_75": GPUTarget("cuda", 75, 32),
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_86": GPUTarget("cuda", 86, 32),
    "sm_89": GPUTarget("cuda", 89, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "sm_120": GPUTarget("cuda", 120, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
    "gfx950": GPUTarget("hip", "gfx950", 64),
}
SHARED_LIMIT = {  # bytes that one block may use
    "sm_75": 64 * 1024,
    "sm_80": 163 * 1024,
    "sm_86": 99 * 1024,
    "sm_89": 99 * 1024,
    "sm_90": 227 * 1024,
    "sm_100": 227 * 1024,
    "sm_120": 99 * 1024,
    "gfx942": 64 * 1024,
    "gfx950": 160 * 1024,
}
MATRIX_INSTRUCTION = {
    "sm_75": None,  # has HMMA, but Triton hasn't used it since 3.3
    "sm_80": "HMMA",
    "sm_86": "HMMA",
    "sm_89": "HMMA",
    "sm_90": "HGMMA",
    "sm_100": "UTCHMMA",
    "sm_120": "HMMA",
    "gfx942": "v_mfma",
    "gfx950": "v_mfma",
}
SIXTEEN_BITS = dict.fromkeys(TARGETS, torch.bfloat16) | {"sm_75": torch.float16}
"""The 16-bit type that one trains in: sm_75 has no bfloat16."""
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


@dataclass(frozen=True)
class Launch:
    """A kernel launch that was recorded instead of performed."""

    kernel: JITFunction
    args: tuple
    options: dict[str, Any]
    grid: tuple[int, ...]

    @property
    def name(self) -> str:
        """The kernel's function name."""
        return self.kernel.fn.__name__

    @property
    def key(self) -> str:
        """The same for launches that compile to the same code."""
        arguments = [a.dtype if isinstance(a, torch.Tensor) else a for a in self.args]
        options = {k: v.dtype if isinstance(v, torch.Tensor) else v for k, v in self.options.items()}
        return f"{self.name} {arguments} {sorted(options.items())}"

    def weights_per_turn(self, **options: Any) -> int | None:
        """Packed weights that one turn of the kernel's loop decodes; None when it decodes none."""
        given = self.options | options
        tiled = given.get("KIND") == "pairs" and "DEPTH" in given
        return given["COLUMNS"] * given["DEPTH"] if tiled else None


@dataclass(frozen=True)
class MachineCode:
    """What the compiler made of one kernel for one target."""

    target: str
    registers: int
    spills: int
    """Bytes stored to and loaded from local memory (NVIDIA), or registers spilled (AMD)."""
    shared: int
    """Bytes of shared memory for one block."""
    warps: int
    instructions: Counter
    """Machine instructions by name, whole kernel."""
    loop: Counter
    """The same in the largest innermost-to-outermost loop."""
    ttir: str

    @property
    def matrix_instructions(self) -> int:
        """Tensor core instructions of the kind this target should use."""
        kind = MATRIX_INSTRUCTION[self.target]
        return self._starting_with(kind) if kind else 0

    @property
    def narrow_matrix_instructions(self) -> int:
        """Those of a warp: what is left for results of fewer than 64 rows on targets with wider ones."""
        return self._starting_with("HMMA")

    def _starting_with(self, kind: str) -> int:
        return sum(n for name, n in self.instructions.items() if name.startswith(kind))

    def loop_instructions_per(self, items: int) -> float:
        """Instructions that all threads together execute in one turn of the loop, per item.

        One instruction of one warp works on 32 lanes, so this is per-thread instructions of the loop times
        the threads of the block, divided by the items that one turn handles.
        """
        width = 64 if self.target.startswith("gfx") else 32
        return self.loop.total() * self.warps * width / items


@contextlib.contextmanager
def _capturing(launches: list[Launch], stages: dict[str, int]) -> Iterator[None]:
    run = JITFunction.run

    def record(self: JITFunction, *args: Any, grid: Any, warmup: bool = False, **options: Any) -> None:
        names = [p.name for p in self.params]
        bound = dict(zip(names, args, strict=False)) | {k: v for k, v in options.items() if k in names}
        launches.append(Launch(self, args, options, grid(bound) if callable(grid) else grid))

    JITFunction.run = record
    try:
        yield
    finally:
        JITFunction.run = run


def captured(operator: Callable[[], Any]) -> list[Launch]:
    """Return the launches that calling ``operator`` would perform. Its results hold no meaningful values."""
    launches: list[Launch] = []
    with _capturing(launches, {}):
        operator()
    return launches


@contextlib.contextmanager
def running_on(target: str) -> Iterator[None]:
    """Let every device in the block be ``target``: launches are then cut into its tiles, as a real call's."""
    real = tiles.target_of
    tiles.target_of = lambda device: target  # type: ignore[assignment]
    try:
        yield
    finally:
        tiles.target_of = real


def build(launch: Launch, target: str, **options: Any) -> MachineCode:
    """Compile a recorded launch for ``target``; ``options`` (num_stages, ...) override the launch's own."""
    backend = make_backend(TARGETS[target])
    kernel = launch.kernel
    bind = create_function_from_signature(kernel.signature, kernel.params, backend)
    extra: dict[str, Any] = {"debug": False, "instrumentation_mode": ""}
    if hasattr(triton.knobs.compilation, "fpsan_homomorphic_casts"):  # from Triton 3.9 on
        extra["fpsan_homomorphic_casts"] = False
    given = extra | launch.options | options
    bound, specialization, leftover = bind(*launch.args, **given)
    parsed, signature, constants, attributes = kernel._pack_args(
        backend, given, bound, specialization, leftover
    )
    source = ASTSource(kernel, signature, constants, attributes)
    binary = triton.compile(source, target=TARGETS[target], options=parsed.__dict__)
    return (_amd if target.startswith("gfx") else _nvidia)(binary, target)


def _nvidia(binary: Any, target: str) -> MachineCode:
    listing = _with_file(".cubin", binary.asm["cubin"], [TOOLS / "nvdisasm", "-c"])
    usage = _with_file(".cubin", binary.asm["cubin"], [TOOLS / "cuobjdump", "-res-usage"])
    lines = instructions(listing)
    stack = int(_found(r"STACK:(\d+)", usage)[0])
    return MachineCode(
        target=target,
        registers=int(_found(r"REG:(\d+)", usage)[0]),
        spills=_spilled_bytes(binary.asm["ptx"], target) if stack else 0,
        shared=binary.metadata.shared,
        warps=binary.metadata.num_warps,
        instructions=Counter(line.name for line in lines),
        loop=hot_loop(lines),
        ttir=binary.asm["ttir"],
    )


def _spilled_bytes(ptx: str, target: str) -> int:
    """Return what ptxas reports; Triton's own metadata knows it only once a driver loads the binary."""
    arch = _found(r"\.target (\S+)", ptx)[0].rstrip(",")
    ptxas = TOOLS / ("ptxas" if int(target[3:]) < 90 else "ptxas-blackwell")
    log = _with_file(".ptx", ptx.encode(), [ptxas, "-v", f"--gpu-name={arch}", "-o", os.devnull])
    stores, loads = _found(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
    return int(stores) + int(loads)


def _amd(binary: Any, target: str) -> MachineCode:
    assembly = binary.asm["amdgcn"]
    lines = amd_instructions(assembly)

    def number(field: str) -> int:
        return int(_found(rf"\.{field}:\s+(\d+)", assembly)[0])

    return MachineCode(
        target=target,
        registers=number("vgpr_count"),
        spills=number("vgpr_spill_count") + number("sgpr_spill_count"),
        shared=binary.metadata.shared,
        warps=binary.metadata.num_warps,
        instructions=Counter(line.name for line in lines),
        loop=hot_loop(lines),
        ttir=binary.asm["ttir"],
    )


def _found(pattern: str, text: str) -> tuple[str, ...]:
    """Return the groups of a pattern that a tool's listing has to contain."""
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"a listing has no {pattern!r}; is this Triton one that was tested?")
    return match.groups()


def _with_file(suffix: str, content: bytes, command: list) -> str:
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        done = subprocess.run([*map(str, command), file.name], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@functools.cache
def versions() -> str:
    """Say what the committed budgets were measured with."""
    return f"triton {triton.__version__}"
