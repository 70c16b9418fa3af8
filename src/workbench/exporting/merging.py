"""A base with an adapter in its weights: added in float32, one weight at a time, and rounded by the writer.

Shape letters: K inputs, N outputs, R rank.

Source: Hu et al., "LoRA", arXiv:2106.09685, section 4.1: W + (alpha / R) B A.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.adapters.adapter import LoraAdapter
from workbench.errors import InputError
from workbench.models.base import Base
from workbench.models.decoder import Adapters


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
        return self.base.decoder.weight(name).float() + self.adapter.change(name).float()

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
        refuse_another_base(base, adapter)
    return MergedWeights(base, adapter)


def refuse_another_base(base: Base, adapter: LoraAdapter) -> None:
    """Refuse an adapter that was made for a base of other sizes, or that isn't finite.

    Raises:
        InputError: That names the first layer that doesn't fit.
    """
    shapes = base.decoder.config.shapes(tied=base.decoder.tied)
    for layer, shape in adapter.shapes.items():
        if layer not in shapes or shapes[layer] != shape:
            found = f"is {shapes[layer]}" if layer in shapes else "isn't there"
            raise InputError(
                f"adapter {adapter.name}: it changes {layer} of shape {shape}, which in {base.name} {found}: "
                f"it was trained on another base; give that one (it names {adapter.base!r})"
            )
        if not all(tensor.isfinite().all() for tensor in adapter.matrices(layer)):
            raise InputError(
                f"adapter {adapter.name}: {layer} holds NaN or infinity; train or get the adapter again"
            )


def beside(adapter: LoraAdapter | None) -> Adapters:
    """Return an adapter as the decoder takes it when it stays apart: for a stack of one cell."""
    if adapter is None:
        return {}
    found = {}
    for layer in adapter.layers:
        a, b = adapter.matrices(layer)
        found[layer] = (a.float()[None], b.float()[None], a.new_tensor([adapter.scale]).float())
    return found
