"""The bench itself: right where the stock interpreter is wrong, and objecting to every fault."""

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from bench.far import far_apart

from qlora_kernels.lab.compiler import build, captured
from qlora_kernels.lab.interpreter import first_program, interpreted, to_tf32
from qlora_kernels.lab.sass import Instruction, hot_loop, instructions
from qlora_kernels.lab.trace import compulsory_bytes, traced


@triton.jit
def _square(x):
    return x * x


@triton.jit
def copy_rows(x, y, rows, width, row_stride, BLOCK: tl.constexpr, WIDE: tl.constexpr):
    row = tl.program_id(0)
    if WIDE:
        row = row.to(tl.int64)
    column = tl.arange(0, BLOCK)
    value = tl.load(x + row * row_stride + column, column < width)
    tl.store(y + row * width + column, value, column < width)


@triton.jit
def faulty(x, y, n, FAULT: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if FAULT == "reads too far":
        tl.store(y + i, tl.load(x + i + 1, i < n, other=0.0), i < n)
    elif FAULT == "writes too far":
        tl.store(y + i, tl.load(x + i, i < n, other=0.0), i < n + 1)
    elif FAULT == "same output twice":
        tl.store(y + i % n, tl.load(x + i % n))
    elif FAULT == "reads another's output":
        tl.store(x + i, tl.load(x + (n - 1 - i), i < n, other=0.0), i < n)
    elif FAULT == "leaves one out":
        tl.store(y + i, tl.load(x + i, i < n, other=0.0), i < n - 1)
    elif FAULT == "adds atomically":
        tl.atomic_add(y + i, tl.load(x + i, i < n, other=0.0), i < n)
    else:
        tl.store(y + i, tl.load(x + i, i < n, other=0.0), i < n)


@triton.jit
def product(a, b, c, PRECISION: tl.constexpr, SIZE: tl.constexpr):
    i, j = tl.arange(0, SIZE)[:, None], tl.arange(0, SIZE)[None, :]
    left, right = tl.load(a + i * SIZE + j), tl.load(b + i * SIZE + j)
    tl.store(c + i * SIZE + j, tl.dot(left, right, input_precision=PRECISION).to(c.dtype.element_ty))


@triton.jit
def arithmetic(a, b, out, N: tl.constexpr):
    i = tl.arange(0, N)
    x, y = tl.load(a + i), tl.load(b + i)
    tl.store(out + i, _square(x) + y)


def test_bfloat16_dot_and_arithmetic_are_right(rng):
    a, b = (torch.randn(32, 32, generator=rng).bfloat16() for _ in range(2))
    c, out = torch.empty_like(a), torch.empty_like(a)
    with interpreted():
        product[(1,)](a, b, c, PRECISION="ieee", SIZE=32)
        arithmetic[(1,)](a, b, out, N=1024)
    # one float32 sum, then one rounding: PyTorch does the same
    assert torch.equal(c, (a.float() @ b.float()).bfloat16())
    # a GPU rounds after each bfloat16 operation, as PyTorch's eager operators do
    assert torch.equal(out, a * a + b)


def test_a_dot_that_forgets_ieee_is_visible(rng):
    a, b = (torch.randn(32, 32, generator=rng) for _ in range(2))
    exact, rounded = torch.empty_like(a), torch.empty_like(a)
    with interpreted():
        product[(1,)](a, b, exact, PRECISION="ieee", SIZE=32)
        product[(1,)](a, b, rounded, PRECISION="tf32", SIZE=32)
    truth = a.double() @ b.double()
    assert (exact - truth).norm() / truth.norm() < 1e-6
    assert 1e-4 < (rounded - truth).norm() / truth.norm() < 1e-3


def test_rounding_to_tf32_is_to_the_nearest_and_ties_go_to_even():
    step = 2.0**-10  # between neighbours from 1 to 2
    values = [1 + step / 2, 1 + 3 * step / 2, 1 + 0.51 * step, -1 - 0.49 * step, float("inf"), 3e-45]
    rounded = [1.0, 1 + 2 * step, 1 + step, -1.0, float("inf"), 0.0]
    assert to_tf32(np.array(values, dtype=np.float32)).tolist() == rounded
    assert np.isnan(to_tf32(np.array([np.nan], dtype=np.float32))).all()


def test_one_process_interprets_and_compiles_in_any_order(rng):
    x, y = torch.randn(4, 64, generator=rng), torch.empty(4, 64)

    def run() -> None:
        copy_rows[(4,)](x, y, 4, 64, 64, BLOCK=64, WIDE=True)

    for _ in range(2):
        with interpreted():
            run()
        assert torch.equal(x, y)
        assert build(captured(run)[0], "sm_90").instructions["LDG"] > 0
    with pytest.raises(RuntimeError, match="driver"):
        run()


FAULTS = {
    "reads too far": "load outside 'x'",
    "writes too far": "store outside 'y'",
    "same output twice": "a program writes what another wrote in 'y'",
    "reads another's output": "a program .* what another",
    "leaves one out": "1 elements of 'y' were never written",
    "adds atomically": "atomic operations",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named(fault, rng):
    # slices with neighbours in the same storage: straying into them is a fault too
    x, y = torch.randn(102, generator=rng)[1:101], torch.zeros(102)[1:101]
    with pytest.raises((IndexError, AssertionError), match=FAULTS[fault]), traced() as trace:  # noqa: PT012
        faulty[(4,)](x, y, 100, FAULT=fault, BLOCK=32)
        trace.assert_clean()


def test_bytes_are_counted(rng):
    x, y = torch.randn(100, generator=rng), torch.empty(100)
    with traced() as trace:
        faulty[(4,)](x, y, 100, FAULT="none", BLOCK=32)
    trace.assert_clean()
    assert trace.moved == trace["faulty"].compulsory == compulsory_bytes(x, y) == 800
    with traced(programs=first_program) as trace:
        faulty[(4,)](x, y, 100, FAULT="none", BLOCK=32)
    assert trace.moved == 2 * 32 * 4


def test_a_masked_load_without_other_is_poisoned(rng):
    x, y = torch.ones(1, 5), torch.zeros(1, 8)
    with interpreted():
        copy_rows[(1,)](x, y, 1, 5, 5, BLOCK=8, WIDE=True)
    assert torch.equal(y[0, :5], x[0])

    @triton.jit
    def total(x, y, n, BLOCK: tl.constexpr):
        i = tl.arange(0, BLOCK)
        tl.store(y, tl.sum(tl.load(x + i, i < n), 0))

    with interpreted():
        total[(1,)](x, y, 5, BLOCK=8)
    assert torch.isnan(y[0, 0]), "the masked lanes must not be harmless zeros"


@pytest.mark.parametrize("wide", [False, True], ids=["32-bit row index", "64-bit row index"])
def test_offsets_beyond_32_bits(wide, rng):
    x = far_apart(torch.randn(3, 16, generator=rng))
    y = torch.empty(3, 16)

    def run() -> None:
        with interpreted(overflow=True):
            copy_rows[(3,)](x, y, 3, 16, x.stride(0), BLOCK=16, WIDE=wide)

    if wide:
        run()
        assert torch.equal(x, y)
    else:  # strides beyond 2^31 arrive as 64-bit arguments, so the overflow shows at a smaller one
        x = far_apart(x.contiguous(), 2**30)
        with pytest.raises(Exception, match="overflow"):
            run()


LISTING = """
        /*0000*/                   MOV R1, c[0x0][0x28] ;
.L_x_0:
        /*0010*/                   LDS R2, [R1] ;
        /*0020*/                   SYNCS.PHASECHK.TRANS64.TRYWAIT P0, [R1], R6 ;
        /*0030*/              @!P0 BRA `(.L_x_2) ;
.L_x_3:
        /*0040*/                   FMUL R2, R2, R3 ;
        /*0050*/              @!PT LDS RZ, [RZ] ;
        /*0060*/                   BRA.U UP0, `(.L_x_0) ;
        /*0070*/                   STG [R4], R2 ;
        /*0080*/                   STG [R5], R2 ;
        /*0090*/                   EXIT ;
.L_x_2:
        /*00a0*/                   SYNCS.PHASECHK.TRANS64.TRYWAIT P0, [R1], R6 ;
        /*00b0*/              @!P0 BRA `(.L_x_2) ;
        /*00c0*/                   BRA `(.L_x_3) ;
.L_x_4:
        /*00d0*/                   BRA `(.L_x_4);
"""
"""A loop as on sm_100: what waits for a barrier stands behind the end and jumps back into the middle."""


def test_the_hot_loop_is_no_stretch_of_lines():
    loop = hot_loop(instructions(LISTING))
    # once around, with the code that waits, and without the stores behind the loop
    assert loop == {"LDS": 2, "SYNCS": 2, "FMUL": 1, "BRA": 4}
    assert hot_loop([Instruction("MOV"), Instruction("EXIT", goes_on=False)]) == {}
    nested = [
        Instruction("A"),
        Instruction("B"),
        Instruction("BRA", 1),
        Instruction("C"),
        Instruction("BRA", 0),
    ]
    assert hot_loop(nested).total() == 5, "the longest, which is the outermost"
