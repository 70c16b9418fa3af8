"""How much room adapters take: parameters counted from shapes alone, and ranks of what they change.

Shape letters: K inputs, N outputs, R rank.
"""

from collections.abc import Iterable

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.sums import factored
from workbench.models.decoder_config import DecoderConfig


def count_parameters(
    decoder: DecoderConfig,
    rank: int,
    targets: Iterable[str],
    layers: int | None = None,
    *,
    dora: bool = False,
) -> int:
    """Count the trained numbers of a LoRA adapter, R (K + N) a layer, from shapes: nothing is allocated.

    Args:
        decoder: Sizes of the base.
        rank: R of each layer.
        targets: Linear layers of a block, such as "q_proj".
        layers: How many blocks are adapted; all by default.
        dora: Whether each row's length is trained, too: N more.
    """
    shapes = [decoder.linear_shape(leaf) for leaf in targets]
    block = sum(rank * (n + k) + n * dora for n, k in shapes)
    return block * (decoder.layers if layers is None else layers)


def singular_values(adapter: LoraAdapter, layer: str) -> Float[Tensor, " R"]:
    """Return the singular values of what an adapter adds to a layer, the largest first, in float64.

    Raises:
        InputError: If the adapter doesn't adapt the layer.
    """
    a, b = adapter.matrices(layer)
    return adapter.scale(layer) * factored(a.double(), b.double())[1]


def numerical_rank(values: Float[Tensor, " R"], shape: tuple[int, int]) -> int:
    """Return how many singular values of a matrix of this shape are more than rounding, as numpy does."""
    if not len(values) or values[0] == 0:
        return 0
    return int((values > values[0] * max(shape) * torch.finfo(values.dtype).eps).sum())


def effective_rank(values: Float[Tensor, " R"]) -> float:
    """Return how many directions a change spreads over: exp of the entropy of its singular values' shares.

    Source: Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    shares = values[values > 0] / values.sum()
    return float((-shares * shares.log()).sum().exp()) if len(shares) else 0.0


def overlap(one: LoraAdapter, other: LoraAdapter, layer: str) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return how much two adapters share of the directions that they read and of those that they write.

    Each is the mean squared cosine of the principal angles between two subspaces, that of the rows of A
    (read) and that of the columns of B (written), from 0 (at right angles) to 1 (the smaller one lies in the
    larger). Two random subspaces of ranks r and s in n dimensions come to max(r, s) / n.

    Source: Björck and Golub, "Numerical methods for computing angles between linear subspaces", 1973.

    Raises:
        InputError: If one of them doesn't adapt the layer.
    """
    (a, b), (c, d) = one.matrices(layer), other.matrices(layer)
    return _shared(a.T, c.T), _shared(b, d)


def _shared(one: Float[Tensor, "K R"], other: Float[Tensor, "K S"]) -> Float[Tensor, ""]:
    p, q = (_basis(matrix.double()) for matrix in (one, other))
    smaller = max(1, min(p.shape[1], q.shape[1]))
    return einsum(p, q, "K R, K S -> R S").square().sum() / smaller


def _basis(matrix: Float[Tensor, "K R"]) -> Float[Tensor, "K M"]:
    """Return an orthonormal basis of a matrix's columns."""
    left, values, _ = torch.linalg.svd(matrix, full_matrices=False)
    return left[:, : numerical_rank(values, (matrix.shape[0], matrix.shape[1]))]
