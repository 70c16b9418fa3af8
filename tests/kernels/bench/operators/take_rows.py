"""Taking rows under the bench."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

import torch
from bench.checks import agrees, drawn
from bench.examples import Example, Size, learned, with_gradients
from bench.mutants import mutants

from qlora_kernels.take_rows import Places, take_rows


def check() -> None:
    """Rows that are taken never, once and often, and more features than one program takes."""
    index = torch.tensor([3, 0, 3, 5, 0, 3])
    places = Places.of(index, 7, sort=True)
    for width in (5, 1030):
        agrees(lambda x, backend: take_rows(x, places, backend=backend), drawn(7, width), terms=3)


def example(size: Size) -> Example:
    x = learned(size, size.tokens, size.width)
    index = torch.arange(size.tokens, device=size.device).flip(0)
    places = Places.of(index, size.tokens, sort=True)
    return lambda: with_gradients(take_rows(x, places, backend="triton"), x)


CHECKS = {"take_rows": check}
EXAMPLES = {"take_rows": example}
MUTANTS = [
    *mutants(
        "take_rows_triton",
        check,
        ("copies are the rows that they stand at", "copy = tl.load(order + first + step)", "copy = first + step"),
        ("the last copy is left out", "tl.load(starts + row + 1) - first)", "tl.load(starts + row + 1) - first - 1)"),
        ("the last copy counts alone", "total += tl.load(dy", "total = tl.load(dy"),
        ("one column too many", "inside = column < F", "inside = column <= F"),
    ),
]  # fmt: skip
