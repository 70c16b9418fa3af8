"""SwiGLU under the bench."""

from bench.checks import agrees, drawn
from bench.examples import Example, Size, learned, with_gradients
from bench.mutants import mutants

from qlora_kernels.swiglu import swiglu


def check() -> None:
    """Gates from shut to open, rows of more than one program."""
    inputs = drawn(3, 1030, scale=8.0), drawn(3, 1030, seed=1)
    agrees(lambda gate, up, backend: swiglu(gate, up, backend=backend), *inputs, terms=5)


def example(size: Size) -> Example:
    gate, up = (learned(size, size.tokens, 2 * size.width) for _ in range(2))
    return lambda: with_gradients(swiglu(gate, up, backend="triton"), gate, up)


CHECKS = {"swiglu": check}
EXAMPLES = {"swiglu": example}
MUTANTS = [
    *mutants(
        "swiglu_triton",
        check,
        ("up missing from a gradient", "(d * u * slope)", "(d * slope)"),
        ("1 - s cancels", "tl.sigmoid(-g))", "(1.0 - s))"),
        ("one column too many", "inside = column < F\n    g = tl", "inside = column <= F\n    g = tl"),
    ),
]  # fmt: skip
