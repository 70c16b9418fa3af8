"""What a decoder's products run on where there is a GPU: packed weights, side by side where they can be.

Layers that read the same input are one product if their packed forms are alike. A weight stays packed; the
kernels decode it on the way.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor
from qlora_kernels.formats_layout import Affine, Stored

COMPUTED_IN = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""By precision: the type of activations and products on a GPU; sums are in float32 under all of them."""

Operand = Affine | Tensor
"""A packed weight as the kernels read it, or plain numbers."""


def prepared_on_gpu(
    weights: MutableMapping[str, Tensor | QuantizedTensor],
    groups: Sequence[Sequence[str]],
    head: str,
    dtype: torch.dtype,
) -> tuple[dict[str, list[tuple[str, ...]]], dict[str, Operand]]:
    """Return the products of each group of layers with one input, and what they and the head run on.

    Args:
        weights: By name, on the device; plain numbers and norms become ``dtype``.
        groups: The names of the linear layers, those with the same input together.
        head: The name of the head's weight.
        dtype: Of activations.
    """
    for name, weight in weights.items():
        if isinstance(weight, Tensor):
            weights[name] = weight.to(dtype)
        elif name.endswith("norm"):
            weights[name] = weight.dequantize().to(dtype)
    products: dict[str, list[tuple[str, ...]]] = {}
    prepared: dict[str, Operand] = {}
    for group in groups:
        made = separate_or_joined(weights, group, dtype)
        products[group[0]] = list(made)
        prepared |= {names[0]: operand for names, operand in made.items()}
    prepared[head] = operand_of(weights[head], dtype)
    return products, prepared


def separate_or_joined(
    weights: MutableMapping[str, Tensor | QuantizedTensor], names: Sequence[str], dtype: torch.dtype
) -> dict[tuple[str, ...], Operand]:
    """Return the products of layers with the same input: one for all of them, or one for each.

    What was laid side by side is not kept twice: the entries of ``weights`` become views.

    Args:
        weights: By name, on the device.
        names: The layers, in the order of their outputs.
        dtype: Of plain numbers.
    """
    own = [weights[name] for name in names]
    joined = _joined(own, dtype)
    if joined is None:
        return {(name,): operand_of(weight, dtype) for name, weight in zip(names, own, strict=True)}
    start = 0
    for name, weight in zip(names, own, strict=True):
        weights[name] = _rows(joined, start, start + weight.shape[0])
        start += weight.shape[0]
    return {tuple(names): operand_of(joined, dtype)}


def operand_of(weight: Tensor | QuantizedTensor, dtype: torch.dtype) -> Operand:
    """Return what the kernels multiply with."""
    return weight.affine() if isinstance(weight, QuantizedTensor) else weight.to(dtype)


def _joined(
    weights: Sequence[Tensor | QuantizedTensor], dtype: torch.dtype
) -> Tensor | QuantizedTensor | None:
    """Lay weights one above the other; None where their forms differ or rows share scales."""
    first = weights[0]
    if len(weights) == 1:
        return first
    if isinstance(first, Tensor):
        plain = [weight for weight in weights if isinstance(weight, Tensor)]
        return torch.cat([weight.to(dtype) for weight in plain]) if len(plain) == len(weights) else None
    packed = [weight for weight in weights if isinstance(weight, QuantizedTensor)]
    if len(packed) < len(weights) or {(w.format, w.block_size) for w in packed} != {
        (first.format, first.block_size)
    }:
        return None
    if any(
        len(tensor) != weight.shape[0] for weight in packed for tensor in weight.stored.tensors().values()
    ):
        return None
    stored: Mapping[str, list[Tensor]] = {
        name: [weight.stored.tensors()[name] for weight in packed] for name in first.stored.tensors()
    }
    rows = sum(weight.shape[0] for weight in packed)
    together = Stored(**{name: torch.cat(parts) for name, parts in stored.items()})
    return replace(first, shape=(rows, first.shape[1]), stored=together)


def _rows(weight: Tensor | QuantizedTensor, start: int, end: int) -> Tensor | QuantizedTensor:
    """Return some rows as a view."""
    if isinstance(weight, Tensor):
        return weight[start:end]
    stored = Stored(**{name: tensor[start:end] for name, tensor in weight.stored.tensors().items()})
    return replace(weight, shape=(end - start, weight.shape[1]), stored=stored)
