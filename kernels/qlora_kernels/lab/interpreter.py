"""Run the package's ``@triton.jit`` kernels on a CPU, in the process that also compiles them.

    with interpreted():
        y = rms_norm(x, weight, backend="triton")

Inside the block every launch goes through Triton's interpreter; outside it the same objects compile.
``TRITON_INTERPRET=1`` can't do that: it turns each kernel into an object that has nothing to compile.

The stock interpreter (3.6 to 3.9) is silently wrong in bfloat16: it keeps such values as 16-bit integers and
multiplies the bit patterns, and it truncates where a GPU rounds. `Builder` decodes to float32, computes, and
rounds to nearest even. It also rounds the operands of a float32 dot to tf32 unless the kernel says
``input_precision="ieee"``, as a GPU does: forgetting that is then visible on a laptop.
"""

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter as stock
from triton.runtime.jit import JITFunction

GAP = 2**20
"""Bytes between tensors that are laid apart."""
Grid = tuple[int, int, int]
Programs = Callable[[Grid], Iterable[Grid]]


@runtime_checkable
class Observer(Protocol):
    """What watches the memory operations of interpreted kernels."""

    def launch(
        self, kernel: str, tensors: dict[str, torch.Tensor], grid: Grid, program: Callable[[], Grid]
    ) -> None:
        """Learn that a kernel is about to run; ``program`` tells which one of the grid is running."""

    def load(self, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        """Learn that some lanes are about to be read."""

    def store(self, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        """Learn that some lanes are about to be written."""

    def atomic(self, address: np.ndarray, mask: np.ndarray, itemsize: int) -> None:
        """Learn that some lanes are about to be read and written atomically."""

    def dot(self, multiply_adds: int) -> None:
        """Learn that a matrix product was computed."""

    def elementwise(self, operations: int) -> None:
        """Learn how many floating-point operations were done outside matrix products."""


def every_program(grid: Grid) -> Iterable[Grid]:
    """All programs of the grid in the order of a GPU: the first axis runs fastest."""
    return ((x, y, z) for z, y, x in itertools.product(*(range(n) for n in reversed(grid))))


def first_program(grid: Grid) -> Iterable[Grid]:
    """Only program (0, 0, 0): enough where all programs do the same amount of work."""
    return [(0, 0, 0)]


def corner_programs(grid: Grid) -> Iterable[Grid]:
    """First and last along each axis: they hold the smallest and the largest offsets."""
    xs, ys, zs = (sorted({0, n - 1}) for n in grid)
    return ((x, y, z) for x, y, z in itertools.product(xs, ys, zs))


@contextlib.contextmanager
def interpreted(
    *,
    overflow: bool = False,
    observer: Observer | None = None,
    programs: Programs = every_program,
    apart: bool = False,
) -> Iterator[None]:
    """Interpret every launch in the block.

    Args:
        overflow: Fail when a 32-bit integer operation wraps around. Twice as slow.
        observer: Told of every memory operation (see `qlora_kernels.lab.trace`).
        programs: Which programs of the grid to run.
        apart: Run on copies that lie `GAP` bytes apart, so that what strays outside a tensor never happens
            to hit another one; results are copied back.
    """
    builder = stock.interpreter_builder
    before = (JITFunction.run, JITFunction.__call__, builder.__class__, builder.options)
    stock_sum = stock.ReduceOps.sum
    # patch the language once for all kernels and helpers, where the stock interpreter does so at every call
    scope = stock._patch_lang(SimpleNamespace(__globals__={"tl": tl, "core": tl.core}))
    # a scalar is an array of one element, which NumPy from 2.4 on makes no integer of; 3.6 takes it for one
    scope.set_attr(tl.core.tensor, "__index__", lambda self: int(self.handle.data.item()))
    JITFunction.run = lambda self, *args, grid, warmup=False, **options: _launch(
        self, args, options, grid, observer, programs, apart
    )
    JITFunction.__call__ = lambda self, *args, **options: _rewritten(self)(*args, **options)
    builder.__class__ = Builder
    builder.observer = observer
    builder.options = stock.InterpreterOptions(debug=overflow, sanitize_overflow=overflow)
    stock.ReduceOps.sum = lambda self, x: _sum(stock_sum, self, x)
    try:
        yield
    finally:
        JITFunction.run, JITFunction.__call__, builder.__class__, builder.options = before
        stock.ReduceOps.sum = stock_sum
        scope.restore()


def _rewritten(kernel: JITFunction) -> Callable[..., Any]:
    """Return the kernel's Python function as the interpreter wants it; cached there by function."""
    return stock.InterpretedFunction(kernel.fn).rewrite()


def _launch(
    kernel: JITFunction,
    args: tuple,
    options: dict,
    grid: Any,
    observer: Observer | None,
    programs: Programs,
    apart: bool,
) -> None:
    function = _rewritten(kernel)
    names = inspect.getfullargspec(function).args
    bound = inspect.getcallargs(function, *args, **{k: v for k, v in options.items() if k in names})
    grid = grid(bound) if callable(grid) else grid
    grid = (*grid, 1, 1, 1)[:3]
    tensors = {name: value for name, value in bound.items() if isinstance(value, torch.Tensor)}
    for name, tensor in tensors.items():
        if tensor.device.type != "cpu":
            raise ValueError(
                f"argument {name!r} is on {tensor.device}; the interpreter reads CPU memory only"
            )
    originals = tensors
    if apart:
        tensors = _far_copies(tensors)
        bound |= tensors
    builder = stock.interpreter_builder
    builder.set_grid_dim(*grid)
    if observer:
        observer.launch(kernel.fn.__name__, tensors, grid, lambda: builder.grid_idx)
    constants = {p.name for p in kernel.params if p.is_constexpr}
    values = {k: v if k in constants else stock._implicit_cvt(v) for k, v in bound.items()}
    for program in programs(grid):
        builder.set_grid_idx(*program)
        function(**values)
    for name, tensor in tensors.items():
        if tensor is not originals[name]:
            originals[name].copy_(tensor)


def _far_copies(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of a launch's tensors, each with room before and behind it; views still share one."""
    copies: dict[str, torch.Tensor] = {}
    storages: dict[int, torch.Tensor] = {}
    for name, tensor in tensors.items():
        whole = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
        start = tensor.untyped_storage().data_ptr()
        if start not in storages:
            room = torch.empty(len(whole) + 2 * GAP, dtype=torch.uint8)
            storages[start] = torch.frombuffer(room.numpy(), dtype=torch.uint8, offset=GAP, count=len(whole))
            storages[start].copy_(whole)
        copy = storages[start].view(tensor.dtype)
        copies[name] = copy.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
    return copies


# ------------------------------------------------------------------------------------------ bfloat16


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Return the float32 that 16 bits of bfloat16 stand for."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Return the bits of the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def to_tf32(values: np.ndarray) -> np.ndarray:
    """Return the nearest float32 with 10 bits of mantissa, ties to even; infinity and NaN stay."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + 0xFFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(values), rounded, bits).astype(np.uint32).view(np.float32)


def _is_bfloat16(handle: Any) -> bool:
    return handle.dtype.scalar == tl.bfloat16


def _sum(stock_sum: Callable, reduction: Any, x: Any) -> Any:
    if x.dtype != tl.bfloat16:
        return stock_sum(reduction, x)
    total = np.sum(
        from_bfloat16(x.handle.data), axis=reduction.axis, keepdims=reduction.keep_dims, dtype=np.float32
    )
    bits = to_bfloat16(np.atleast_1d(total))
    return reduction.to_tensor(bits.reshape(np.shape(total)) if np.ndim(total) else bits[0], tl.bfloat16)


class Builder(stock.InterpreterBuilder):
    """The interpreter's arithmetic with bfloat16 and tf32 as on a GPU, and with an observer of memory."""

    observer: Observer | None = None

    def _count(self, handle: Any) -> None:
        if self.observer and handle.dtype.scalar.is_floating():
            self.observer.elementwise(handle.data.size)

    def binary_op(self, lhs: Any, rhs: Any, op: Callable) -> Any:
        """Compute; bfloat16 in float32, rounded once."""
        self._count(lhs)
        if not _is_bfloat16(lhs):
            return super().binary_op(lhs, rhs, op)
        result = op(from_bfloat16(lhs.data), from_bfloat16(rhs.data))
        if result.dtype == np.bool_:
            return stock.TensorHandle(result, tl.int1)
        return stock.TensorHandle(to_bfloat16(result), tl.bfloat16)

    def unary_op(self, arg: Any, op: Callable) -> Any:
        """Compute; bfloat16 in float32, rounded once."""
        self._count(arg)
        if not _is_bfloat16(arg):
            return super().unary_op(arg, op)
        return stock.TensorHandle(to_bfloat16(op(from_bfloat16(arg.data))), tl.bfloat16)

    def cast_impl(self, src: Any, dst_type: Any) -> Any:
        """Convert; to bfloat16 by rounding, where the stock interpreter truncates."""
        source, target = src.dtype.scalar, dst_type.scalar
        if source == target or tl.bfloat16 not in (source, target):
            return super().cast_impl(src, dst_type)
        if target == tl.bfloat16:
            return stock.TensorHandle(to_bfloat16(src.data.astype(np.float32)), tl.bfloat16)
        return stock.TensorHandle(from_bfloat16(src.data).astype(stock._get_np_dtype(dst_type)), target)

    def create_fp_to_fp(self, src: Any, dst_type: Any, rounding_mode: Any) -> Any:
        """Convert between floating-point types of at least 16 bits as a cast."""
        wide = min(src.dtype.scalar.primitive_bitwidth, dst_type.scalar.primitive_bitwidth) >= 16
        if wide and tl.bfloat16 in (src.dtype.scalar, dst_type.scalar):
            return self.cast_impl(src, dst_type)
        return super().create_fp_to_fp(src, dst_type, rounding_mode)

    def create_dot(self, a: Any, b: Any, d: Any, input_precision: Any, max_num_imprecise_acc: Any) -> Any:
        """Multiply matrices; float32 is rounded to tf32 first unless the kernel says otherwise."""
        if self.observer:
            self.observer.dot(int(np.prod(d.data.shape)) * a.data.shape[-1])
        if a.dtype.scalar == tl.float32 != d.dtype.scalar:
            # a GPU's compiler refuses it; the stock interpreter writes 16 bits where 32 are expected
            raise TypeError(f"tl.dot of float32 can't add to {d.dtype.scalar}: keep the total in float32")
        tf32 = input_precision == stock._ir.INPUT_PRECISION.TF32
        a, b = (self._dot_operand(handle, tf32) for handle in (a, b))
        return super().create_dot(a, b, d, input_precision, max_num_imprecise_acc)

    def _dot_operand(self, handle: Any, tf32: bool) -> Any:
        data = handle.data
        if _is_bfloat16(handle):
            data = from_bfloat16(data)
        elif data.dtype == np.float16:
            data = data.astype(np.float32)
        elif tf32 and data.dtype == np.float32:
            data = to_tf32(data)
        else:
            return handle
        return stock.TensorHandle(data, tl.float32)

    # memory: a masked lane without `other` holds anything on a GPU, so here it holds the worst thing

    # what follows the mask differs from one version of Triton to the next

    def create_masked_load(self, ptrs: Any, mask: Any, other: Any, *rest: Any, **named: Any) -> Any:
        """Tell the observer and read; masked lanes without `other` hold the worst thing."""
        if self.observer:
            self.observer.load(ptrs.data, mask.data, stock._get_np_dtype(ptrs.get_element_ty()).itemsize)
        if other is None and not mask.data.all():
            other = _poison(ptrs)
        return super().create_masked_load(ptrs, mask, other, *rest, **named)

    def create_masked_store(self, ptrs: Any, value: Any, mask: Any, *rest: Any) -> Any:
        """Tell the observer and write."""
        if self.observer:
            self.observer.store(ptrs.data, mask.data, stock._get_np_dtype(ptrs.get_element_ty()).itemsize)
        return super().create_masked_store(ptrs, value, mask, *rest)

    def create_atomic_rmw(self, op: Any, ptr: Any, val: Any, mask: Any, sem: Any, scope: Any) -> Any:
        """Tell the observer, read and write."""
        if self.observer:
            self.observer.atomic(ptr.data, mask.data, stock._get_np_dtype(ptr.get_element_ty()).itemsize)
        return super().create_atomic_rmw(op, ptr, val, mask, sem, scope)


def _poison(ptrs: Any) -> Any:
    """Return NaN for floating point, an unlikely value for integers."""
    element = ptrs.get_element_ty()
    dtype = stock._get_np_dtype(element)
    value = (
        np.nan
        if dtype.kind == "f"
        else 0x7FC0
        if element == tl.bfloat16
        else 1
        if dtype.kind == "b"
        else 0x55
    )
    return stock.TensorHandle(np.full(ptrs.data.shape, value, dtype=dtype), element)
