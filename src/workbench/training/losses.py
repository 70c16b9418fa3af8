"""Cross entropy at labelled positions only, in pieces, so that logits never fill the memory.

Shape letters: P labels, K width, V vocabulary.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from qlora_kernels.linear_cross_entropy import linear_cross_entropy
from workbench.models.decoder import Decoder

LOGIT_BYTES = 64 * 2**20
"""Most bytes of logits at a time."""


def label_losses(
    decoder: Decoder, hidden: Float[Tensor, "P K"], labels: Int64[Tensor, " P"]
) -> Float[Tensor, " P"]:
    """Return each label's negative log-likelihood in nats.

    ``hidden`` is the normalized output at the slots before the labels. Logits are made a chunk at a time,
    each with its gradient, and never all held.
    """
    if decoder.trained:
        return functional.cross_entropy(decoder.head(hidden), labels, reduction="none")
    precision = None if hidden.dtype == torch.float64 else decoder.head_precision
    return linear_cross_entropy(hidden, decoder.head_weight(), labels, precision=precision)


def rows_at_a_time(decoder: Decoder, hidden: Tensor) -> int:
    """Return how many labels' logits fit into :data:`LOGIT_BYTES`."""
    return max(1, LOGIT_BYTES // (decoder.config.vocabulary * hidden.element_size()))
