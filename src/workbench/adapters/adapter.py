"""One trained LoRA adapter, by itself: its matrices by layer, and what they change.

Every layer may have a rank and an alpha of its own, the scale may be rsLoRA's, and DoRA's magnitudes may be
there. How files hold all this is said in ``formats``; here is what it means.

Shape letters: K inputs, N outputs, R rank.

Sources: Hu et al., "LoRA", arXiv:2106.09685; Kalajdzievski, "rsLoRA", arXiv:2312.03732; Liu et al., "DoRA",
arXiv:2402.09353; each computed as the PEFT library computes it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from workbench.config import LINEARS
from workbench.errors import InputError, unknown_name
from workbench.models.adapted import Adapter, Adapters
from workbench.showing import Shown

MAGNITUDE = "lora_magnitude_vector"
"""The part of a layer in which DoRA keeps the length of each row, by PEFT's name."""
WeightOf = Callable[[str], Tensor]
"""(name of a linear layer) -> its frozen weight, shape (N, K)."""
BLOCK_LAYER = re.compile(r"layers\.\d+\.(?:" + "|".join(LINEARS) + ")")
"""The names of the linear layers of our decoder; other names are those of image models."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LoraAdapter(Shown):
    """A trained adapter: for each adapted layer A, shape (R, K), and B, shape (N, R)."""

    name: str
    """What it is called for people: its folder, or which cell of a study it is."""
    base: str
    """The base that it was trained on, by the name or path that its file gives."""
    rank: int
    """Of all layers, unless their matrices have another."""
    alpha: float
    """LoRA numerator: the update is scaled by alpha / rank."""
    tensors: Mapping[str, Tensor]
    """By name: the layer's, such as "layers.3.q_proj", with ".lora_A", ".lora_B" or, in DoRA, the magnitudes.
    They are in the number format of the file that they came from; what is computed with them is float32."""
    alphas: Mapping[str, float] = field(default_factory=dict)
    """Alpha of the layers that have another one than ``alpha``."""
    rslora: bool = False
    """Whether the scale is alpha / sqrt(rank)."""
    base_sha256: str | None = None
    """Hash of the base that it was trained on, as ``Base.sha256`` gives it; None where no file says so."""
    heads: tuple[int, int] | None = None
    """Query heads and key-value heads of the base, where they are known: GGUF orders rows by them."""
    architecture: str = "llama"
    """What a GGUF of the base calls its family; LLaMA's where it isn't known."""
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    """What a file of an image model holds besides, by its name: vectors of new tokens."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What such a file says about itself: the metadata of its header."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about how the file was read."""

    @property
    def layers(self) -> tuple[str, ...]:
        """The adapted linear layers, from the lowest block up, and in a block in the order of ``LINEARS``."""
        names = {name.rpartition(".")[0]: None for name in self.tensors}
        return tuple(sorted(names, key=_place))

    @property
    def dora(self) -> bool:
        """Whether rows are scaled to lengths of their own."""
        return any(name.endswith(MAGNITUDE) for name in self.tensors)

    @property
    def of_decoder(self) -> bool:
        """Whether all layers are those of a decoder of the LLaMA family."""
        return all(BLOCK_LAYER.fullmatch(layer) for layer in self.layers)

    def layer_rank(self, layer: str) -> int:
        """Return the rank R of a layer.

        Raises:
            InputError: If the adapter doesn't adapt it.
        """
        return len(self.matrices(layer)[0])

    def scale(self, layer: str) -> float:
        """Return what the product of B and A is multiplied by: alpha / R, for rsLoRA alpha / sqrt(R).

        Raises:
            InputError: If the adapter doesn't adapt the layer.
        """
        rank = self.layer_rank(layer)
        return self.alphas.get(layer, self.alpha) / (math.sqrt(rank) if self.rslora else rank)

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(tensor.numel() for tensor in [*self.tensors.values(), *self.extras.values()])

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shape (N, K) of the weight of each adapted layer; K counts a convolution's window, too."""
        found = {name: self.matrices(name) for name in self.layers}
        return {name: (len(b), a.shape[1]) for name, (a, b) in found.items()}

    def matrices(self, layer: str) -> tuple[Float[Tensor, "R K"], Float[Tensor, "N R"]]:
        """Return A and B of a layer in float32; of a convolution with its window laid flat.

        Raises:
            InputError: If the adapter doesn't adapt it.
        """
        if f"{layer}.lora_A" not in self.tensors:
            raise unknown_name("adapted layer", layer, self.layers, "the adapter's file")
        a, b = self.tensors[f"{layer}.lora_A"], self.tensors[f"{layer}.lora_B"]
        return a.flatten(1).float(), b.flatten(1).float()

    def change(self, layer: str) -> Float[Tensor, "N K"]:
        """Return what the adapter adds to a layer's weight: scale times B times A, in float32.

        Raises:
            InputError: If the adapter doesn't adapt it, or is DoRA, whose change depends on the weight.
        """
        if f"{layer}.{MAGNITUDE}" in self.tensors:
            raise InputError(
                f"{self.name} is DoRA: what it changes in {layer} depends on the base's weight; "
                "ask for adapter.changed(layer, weight)"
            )
        return self._product(layer)

    def changed(self, layer: str, weight: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Return the weight that base and adapter amount to in a layer, in float32.

        For LoRA that is W + scale B A. DoRA takes its rows' directions and gives each row the length m that
        was trained: m (W + scale B A) / ||W + scale B A||.

        Args:
            layer: An adapted layer.
            weight: W, the base's.

        Raises:
            InputError: If the adapter doesn't adapt the layer, or the weight has another shape.
        """
        product = self._product(layer)
        if product.shape != weight.shape:
            raise InputError(
                f"{self.name}: {layer} changes a weight of shape {tuple(product.shape)}, and the base's has "
                f"{tuple(weight.shape)}; take the base that the adapter was trained on"
            )
        whole = weight.float() + product
        magnitude = self.tensors.get(f"{layer}.{MAGNITUDE}")
        if magnitude is None:
            return whole
        return einsum(magnitude.float() / whole.norm(dim=1), whole, "N, N K -> N K")

    def for_decoder(self, weight: WeightOf | None = None) -> Adapters:
        """Return the adapter as the decoder's linear layers carry it, for one cell; the scale is in B.

        Args:
            weight: Gives a layer's frozen weight by its name, such as ``Decoder.weight``; for DoRA, which
                rescales the rows.

        Raises:
            InputError: If it is of an image model, or DoRA without ``weight``.
        """
        if not self.of_decoder or (self.dora and weight is None):
            what = "DoRA, which also rescales the base's rows" if self.of_decoder else "of an image model"
            raise InputError(f"{self.name} is {what}: the decoder carries plain products of B and A only")
        found = {}
        for layer in self.layers:
            a, b = self.matrices(layer)
            gain = None
            magnitude = self.tensors.get(f"{layer}.{MAGNITUDE}")
            if magnitude is not None and weight is not None:
                gain = (magnitude.float() / (weight(layer).float() + self._product(layer)).norm(dim=1))[None]
            found[layer] = Adapter(a[None], (self.scale(layer) * b)[None], torch.ones(1), gain)
        return found

    def _product(self, layer: str) -> Float[Tensor, "N K"]:
        a, b = self.matrices(layer)
        return self.scale(layer) * einsum(b, a, "N R, R K -> N K")

    def _shown(self) -> tuple[str, dict[str, str]]:
        ranks = sorted({self.layer_rank(layer) for layer in self.layers}) or [self.rank]
        alphas = sorted({self.alphas.get(layer, self.alpha) for layer in self.layers}) or [self.alpha]
        kind = " ".join(["rsLoRA"] * self.rslora + ["DoRA"] * self.dora) or "LoRA"
        facts = {
            "kind": kind,
            "rank": f"{_span(ranks)}, alpha {_span(alphas)}",
            "parameters": f"{self.parameters:,}",
            "layers": self._where(),
            "base": self.base,
        }
        if self.base_sha256:
            facts["base's hash"] = f"SHA-256 {self.base_sha256[:16]} …"
        if self.extras:
            facts["besides"] = ", ".join(self.extras)
        return f"Adapter {self.name}", facts | ({"notes": "; ".join(self.notes)} if self.notes else {})

    def _where(self) -> str:
        if not self.layers:
            return "none"
        if not self.of_decoder:
            return f"{len(self.layers)} of an image model, {self.layers[0]} to {self.layers[-1]}"
        leaves = ", ".join(dict.fromkeys(name.split(".")[2] for name in self.layers))
        blocks = sorted({int(name.split(".")[1]) for name in self.layers})
        return f"{leaves} in blocks {blocks[0]} to {blocks[-1]}"


def _span(values: list[int] | list[float]) -> str:
    return f"{values[0]:g}" + (f" to {values[-1]:g}" if len(values) > 1 else "")


def _place(layer: str) -> tuple[list[tuple[int, str]], int, list[tuple[int, str]]]:
    """Where a layer stands: by the numbers in its name, then in the order of ``LINEARS``."""
    block, _, leaf = layer.rpartition(".")
    return _by_numbers(block), LINEARS.index(leaf) if leaf in LINEARS else -1, _by_numbers(leaf)


def _by_numbers(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", name)]
