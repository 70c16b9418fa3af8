"""The optional exercises of the notebooks, which are hard and don't count against the score.

Shape letters: M tokens, K inputs, N outputs, R rank, C blocks of B columns, D draws.
"""

from typing import Any

import numpy as np
import torch
from einops import einsum
from torch import Tensor

from qlora_kernels.formats_layout import LEVELS
from workbench.laws.thresholds import TAILS
from workbench.lessons.exercise_list import Exercise


def _gradients(x: Tensor, a: Tensor, b: Tensor, scale: float | int, g: Tensor) -> Tensor:
    """Ask autograd for both gradients, that at B transposed, side by side."""
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    y = scale * einsum(x, a, b, "M K, R K, N R -> M N")
    at_a, at_b = torch.autograd.grad(y, (a, b), g)
    return torch.cat([at_a, at_b.T], dim=1)


def _gradient_cases() -> list[tuple[Any, ...]]:
    drawn = torch.Generator().manual_seed(0)
    x, a, b, g = (torch.randn(*shape, generator=drawn) for shape in ((5, 12), (3, 12), (7, 3), (5, 7)))
    return [(x, a, b, 2.0, g), (2 * x, a, -b, 0.5, g)]


def _halves(x: Tensor, a: Tensor, b: Tensor, g: Tensor, at_a: float, at_b: float) -> Tensor:
    """Return both gradients by hand, each with a factor of its own."""
    return torch.cat(
        [at_a * einsum(g, b, x, "M N, N R, M K -> R K"), at_b * einsum(g, x, a, "M N, M K, R K -> R N")],
        dim=1,
    )


def _best_scale(w: Tensor, q: Tensor) -> Tensor:
    return (w * q).sum(-1) / (q * q).sum(-1)


def _scale_cases() -> list[tuple[Any, ...]]:
    levels = torch.tensor(LEVELS["nf4"])
    cases = []
    for seed, blocks in ((0, 6), (1, 4)):
        w = torch.randn(blocks, 32, generator=torch.Generator().manual_seed(seed))
        relative = w / w.abs().amax(-1, keepdim=True)
        cases.append((w, levels[(relative[..., None] - levels).abs().argmin(-1)]))
    return cases


def _standard_error(left_out: np.ndarray) -> float:
    size = len(left_out)
    return float(np.sqrt((size - 1) / size * ((left_out - left_out.mean()) ** 2).sum()))


def _interval(n: float | int, enough: np.ndarray, ends: tuple[float, float] = TAILS) -> np.ndarray:
    return np.quantile(np.asarray(enough) / n, ends, method="inverted_cdf")


def _interval_cases() -> list[tuple[Any, ...]]:
    drawn = np.random.default_rng(0).lognormal(5, 1, size=400)
    return [(64.0, drawn), (512.0, np.where(drawn > 400, np.inf, drawn))]


HARD_EXERCISES: dict[str, Exercise] = {
    "gradients": Exercise(
        _gradients,
        _gradient_cases,
        hint="y depends on A through x A^T, and on B after it: use the chain rule, one factor at a time.",
        mistakes=[
            (lambda x, a, b, scale, g: _halves(x, a, b, g, 1.0, 1.0), "The scale is missing."),
            (lambda x, a, b, scale, g: _halves(x, a, b, g, scale, 1.0), "The scale is missing at B."),
            (lambda x, a, b, scale, g: _halves(x, a, b, g, 1.0, scale), "The scale is missing at A."),
            (
                lambda x, a, b, scale, g: _halves(x, a, b, g, scale, scale) / len(x),
                "The gradient sums over the tokens; it is no mean.",
            ),
            (
                lambda x, a, b, scale, g: _halves(x, a, b, torch.ones_like(g), scale, scale),
                "Both gradients begin with g, the gradient at y.",
            ),
        ],
    ),
    "best_scale": Exercise(
        _best_scale,
        _scale_cases,
        hint="Set the derivative of the sum of (w - c q)^2 with respect to c to zero, in each block.",
        mistakes=[
            (
                lambda w, q: w.abs().amax(-1),
                "That is the largest magnitude, the scale that we had; the least squared error is asked for.",
            ),
            (
                lambda w, q: (w * q).sum(-1) / (w * w).sum(-1),
                "That fits q by w: divide by the sum of q squared.",
            ),
            (lambda w, q: (w * q).sum(-1), "The sum is still to be divided by that of q squared."),
            (
                lambda w, q: (w * q).sum() / (q * q).sum(),
                "That is one scale for everything; each block has its own.",
            ),
            (
                lambda w, q: ((w * w).sum(-1) / (q * q).sum(-1)).sqrt(),
                "That makes both equally long; the smallest distance between them is asked for.",
            ),
        ],
    ),
    "standard_error": Exercise(
        _standard_error,
        lambda: [
            (np.random.default_rng(0).normal(1.0, 0.1, size=16),),
            (np.random.default_rng(1).normal(3.0, 0.5, size=9),),
        ],
        hint="The fits share all but one cell, so they lie closer together than independent ones would.",
        mistakes=[
            (
                lambda left_out: left_out.std(),
                "That is how far the fits lie apart. They share all but one cell, so it is too small: "
                "by n - 1 in the square.",
            ),
            (
                lambda left_out: left_out.std(ddof=1),
                "That is how far the fits lie apart. They share all but one cell, so it is too small: "
                "by about n - 1 in the square.",
            ),
            (
                lambda left_out: left_out.std(ddof=1) / np.sqrt(len(left_out)),
                "That is for independent values; these fits share all but one cell.",
            ),
            (
                lambda left_out: _standard_error(left_out) ** 2,
                "That is the variance; its root is asked for.",
            ),
            (
                lambda left_out: np.sqrt(((left_out - left_out.mean()) ** 2).sum()),
                "Nearly: the sum of squares is multiplied by (n - 1) / n.",
            ),
        ],
    ),
    "rate_interval": Exercise(
        _interval,
        _interval_cases,
        hint="An infinite draw counts as the largest. Between two np.quantile computes NaN; with "
        'method="inverted_cdf" it takes a draw.',
        mistakes=[
            (lambda n, enough: _interval(1.0, enough), "The m's are still to be divided by n."),
            (
                lambda n, enough: _interval(n, enough[np.isfinite(enough)]),
                "The infinite draws were left out: they count at the upper end.",
            ),
            (lambda n, enough: _interval(n, enough, TAILS[::-1]), "The lower end comes first."),
            (
                lambda n, enough: _interval(n, enough, (0.05, 0.95)),
                "That is an interval of 90%: for 95% leave out 2.5% at each side.",
            ),
            (
                lambda n, enough: _interval(n, enough, (0.025, 0.5)),
                "The upper end is the quantile of 97.5%.",
            ),
            (
                lambda n, enough: [
                    np.mean(enough) / n - 1.96 * np.std(enough) / n,
                    np.mean(enough) / n + 1.96 * np.std(enough) / n,
                ],
                "The draws aren't normal, and one infinite draw makes the mean infinite: take quantiles.",
            ),
        ],
        tolerance=0.03,
    ),
}
"""By the names of the functions that are to be filled in."""
