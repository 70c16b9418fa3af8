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
PACKED_LOGIT_BYTES = 2**27
"""The same in a step on a processor that holds the base packed."""
LOGIT_BYTES_ON_GPU = 2**29
"""There each further piece costs the starting of its kernels."""


def label_losses(
    decoder: Decoder, hidden: Float[Tensor, "P K"], labels: Int64[Tensor, " P"]
) -> Float[Tensor, " P"]:
    """Return each label's negative log-likelihood in nats.

    ``hidden`` is the normalized output at the slots before the labels. Logits are made a chunk at a time,
    each with its gradient, and never all held.
    """
    if decoder.trained:
        return functional.cross_entropy(decoder.head(hidden), labels, reduction="none")
    on_processor = hidden.device.type == "cpu" and hidden.dtype != torch.float64
    precision = decoder.head_precision if on_processor else None
    cap = decoder.config.logit_softcap
    # a packed head is decoded once for each chunk, and once more for its slopes
    chunk = max(16, PACKED_LOGIT_BYTES // (4 * decoder.config.vocabulary)) if decoder.packed else None
    return linear_cross_entropy(
        hidden, decoder.head_weight(), labels, softcap=cap, chunk=chunk, precision=precision
    )


def rows_at_a_time(decoder: Decoder, hidden: Tensor) -> int:
    """Return how many labels' logits fit into :data:`LOGIT_BYTES`."""
    room = LOGIT_BYTES if hidden.device.type == "cpu" else LOGIT_BYTES_ON_GPU
    return max(1, room // (decoder.config.vocabulary * max(4, hidden.element_size())))
