"""From a time to a row of the operators' table: what was computed, what was moved, what bounds it.

A product of M rows with a weight of N rows and K columns is 2 M N K operations. Rates are in 10^12 operations
and 10^9 bytes a second, of what can't be left out: a weight is read once, packed.
"""

from gpucheck.record import Record
from gpucheck.targets import FEW_ROWS, better_ms


def product_flops(rows: int, outputs: int, inputs: int) -> int:
    """Return the operations of a product: a multiplication and an addition for each term."""
    return 2 * rows * outputs * inputs


def tflops(flops: float, ms: float) -> float:
    """Return 10^12 operations a second."""
    return flops / (ms / 1e3) / 1e12


def gbs(moved: float, ms: float) -> float:
    """Return 10^9 bytes a second."""
    return moved / (ms / 1e3) / 1e9


def product_row(
    known: Record,
    size: tuple[int, int, int],
    packed: int,
    itemsize: int,
    times: tuple[float, float, float],
    copy: float,
) -> Record:
    """Return the row of a product with a packed weight.

    Args:
        known: Operator, shape, format, target.
        size: M, N and K.
        packed: Bytes of the weight as it is kept.
        itemsize: Bytes of a number of the activations.
        times: Milliseconds of the fused kernel, of decoding and then multiplying, and of the dense product.
        copy: Rate of copying in GB/s.
    """
    rows, outputs, inputs = size
    fused, decoded, dense = times
    row = {**known, "rows": rows, "K": inputs, "N": outputs}
    row |= {"fused_ms": fused, "decoded_ms": decoded, "dense_ms": dense}
    ms = better_ms(row)
    moved = packed + itemsize * rows * (inputs + outputs)
    few = rows <= FEW_ROWS
    share = gbs(packed, ms) / copy if few else dense / ms
    rates = {"tflops": tflops(product_flops(*size), ms), "gbs": gbs(moved, ms)}
    return {**row, **rates, "bound": "copying" if few else "the dense product", "share_of_bound": share}


def decode_row(
    known: Record, size: tuple[int, ...], packed: int, itemsize: int, ms: float, copy: float
) -> Record:
    """Return the row of decoding a weight of N rows and K columns to numbers of ``itemsize`` bytes."""
    outputs, inputs = size
    moved = packed + itemsize * outputs * inputs
    return moved_row({**known, "rows": outputs, "K": inputs, "N": outputs}, moved, outputs * inputs, ms, copy)


def moved_row(known: Record, moved: int, flops: int, ms: float, copy: float) -> Record:
    """Return the row of an operator that is bounded by the bytes that it has to move."""
    rates = {"tflops": tflops(flops, ms), "gbs": gbs(moved, ms)}
    times = {"fused_ms": ms, "decoded_ms": None, "dense_ms": None}
    return {**known, **times, **rates, "bound": "copying", "share_of_bound": rates["gbs"] / copy}


def head_row(known: Record, size: tuple[int, int, int], itemsize: int, ms: float, dense: float) -> Record:
    """Return the row of the head's cross entropy with its gradient: two products of M labels, V words, K."""
    labels, words, inputs = size
    moved = itemsize * (words * inputs + 2 * labels * inputs)
    rates = {"tflops": tflops(2 * product_flops(*size), ms), "gbs": gbs(moved, ms)}
    row = {**known, "rows": labels, "K": inputs, "N": words, "fused_ms": ms, "decoded_ms": None}
    return {**row, "dense_ms": dense, **rates, "bound": "the dense products", "share_of_bound": dense / ms}
