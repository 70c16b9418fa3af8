"""The head and its cross entropy under the bench."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

import torch
from bench.checks import agrees, drawn
from bench.examples import Example, Size, learned, with_gradients
from bench.mutants import mutants

from qlora_kernels.linear_cross_entropy import IGNORED, linear_cross_entropy


def check() -> None:
    """More words than one block, an ignored token, and losses of different weight."""
    head = drawn(4200, 16, scale=0.5, seed=1)
    targets = torch.tensor([4199, IGNORED, 0, 17])
    agrees(
        lambda hidden, backend: linear_cross_entropy(hidden, head.to(hidden.dtype), targets, backend=backend),
        drawn(4, 16, scale=0.5),
        terms=4200,
    )


def example(size: Size) -> Example:
    # the product with the head is the vendor's; the kernel sees rows of logits only, so few and narrow
    # ones do
    hidden, head = learned(size, 64, 64), learned(size, size.words, 64, learns=False)
    targets = torch.arange(64, device=size.device) % size.words
    return lambda: with_gradients(linear_cross_entropy(hidden, head, targets, backend="triton"), hidden)


CHECKS = {"linear_cross_entropy": check}
EXAMPLES = {"linear_cross_entropy": example}
MUTANTS = [
    *mutants(
        "linear_cross_entropy_triton",
        check,
        ("maximum not carried on", "        highest = new\n", ""),
        ("target counted twice", "tl.where(start + word == target, 0.0, tl.exp(value - new))", "tl.exp(value - new)"),
        ("words beyond the vocabulary count", 'start + word < V, other=-float("inf"))', "start + word < V, other=0.0)"),
        ("slope not normalized", "tl.exp(value - highest) / (rest + own))", "tl.exp(value - highest))"),
    ),
]  # fmt: skip
