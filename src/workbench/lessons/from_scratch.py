"""What the notebook that is written from scratch is held against: the package's weights, logits and slopes.

The notebook names weights as the file does and keeps the file's order of rows, in which the two features that
a rotary position turns together are neighbours; the decoder keeps them half a head apart.

Shape letters: E examples, S tokens of the longest example, V vocabulary, K inputs, N outputs, R rank.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.adapters.lora import LoraStack
from workbench.config import CellConfig
from workbench.data.batches import Pool
from workbench.data.records import Record
from workbench.data.templates import render
from workbench.data.turns import Example
from workbench.laws.analysis import Band
from workbench.models.base import Base
from workbench.models.gguf_layout import gguf_name, rotary_heads, to_halves
from workbench.training.loop import freeze, step_gradient

PromptPairs = Sequence[tuple[str, str]]
"""Verbs, each with the answer that is learnt."""


def weights_apart(weights: Mapping[str, Tensor], base: Base) -> int:
    """Count the weights of a base that aren't the same number, bit for bit.

    Args:
        weights: Decoded tensors by their names in a GGUF, in the file's order of rows.
        base: What they are compared with.
    """
    apart = 0
    for name, held in base.decoder.weights.items():
        theirs = held.dequantize(torch.float32) if isinstance(held, QuantizedTensor) else held.float()
        ours = _in_our_order(weights[gguf_name(name)], name, base)
        apart += int((ours.view(torch.int32) != theirs.contiguous().view(torch.int32)).sum())
    return apart


@torch.no_grad()
def logits_apart(logits: Float[Tensor, "1 E S V"], pairs: PromptPairs, base: Base) -> float:
    """Return the largest difference of two models' logits, over all letters of some examples.

    Args:
        logits: Of one model, for the texts of ``pairs``, without an adapter.
        pairs: The examples.
        base: The other model.
    """
    apart = 0.0
    for ours, example in zip(logits[0], _examples(pairs, base), strict=True):
        theirs = base.decoder.head(base.decoder(Pool([example]).batch([[0]])))[0]
        apart = max(apart, float((ours[: len(theirs)] - theirs).abs().max()))
    return apart


def step_apart(
    loss: Float[Tensor, " 1"], lora: Mapping[str, tuple[Tensor, Tensor]], pairs: PromptPairs, base: Base
) -> tuple[float, float]:
    """Compare the loss of one batch, and its slopes, with what the package computes.

    Args:
        loss: The mean over the letters that are learnt.
        lora: A (1, R, K) and B (1, N, R) of each layer with their gradients, by the layer's name in a GGUF.
        pairs: The batch.
        base: The frozen base.

    Returns:
        The difference of the losses; and that of the slopes, as a share of the package's largest one.

    Raises:
        ValueError: If a layer has no gradients.
    """
    rank = next(iter(lora.values()))[0].shape[1]
    cell = CellConfig(data="verbs", base="classroom", size=len(pairs), rank=rank, alpha=2.0 * rank)
    stack = LoraStack([cell], base.decoder.config)
    ours: dict[str, Tensor] = {}
    start: dict[str, Tensor] = {}
    for name in stack.names:
        a, b = lora[gguf_name(name).removesuffix(".weight")]
        if a.grad is None or b.grad is None:
            raise ValueError(f"{name} has no slopes: call backward() on the loss first")
        start |= {f"{name}.lora_A": a[0].detach(), f"{name}.lora_B": _in_our_order(b[0].detach(), name, base)}
        ours |= {f"{name}.lora_A": a.grad[0], f"{name}.lora_B": _in_our_order(b.grad[0], name, base)}
    stack.load(0, start)
    pool = Pool(_examples(pairs, base))
    theirs, gradient = step_gradient(freeze(base.decoder, pool, 0), stack, [list(range(len(pool)))])
    slopes = {
        f"{name}.{half}": value[0]
        for name, halves in stack.halves(gradient).items()
        for half, value in halves.items()
    }
    largest = max(float(one.abs().max()) for one in slopes.values())
    apart = max(float((ours[name] - one).abs().max()) for name, one in slopes.items())
    return abs(float(loss.detach()) - float(theirs)), apart / largest


def share_inside(curves: Mapping[str, Callable[[Tensor], Tensor]], bands: Mapping[str, Band]) -> float:
    """Return at which share of the sizes the curves lie within the package's bands of 95%.

    Args:
        curves: Of each quality: from sizes, (sizes,), to the share of wrong answers.
        bands: Of the same qualities, judged by the share of right answers.
    """
    inside = []
    for quality, band in bands.items():
        right = 1 - curves[quality](torch.from_numpy(band.size)).numpy()
        if band.low is None or band.high is None:
            raise ValueError(f"{quality} has no band: give the package at least two seeds of each size")
        inside.append((band.low <= right) & (right <= band.high))
    return float(np.mean(inside))


def _examples(pairs: PromptPairs, base: Base) -> list[Example]:
    return [
        render("verbs", Record(id=lemma, prompt=lemma, response=answer), base.tokenizer)
        for lemma, answer in pairs
    ]


def _in_our_order(rows: Tensor, name: str, base: Base) -> Tensor:
    """Return a tensor of the file with its rows in the decoder's order; "layers.0.q_proj" has another one."""
    heads = rotary_heads(name, base.decoder.config)
    return rows if heads is None else torch.from_numpy(to_halves(rows.numpy(), heads))
