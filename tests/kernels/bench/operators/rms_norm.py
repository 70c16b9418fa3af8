"""RMSNorm under the bench."""

# ruff: noqa: E501 -- the planted texts are quoted as they stand

from bench.checks import agrees, drawn
from bench.examples import Example, Size, learned, with_gradients
from bench.mutants import mutants

from qlora_kernels.rms_norm import rms_norm


def check() -> None:
    """Rows for two programs of the backward pass; one row so small that epsilon decides."""
    x = drawn(18, 40)
    x[3] *= 1e-3
    agrees(lambda x, w, backend: rms_norm(x, w, 1e-5, backend=backend), x, 1 + drawn(40, scale=0.1), terms=40)


def example(size: Size) -> Example:
    x, weight = learned(size, size.tokens, size.width), learned(size, size.width)
    return lambda: with_gradients(rms_norm(x, weight, backend="triton"), x, weight)


CHECKS = {"rms_norm": check}
EXAMPLES = {"rms_norm": example}
MUTANTS = [
    *mutants(
        "rms_norm_triton",
        check,
        ("epsilon forgotten", "/ H + epsilon)", "/ H)"),
        ("mean over the block instead of the row", "tl.sum(value * value, 0) / H", "tl.sum(value * value, 0) / BLOCK"),
        (
            "masked load without other",
            "value = tl.load(x + row * x_stride + column, inside, other=0.0)",
            "value = tl.load(x + row * x_stride + column, inside)",
        ),
        ("row stride ignored", "value = tl.load(x + row * x_stride", "value = tl.load(x + row * BLOCK"),
        ("last row of the backward pass lost", "if row < M:", "if row < M - 1:"),
        ("projection dropped", "scale * upstream - normed * projection", "scale * upstream"),
        ("only the last row's weight gradient", "dweight += upstream", "dweight = upstream"),
    ),
]  # fmt: skip
