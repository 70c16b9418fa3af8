"""Whether a sparse base says what the dense one says that it was made from, on real texts."""

from workbench.exporting.exporter import compared_texts
from workbench.exporting.parity import FLOAT32, Difference, demand, difference, read_all
from workbench.models.base import Base
from workbench.models.decoder import Decoder


def same_as_dense(base: Base, sparse: Base) -> Difference:
    """Compare both in float32 on the exporter's own texts.

    Raises:
        NotTheSame: If they differ by more than sums in another order do.
    """
    dense = base.decoder
    if dense.precision != "float32":
        dense = Decoder(dense.config, dense.weights)
    texts = compared_texts(base.tokenizer, dense.config.context, None, None)
    found = difference(texts, read_all(dense, texts, {}), read_all(sparse.decoder, texts, {}))
    demand(found, FLOAT32, "the sparse base doesn't say what the dense one says")
    return found
