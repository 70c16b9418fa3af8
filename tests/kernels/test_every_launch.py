"""Every launch of a training step of real models: none reads a number, all fit, all compile for every GPU."""

from collections import Counter

import pytest
from bench.steps import MODELS, compile_key, launches

from qlora_kernels.lab.compiler import SHARED_LIMIT, TARGETS, Launch, build
from qlora_kernels.rows import Backend
from qlora_kernels.vendor import SCRATCH_BYTES

CASES: list[tuple[int, int, Backend]] = [
    (16, 1, "fused"), (4099, 4, "fused"), (16, 4, "decoded"), (4099, 1, "decoded"),
]  # fmt: skip
"""Rows (few and many, the many no multiple of anything), cells of the stack, and the product."""
GRID_LIMIT = (2**31 - 1, 65_535, 65_535)
SPILLED: dict[tuple[str, str], int] = {}
"""Bytes (NVIDIA) or registers (AMD) that a kernel is known to spill on a target."""


def steps(target: str) -> tuple[list[Launch], int]:
    """Record the launches of every model and case on a target, and count the operators."""
    found, operators = [], 0
    for model in MODELS:
        for case in CASES:
            some, count = launches(model, target, *case)
            found += some
            operators += count
    return found, operators


def test_a_step_reads_no_number_and_fits():
    """On a device without numbers, at full size: grids within a GPU's limits, scratch within its bytes."""
    found, operators = steps("sm_80")
    kernels = Counter(launch.name for launch in found)
    assert operators == len(MODELS) * len(CASES) * 17
    assert set(kernels) == {
        "linear_forward", "linear_input_gradient", "decode_part", "add_update", "shrink", "output_gradients",
        "sum_shares", "shrink_gradient", "rms_norm_forward", "rms_norm_backward", "rope_rotate",
        "swiglu_forward", "swiglu_backward", "cross_entropy_rows", "decode",
    }  # fmt: skip
    for launch in found:
        assert all(1 <= n <= most for n, most in zip(launch.grid, GRID_LIMIT, strict=False)), launch.name
        if launch.name == "decode_part":
            assert launch.args[4].numel() * launch.args[4].element_size() <= SCRATCH_BYTES
    # one cell and a stack take the same code
    of_one, of_four = (launches(MODELS[1], "sm_80", 4099, cells, "fused")[0] for cells in (1, 4))
    assert {compile_key(launch) for launch in of_one} == {compile_key(launch) for launch in of_four}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_every_launch_compiles_without_spills(target, capsys):
    found, operators = steps(target)
    distinct = {compile_key(launch): launch for launch in found}
    shapes = {tuple(a.shape for a in launch.args if hasattr(a, "shape")) for launch in found}
    for launch in distinct.values():
        report = build(launch, target)
        allowed = SPILLED.get((launch.name, target), 0)
        assert report.spills <= allowed, f"{launch.name} spills {report.spills} on {target}: {launch.options}"
        assert report.shared <= SHARED_LIMIT[target], f"{launch.name} takes {report.shared} bytes on {target}"
    with capsys.disabled():
        print(
            f"\n{target}: {operators} operators, {len(found)} launches of {len(shapes)} shapes, "
            f"{len(distinct)} that differ to the compiler"
        )


def test_launches_that_compile_apart_have_keys_apart():
    """The key sees what the compiler sees: a type, a size that 16 divides, a constant, an option."""
    (launch,) = [x for x in launches(MODELS[0], "sm_80", 16, 1, "fused")[0] if x.name == "shrink"][:1]
    x, a, s, *rest = launch.args
    width = rest[3]
    others = [
        (x.half(), a, s, *rest),
        (x, a, s, *rest[:3], width + 1, *rest[4:]),
        (x, a, s, *rest[:3], 1, *rest[4:]),
    ]
    keys = [compile_key(Launch(launch.kernel, args, launch.options, launch.grid)) for args in others]
    keys.append(
        compile_key(Launch(launch.kernel, launch.args, launch.options | {"num_warps": 2}, launch.grid))
    )
    assert len({compile_key(launch), *keys}) == 5
    same = (x, a, s, *rest[:3], width + 16, *rest[4:])
    assert compile_key(Launch(launch.kernel, same, launch.options, launch.grid)) == compile_key(launch)
