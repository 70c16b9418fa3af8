"""A sparse base out of a dense one: each block's feed-forward network becomes several, with a router.

All experts begin as copies of the dense network, and a token's gates sum to 1, so that whatever the router
says the sparse base computes what the dense one does. Copies become different when they are trained: each
gets other tokens.

Source: Komatsuzaki et al., "Sparse Upcycling", arXiv:2212.05055, section 3, with the combine weights made to
sum to 1.
"""

from dataclasses import replace

import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import ROUTER, DecoderConfig, without_expert
from workbench.models.families.family import FEED_FORWARD
from workbench.models.families.mixtral import MOST_EXPERTS

SPARSE_FAMILIES = {"llama": "mixtral", "mistral": "mixtral"}
"""By the family of a dense base, that of the same arithmetic with experts."""
ROUTER_SIZE = 0.02
"""Standard deviation of a router's first numbers: tokens are sent by small differences at first."""


def sparse_config(config: DecoderConfig, experts: int, used: int) -> DecoderConfig:
    """Return the sizes of a dense decoder with experts.

    Raises:
        InputError: If no family has its arithmetic with experts, or there can't be so many.
    """
    if config.experts:
        raise InputError(
            f"the base has {config.experts} experts in a block already; give the dense base that it was made "
            "from"
        )
    if config.family not in SPARSE_FAMILIES:
        known = " or ".join(SPARSE_FAMILIES)
        raise InputError(
            f"the base is of the family {config.family!r}, and experts are known of the arithmetic of "
            f"Mixtral only, which a base of the family {known} has; {ANOTHER_BASE}."
        )
    if biased := sorted(config.biases & {*FEED_FORWARD}):
        raise InputError(
            f"the base has biases in {', '.join(biased)}, and experts of Mixtral's kind have none; "
            f"{ANOTHER_BASE}."
        )
    if not 2 <= experts <= MOST_EXPERTS:
        raise InputError(f"experts is {experts}; a block can have 2 to {MOST_EXPERTS}, such as --experts 4")
    if not 1 <= used <= experts:
        raise InputError(
            f"used is {used}; a token goes through 1 to {experts} of the {experts} experts, such as --used 1"
        )
    return replace(config, family=SPARSE_FAMILIES[config.family], experts=experts, experts_used=used)


def upcycled(base: Base, experts: int, *, used: int = 1, seed: int = 0) -> Base:
    """Return a base with several copies of each feed-forward network, in float32 on the processor.

    Args:
        base: Dense, of a family of :data:`SPARSE_FAMILIES`.
        experts: Copies of each network.
        used: How many of them each token goes through; with one it takes the operations that it took.
        seed: Of the routers' first numbers.

    Raises:
        InputError: If the base can't have experts, or not so many.
    """
    dense = base.decoder
    config = sparse_config(dense.config, experts, used)
    chance = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor | QuantizedTensor] = {}
    for name, shape in config.shapes(tied=dense.tied).items():
        block, _, leaf = name.rpartition(".")
        if leaf == ROUTER:
            weights[name] = ROUTER_SIZE * torch.randn(shape, generator=chance)
        else:
            weights[name] = dense.weights[f"{block}.{without_expert(leaf)}" if block else leaf]
    return replace(base, name=f"{base.name} with {experts} experts", decoder=Decoder(config, weights))


def upcycling_in_words(base: Base, experts: int, used: int, seed: int) -> str:
    """Return what a file says of where a sparse base came from."""
    return (
        f"{experts} experts in each block, {used} for a token, out of {base.name} (SHA-256 {base.sha256}); "
        f"routers drawn with seed {seed}, {ROUTER_SIZE:g} in size"
    )
