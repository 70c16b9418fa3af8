"""A base with an adapter in its weights: added in float32, one weight at a time, and rounded by the writer.

Shape letters: K inputs, N outputs, R rank.

Source: Hu et al., "LoRA", arXiv:2106.09685, section 4.1: W + (alpha / R) B A.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.fits import check_fits
from workbench.errors import InputError
from workbench.models.adapted import Adapters
from workbench.models.base import Base


class MergedWeights(Mapping[str, Tensor | QuantizedTensor]):
    """The weights of a base and an adapter, by the decoder's names; each is made when it is asked for.

    A weight that the adapter leaves alone is the base's own, packed where that is.
    """

    def __init__(self, base: Base, adapter: LoraAdapter | None) -> None:
        self.base = base
        self.adapter = adapter
        self.changed = frozenset(() if adapter is None else adapter.layers)

    def __getitem__(self, name: str) -> Tensor | QuantizedTensor:
        """Return a weight; a merged one is in float32."""
        if self.adapter is None or name not in self.changed:
            return self.base.decoder.weights[name]
        return self.adapter.changed(name, self.base.decoder.weight(name))

    def __contains__(self, name: object) -> bool:
        """Whether there is such a weight; it isn't made to know that."""
        return name in self.base.decoder.weights

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self.base.decoder.weights)

    def __len__(self) -> int:
        """Count the weights."""
        return len(self.base.decoder.weights)


def merged_weights(base: Base, adapter: LoraAdapter | None) -> MergedWeights:
    """Return the weights of a base with an adapter added to them.

    Raises:
        InputError: If the adapter isn't one for a base of these sizes, or holds NaN or infinity.
    """
    if adapter is not None:
        check_fits(adapter, base)
        for layer in adapter.layers:
            if not all(tensor.isfinite().all() for tensor in adapter.matrices(layer)):
                raise InputError(
                    f"adapter {adapter.name}: {layer} holds NaN or infinity; train or get the adapter again"
                )
    return MergedWeights(base, adapter)


def beside(base: Base, adapter: LoraAdapter | None) -> Adapters:
    """Return an adapter as the decoder takes it when it stays apart: for a stack of one cell."""
    return {} if adapter is None else adapter.for_decoder(base.decoder.weight)
