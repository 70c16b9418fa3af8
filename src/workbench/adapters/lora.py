"""LoRA for a stack of cells: every cell's adapter in one matrix, one row a cell.

A row holds A and B of all adapted layers, end to end, so that the optimizer, the clipping and a
checkpoint see one tensor. Inside the decoder the row is cut into A[G, R, K] and B[G, N, R].

Shape letters: G cells, T tokens, K inputs, N outputs, R rank, W adapter weights of one cell.

Source: Hu et al., "LoRA", arXiv:2106.09685; first weights as in the PEFT library.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from copy import copy

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.models.decoder import Adapters, DecoderConfig


class LoraStack:
    """The adapters of G cells over one frozen base.

    Cells may differ in rank and alpha: a smaller rank is filled up with zeros, which stay zero because
    each half's gradient is a product with the other half.

    Attributes:
        weights: All adapters, shape (G, W); the only tensor that is trained.
        names: The adapted layers, in the order of a row.
    """

    def __init__(self, cells: Sequence[CellConfig], decoder: DecoderConfig) -> None:
        """Make fresh adapters: A random from the cell's seed, B zero, so that nothing changes yet.

        Raises:
            InputError: If a rank is above a layer's width or the first layer isn't in the decoder.
            ValueError: If the cells differ in which layers they adapt.
        """
        lead = cells[0]
        if any((cell.targets, cell.first_layer) != (lead.targets, lead.first_layer) for cell in cells):
            raise ValueError("cells of one stack have to adapt the same layers")
        if not 0 <= lead.first_layer < decoder.layers:
            raise InputError(
                f"first_layer is {lead.first_layer}; the base has blocks 0 to {decoder.layers - 1}, "
                "choose one of them"
            )
        self.cells = list(cells)
        self.rank = max(cell.rank for cell in cells)
        self.shapes = {
            f"layers.{layer}.{leaf}": decoder.linear_shape(leaf)
            for layer in range(lead.first_layer, decoder.layers)
            for leaf in lead.targets
        }
        name, (outputs, inputs) = min(self.shapes.items(), key=lambda item: min(item[1]))
        if self.rank > (most := min(outputs, inputs)):
            raise InputError(
                f"rank {self.rank} is above {most}, the smaller side of {name} ({outputs} x {inputs}); "
                f"choose a rank of at most {most}, or other targets"
            )
        self.names = list(self.shapes)
        self.weights = torch.stack([self._first_weights(cell) for cell in cells]).requires_grad_()

    def _first_weights(self, cell: CellConfig) -> Float[Tensor, " W"]:
        parts = []
        for name, (outputs, inputs) in self.shapes.items():
            digest = hashlib.blake2b(f"adapter:{cell.seed}:{name}".encode(), digest_size=7).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
            a = torch.zeros(self.rank, inputs)
            a[: cell.rank].uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
            parts += [a.flatten(), torch.zeros(outputs * self.rank)]
        return torch.cat(parts)

    @property
    def scale(self) -> Float[Tensor, " G"]:
        """Each cell's alpha / rank."""
        return self.weights.new_tensor([cell.alpha / cell.rank for cell in self.cells])

    def to(self, dtype: torch.dtype) -> "LoraStack":
        """Change the number format in place, for tests in float64; returns itself."""
        self.weights = self.weights.detach().to(dtype).requires_grad_()
        return self

    def select(self, rows: Sequence[int]) -> "LoraStack":
        """Return the stack of some of the cells, with weights of its own to take gradients with.

        Where all rows are taken the storage is shared, else copied.
        """
        chosen = copy(self)
        chosen.cells = [self.cells[row] for row in rows]
        weights = self.weights.detach()
        chosen.weights = (
            weights if list(rows) == list(range(len(weights))) else weights[rows]
        ).requires_grad_()
        return chosen

    def tensors(self, row: int) -> dict[str, Tensor]:
        """Return a copy of one cell's A, shape (R, K), and B, shape (N, R), of each layer, at its own rank.

        The names are the layer's with ".lora_A" and ".lora_B".
        """
        rank = self.cells[row].rank
        tensors = {}
        for name, (a, b) in self.matrices().items():
            tensors[f"{name}.lora_A"] = a[row, :rank].detach().clone()
            tensors[f"{name}.lora_B"] = b[row, :, :rank].detach().clone()
        return tensors

    def load(self, row: int, tensors: Mapping[str, Tensor]) -> None:
        """Set one cell's adapter to what :meth:`tensors` gave for it.

        Raises:
            InputError: If a layer is missing or unknown, or a shape is another.
        """
        own = self.tensors(row)
        for name in own.keys() | tensors.keys():
            if name not in own or name not in tensors:
                where = "the cell doesn't adapt it" if name not in own else "the adapter lacks it"
                raise InputError(f"{name}: {where}; the adapter belongs to another cell")
            if own[name].shape != tensors[name].shape:
                raise InputError(
                    f"{name} has shape {tuple(tensors[name].shape)}, this cell's is "
                    f"{tuple(own[name].shape)}; the adapter belongs to another cell"
                )
        rank = self.cells[row].rank
        with torch.no_grad():
            for name, (a, b) in self.matrices().items():
                a[row, :rank] = tensors[f"{name}.lora_A"]
                b[row, :, :rank] = tensors[f"{name}.lora_B"]

    def matrices(self) -> dict[str, tuple[Float[Tensor, "G R K"], Float[Tensor, "G N R"]]]:
        """Cut the rows into (A, B) of each adapted layer, by name; views that carry gradients."""
        sizes = [size for n, k in self.shapes.values() for size in (self.rank * k, n * self.rank)]
        pieces = iter(self.weights.split(sizes, dim=1))
        return {
            name: (next(pieces).unflatten(1, (self.rank, k)), next(pieces).unflatten(1, (n, self.rank)))
            for name, (n, k) in self.shapes.items()
        }

    def adapters(self) -> Adapters:
        """Return what the decoder's linear layers carry."""
        return {name: (a, b, self.scale) for name, (a, b) in self.matrices().items()}
