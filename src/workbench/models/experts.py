"""Experts: several feed-forward networks in a block, of which a router chooses a few for each token.

A token's gates are the router's largest probabilities, made to sum to 1, as in Mixtral; with one expert a
token the gate is 1, so that experts which are copies of one network give what that network gives. A gate that
is always 1 has no gradient. A router that is trained then gets that of Switch, which multiplies by the
probability itself: the gate's value is p / p, and only the upper p counts in the gradient. Beside a frozen
router the gradient is the plain one, as in transformers.

Shape letters: M tokens, K width, F features of an expert, E experts, U experts of a token, L layers.

Source: Fedus et al., "Switch Transformers", arXiv:2101.03961, sections 2.1 and 2.2; Jiang et al., "Mixtral of
Experts", arXiv:2401.04088, section 2.1.
"""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from qlora_kernels.swiglu import swiglu
from qlora_kernels.take_rows import Places, take_rows
from workbench.errors import InputError
from workbench.models.between import rounded_unit
from workbench.models.decoder_config import DecoderConfig, expert_of

Network = Callable[[int, Tensor, Tensor], Tensor]
"""(number of an expert, its tokens "M K", boundaries of the cells among them) -> what it makes, "M K"."""


class ChosenExperts(NamedTuple):
    """Which experts each token goes through, and what each counts."""

    experts: Int64[Tensor, "M U"]
    gates: Float[Tensor, "M U"]


def choose_experts(x: Float[Tensor, "M K"], router: Float[Tensor, "E K"], used: int) -> ChosenExperts:
    """Choose the ``used`` likeliest experts of each token; their gates sum to 1."""
    scores = einsum(x, router, "M K, E K -> M E")
    top, experts = scores.softmax(dim=-1).topk(used)
    total = top.sum(dim=-1, keepdim=True)
    alone = used == 1 and router.requires_grad
    return ChosenExperts(experts, top / (total.detach() if alone else total))


def mixture_reference(
    x: Float[Tensor, "M K"],
    choice: ChosenExperts,
    gate: Float[Tensor, "E F K"],
    up: Float[Tensor, "E F K"],
    down: Float[Tensor, "E K F"],
) -> Float[Tensor, "M K"]:
    """Define what the experts make of each token: every expert runs on every token, and gates count them."""
    chosen = functional.one_hot(choice.experts, len(gate)).to(x)
    fed = functional.silu(einsum(x, gate, "M K, E F K -> M E F")) * einsum(x, up, "M K, E F K -> M E F")
    return einsum(fed, down, chosen, choice.gates, "M E F, E K F, M U E, M U -> M K")


def mixture(
    x: Float[Tensor, "M K"],
    choice: ChosenExperts,
    experts: int,
    cells: Int64[Tensor, " boundaries"],
    network: Network,
) -> Float[Tensor, "M K"]:
    """Compute :func:`mixture_reference`: tokens sorted by expert, each expert once on its own.

    ``cells`` are the boundaries of the cells among the rows of ``x``; within an expert tokens keep their
    order, so that its cells lie one after the other, too.
    """
    used = choice.experts.shape[1]
    by_expert = choice.experts.flatten()
    order = by_expert.argsort(stable=True)
    rows = order // used
    sizes = torch.bincount(by_expert, minlength=experts).tolist()
    taken = take_rows(x, Places.of(rows, len(x))).split(sizes)
    made = [
        network(expert, part, torch.searchsorted(own, cells))
        for expert, (part, own) in enumerate(zip(taken, rows.split(sizes), strict=True))
        if len(own)
    ]
    together = take_rows(torch.cat(made), Places.of(order.argsort(), len(order)))
    counted = rearrange(together, "(M U) K -> M U K", U=used) * choice.gates.to(x)[..., None]
    return counted.sum(dim=1)


def through_experts(
    x: Float[Tensor, "*rows K"],
    router: Float[Tensor, "E K"],
    used: int,
    cells: Int64[Tensor, " boundaries"],
    network: Network,
) -> Float[Tensor, "*rows K"]:
    """Let the router choose experts for each row, and run them; ``cells`` are boundaries among the rows."""
    rows = x.flatten(0, -2)
    return mixture(rows, choose_experts(rows, router, used), len(router), cells, network).view_as(x)


def balance_loss(
    scores: Float[Tensor, "L M E"], used: int, counted: Float[Tensor, " M"] | None = None
) -> Float[Tensor, ""]:
    """Return what an uneven choice costs: E times the sum of f P over the experts; U where all is even.

    f is how many of the chosen experts of a token are this one, P its probability, both averaged over tokens
    and layers. The gradient goes through P alone.

    Args:
        scores: Of the router, before the softmax.
        used: Experts of a token, U.
        counted: 1 for each token that counts, 0 for others; all count by default.

    Source: Fedus et al., arXiv:2101.03961, equations 4 to 6, over all layers at once and for U experts, as
    ``load_balancing_loss_func`` of transformers has it.
    """
    layers, tokens, experts = scores.shape
    counted = scores.new_ones(tokens) if counted is None else counted.to(scores)
    shares = scores.softmax(dim=-1)
    chosen = functional.one_hot(shares.topk(used).indices, experts).sum(dim=-2).to(scores)
    total = layers * counted.sum()
    often = einsum(chosen, counted, "L M E, M -> E") / total
    likely = einsum(shares, counted, "L M E, M -> E") / total
    return experts * einsum(often, likely, "E, E ->")


def gated_unit(
    gate: Float[Tensor, "*rows F"], up: Float[Tensor, "*rows F"], activation: str, *, trained: bool
) -> Float[Tensor, "*rows F"]:
    """Multiply by the activation of the gate; Shazeer, "GLU variants", arXiv:2002.05202.

    ``trained`` weights need autograd's own operators.
    """
    if activation == "gelu":
        return functional.gelu(gate, approximate="tanh") * up
    if trained:
        return functional.silu(gate) * up
    rounded = gate.device.type == "cpu" and gate.dtype == torch.bfloat16
    return rounded_unit(gate, up) if rounded else swiglu(gate, up)


def active_parameters(config: DecoderConfig, *, tied: bool = True) -> int:
    """Return how many weights a token goes through: of the experts, those that are chosen for it."""
    shapes = config.shapes(tied=tied)
    return sum(
        prod(shape)
        for name, shape in shapes.items()
        if (expert_of(name.rpartition(".")[2]) or 0) < max(1, config.experts_used)
    )


def refuse_experts(config: DecoderConfig, device: torch.device, precision: str) -> None:
    """Refuse experts where how many tokens each gets would have to be read from the GPU at every layer.

    They are refused too where a router would choose by rounded vectors.

    Raises:
        InputError: If the base has experts and isn't on the processor, or their router would read rounded
            vectors.
    """
    if config.experts and precision == "bfloat16-activations":
        raise InputError(
            f"precision bfloat16-activations: the base has {config.experts} experts in a block, and its "
            "router would choose them by rounded vectors; choose --precision bfloat16"
        )
    if config.experts and device.type != "cpu":
        raise InputError(
            f"the base has {config.experts} experts in a block, and these are computed on the processor "
            "only: choose --device cpu, or a base without experts"
        )
