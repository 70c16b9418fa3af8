"""OLoRA: the adapter begins with an orthonormal basis of the weight's first columns.

Shape letters: K inputs, N outputs, R rank.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.adapters.kinds.kind import AdapterKind


def orthonormal(
    weight: Float[Tensor, "N K"], rank: int, scale: float
) -> tuple[Float[Tensor, "R K"], Float[Tensor, "N R"]]:
    """Return the first rows of R and columns of Q, where W = Q R.

    The scale stays on the product, as in the paper's algorithm 1 and in PEFT. The signs that a
    factorization leaves free are those that make R's diagonal positive.
    """
    del scale  # the layer gives up the scaled product, whatever the scale is
    q, r = torch.linalg.qr(weight)
    signs = r.diagonal()[:rank].sign()
    signs = torch.where(signs == 0, torch.ones_like(signs), signs)
    return r[:rank] * signs[:, None], q[:, :rank] * signs


OLORA = AdapterKind(
    about="LoRA that begins with the first rows and columns of W's QR factorization, which W gives up",
    source='Büyükakyüz, "OLoRA: Orthonormal Low-Rank Adaptation", arXiv:2406.01775',
    start=orthonormal,
)
