"""Take rows by their numbers, some of them more than once, with a gradient that adds in a fixed order.

The reference below defines the operator; ``take_rows_triton.py`` is the fast twin of its gradient. The
gradient of a row is the sum of those of its copies. PyTorch's own adds them on a GPU in an order that differs
from run to run, or sorts the numbers in every call; here they are sorted once, for all layers that take the
same rows.

Shape letters: N rows, M taken rows, F features.
"""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float, Int64
from torch import Tensor

from qlora_kernels.registration import operator
from qlora_kernels.rows import Backend, Context, as_rows, on_gpu, require_float, route, widened


@dataclass(frozen=True, eq=False, slots=True)
class Places:
    """Which rows are taken.

    Attributes:
        index: The number of each.
        order: Places in ``index``, sorted by the row that is taken and then as they stand; empty where no
            Triton kernel will read it.
        starts: Where in ``order`` the copies of each row begin, N + 1 of them; empty likewise.
    """

    index: Int64[Tensor, " M"]
    order: Int64[Tensor, " _"]
    starts: Int64[Tensor, " _"]

    @classmethod
    def of(cls, index: Int64[Tensor, " M"], rows: int, *, sort: bool | None = None) -> "Places":
        """Prepare to take rows of a matrix of ``rows`` rows.

        Args:
            index: Their numbers, each from 0 to ``rows`` - 1.
            rows: How many there are, N.
            sort: Whether to prepare for Triton's kernel; on a GPU by default.
        """
        if not (on_gpu(index) if sort is None else sort):
            return cls(index, index.new_empty(0), index.new_empty(0))
        order = index.argsort(stable=True)
        every = torch.arange(rows + 1, device=index.device)
        return cls(index, order, torch.searchsorted(index[order], every))


def take_rows_reference(x: Float[Tensor, "N F"], index: Int64[Tensor, " M"]) -> Float[Tensor, "M F"]:
    """Define the operator: each taken row is the sum of all rows, of which it counts one."""
    chosen = torch.nn.functional.one_hot(index, len(x)).to(x.dtype)
    return einsum(chosen, x, "M N, N F -> M F")


def take_rows(
    x: Float[Tensor, "N *rest"], places: Places, *, backend: Backend = "auto"
) -> Float[Tensor, "M *rest"]:
    """Take rows of x.

    Args:
        x: The rows; what lies behind the first axis belongs to a row.
        places: Which are taken.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If x is a number, or Triton is to run and ``places`` aren't sorted for as many rows.
    """
    require_float("take_rows", x=x)
    if x.ndim < 2:
        raise ValueError(f"take_rows: x must have rows of features, got the shape {tuple(x.shape)}")
    taken = route(backend, x)
    if taken == "reference":
        return take_rows_reference(x.flatten(1), places.index).unflatten(1, x.shape[1:])
    if taken == "triton" and len(places.starts) != len(x) + 1:
        sorted_for = max(0, len(places.starts) - 1)
        raise ValueError(
            f"take_rows: the places are sorted for {sorted_for} rows, x has {len(x)}; make them with "
            "Places.of(index, rows, sort=True)"
        )
    return _take_rows(x, places.index, places.order, places.starts, backend)


def add_copies(
    dy: Float[Tensor, "M *rest"], index: Int64[Tensor, " M"], rows: int
) -> Float[Tensor, "N *rest"]:
    """Go back to the rows that were taken, N of them, by PyTorch.

    Copies are added in float32 at least, as by Triton; of its sums in bfloat16 PyTorch promises nothing.
    """
    wide = widened(dy)
    return wide.new_zeros(rows, *dy.shape[1:]).index_add_(0, index, wide).to(dy.dtype)


@operator("qlora_kernels::take_rows")
def _take_rows(x: Tensor, index: Tensor, order: Tensor, starts: Tensor, backend: str) -> Tensor:
    return x.index_select(0, index)


@operator("qlora_kernels::take_rows_backward")
def _take_rows_backward(
    dy: Tensor, index: Tensor, order: Tensor, starts: Tensor, rows: int, backend: str
) -> Tensor:
    if route(backend, dy) == "triton":
        from qlora_kernels.take_rows_triton import launch

        return launch(as_rows(dy.flatten(1)), order, starts).view(rows, *dy.shape[1:])
    return add_copies(dy, index, rows)


@_take_rows.register_fake
def _(x: Tensor, index: Tensor, order: Tensor, starts: Tensor, backend: str) -> Tensor:
    return x.new_empty(index.shape[0], *x.shape[1:])


@_take_rows_backward.register_fake
def _(dy: Tensor, index: Tensor, order: Tensor, starts: Tensor, rows: int, backend: str) -> Tensor:
    return dy.new_empty(rows, *dy.shape[1:])


def _save(ctx: Context, inputs: tuple, output: Tensor | tuple) -> None:
    x, index, order, starts, ctx.backend = inputs
    ctx.rows = len(x)
    ctx.save_for_backward(index, order, starts)


def _backward(ctx: Context, dy: Tensor) -> tuple:
    dx = _take_rows_backward(dy, *ctx.saved_tensors, ctx.rows, ctx.backend)
    return dx, None, None, None, None


_take_rows.register_autograd(_backward, setup_context=_save)
