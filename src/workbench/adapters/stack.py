"""Several adapters on one base at once, each with a weight, computed without merging any.

Shape letters: K inputs, N outputs, R rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from workbench.adapters.adapter import LoraAdapter, WeightOf
from workbench.errors import InputError
from workbench.models.adapted import Adapter, Adapters


@dataclass(frozen=True, slots=True)
class WeightedAdapter:
    """An adapter of a stack."""

    adapter: LoraAdapter
    weight: float | int = 1.0
    """What its change is multiplied by."""


def stacked(parts: Sequence[WeightedAdapter], weight: WeightOf | None = None) -> Adapters:
    """Return what the decoder's linear layers carry for one sequence: the weighted sum of all changes.

    A's lie on top of each other and B's side by side, each B with its scale and weight: the sum is exact, of
    the sum of the ranks, and a layer that only some adapt carries only theirs. A weight of 0 takes none.

    Args:
        parts: The stack.
        weight: Gives a layer's frozen weight by its name; for DoRA, which can only be taken alone and whole.

    Raises:
        InputError: If DoRA is one of several, or weighted: it rescales rows, and so is no sum.
    """
    found: dict[str, Adapter] = {}
    used = [part for part in parts if part.weight != 0.0]
    if [part.weight for part in used] == [1.0]:
        return used[0].adapter.for_decoder(weight)
    for part in used:
        if part.adapter.dora:
            raise InputError(
                f"{part.adapter.name} is DoRA, which rescales rows: it counts alone and with weight 1, "
                "or not at all (weight 0)"
            )
    layers = dict.fromkeys(layer for part in used for layer in part.adapter.layers)
    for layer in layers:
        a, b = [], []
        for part in used:
            if layer in part.adapter.layers:
                own_a, own_b = part.adapter.matrices(layer)
                a.append(own_a)
                b.append(part.weight * part.adapter.scale(layer) * own_b)
        found[layer] = Adapter(torch.cat(a)[None], torch.cat(b, dim=1)[None], torch.ones(1))
    return found


def weighted_path(text: str) -> tuple[Path, float]:
    """Return path and weight of "PATH:WEIGHT"; a name that is there is a path, whatever it looks like."""
    path, colon, number = text.rpartition(":")
    if not colon or Path(text).expanduser().exists():
        return Path(text), 1.0
    try:
        weight = float(number)
    except ValueError:
        return Path(text), 1.0
    if not abs(weight) < float("inf"):
        raise InputError(f"{text}: the weight is {number}; give a finite number, such as {path}:0.5")
    return Path(path), weight
