"""LoRA for a stack of cells: every cell's adapter in one matrix, one row a cell.

A row holds A and B of all adapted layers, end to end, so that the optimizer, the clipping and a
checkpoint see one tensor. Inside the decoder the row is cut into A[G, R, K] and B[G, N, R], and under DoRA
into the lengths M[G, N], too. Kinds of adapter differ in what ``workbench.adapters.kinds`` says.

Shape letters: G cells, T tokens, K inputs, N outputs, R rank, W adapter weights of one cell.

Source: Hu et al., "LoRA", arXiv:2106.09685; first weights as in the PEFT library.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cache

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from workbench.adapters.adapter import MAGNITUDE
from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.config import LINEARS, CellConfig
from workbench.devices import uploaded
from workbench.errors import InputError
from workbench.models.adapted import Adapter, Adapters
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig


def check_first_layer(cell: CellConfig, decoder: DecoderConfig) -> None:
    """Refuse a cell whose lowest adapted block isn't there.

    Raises:
        InputError: That names the blocks that are.
    """
    if not 0 <= cell.first_layer < decoder.layers:
        raise InputError(
            f"first_layer is {cell.first_layer}; the base has blocks 0 to {decoder.layers - 1}, "
            "choose one of them"
        )


def adapted_shapes(cell: CellConfig, decoder: DecoderConfig) -> dict[str, tuple[int, int]]:
    """Return the shape (N, K) of each linear layer that a cell adapts, by name.

    Raises:
        InputError: If the rank is above a layer's width, the first layer isn't in the decoder, or a target
            is the experts'.
    """
    check_first_layer(cell, decoder)
    if ADAPTER_KINDS[cell.adapter].prefix:
        return {}
    kept = [leaf for leaf in LINEARS if leaf in decoder.linear_leaves]
    if missing := [leaf for leaf in cell.targets if leaf not in kept]:
        raise InputError(
            f"the base has {decoder.experts} experts in a block, and their matrices ({', '.join(missing)}) "
            f"take no adapters: give --targets {' '.join(kept)}"
        )
    shapes = {
        f"layers.{layer}.{leaf}": decoder.linear_shape(leaf)
        for layer in range(cell.first_layer, decoder.layers)
        for leaf in cell.targets
    }
    name, (outputs, inputs) = min(shapes.items(), key=lambda item: min(item[1]))
    if cell.rank > (most := min(outputs, inputs)):
        raise InputError(
            f"rank {cell.rank} is above {most}, the smaller side of {name} ({outputs} x {inputs}); "
            f"choose a rank of at most {most}, or other targets"
        )
    return shapes


class LoraStack:
    """The adapters of G cells over one frozen base.

    Cells may differ in rank and alpha: a smaller rank is filled up with zeros, which stay zero because
    each half's gradient is a product with the other half.

    Attributes:
        weights: All adapters, shape (G, W); the only tensor that is trained.
        names: The adapted layers, in the order of a row.
    """

    def __init__(
        self, cells: Sequence[CellConfig], decoder: DecoderConfig, base: Decoder | None = None
    ) -> None:
        """Make fresh adapters that change nothing yet, from the cell's seed or the base's weights.

        Args:
            cells: They adapt the same layers with one kind of adapter.
            decoder: The sizes of the base.
            base: The base itself, for kinds that begin with its weights or keep their lengths.

        Raises:
            InputError: If a rank is above a layer's width or the first layer isn't in the decoder.
            ValueError: If the cells differ in kind or in which layers they adapt, or a base is needed.
        """
        lead = max(cells, key=lambda cell: cell.rank)
        alike = {(cell.targets, cell.first_layer, cell.adapter) for cell in cells}
        if len(alike) > 1:
            raise ValueError("cells of one stack have to adapt the same layers in the same way")
        self.cells = list(cells)
        self.rank = lead.rank
        self.kind = ADAPTER_KINDS[lead.adapter]
        self.shapes = adapted_shapes(lead, decoder)
        self.names = list(self.shapes)
        self.base = base
        if base is None and (self.kind.start or self.kind.magnitudes):
            raise ValueError(f"adapters of the kind {lead.adapter!r} are made from the base's weights")
        device = torch.device("cpu") if base is None else base.device
        self.weights = self._first_weights().to(device).requires_grad_()
        # what the frozen weights give up: the product that the adapters begin with
        self.given_up = self.weights.detach().clone() if self.kind.start else None
        self.squares = (
            {name: _numbers(base, name).square().sum(dim=1) for name in self.names}
            if base is not None and self.kind.magnitudes
            else {}
        )

    def _first_weights(self) -> Float[Tensor, "G W"]:
        rows: list[list[Tensor]] = [[] for _ in self.cells]
        for name, (outputs, inputs) in self.shapes.items():
            first = self._first_of(name)
            lengths = []
            if self.base is not None and self.kind.magnitudes:
                lengths = [torch.linalg.vector_norm(_numbers(self.base, name), dim=1).cpu()]
            for row, cell in zip(rows, self.cells, strict=True):
                own_a, own_b = first(cell)
                a, b = own_a.new_zeros(self.rank, inputs), own_a.new_zeros(outputs, self.rank)
                a[: cell.rank], b[:, : cell.rank] = own_a, own_b
                row += [a.flatten(), b.flatten(), *lengths]
        return torch.stack([torch.cat(row) for row in rows])

    def _first_of(self, name: str) -> Callable[[CellConfig], tuple[Tensor, Tensor]]:
        """Return what makes a cell's first A and B of one layer, once for all that begin alike."""
        outputs, inputs = self.shapes[name]
        start = self.kind.start
        if start is None or self.base is None:
            return lambda cell: (first_a(name, cell, inputs), torch.zeros(outputs, cell.rank))
        weight = _numbers(self.base, name).cpu()
        made = cache(lambda rank, scale: start(weight, rank, scale))
        return lambda cell: made(cell.rank, self.kind.scale(cell.alpha, cell.rank))

    @property
    def computed_in(self) -> torch.dtype:
        """The type in which the decoder computes with the adapters; they are trained in their own."""
        on_processor = self.base is None or self.base.device.type == "cpu"
        return self.weights.dtype if on_processor or self.base is None else self.base.dtype

    @property
    def scale(self) -> Float[Tensor, " G"]:
        """What each cell's product of B and A is multiplied by."""
        scales = [self.kind.scale(cell.alpha, cell.rank) for cell in self.cells]
        return uploaded(torch.tensor(scales, dtype=self.weights.dtype), self.weights.device)

    @property
    def rates(self) -> Float[Tensor, " W"] | None:
        """How many times the cell's learning rate that of each weight is; None where all are one."""
        if self.kind.b_rate == 1.0:
            return None
        factors = [
            self.weights.new_full((size,), self.kind.b_rate if half == "lora_B" else 1.0)
            for half, size in self._sizes()
        ]
        return torch.cat(factors)

    def to(self, dtype: torch.dtype) -> "LoraStack":
        """Change the number format in place, for tests in float64; returns itself."""
        self.weights = self.weights.detach().to(dtype).requires_grad_()
        self.given_up = None if self.given_up is None else self.given_up.to(dtype)
        return self

    def select(self, rows: Sequence[int]) -> "LoraStack":
        """Return the stack of some of the cells, with weights of its own to take gradients with.

        Where all rows are taken the storage is shared, else copied.
        """
        chosen = copy(self)
        chosen.cells = [self.cells[row] for row in rows]
        weights = self.weights.detach()
        if list(rows) != list(range(len(weights))):
            places = uploaded(torch.tensor(rows), weights.device)
            weights = weights[places]
            if self.given_up is not None:
                chosen.given_up = self.given_up[places]
        chosen.weights = weights.requires_grad_()
        return chosen

    def tensors(self, row: int) -> dict[str, Tensor]:
        """Return a copy, on the processor, of one cell's A, shape (R, K), and B, (N, R), of each layer.

        They have the cell's own rank.

        The names are the layer's with ".lora_A" and ".lora_B", and ".lora_magnitude_vector" for lengths,
        shape (N,). What the frozen weights give up is taken off by further rows of A and columns of B, as
        many again: the adapter fits the base as it was, at twice the rank and alpha.
        """
        rank = self.cells[row].rank
        tensors: dict[str, Tensor] = {}
        for name, halves in self.halves().items():
            own = {half: copied(value[row]) for half, value in halves.items()}
            a, b = own["lora_A"][:rank], own["lora_B"][:, :rank]
            if self.given_up is not None:
                first = {half: copied(value[row]) for half, value in self.halves(self.given_up)[name].items()}
                a = torch.cat([a, first["lora_A"][:rank]])
                b = torch.cat([b, -first["lora_B"][:, :rank]], dim=1)
            own |= {"lora_A": a.contiguous(), "lora_B": b.contiguous()}
            tensors |= {f"{name}.{half}": value for half, value in own.items()}
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
            for name, halves in self.halves().items():
                halves["lora_A"][row, :rank] = tensors[f"{name}.lora_A"][:rank]
                halves["lora_B"][row, :, :rank] = tensors[f"{name}.lora_B"][:, :rank]
                if MAGNITUDE in halves:
                    halves[MAGNITUDE][row] = tensors[f"{name}.{MAGNITUDE}"]

    def _sizes(self) -> list[tuple[str, int]]:
        """Return the parts of a row, in its order: which half of an adapter each is, and its length."""
        sizes = []
        for n, k in self.shapes.values():
            sizes += [("lora_A", self.rank * k), ("lora_B", n * self.rank)]
            sizes += [(MAGNITUDE, n)] if self.kind.magnitudes else []
        return sizes

    def halves(self, weights: Float[Tensor, "G W"] | None = None) -> dict[str, dict[str, Tensor]]:
        """Cut the rows into what each adapted layer has, by its name; views that carry gradients.

        "lora_A" has shape (G, R, K), "lora_B" (G, N, R), and lengths, where there are some, (G, N).
        """
        weights = self.weights if weights is None else weights
        pieces = iter(weights.split([size for _, size in self._sizes()], dim=1))
        found = {}
        for name, (n, k) in self.shapes.items():
            own = {
                "lora_A": next(pieces).unflatten(1, (self.rank, k)),
                "lora_B": next(pieces).unflatten(1, (n, self.rank)),
            }
            found[name] = own | ({MAGNITUDE: next(pieces)} if self.kind.magnitudes else {})
        return found

    def matrices(self) -> dict[str, tuple[Float[Tensor, "G R K"], Float[Tensor, "G N R"]]]:
        """Cut the rows into (A, B) of each adapted layer, by name; views that carry gradients."""
        return {name: (own["lora_A"], own["lora_B"]) for name, own in self.halves().items()}

    def adapters(self) -> Adapters:
        """Return what the decoder's linear layers carry."""
        scale, computed_in = self.scale, self.computed_in
        carried = self.halves(self.weights.to(computed_in))
        first = None if self.given_up is None else self.halves(self.given_up.to(computed_in))
        lengths = self._lengths() if self.kind.magnitudes else {}
        found = {}
        exact = self.halves() if self.kind.magnitudes else {}
        for name, own in carried.items():
            a, b = own["lora_A"], own["lora_B"]
            if first is not None:
                a = torch.cat([a, first[name]["lora_A"]], dim=1)
                b = torch.cat([b, -first[name]["lora_B"]], dim=2)
            gain = None
            if self.kind.magnitudes:
                gain = (exact[name][MAGNITUDE] / lengths[name]).to(computed_in)
            found[name] = Adapter(a, b, scale, gain)
        return found

    @torch.no_grad()
    def _lengths(self) -> dict[str, Float[Tensor, "G N"]]:
        """Return the length of each row of each changed weight, |W + scale B A|, without making any.

        It counts as a constant in the gradient, as in the paper's section 4.3.
        """
        assert self.base is not None, "the constructor refuses lengths without a base"
        scale, found = self.scale[:, None], {}
        for name, own in self.halves().items():
            a, b = own["lora_A"], own["lora_B"]
            through = self.base.through(name, a.to(self.computed_in)).to(a)  # A W^T, shape (G, R, N)
            crossed = einsum(b, through, "G N R, G R N -> G N")
            gram = einsum(a, a, "G R K, G S K -> G R S")
            squared = einsum(b, einsum(b, gram, "G N S, G R S -> G N R"), "G N R, G N R -> G N")
            found[name] = (self.squares[name] + 2 * scale * crossed + scale**2 * squared).clamp_min(0).sqrt()
        return found


def copied(tensor: Tensor) -> Tensor:
    """Return a copy on the processor."""
    return tensor.detach().to("cpu", copy=True)


def _numbers(base: Decoder, name: str) -> Float[Tensor, "N K"]:
    """Return a weight of the base in float32 at least."""
    weight = base.weight(name)
    return weight.to(torch.promote_types(weight.dtype, torch.float32))


def first_a(name: str, cell: CellConfig, inputs: int) -> Float[Tensor, "R K"]:
    """Return a fresh A: uniform, as wide as the inputs ask, from the cell's seed and the layer's name."""
    digest = hashlib.blake2b(f"adapter:{cell.seed}:{name}".encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
    bound = 1 / math.sqrt(inputs)
    return torch.empty(cell.rank, inputs).uniform_(-bound, bound, generator=generator)
