"""One trained LoRA adapter, by itself: its matrices by layer, and what they change.

Shape letters: K inputs, N outputs, R rank.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from workbench.config import LINEARS
from workbench.errors import unknown_name
from workbench.showing import Shown


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LoraAdapter(Shown):
    """A trained adapter: for each adapted layer A, shape (R, K), and B, shape (N, R)."""

    name: str
    """What it is called for people: its folder, or which cell of a study it is."""
    base: str
    """The base that it was trained on, by the name or path that its file gives."""
    rank: int
    alpha: float
    """LoRA numerator: the update is scaled by alpha / rank."""
    tensors: Mapping[str, Tensor]
    """By name: the layer's, such as "layers.3.q_proj", with ".lora_A" or ".lora_B"."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The adapted linear layers, from the lowest block up, and in a block in the order of ``LINEARS``."""
        names = {name.rpartition(".")[0]: None for name in self.tensors}
        return tuple(sorted(names, key=_place))

    @property
    def scale(self) -> float:
        """What the product of B and A is multiplied by: alpha / rank."""
        return self.alpha / self.rank

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shape (N, K) of the weight of each adapted layer."""
        found = {name: self.matrices(name) for name in self.layers}
        return {name: (len(b), a.shape[1]) for name, (a, b) in found.items()}

    def matrices(self, layer: str) -> tuple[Float[Tensor, "R K"], Float[Tensor, "N R"]]:
        """Return A and B of a layer.

        Raises:
            InputError: If the adapter doesn't adapt it.
        """
        if layer not in self.layers:
            raise unknown_name("adapted layer", layer, self.layers, "the adapter's file")
        return self.tensors[f"{layer}.lora_A"], self.tensors[f"{layer}.lora_B"]

    def change(self, layer: str) -> Float[Tensor, "N K"]:
        """Return what the adapter adds to a layer's weight: scale times B times A.

        Raises:
            InputError: If the adapter doesn't adapt it.
        """
        a, b = self.matrices(layer)
        return self.scale * b @ a

    def _shown(self) -> tuple[str, dict[str, str]]:
        leaves = ", ".join(dict.fromkeys(name.split(".")[2] for name in self.layers))
        blocks = sorted({int(name.split(".")[1]) for name in self.layers})
        return f"Adapter {self.name}", {
            "rank": f"{self.rank}, alpha {self.alpha:g}",
            "parameters": f"{self.parameters:,}",
            "layers": f"{leaves} in blocks {blocks[0]} to {blocks[-1]}" if blocks else "none",
            "base": self.base,
        }


def _place(layer: str) -> tuple[int, int]:
    _, block, leaf = layer.split(".")
    return int(block), LINEARS.index(leaf)
