"""Prefixes for a stack of cells: every cell's trained tokens and gates in one matrix, one row a cell.

Shape letters: G cells, L tokens, K width, H heads, W weights of one cell.

Source: Zhang et al., "LLaMA-Adapter", arXiv:2303.16199; first weights as in its repository and in PEFT.
"""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.adapters.lora import LoraStack, check_first_layer, copied
from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.models.adapted import Adapters, Prefix
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig

PROMPT, GATE = "adaption_prompt", "adaption_gate"
"""PEFT's names of a block's tokens and of its gate."""


class PrefixStack(LoraStack):
    """The prefixes of G cells over one frozen base; see :class:`LoraStack` for what it can be asked."""

    def __init__(
        self, cells: Sequence[CellConfig], decoder: DecoderConfig, base: Decoder | None = None
    ) -> None:
        """Make fresh prefixes: tokens drawn from the cell's seed, gates closed, so that nothing changes yet.

        Raises:
            InputError: If the first layer isn't in the decoder.
            ValueError: If the cells differ in kind, in blocks or in the number of tokens.
        """
        lead = cells[0]
        if len({(cell.first_layer, cell.adapter, cell.rank) for cell in cells}) > 1:
            raise ValueError("cells of one stack need prefixes of one kind and length in the same blocks")
        check_first_layer(lead, decoder)
        self.cells, self.rank, self.kind = list(cells), lead.rank, ADAPTER_KINDS[lead.adapter]
        self.heads, self.width = decoder.heads, decoder.width
        self.gates = decoder.heads if self.kind.gate_of_each_head else 1
        self.names = [f"layers.{layer}.prefix" for layer in range(lead.first_layer, decoder.layers)]
        self.shapes = dict.fromkeys(self.names, (self.rank, self.width))
        self.base, self.given_up, self.squares = base, None, {}
        weights = torch.stack([self._first_row(cell) for cell in cells])
        self.weights = weights.to(weights.device if base is None else base.device).requires_grad_()

    def _first_row(self, cell: CellConfig) -> Float[Tensor, " W"]:
        parts = []
        for name in self.names:
            digest = hashlib.blake2b(f"adapter:{cell.seed}:{name}".encode(), digest_size=7).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
            parts += [torch.randn(self.rank * self.width, generator=generator), torch.zeros(self.gates)]
        return torch.cat(parts)

    def _sizes(self) -> list[tuple[str, int]]:
        return [(PROMPT, self.rank * self.width), (GATE, self.gates)] * len(self.names)

    def halves(self, weights: Float[Tensor, "G W"] | None = None) -> dict[str, dict[str, Tensor]]:
        """Cut the rows into each block's tokens, shape (G, L, K), and gates, (G, H) or (G, 1)."""
        weights = self.weights if weights is None else weights
        pieces = iter(weights.split([size for _, size in self._sizes()], dim=1))
        return {
            name: {PROMPT: next(pieces).unflatten(1, (self.rank, self.width)), GATE: next(pieces)}
            for name in self.names
        }

    def tensors(self, row: int) -> dict[str, Tensor]:
        """Return a copy of one cell's tokens, shape (1, L, K) as PEFT has them, and gates, by block."""
        tensors: dict[str, Tensor] = {}
        for name, own in self.halves().items():
            tensors[f"{name}.{PROMPT}"] = copied(own[PROMPT][row])[None]
            tensors[f"{name}.{GATE}"] = copied(own[GATE][row])
        return tensors

    def load(self, row: int, tensors: Mapping[str, Tensor]) -> None:
        """Set one cell's prefix to what :meth:`tensors` gave for it.

        Raises:
            InputError: If a block is missing or unknown, or a shape is another.
        """
        own = {name: tuple(tensor.shape) for name, tensor in self.tensors(row).items()}
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if own != found:
            name = min(one for one in own.keys() | found.keys() if own.get(one) != found.get(one))
            raise InputError(
                f"{name} has shape {found.get(name)}, this cell's is {own.get(name)}; the adapter belongs to "
                "another cell"
            )
        with torch.no_grad():
            for name, parts in self.halves().items():
                parts[PROMPT][row] = tensors[f"{name}.{PROMPT}"][0]
                parts[GATE][row] = tensors[f"{name}.{GATE}"]

    def adapters(self) -> Adapters:
        """Return what the decoder's blocks carry."""
        return {
            name: Prefix(own[PROMPT], self.kind.gate(own[GATE]).expand(-1, self.heads))
            for name, own in self.halves(self.weights.to(self.computed_in)).items()
        }


def fresh_stack(
    cells: Sequence[CellConfig], decoder: DecoderConfig, base: Decoder | None = None
) -> LoraStack:
    """Return fresh adapters of the cells' kind; see the stacks' constructors."""
    stack = PrefixStack if ADAPTER_KINDS[cells[0].adapter].prefix else LoraStack
    return stack(cells, decoder, base)


def count_prefix(decoder: DecoderConfig, tokens: int, layers: int) -> int:
    """Count the numbers of the trained tokens, L K in each of so many blocks; gates come to few more."""
    return tokens * decoder.width * layers
