"""AdamW and its learning rate for a stack of cells, each with a rate and a gradient norm of its own.

Shape letters: G cells, W adapter weights of one cell.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from workbench.config import CellConfig
from workbench.devices import uploaded

BETAS = (0.9, 0.999)
EPSILON = 1e-8
COOLDOWN = 0.2
"""Share of a trunk cell's steps over which its rate falls, after which 1 - sqrt ends where a cosine does.

Source: Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations",
arXiv:2405.18392.
"""


def cooldown_start(cell: CellConfig) -> int:
    """Return the first step of a trunk cell at which its rate falls."""
    return cell.total_steps - math.ceil(COOLDOWN * cell.total_steps)


def learning_rate(cell: CellConfig, step: int) -> float:
    """Return the rate of one step, counted from 0: a linear rise, then the cell's schedule."""
    total = cell.total_steps
    warmup = math.ceil(cell.warmup * total) if cell.warmup_steps is None else cell.warmup_steps
    rise = (step + 1) / warmup if step < warmup else 1.0
    if cell.schedule == "trunk":
        start = cooldown_start(cell)
        fallen = max(0, step + 1 - start) / (total + 1 - start)
        return cell.learning_rate * rise * (1 - math.sqrt(fallen))
    if step < warmup:
        return cell.learning_rate * rise
    left = 1 - (step - warmup) / max(1, total - warmup)
    shape = {"constant": 1.0, "linear": left, "cosine": 0.5 - 0.5 * math.cos(math.pi * left)}
    return cell.learning_rate * shape[cell.schedule]


class StackedAdamW:
    """AdamW on one row of weights for each cell; the same arithmetic as ``torch.optim.AdamW``.

    torch's own takes one rate for a whole tensor, so it can't serve rows with different rates.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101.
    """

    def __init__(
        self,
        weights: Float[Tensor, "G W"],
        cells: Sequence[CellConfig],
        mean: Float[Tensor, "G W"] | None = None,
        square: Float[Tensor, "G W"] | None = None,
        factors: Float[Tensor, " W"] | None = None,
    ) -> None:
        """Prepare to change ``weights`` in place.

        Args:
            weights: The adapters.
            cells: Whose they are.
            mean: First moments to go on from.
            square: Second moments to go on from.
            factors: How many times its cell's rate that of each weight is; one for all by default.
        """
        self.weights, self.cells, self.factors = weights, cells, factors
        self.mean = torch.zeros_like(weights) if mean is None else mean
        self.square = torch.zeros_like(weights) if square is None else square
        decay, clip = [cell.weight_decay for cell in cells], [cell.gradient_clip for cell in cells]
        self.decay = uploaded(torch.tensor(decay, dtype=weights.dtype), weights.device)[:, None]
        self.clip = uploaded(torch.tensor(clip, dtype=weights.dtype), weights.device)

    @torch.no_grad()
    def update(
        self,
        gradient: Float[Tensor, "rows W"],
        step: int,
        rows: Int64[Tensor, " rows"],
        usable: Bool[Tensor, " rows"],
    ) -> Float[Tensor, " rows"]:
        """Clip each gradient to its cell's largest norm, take one step and return the norms before clipping.

        Args:
            gradient: One row for each cell that takes this step.
            step: Steps taken before this one.
            rows: The cells' rows in the weights, on the processor.
            usable: A cell where this is false, or whose norm is not a number, is left as it is.
        """
        weights = self.weights
        norms = torch.linalg.vector_norm(gradient, dim=1)
        kept = (usable & norms.isfinite())[:, None]
        rates = torch.tensor([learning_rate(self.cells[row], step) for row in rows], dtype=weights.dtype)
        rates = uploaded(rates, weights.device)[:, None]
        # all cells: views instead of copies, the common case
        place = slice(None) if len(rows) == len(self.cells) else uploaded(rows, weights.device)
        shrink = (self.clip[place] / norms.clamp_min(1e-12)).clamp_max(1.0)[:, None]
        if self.factors is not None:
            rates = rates * self.factors
        decays = 1 - rates * self.decay[place]
        clipped = gradient * shrink
        mean = self.mean[place].lerp(clipped, 1 - BETAS[0])
        square = self.square[place].lerp(clipped.square_(), 1 - BETAS[1])
        change = (mean / (1 - BETAS[0] ** (step + 1))).div_(
            (square / (1 - BETAS[1] ** (step + 1))).sqrt_().add_(EPSILON)
        )
        changed = (weights[place] * decays).sub_(change.mul_(rates))
        # on a GPU nobody waits for the answer
        everyone = weights.device.type == "cpu" and bool(kept.all())
        for own, new in ((weights, changed), (self.mean, mean), (self.square, square)):
            own[place] = new if everyone else new.where(kept, own[place])
        return norms
