"""PiSSA: the adapter begins as the largest part of the weight, and the rest stays frozen.

Shape letters: K inputs, N outputs, R rank.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.adapters.kinds.kind import AdapterKind


def principal(
    weight: Float[Tensor, "N K"], rank: int, scale: float
) -> tuple[Float[Tensor, "R K"], Float[Tensor, "N R"]]:
    """Return A and B, whose scaled product is the best approximation of a weight at a rank.

    The signs of singular vectors are free; here the largest number of each row of A is positive, so that
    every machine begins alike.
    """
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    root = (values[:rank] / scale).sqrt()
    a, b = root[:, None] * right[:rank], left[:, :rank] * root
    signs = a.gather(1, a.abs().argmax(dim=1, keepdim=True)).sign()
    return a * signs, b * signs[:, 0]


PISSA = AdapterKind(
    about="LoRA that begins as the largest singular values of W, which W gives up",
    source='Meng et al., "PiSSA", arXiv:2404.02948',
    start=principal,
)
