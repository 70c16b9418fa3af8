"""Each operator of a training step: its time beside its bound, and beside decoding before a dense product."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gpucheck.bases import REAL, TINY, Shape, random_packed
from gpucheck.clock import copy_gbs, device_ms, profiled
from gpucheck.operator_rows import decode_row, head_row, moved_row, product_row
from gpucheck.place import Place
from gpucheck.record import Record
from gpucheck.targets import FEW_ROWS, MANY_ROWS, PRODUCTS, better_ms
from qlora_kernels import QuantizedTensor
from qlora_kernels.linear_cross_entropy import linear_cross_entropy
from qlora_kernels.product_routes import product_for
from qlora_kernels.rms_norm import rms_norm
from qlora_kernels.rope import rope, rope_angles
from qlora_kernels.swiglu import swiglu
from qlora_kernels.tiles import target_of

FORMATS = ("nf4", "q4_1", "q8_0", "q4_0")
ROWS = (1, 16, 32, 512, 2048, 8192)
PASS_ROWS = (512, 8192)
"""Rows of the operators that have no packed weight."""
RANK = 16
LABELS = 1024
"""Rows of the head's cross entropy."""
AGREE = 1e-2
"""Largest distance of the two routes' results, as a share of their norm: they round in other places."""

Call = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Routes:
    """The ways to one product, each a call that returns it."""

    fused: Call
    decoded: Call
    dense: Call
    """The dense product of the same shape, with a weight that was never packed: the bound."""


def operators(place: Place, keep: Callable[[Record], None]) -> Record:
    """Time every operator at the shapes of three bases; products in four formats, with few rows and many."""
    result: Record = {"copy_gbs": copy_gbs(place), "target": target_of(place.device), "rows": []}
    rows = result["rows"]
    shapes = place.pick(REAL, TINY).values()
    for shape in shapes:
        rows += passes(place, shape, result)
    for format in FORMATS:
        for shape in shapes:
            rows.append(decoding(place, shape, format, result))
            for count in place.pick(ROWS, (1, 32, 40)):
                rows += products(place, shape, format, count, result)
        keep(result)
    return {**result, "profile": missed_profile(place, rows)}


def routes(place: Place, shape: Shape, weight: QuantizedTensor, count: int) -> dict[str, Routes]:
    """Return the ways to y = x W^T and dx = dy W with so many rows, by the operator's name."""
    from qlora_kernels.decode_once_triton import launch_decoded_forward, launch_decoded_input_gradient
    from qlora_kernels.linear_triton import launch_forward, launch_input_gradient

    outputs, inputs = weight.shape
    nothing = torch.empty(0)
    x, dy = (normal(place, count, width) for width in (inputs, outputs))
    dense = normal(place, outputs, inputs)
    return {
        "forward": Routes(
            lambda: launch_forward(x, weight.affine(), None, None, nothing, nothing.long()),
            lambda: launch_decoded_forward(x, weight.affine(), None, None, nothing, nothing.long()),
            lambda: x @ dense.mT,
        ),
        "input gradient": Routes(
            lambda: launch_input_gradient(dy, weight.affine(), None, None, nothing.long()),
            lambda: launch_decoded_input_gradient(dy, weight.affine(), None, None, nothing.long()),
            lambda: dy @ dense,
        ),
    }


def decoded(weight: QuantizedTensor, place: Place) -> Tensor:
    """Decode a weight by the kernel, to 16 bits."""
    return weight.dequantize(place.half, backend="triton")


def normal(place: Place, *shape: int) -> Tensor:
    """Draw normal numbers of the place's 16-bit type on its device."""
    generator = torch.Generator(place.device).manual_seed(1)
    return torch.randn(*shape, device=place.device, generator=generator).to(place.half)


def layer(place: Place, shape: Shape, format: str) -> QuantizedTensor:
    """Make the packed weight of a layer from the width to the feed-forward size."""
    generator = torch.Generator(place.device).manual_seed(0)
    return random_packed(format, shape.config.feed_forward, shape.config.width, place.device, generator)


def products(place: Place, shape: Shape, format: str, count: int, result: Record) -> Iterator[Record]:
    """Time the two products with a packed weight, after the two routes were seen to agree."""
    weight = layer(place, shape, format)
    for name, ways in routes(place, shape, weight, count).items():
        with place.kernels():
            check_agree(f"{name} on {format}, {count} rows of {shape.name}", ways.fused(), ways.decoded())
            fused, both = device_ms(ways.fused, place), device_ms(ways.decoded, place)
        dense = device_ms(ways.dense, place)
        kernel, size = name.replace(" ", "_"), (count, *reversed(weight.shape))
        taken = product_for(kernel, weight.affine().levels, size, place.half, place.device, "auto")
        known = {"operator": name, "shape": shape.name, "format": format, "target": result["target"]}
        yield product_row(
            {**known, "taken": taken.route},
            (count, *weight.shape),
            weight.nbytes,
            place.half.itemsize,
            (fused, both, dense),
            result["copy_gbs"],
        )


def check_agree(what: str, one: Tensor, other: Tensor) -> None:
    """Refuse to compare the times of two routes that didn't compute the same.

    Raises:
        RuntimeError: That says how far they are apart.
    """
    apart = float((one.float() - other.float()).norm() / other.float().norm())
    if not apart <= AGREE:  # also where it isn't a number
        raise RuntimeError(
            f"{what}: the two routes are {apart:.1%} apart, allowed {AGREE:.1%}: compare no times"
        )


def decoding(place: Place, shape: Shape, format: str, result: Record) -> Record:
    """Time decoding one layer's weight to 16 bits."""
    weight = layer(place, shape, format)
    with place.kernels():
        ms = device_ms(lambda: decoded(weight, place), place)
    known = {"operator": "decode", "shape": shape.name, "format": format, "target": result["target"]}
    return decode_row(known, weight.shape, weight.nbytes, place.half.itemsize, ms, result["copy_gbs"])


def passes(place: Place, shape: Shape, result: Record) -> Iterator[Record]:
    """Time what has no packed weight: the adapter's own products, norms, positions, SwiGLU, the head."""
    config, size = shape.config, place.half.itemsize
    for count in place.pick(PASS_ROWS, (33,)):
        for name, (moved, flops, call) in pass_calls(place, shape, count).items():
            with place.kernels():
                ms = device_ms(call, place)
            known = {"operator": name, "shape": shape.name, "format": None, "target": result["target"]}
            known |= {"rows": count, "K": config.width, "N": config.feed_forward}
            yield moved_row(known, size * moved, flops, ms, result["copy_gbs"])
    labels = place.pick(LABELS, 5)
    hidden, head = normal(place, labels, config.width), normal(place, config.vocabulary, config.width)
    targets = torch.arange(labels, device=place.device) % config.vocabulary
    learned = hidden.clone().requires_grad_()
    logits = hidden @ head.mT
    with place.kernels():
        ms = device_ms(lambda: linear_cross_entropy(learned, head, targets, backend="triton"), place)
    dense = device_ms(lambda: hidden @ head.mT, place) + device_ms(lambda: logits @ head, place)
    known = {"operator": "cross entropy", "shape": shape.name, "format": None, "target": result["target"]}
    yield head_row(known, (labels, config.vocabulary, config.width), size, ms, dense)


def pass_calls(place: Place, shape: Shape, count: int) -> dict[str, tuple[int, int, Call]]:
    """Return, by operator, the numbers that it has to move, its operations, and the call."""
    from qlora_kernels.grouped_triton import (
        RowTiles,
        launch_output_gradients,
        launch_shrink,
        launch_shrink_gradient,
        narrow_tile,
    )

    config = shape.config
    width, wide, heads, head = config.width, config.feed_forward, config.heads, config.head_size
    x, dy, s = (normal(place, count, size) for size in (width, wide, RANK))
    a, b, weight = normal(place, 1, RANK, width), normal(place, 1, wide, RANK), normal(place, width)
    gate, queries = normal(place, count, wide), normal(place, count, heads, head)
    factors = torch.ones(1, device=place.device)
    tiles = RowTiles.of(torch.tensor([0, count]), place.device, narrow_tile(RANK, place.half, place.device))
    angles = rope_angles(torch.arange(count, device=place.device), head)
    product = 2 * count * RANK
    return {
        "S": (count * (width + RANK) + RANK * width, product * width, lambda: launch_shrink(x, a, tiles)),
        "dS and dB": (
            count * (wide + 2 * RANK) + 2 * RANK * wide,
            2 * product * wide,
            lambda: launch_output_gradients(dy, b, s, factors, tiles)[0],
        ),
        "dA": (
            count * (width + RANK) + RANK * width,
            product * width,
            lambda: launch_shrink_gradient(s, x, 1, tiles),
        ),
        "rms_norm": (
            2 * count * width + width,
            4 * count * width,
            lambda: rms_norm(x, weight, 1e-5, backend="triton"),
        ),
        "rope": (
            2 * count * heads * head,
            3 * count * heads * head,
            lambda: rope(queries, *angles, layout="half_split", backend="triton"),
        ),
        "swiglu": (3 * count * wide, 6 * count * wide, lambda: swiglu(gate, dy, backend="triton")),
    }


def missed_profile(place: Place, rows: list[Record]) -> list[str]:
    """Profile the better route of the product that misses its target by most, if one does; else nothing."""
    missed = [
        row for row in rows if row["operator"] in PRODUCTS and row["share_of_bound"] < wanted_share(row)
    ]
    if not missed:
        return []
    worst = min(missed, key=lambda row: row["share_of_bound"] / wanted_share(row))
    shape = place.pick(REAL, TINY)[worst["shape"]]
    ways = routes(place, shape, layer(place, shape, worst["format"]), worst["rows"])[worst["operator"]]
    way = ways.fused if worst["fused_ms"] == better_ms(worst) else ways.decoded
    about = f"{worst['operator']} on {worst['format']}, {worst['rows']} rows, {worst['shape']}"
    with place.kernels():
        return [about, *profiled(way, place)]


def wanted_share(row: Record) -> float:
    """Return the share of its bound that a product is to reach; 0 between few rows and many."""
    return 0.7 if row["rows"] >= MANY_ROWS else 0.6 if row["rows"] <= FEW_ROWS else 0.0
