"""RoPE under the bench, in both layouts."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from collections.abc import Callable

import torch
from bench.checks import agrees, drawn
from bench.examples import Example, Size, learned, with_gradients
from bench.mutants import mutants
from torch import Tensor

from qlora_kernels.rope import rope, rope_angles


def check() -> None:
    """Both layouts, at positions that are not the first."""
    angles = rope_angles(torch.tensor([3, 50, 7]), 20)
    for layout in ("half_split", "interleaved"):
        agrees(lambda x, backend, kind=layout: _turned(x, angles, kind, backend), drawn(3, 5, 20), terms=2)


def _turned(x: Tensor, angles: tuple[Tensor, Tensor], layout: str, backend: str) -> Tensor:
    exact = (angle.to(x.dtype) for angle in angles)
    return rope(x, *exact, layout=layout, backend=backend)


def example_in(layout: str) -> Callable[[Size], Example]:
    def example(size: Size) -> Example:
        x = learned(size, size.tokens, size.width // 64, 64)
        angles = rope_angles(torch.arange(size.tokens, device=size.device), 64)
        return lambda: with_gradients(rope(x, *angles, layout=layout, backend="triton"), x)

    return example


CHECKS = {"rope": check}
EXAMPLES = {
    "rope, half split": example_in("half_split"),
    "rope, interleaved": example_in("interleaved"),
}
MUTANTS = [
    *mutants(
        "rope_triton",
        check,
        ("turned the other way", "tl.store(target + i, (first * c - second * s)", "tl.store(target + i, (first * c + second * s)"),
        ("angles of the first token for all", "tl.load(cosine + token * HALF + i", "tl.load(cosine + i"),
        ("pairs written the wrong way round", "tl.join(first * c - second * s, first * s + second * c)", "tl.join(first * s + second * c, first * c - second * s)"),
    ),
]  # fmt: skip
