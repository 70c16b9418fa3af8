"""Cross entropy at labelled positions only, in pieces, so that logits never fill the memory.

Shape letters: P labels, K width, V vocabulary.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from workbench.models.decoder import Decoder

LOGIT_BYTES = 256 * 2**20
"""Most bytes of logits at a time."""


def label_losses(
    decoder: Decoder, hidden: Float[Tensor, "P K"], labels: Int64[Tensor, " P"]
) -> Float[Tensor, " P"]:
    """Return each label's negative log-likelihood in nats.

    Where all logits together would pass :data:`LOGIT_BYTES`, they are made piece by piece and made
    again for the gradient. ``hidden`` is the normalized output at the slots before the labels.
    """

    def piece(rows: Tensor, wanted: Tensor) -> Tensor:
        return functional.cross_entropy(decoder.head(rows), wanted, reduction="none")

    pieces = list(
        zip(
            hidden.split(rows_at_a_time(decoder, hidden)),
            labels.split(rows_at_a_time(decoder, hidden)),
            strict=True,
        )
    )
    if len(pieces) == 1:
        return piece(hidden, labels)
    return torch.cat([checkpoint(piece, *rows, use_reentrant=False) for rows in pieces])


def rows_at_a_time(decoder: Decoder, hidden: Tensor) -> int:
    """Return how many labels' logits fit into :data:`LOGIT_BYTES`."""
    return max(1, LOGIT_BYTES // (decoder.config.vocabulary * hidden.element_size()))
