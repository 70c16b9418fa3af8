"""A linear layer on a packed base with a LoRA adapter for each cell: y = x W^T + scale * (x A^T) B^T.

The rows of x belong to G cells, one after the other; each cell has its own A, B and scale, all share W. One
cell is the stack of size one (``linear.py``), and there is one code path. ``grouped_reference.py``
defines the operator and its gradients; ``linear_triton.py`` and ``grouped_triton.py`` are the twins for GPUs,
``grouped_torch.py`` for CPUs.

W is the decoded weight rounded to the type of x. S = x A^T and its gradient dS are kept in the type of x,
which is their one rounding on the way; everything else is summed in float32 and rounded once.

Shape letters: M rows (tokens), K inputs, N outputs, R rank, G cells; "member": which cell a row belongs to.

Source: Hu et al., "LoRA", arXiv:2106.09685; grouping as in Chen et al., "Punica", arXiv:2310.18547.
"""

from typing import Any, NamedTuple

import torch
from einops import einsum
from jaxtyping import Float, Int64
from torch import Tensor

from qlora_kernels import products
from qlora_kernels.decode import decode
from qlora_kernels.formats_layout import Affine
from qlora_kernels.grouped_reference import grouped_lora_linear_reference
from qlora_kernels.in_file import FileRows
from qlora_kernels.packed_weight import QuantizedTensor
from qlora_kernels.product_routes import product_with
from qlora_kernels.products import PreparedWeight
from qlora_kernels.registration import operator
from qlora_kernels.rows import Backend, Context, as_rows, require_float, route

AnyWeight = QuantizedTensor | Affine | FileRows | PreparedWeight | Float[Tensor, "N K"]
"""A frozen base: packed, as it is stored or as the operators read it, prepared for products on a CPU, or a
matrix of numbers."""


def grouped_lora_linear(
    x: Float[Tensor, "*rows K"],
    weight: AnyWeight,
    a: Float[Tensor, "G R K"],
    b: Float[Tensor, "G N R"],
    scale: Float[Tensor, " G"],
    segments: Int64[Tensor, " boundaries"],
    *,
    precision: str | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, "*rows N"]:
    """Apply one frozen linear layer and, to the rows of each cell, the cell's own adapter.

    Args:
        x: Rows of all cells, one cell after the other.
        weight: The frozen base. It gets no gradient.
        a: First factor of each adapter; fill up smaller ranks with zeros.
        b: Second factor of each adapter.
        scale: What each cell's update is multiplied by, alpha / rank; it gets no gradient.
        segments: Boundaries of the cells among the rows, from 0 to the number of rows, G + 1 of them; int64
            on the CPU, because they decide how the work is cut before a launch. A cell may be empty.
        precision: Key of ``products.PRECISIONS`` for the base's product on a CPU, forward and backward; by
            default the type of x. The adapters are always computed in the type of x.
        backend: "auto" runs Triton on a GPU and PyTorch elsewhere; naming one forces it.

    Raises:
        ValueError: If shapes, types or devices don't fit together, the rank is 0, the boundaries don't
            cover the rows in order, or a precision is asked for that the route doesn't have.
    """
    check_adapters(x, weight, a, b, scale, segments)
    return apply_linear(x, weight, a, b, scale, segments, precision, backend)


def apply_linear(
    x: Tensor,
    weight: AnyWeight,
    a: Tensor | None,
    b: Tensor | None,
    scale: Tensor,
    segments: Tensor,
    precision: str | None,
    backend: str,
) -> Tensor:
    """Run the operator, with adapters or (a and b None) without, on inputs that were checked."""
    taken = route(backend, x)
    products.check_precision(precision)
    if precision is not None and taken != "torch":
        raise ValueError(f"precision={precision!r} is for the CPU route; here {taken} runs: leave it out")
    held = PreparedWeight((weight,)) if isinstance(weight, Tensor) else weight
    if isinstance(held, PreparedWeight) and held.levels == "prepared" and taken != "torch":
        raise ValueError(f"the weight is prepared for products in int8 on the CPU route, but {taken} runs")
    rows = x.reshape(-1, x.shape[-1])
    if taken == "reference":
        assert not isinstance(held, FileRows), "the reference takes blocks as they are stored"
        y = _apply_reference(rows, held, a, b, scale, segments)
    else:
        base = held.operand() if isinstance(held, QuantizedTensor) else held
        chosen = (precision or "", backend)
        y, _ = _linear(rows, base.tensors(), base.levels, a, b, scale.detach(), segments, *chosen)
    return y.view(*x.shape[:-1], y.shape[-1])


def _apply_reference(
    x: Tensor,
    weight: QuantizedTensor | Affine | PreparedWeight,
    a: Tensor | None,
    b: Tensor | None,
    scale: Tensor,
    segments: Tensor,
) -> Tensor:
    if isinstance(weight, PreparedWeight):
        w = weight.parts[0].to(x.dtype)
    else:
        packed = weight.affine() if isinstance(weight, QuantizedTensor) else weight
        w = decode(packed, x.dtype, backend="reference")
    if a is None or b is None:
        return einsum(x, w, "M K, N K -> M N")
    _check_boundaries(segments, x.shape[0])
    return grouped_lora_linear_reference(x, w, a, b, scale, segments)


def check_base(x: Tensor, weight: AnyWeight) -> None:
    """Refuse a base that doesn't fit x."""
    require_float("linear", x=x)
    if len(weight.shape) != 2 or x.dim() < 1:
        raise ValueError(
            f"linear: the weight must be a matrix and x have rows, got {tuple(weight.shape)} and "
            f"{tuple(x.shape)}"
        )
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: x has {x.shape[-1]} features, the weight of shape {tuple(weight.shape)} takes "
            f"{weight.shape[1]}"
        )
    if x.device != weight.device:
        raise ValueError(f"linear: x is on {x.device}, the weight on {weight.device}; move one of them")
    if isinstance(weight, Tensor):
        require_float("linear", weight=weight)


def check_adapters(
    x: Tensor, weight: AnyWeight, a: Tensor, b: Tensor, scale: Tensor, segments: Tensor
) -> None:
    """Refuse adapters, scales or boundaries that don't fit x and the base."""
    check_base(x, weight)
    require_float("grouped_lora_linear", x=x, a=a, b=b)
    if a.dim() != 3 or b.dim() != 3:
        raise ValueError(f"a must be (G, R, K) and b (G, N, R), got {tuple(a.shape)} and {tuple(b.shape)}")
    cells, rank, inputs = a.shape
    outputs = weight.shape[0]
    if rank == 0 or cells == 0:
        raise ValueError(
            f"a has shape {tuple(a.shape)}: there has to be at least one cell, and a rank of at least 1"
        )
    if inputs != weight.shape[1] or tuple(b.shape) != (cells, outputs, rank):
        raise ValueError(
            f"a has shape {tuple(a.shape)} and b {tuple(b.shape)}; for a weight of shape "
            f"{tuple(weight.shape)} they have to be (G, R, {weight.shape[1]}) and (G, {outputs}, R)"
        )
    if tuple(scale.shape) != (cells,) or not scale.is_floating_point():
        raise ValueError(
            f"scale has to be one number for each of {cells} cells, got {tuple(scale.shape)} {scale.dtype}"
        )
    if scale.requires_grad:
        raise ValueError("scale gets no gradient: detach it, or multiply b by it")
    if (
        segments.dtype != torch.int64
        or segments.device.type != "cpu"
        or tuple(segments.shape) != (cells + 1,)
    ):
        raise ValueError(
            f"segments has to be {cells + 1} boundaries for {cells} cells, int64 on the CPU, got "
            f"{tuple(segments.shape)} of {segments.dtype} on {segments.device}"
        )


def _check_boundaries(segments: Tensor, rows: int) -> None:
    if segments[0] != 0 or segments[-1] != rows or (segments.diff() < 0).any():
        raise ValueError(
            f"segments is {segments.tolist()}: it has to begin with 0, never decrease, and end with {rows}, "
            "the number of rows"
        )


# ------------------------------------------------------------------------------------------ registration


class _Inputs(NamedTuple):
    """What the operator takes, place by place; autograd wants a gradient or None for each of these places."""

    x: Any = None
    base: Any = None
    """A list of tensors, of an `Affine` or of a `PreparedWeight`; ``levels`` says how to read it."""
    levels: Any = None
    a: Any = None
    b: Any = None
    scale: Any = None
    segments: Any = None
    precision: Any = None
    """Key of PRECISIONS, or "" for the type of x."""
    backend: Any = None


@operator("qlora_kernels::linear")
def _linear(
    x: Tensor,
    base: list[Tensor],
    levels: str,
    a: Tensor | None,
    b: Tensor | None,
    scale: Tensor,
    segments: Tensor,
    precision: str,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Return y, and S for the backward pass; S is empty without adapters. The arguments are `_Inputs`."""
    x = as_rows(x)
    if a is not None:
        _check_boundaries(segments, x.shape[0])
        a, b = _stack(a), _stack(b)
    if route(backend, x) == "triton":
        from qlora_kernels.grouped_triton import RowTiles, launch_shrink, narrow_tile

        s = None
        if a is not None:
            tile = narrow_tile(a.shape[1], x.dtype, x.device)
            s = launch_shrink(x, a, RowTiles.of(segments, x.device, tile))
        y = _triton_forward(x, Affine.of(base, levels), s, b, scale.float(), segments, backend)
    else:
        from qlora_kernels import grouped_torch

        s = None if a is None else grouped_torch.shrink(x, a, segments)
        multiplied = products.operand(base, levels, products.dtype_of(precision, x))
        y = grouped_torch.forward(x, multiplied, s, b, scale, segments)
    return y, x.new_empty(0, 0) if s is None else s


@operator("qlora_kernels::linear_backward")
def _linear_backward(
    dy: Tensor,
    s: Tensor,
    needs: list[bool],
    x: Tensor,
    base: list[Tensor],
    levels: str,
    a: Tensor | None,
    b: Tensor | None,
    scale: Tensor,
    segments: Tensor,
    precision: str,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, a and b; ``needs`` says which are needed, one that isn't may be empty.

    Behind ``needs`` the arguments are `_Inputs`.
    """
    dy, x = as_rows(dy), as_rows(x)
    dx, da, db = (x.new_empty(0) for _ in range(3))
    ds: Tensor | None = None
    triton = route(backend, x) == "triton"
    if triton:
        from qlora_kernels import grouped_triton
    else:
        from qlora_kernels import grouped_torch
    if a is not None and b is not None:
        a, b = _stack(a), _stack(b)
        if triton:
            tile = grouped_triton.narrow_tile(a.shape[1], x.dtype, x.device)
            tiles = grouped_triton.RowTiles.of(segments, x.device, tile)
            ds, db = grouped_triton.launch_output_gradients(dy, b, s, scale.float(), tiles)
            if needs[1]:
                da = grouped_triton.launch_shrink_gradient(ds, x, len(a), tiles)
        else:
            ds, db = grouped_torch.output_gradients(dy, b, s, scale, segments)
            if needs[1]:
                da = grouped_torch.shrink_gradient(ds, x, segments)
    if needs[0]:
        if triton:
            dx = _triton_input_gradient(dy, Affine.of(base, levels), ds, a, segments, backend)
        else:
            multiplied = products.operand(base, levels, products.dtype_of(precision, x))
            dx = grouped_torch.input_gradient(dy, multiplied, ds, a, segments)
    return dx, da, db


def _triton_forward(
    x: Tensor,
    weight: Affine,
    s: Tensor | None,
    b: Tensor | None,
    factors: Tensor,
    segments: Tensor,
    backend: str,
) -> Tensor:
    """Return y by the product that was asked for, or that the table names."""
    if product_with("forward", x, weight, backend) == "decoded":
        from qlora_kernels.decode_once_triton import launch_decoded_forward as launch
    else:
        from qlora_kernels.linear_triton import launch_forward as launch
    return launch(x, weight, s, b, factors, segments)


def _triton_input_gradient(
    dy: Tensor, weight: Affine, ds: Tensor | None, a: Tensor | None, segments: Tensor, backend: str
) -> Tensor:
    """Return dx by the product that was asked for, or that the table names."""
    if product_with("input_gradient", dy, weight, backend) == "decoded":
        from qlora_kernels.decode_once_triton import launch_decoded_input_gradient as launch
    else:
        from qlora_kernels.linear_triton import launch_input_gradient as launch
    return launch(dy, weight, ds, a, segments)


def _stack(matrices: Tensor | None) -> Tensor:
    """Make each cell's matrix contiguous; how far apart the matrices lie is free."""
    assert matrices is not None
    inner = matrices[0]
    return matrices if inner.is_contiguous() else matrices.contiguous()


@_linear.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - the operator's arguments
    x, base, _, a, *_ = _Inputs(*arguments)
    s = x.new_empty(0, 0) if a is None else x.new_empty(x.shape[0], a.shape[1])
    return x.new_empty(x.shape[0], base[0].shape[0]), s


@_linear_backward.register_fake
def _(
    dy: Tensor,
    s: Tensor,
    needs: list[bool],
    *arguments: Any,  # noqa: ANN401 - the operator's arguments
) -> tuple[Tensor, Tensor, Tensor]:
    x, _, _, a, b, *_ = _Inputs(*arguments)
    dx = x.new_empty(x.shape) if needs[0] else x.new_empty(0)
    da = x.new_empty(a.shape) if a is not None and needs[1] else x.new_empty(0)
    db = x.new_empty(b.shape) if b is not None else x.new_empty(0)
    return dx, da, db


def _save(ctx: Context, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    given, (_, s) = _Inputs(*inputs), output
    ctx.levels, ctx.precision, ctx.backend = given.levels, given.precision, given.backend
    ctx.save_for_backward(given.x, given.a, given.b, given.scale, given.segments, s, *given.base)
    ctx.set_materialize_grads(False)


def _backward(ctx: Context, dy: Tensor | None, _: Tensor | None) -> tuple:
    x, a, b, scale, segments, s, *base = ctx.saved_tensors
    none = [None] * len(base)
    if dy is None:
        return tuple(_Inputs(base=none))
    inputs = _Inputs(x, base, ctx.levels, a, b, scale, segments, ctx.precision, ctx.backend)
    needed = _Inputs(*ctx.needs_input_grad)
    needs = [needed.x, needed.a, needed.b]
    gradients = _linear_backward(dy, s, needs, *inputs)
    dx, da, db = (g if needed else None for g, needed in zip(gradients, needs, strict=True))
    return tuple(_Inputs(x=dx, base=none, a=da, b=db))


_linear.register_autograd(_backward, setup_context=_save)
