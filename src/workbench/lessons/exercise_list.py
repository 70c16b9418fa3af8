"""The exercises of the notebooks: the right function, cases to try it on, and the mistakes that people make.

A mistake is written as the function that one comes to, so that whoever returns what it returns is told what
went wrong. The cases are small and made up: what is real stands in the notebook.

Shape letters: M tokens, K inputs, N outputs, R rank, C blocks of B columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import einsum, rearrange
from torch import Tensor

from qlora_kernels.formats_layout import LEVELS, pack_pairs
from workbench.laws.exchange import fewest


@dataclass(frozen=True, slots=True)
class Exercise:
    """What a learner's function is compared with."""

    truth: Callable[..., object]
    """The right function."""
    cases: Callable[[], Sequence[tuple[Any, ...]]]
    """Makes sets of arguments: several, so that a number written down doesn't pass for a formula."""
    hint: str = ""
    """What to say of a wrong result that is nobody's common mistake."""
    mistakes: Sequence[tuple[Callable[..., object], str]] = ()
    """Common mistakes: the function that one comes to, and what to say to whoever gets its result."""
    tolerance: float = 1e-4
    """Largest difference that is right, as a share of the largest value."""


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _with_scales(*arguments: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - tensors of any shape
    return [(*arguments, 2.0), (*arguments, 0.5)]


def _layer_cases() -> list[tuple[Any, ...]]:
    return _with_scales(_random(5, 12), _random(7, 12, seed=1), _random(3, 12, seed=2), _random(7, 3, seed=3))


def _layer(x: Tensor, w: Tensor, a: Tensor, b: Tensor, scale: float | int) -> Tensor:
    small = einsum(x, a, "M K, R K -> M R")
    return einsum(x, w, "M K, N K -> M N") + scale * einsum(small, b, "M R, N R -> M N")


def _merged(w: Tensor, a: Tensor, b: Tensor, scale: float | int) -> Tensor:
    return w + scale * einsum(b, a, "N R, R K -> N K")


def _absmax(w: Tensor, block: int) -> Tensor:
    return rearrange(w, "N (C B) -> N C B", B=block).abs().amax(-1)


def _nearest(relative: Tensor, levels: Tensor) -> Tensor:
    return (relative[..., None] - levels).abs().argmin(-1)


def _nearest_cases() -> list[tuple[Any, ...]]:
    levels = torch.tensor(LEVELS["nf4"])
    return [(_random(4, 40, seed=seed).tanh(), levels) for seed in (0, 1)]


def _codes_cases() -> list[tuple[Any, ...]]:
    codes = torch.randint(16, (6, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return [(codes,), (codes.flip(1),)]


def _law(values: Mapping[str, float], size: np.ndarray, share: np.ndarray) -> np.ndarray:
    return values["E"] + values["F"] * (1 - share) + values["B"] * size ** -values["beta"]


def _law_cases() -> list[tuple[Any, ...]]:
    values = {"E": 0.2, "F": 0.9, "B": 3.0, "beta": 0.4}
    size, half = np.array([32.0, 256.0, 2048.0]), np.full(3, 0.25)
    return [(values, size, half), (values, size, np.ones(3)), ({**values, "F": 0.0}, size, half)]


def _excess_cases() -> list[tuple[Any, ...]]:
    drawn = np.random.default_rng(0)
    return [(drawn.normal(size=16), 5), (2 * drawn.normal(size=24), 4)]


def _enough(sizes: np.ndarray, scores: np.ndarray, target: float | int) -> float | int:
    return fewest(sizes, scores[None], np.array([float(target)]), falling=False)[0]


def _enough_cases() -> list[tuple[Any, ...]]:
    sizes = np.geomspace(16, 2048, 400)
    scores = 0.9 - 2.0 * sizes**-0.5
    return [(sizes, scores, 0.45), (sizes, scores, 0.7), (sizes, scores, 0.95), (sizes, scores, 0.1)]


def _first(sizes: np.ndarray, good: np.ndarray) -> float | int:
    return sizes[good.argmax()] if good.any() else np.inf


def _rate_cases() -> list[tuple[Any, ...]]:
    drawn = np.random.default_rng(0).lognormal(5, 1, size=200)
    return [(64.0, np.where(drawn > 400, np.inf, drawn)), (512.0, drawn)]


def _rate(n: float | int, enough: np.ndarray) -> list[float]:
    return [float(np.median(enough / n)), float(np.isinf(enough).mean())]


EXERCISES: dict[str, Exercise] = {
    "layer": Exercise(
        _layer,
        _layer_cases,
        hint="y = x W^T + scale (x A^T) B^T.",
        mistakes=[
            (
                lambda x, w, a, b, scale: scale * _layer(x, w, a, b, 1.0),
                "The scale multiplies the adapter's part alone, not the base's product.",
            ),
            (lambda x, w, a, b, scale: _layer(x, w, a, b, 1.0), "The scale is missing."),
            (
                lambda x, w, a, b, scale: _layer(x, 0 * w, a, b, scale),
                "The base's own product x W^T is missing.",
            ),
            (lambda x, w, a, b, scale: x @ w.T, "The adapter's part is missing."),
            (lambda x, w, a, b, scale: scale * x @ a.T, "That is x A^T, of R columns: B is still to come."),
        ],
    ),
    "merged": Exercise(
        _merged,
        lambda: _with_scales(_random(7, 12), _random(3, 12, seed=1), _random(7, 3, seed=2)),
        hint="The layer applied to each unit vector gives the columns of the merged weight.",
        mistakes=[
            (lambda w, a, b, scale: _merged(w, a, b, 1.0), "The scale is missing."),
            (lambda w, a, b, scale: scale * _merged(w, a, b, 1.0), "The scale multiplies B A alone, not W."),
            (lambda w, a, b, scale: scale * b @ a, "That is the change alone: W is missing."),
            (lambda w, a, b, scale: w - scale * b @ a, "The change is added, not taken away."),
        ],
    ),
    "trained": Exercise(
        lambda shapes, rank: sum(rank * (n + k) for n, k in shapes),
        lambda: [([(128, 128), (352, 128), (128, 200)], rank) for rank in (1, 8, 64)],
        hint="A is (rank, K) and B is (N, rank), in every layer.",
        mistakes=[
            (
                lambda shapes, rank: sum(rank * k for n, k in shapes),
                "Those are the A's; the B's are trained, too.",
            ),
            (
                lambda shapes, rank: sum(rank * n for n, k in shapes),
                "Those are the B's; the A's are trained, too.",
            ),
            (
                lambda shapes, rank: sum(n + k for n, k in shapes),
                "That is rank 1: each direction has its own.",
            ),
            (
                lambda shapes, rank: sum(rank * n * k for n, k in shapes),
                "N times K are the entries of W, which is frozen; A and B have N + K for each direction.",
            ),
            (
                lambda shapes, rank: sum(n * k for n, k in shapes),
                "N times K are the entries of W, which is frozen; A and B have N + K for each direction.",
            ),
            (
                lambda shapes, rank: rank * (shapes[0][0] + shapes[0][1]),
                "That is one layer; add up all of them.",
            ),
            (
                lambda shapes, rank: rank * (shapes[-1][0] + shapes[-1][1]),
                "That is one layer; add up all of them.",
            ),
        ],
    ),
    "absmax": Exercise(
        _absmax,
        lambda: [(_random(2, 128), 64), (_random(4, 64, seed=1), 16)],
        hint="Cut each row into blocks, take magnitudes, then the largest of each block.",
        mistakes=[
            (
                lambda w, block: rearrange(w, "N (C B) -> N C B", B=block).amax(-1),
                "Negative weights have a magnitude, too: take abs before the largest.",
            ),
            (
                lambda w, block: rearrange(w, "N (C B) -> N C B", B=block).amax(-1).abs(),
                "Negative weights have a magnitude, too: take abs before the largest.",
            ),
            (lambda w, block: w.abs().amax(-1), "That is one scale for a row; each block has its own."),
            (
                lambda w, block: w.abs().amax(-1, keepdim=True),
                "That is one scale for a row; each block has its own.",
            ),
            (lambda w, block: w.abs().amax(), "That is one scale for everything; each block has its own."),
            (
                lambda w, block: rearrange(w, "N (C B) -> N C B", B=block).abs().mean(-1),
                "That is the mean magnitude, and the largest is asked for.",
            ),
            (
                lambda w, block: rearrange(w, "N (B C) -> N C B", B=block).abs().amax(-1),
                "A block is B neighbours in a row; these stand C apart.",
            ),
        ],
    ),
    "nearest": Exercise(
        _nearest,
        _nearest_cases,
        hint="Compare each weight with all sixteen levels.",
        mistakes=[
            (
                lambda relative, levels: torch.bucketize(relative, levels),
                "That is the next level above; the nearest can lie below.",
            ),
            (
                lambda relative, levels: torch.bucketize(relative, levels, right=True) - 1,
                "That is the next level below; the nearest can lie above.",
            ),
            (
                lambda relative, levels: levels[_nearest(relative, levels)],
                "Those are the levels; their codes, 0 to 15, are asked for.",
            ),
            (
                lambda relative, levels: (relative[..., None] - levels).argmin(-1),
                "The sign is still in it: take abs of the difference.",
            ),
            (
                lambda relative, levels: (relative[..., None] - levels).abs().argmax(-1),
                "That is the farthest level.",
            ),
            (
                lambda relative, levels: ((relative + 1) * 7.5).round().clamp(0, 15),
                "That takes the levels for even steps, and NF4's are not.",
            ),
        ],
    ),
    "packed": Exercise(
        pack_pairs,
        _codes_cases,
        hint="Sixteen times the earlier code, plus the later one.",
        mistakes=[
            (
                lambda codes: codes[:, 1::2] << 4 | codes[:, 0::2],
                "The earlier code goes into the upper four bits.",
            ),
            (
                lambda codes: codes[:, 0::2] | codes[:, 1::2],
                "The earlier code has to move up by four bits first.",
            ),
            (
                lambda codes: codes[:, : codes.shape[1] // 2] << 4 | codes[:, codes.shape[1] // 2 :],
                "Neighbours go together, not the first half with the second.",
            ),
            (lambda codes: codes[:, 0::2] << 4, "The later code is missing."),
            (
                lambda codes: codes[:, 0::2] * 10 + codes[:, 1::2],
                "Four bits hold sixteen values: sixteen times, not ten.",
            ),
        ],
    ),
    "law": Exercise(
        _law,
        _law_cases,
        hint="At share 1 only E and B count.",
        mistakes=[
            (
                lambda values, size, share: _law(values, size, 1 - share),
                "The share is what is right; F counts what is not: 1 - share.",
            ),
            (
                lambda values, size, share: _law({**values, "beta": -values["beta"]}, size, share),
                "More data helps: the exponent is -beta.",
            ),
            (
                lambda values, size, share: _law({**values, "E": 0.0}, size, share),
                "E, which nothing buys back, is missing.",
            ),
            (
                lambda values, size, share: _law({**values, "F": 0.0}, size, share),
                "The term of the quality is missing.",
            ),
            (
                lambda values, size, share: _law({**values, "B": 0.0}, size, share),
                "The term of the size is missing.",
            ),
            (
                lambda values, size, share: (
                    values["E"] + values["F"] * (1 - share) + (values["B"] * size) ** -values["beta"]
                ),
                "Only the size has the exponent, not B.",
            ),
        ],
    ),
    "excess": Exercise(
        lambda residual, constants: (residual**2).sum() / (len(residual) - constants),
        _excess_cases,
        hint="Each fitted constant uses up one cell.",
        mistakes=[
            (
                lambda residual, constants: (residual**2).mean(),
                "Each fitted constant uses up one cell: divide by the cells less the constants.",
            ),
            (lambda residual, constants: (residual**2).sum(), "The sum is still to be divided."),
            (
                lambda residual, constants: np.sqrt((residual**2).sum() / (len(residual) - constants)),
                "The squares are asked for, without a root.",
            ),
            (
                lambda residual, constants: np.abs(residual).sum() / (len(residual) - constants),
                "Squares are asked for, not magnitudes.",
            ),
            (
                lambda residual, constants: (residual**2).sum() / (len(residual) + constants),
                "The constants are taken off the cells, not added.",
            ),
        ],
    ),
    "enough": Exercise(
        _enough,
        _enough_cases,
        hint="Sizes stand in rising order: take the first that is enough.",
        mistakes=[
            (
                lambda sizes, scores, target: float(np.argmax(scores >= target)),
                "That is the place in the array; the size that stands there is asked for.",
            ),
            (
                lambda sizes, scores, target: _first(sizes, scores >= target),
                "Where the first size is enough, say 0.",
            ),
            (
                lambda sizes, scores, target: sizes[(scores >= target).argmax()],
                "Where none is enough argmax is 0, which is no answer: say np.inf there.",
            ),
            (
                lambda sizes, scores, target: _first(sizes, scores <= target),
                "A score is enough when it is at least the target.",
            ),
            (
                lambda sizes, scores, target: sizes[scores >= target].max(initial=0.0),
                "That is the last size that is enough; take the first.",
            ),
        ],
        tolerance=0.03,
    ),
    "rate": Exercise(
        _rate,
        _rate_cases,
        hint="An infinite m stays infinite when it is divided.",
        mistakes=[
            (
                lambda n, enough: [np.median(enough), np.isinf(enough).mean()],
                "The m's are still to be divided by n.",
            ),
            (
                lambda n, enough: [np.mean(enough / n), np.isinf(enough).mean()],
                "That is the mean, which one infinite m makes infinite; the median is asked for.",
            ),
            (
                lambda n, enough: [np.median(enough[np.isfinite(enough)] / n), np.isinf(enough).mean()],
                "The infinite draws were left out: they count in the median, too.",
            ),
            (
                lambda n, enough: [np.median(enough / n), np.isfinite(enough).mean()],
                "That is the share in which some amount is enough.",
            ),
            (
                lambda n, enough: [np.median(enough / n), np.isinf(enough).sum()],
                "A share is asked for, not a count.",
            ),
            (
                lambda n, enough: [np.isinf(enough).mean(), np.median(enough / n)],
                "The median comes first, then the share.",
            ),
        ],
        tolerance=0.03,
    ),
}
"""By the names of the functions that are to be filled in."""
