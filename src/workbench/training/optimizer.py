"""AdamW and its learning rate for a stack of cells, each with a rate and a gradient norm of its own.

Shape letters: G cells, W adapter weights of one cell.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from workbench.config import CellConfig

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def learning_rate(cell: CellConfig, step: int) -> float:
    """Return the rate of one step, counted from 0: a linear rise, then the cell's schedule down to 0."""
    warmup = math.ceil(cell.warmup * cell.total_steps)
    if step < warmup:
        return cell.learning_rate * (step + 1) / warmup
    left = 1 - (step - warmup) / max(1, cell.total_steps - warmup)
    shape = {"constant": 1.0, "linear": left, "cosine": 0.5 - 0.5 * math.cos(math.pi * left)}
    return cell.learning_rate * shape[cell.schedule]


class StackedAdamW:
    """AdamW on one row of weights for each cell; the same arithmetic as ``torch.optim.AdamW``.

    torch's own takes one rate for a whole tensor, so it can't serve rows with different rates.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101.
    """

    def __init__(self, weights: Float[Tensor, "G W"], cells: Sequence[CellConfig]) -> None:
        self.weights, self.cells = weights, cells
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)
        self.decay = weights.new_tensor([cell.weight_decay for cell in cells])[:, None]
        self.clip = weights.new_tensor([cell.gradient_clip for cell in cells])

    @torch.no_grad()
    def update(
        self, gradient: Float[Tensor, "G W"], step: int, active: Bool[Tensor, " G"]
    ) -> Float[Tensor, " G"]:
        """Clip each active row's gradient to its own largest norm, take one step and return the norms.

        A row that is not active, or whose norm is not a number, is left as it is.
        """
        norms = torch.linalg.vector_norm(gradient, dim=1)
        rows = (active & norms.isfinite()).nonzero().flatten()
        if len(rows) == len(self.cells):
            rows = slice(None)  # the common case: views instead of copies
        shrink = (self.clip / norms.clamp_min(1e-12)).clamp_max(1.0)[rows, None]
        clipped = gradient[rows] * shrink
        mean = self.mean[rows].lerp(clipped, 1 - BETAS[0])
        square = self.square[rows].lerp(clipped.square(), 1 - BETAS[1])
        rate = self.weights.new_tensor([learning_rate(cell, step) for cell in self.cells])[rows, None]
        change = (mean / (1 - BETAS[0] ** (step + 1))) / (
            (square / (1 - BETAS[1] ** (step + 1))).sqrt() + EPSILON
        )
        self.weights[rows] = self.weights[rows] * (1 - rate * self.decay[rows]) - rate * change
        self.mean[rows], self.square[rows] = mean, square
        return norms
