"""Muon on matrices of one shape at a time, which small models need: there the calls cost more than the sums.

A block of a rung has seven matrices of four shapes. ``torch.optim.Muon`` takes them one by one, and that is a
third of a step at these widths; laid on each other they take a quarter of it. The steps are those of
``torch.optim.Muon`` with its defaults, up to rounding: it iterates in bfloat16, this in float32.

Shape letters: M matrices of one shape, R rows, C columns.

Source: Jordan et al., "Muon", 2024.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

MUON_ITERATIONS = 5
MUON_COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the quintic iteration; steep at 0, so that small directions are soon as large as the others."""
MOMENTUM = 0.95
LEAST_NORM = 1e-7
"""A gradient of less is nothing."""


def orthogonalized(matrices: Float[Tensor, "M R C"]) -> Float[Tensor, "M R C"]:
    """Return each matrix with its singular values brought near 1, its singular vectors kept.

    The iteration is X <- a X + (b G + c G G) X with G = X X^T, on the shorter side.
    """
    a, b, c = MUON_COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=LEAST_NORM)
    for _ in range(MUON_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class StackedMuon(torch.optim.Optimizer):
    """Muon with Nesterov's momentum and decay apart from the gradient, a group of parameters for each shape.

    Args:
        matrices: To train.
        lr: Of a square or wide matrix; a tall one has it times the root of rows by columns.
        weight_decay: In parts of the rate.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = {}
        for matrix in matrices:
            by_shape.setdefault(matrix.shape, []).append(matrix)
        groups: list[dict[str, Any]] = [{"params": own} for own in by_shape.values()]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every matrix by its gradient; a closure isn't asked."""
        for group in self.param_groups:
            own = group["params"]
            gradient = torch.stack([matrix.grad for matrix in own])
            state = self.state[own[0]]
            momentum = state.setdefault("momentum", torch.zeros_like(gradient))
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonalized(gradient.lerp(momentum, MOMENTUM))
            rows, columns = gradient.shape[1:]
            rate = group["lr"] * math.sqrt(max(1.0, rows / columns))
            torch._foreach_mul_(own, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(own, list(update.unbind()), alpha=-rate)
