"""Adapters of random numbers, for tests of several rooms."""

from typing import Any

import torch

from workbench.adapters.adapter import MAGNITUDE, LoraAdapter
from workbench.config import LINEARS
from workbench.models.decoder_config import DecoderConfig


def random_adapter(
    config: DecoderConfig,
    *,
    leaves: tuple[str, ...] = LINEARS,
    blocks: tuple[int, ...] | None = None,
    ranks: dict[str, int] | None = None,
    rank: int = 4,
    seed: int = 0,
    size: float = 0.1,
    dora: bool = False,
    dtype: torch.dtype = torch.float32,
    **fields: Any,
) -> LoraAdapter:
    """Return an adapter that does something; ``ranks`` are those of layers that have another one."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for block in range(config.layers) if blocks is None else blocks:
        for leaf in leaves:
            layer = f"layers.{block}.{leaf}"
            outputs, inputs = config.linear_shape(leaf)
            own = (ranks or {}).get(layer, rank)
            tensors[f"{layer}.lora_A"] = torch.randn(own, inputs, generator=generator) / inputs**0.5
            tensors[f"{layer}.lora_B"] = torch.randn(outputs, own, generator=generator) * size
            if dora:
                tensors[f"{layer}.{MAGNITUDE}"] = 0.5 + torch.rand(outputs, generator=generator)
    given = {"name": f"random {seed}", "base": "some base", "alpha": 6.0} | fields
    return LoraAdapter(rank=rank, tensors={name: value.to(dtype) for name, value in tensors.items()}, **given)
