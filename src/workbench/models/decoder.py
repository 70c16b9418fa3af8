"""A decoder as LLaMA's and its relatives': RMSNorm, rotary positions, grouped-query attention, gated units.

What its relatives do otherwise is data, in :class:`DecoderConfig`. The base is frozen and may be quantized;
what is trained comes from outside as ``adapters``. Every layer runs on a stack of G cells at once.

Shape letters: G cells, T tokens in a row, K inputs, N outputs, H heads, J key-value heads, D head size,
E examples, S tokens of the longest example, V vocabulary, P labels.

Source: Touvron et al., "LLaMA", arXiv:2302.13971, and the papers that it names for each part.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from qlora_kernels import QuantizedTensor, grouped_lora_linear, quantized_linear
from qlora_kernels.few_rows import FourBitWeight
from qlora_kernels.formats_layout import Affine
from qlora_kernels.products import PRECISIONS, PreparedWeight
from qlora_kernels.rms_norm import rms_norm
from qlora_kernels.take_rows import take_rows
from workbench.data.batches import Batch
from workbench.models import whole_blocks
from workbench.models.adapted import Adapter, Adapters, Prefix, join, with_gains
from workbench.models.attention import Attention, attend_to_prefix, causal_attention
from workbench.models.between import products_in, rounded_norm
from workbench.models.decoder_config import BIASES, ROUTER, SAME_INPUT, DecoderConfig
from workbench.models.experts import gated_unit, refuse_experts, through_experts
from workbench.models.holding import check_hold, head_logits, kept_packed, recomputed
from workbench.models.on_gpu import COMPUTED_IN, Operand, prepared_on_gpu
from workbench.models.precision import INT8_ERROR, Probe, choose_precision, probe_layer, probe_texts
from workbench.models.rotary import Rotation, rotations, turned

PreparedOperand = PreparedWeight | Operand | QuantizedTensor

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, queries, keys, values), each "slots heads D" -> mixed values, "slots H D"."""

Observe = Callable[[str, Tensor], None]
"""(name of a linear layer, its input) -> None."""


class Decoder:
    """A decoder over named weights; see :meth:`DecoderConfig.shapes` for the names."""

    def __init__(
        self,
        config: DecoderConfig,
        weights: Mapping[str, Tensor | QuantizedTensor],
        precision: str = "float32",
        device: torch.device | str = "cpu",
        hold: str = "decoded",
    ) -> None:
        self.config, self.device, self.hold = config, torch.device(device), hold
        refuse_experts(config, self.device, precision)
        expected = config.shapes(tied="head" not in weights)
        if set(weights) != set(expected):
            raise ValueError(f"weights missing or unknown: {sorted(set(weights) ^ set(expected))}")
        for name, shape in expected.items():
            if tuple(weights[name].shape) != shape:
                raise ValueError(f"{name} has shape {tuple(weights[name].shape)}, expected {shape}")
        self.weights = {name: weight.to(self.device) for name, weight in weights.items()}
        self.tied = "head" not in weights
        self.attention = [Attention.of(config, layer) for layer in range(config.layers)]
        # pre-training changes the base itself, for which the operators have no gradient: it takes autograd's
        self.trained = any(isinstance(w, Tensor) and w.requires_grad for w in weights.values())
        self.set_precision(precision)

    def set_precision(self, precision: str) -> None:
        """Choose how the products with the frozen weights are computed, and prepare the weights.

        On a CPU everything else (adapters, attention, norms, sums) is in the type of the norms' weights, or
        as ``between.py`` says. Under int8 the head, and layers to which bytes are too coarse (see
        ``precision.py``), are multiplied in bfloat16. Held "packed" nothing is prepared: each product decodes
        its matrix (``holding.py``). On a GPU the precision is that of all activations, and weights stay
        packed.

        Args:
            precision: One of ``config.PRECISIONS``, or "auto".

        Raises:
            InputError: If the precision is unknown, or this processor can't multiply so.
        """
        precision, self.precision_reason = choose_precision(precision, self.config.width, self.device)
        self.precision = precision
        refuse_experts(self.config, self.device, precision)
        check_hold(self.hold, precision, self.device)
        self.prepared: Mapping[str, PreparedOperand] = {}
        self.four_bits: dict[tuple[str, ...], FourBitWeight | None] = {}  # made by decoding.py
        self.products = {group[0]: [tuple(group)] for group in self._groups()}
        self.precisions = {name: "float32" for name in self.weights if name.endswith("_proj")}
        if self.trained:
            return
        if self.packed or self.device.type != "cpu":
            self.precisions = dict.fromkeys(self.precisions, precision)
            made_by = kept_packed if self.packed else prepared_on_gpu
            self.products, self.prepared = made_by(self.weights, self._groups(), self.head_name, self.dtype)
            return
        probes: Mapping[str, Probe] = {}
        if precision == "int8":
            self._prepare({})
            probes = self.probe()
        for group in self._groups():
            coarse = any(name in probes and probes[name].error > INT8_ERROR for name in group)
            self.precisions |= dict.fromkeys(group, "bfloat16" if coarse else precision)
        self._prepare(probes)

    @torch.no_grad()
    def probe(self) -> dict[str, Probe]:
        """Run random tokens through the blocks and try int8 on each linear layer, by its name."""
        probes: dict[str, Probe] = {}

        def observe(name: str, x: Tensor) -> None:
            if name in self.precisions:
                probes[name] = probe_layer(x, self.weight(name))

        batch = probe_texts(self.config.vocabulary, self.config.context)
        self.blocks(self.embed(batch.tokens), batch, {}, 0, self.config.layers, observe=observe)
        return probes

    def _groups(self) -> list[list[str]]:
        """Return the names of the linear layers, those with the same input together."""
        layers, alike = range(self.config.layers), self.config.same_input
        return [[f"layers.{layer}.{leaf}" for leaf in leaves] for layer in layers for leaves in alike]

    def _prepare(self, probes: Mapping[str, Probe]) -> None:
        """Make what the products run on; the packed weights stay the truth."""
        for group in [*self._groups(), [self.head_name]]:
            first = group[0]
            precision = self.precisions.get(first, self.head_precision)
            columns = probes[first].columns if first in probes else None
            weights = [self.weight(name) for name in group]
            wide = weights[0].dtype == torch.float64
            dtype = torch.float64 if wide else PRECISIONS[products_in(precision)]
            made = PreparedWeight.of(weights, dtype, columns)
            self.prepared = {**self.prepared, first: made}
            numbers = made.parts[0]
            if (
                all(isinstance(self.weights[name], Tensor) for name in group)
                and numbers.dtype == weights[0].dtype
            ):
                # not a second copy of what isn't packed
                self.weights |= zip(group, numbers.split([len(weight) for weight in weights]), strict=True)

    @property
    def packed(self) -> bool:
        """Whether a processor holds the weights packed, and decodes each for the product that takes it."""
        return self.hold == "packed"

    @property
    def dtype(self) -> torch.dtype:
        """The type of activations."""
        return self.weight("norm").dtype if self.device.type == "cpu" else COMPUTED_IN[self.precision]

    @property
    def between(self) -> torch.dtype:
        """The type of what lies between products; the residual stream is in :attr:`dtype`."""
        rounded = self.precision == "bfloat16-activations" and self.dtype == torch.float32
        return torch.bfloat16 if rounded else self.dtype

    @property
    def head_name(self) -> str:
        """The weight that turns vectors into logits."""
        return "embedding" if self.tied else "head"

    @property
    def head_precision(self) -> str:
        """How the head's products are computed."""
        return "bfloat16" if self.precision == "int8" else products_in(self.precision)

    def weight(self, name: str) -> Tensor:
        """Return a weight as numbers, by its name."""
        value = self.weights[name]
        return value if isinstance(value, Tensor) else value.dequantize()

    def linears(
        self,
        layer: int,
        leaves: Sequence[str],
        x: Float[Tensor, "*rows K"],
        adapters: Adapters,
        cells: Int64[Tensor, " boundaries"],
    ) -> tuple[Float[Tensor, "*rows _"], ...]:
        """Apply linear layers of one block to the same input, with their adapters where there are some.

        ``cells`` are the boundaries of the G cells among the rows, from 0 to the number of rows.
        """
        if self.trained:
            names = [f"layers.{layer}.{leaf}" for leaf in leaves]
            parts = tuple(einsum(x, self.weight(name), "... K, N K -> ... N") for name in names)
        else:
            products = self.products[f"layers.{layer}.{leaves[0]}"]
            parts = tuple(part for names in products for part in self._product(names, x, adapters, cells))
        biases = {leaf: f"layers.{layer}.{BIASES[leaf]}" for leaf in leaves if leaf in self.config.biases}
        return tuple(
            (part + self.weight(biases[leaf])).to(part.dtype) if leaf in biases else part
            for leaf, part in zip(leaves, parts, strict=True)
        )

    def _product(
        self, names: Sequence[str], x: Tensor, adapters: Adapters, cells: Tensor
    ) -> tuple[Float[Tensor, "*rows _"], ...]:
        """Apply linear layers that are one product."""
        outputs = [self.weights[name].shape[0] for name in names]
        own = [one if isinstance(one := adapters.get(name), Adapter) else None for name in names]
        weight, adapter = self.prepared[names[0]], join(own, outputs)
        chosen = x.device.type == "cpu" and x.dtype != torch.float64
        precision = products_in(self.precisions[names[0]]) if chosen else None
        if adapter is None:
            y = quantized_linear(x, weight, precision=precision)
        else:
            a, b = (one.to(x.dtype) for one in adapter[:2])
            y = grouped_lora_linear(x, weight, a, b, adapter.scale, cells, precision=precision)
        return with_gains(y.split(outputs, dim=-1), own, cells)

    def through(self, name: str, x: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows N"]:
        """Multiply by one linear layer's matrix, by its name, without its bias and without any adapter."""
        _, layer, leaf = name.split(".")
        first = next(group for group in self.config.same_input if leaf in group)[0]
        names = next(names for names in self.products[f"layers.{layer}.{first}"] if name in names)
        return self._product(names, x, {}, torch.tensor([0]))[names.index(name)]

    def embed(self, tokens: Int64[Tensor, "G T"]) -> Float[Tensor, "G T K"]:
        """Look up the input vectors of tokens."""
        table, scale = self.weights["embedding"], self.config.embedding_scale
        if isinstance(table, Tensor):
            vectors = functional.embedding(tokens, table)
        else:
            vectors = table.rows(tokens.flatten()).dequantize(self.dtype).view(*tokens.shape, -1)
        return vectors if scale == 1 else vectors * scale

    def __call__(
        self, batch: Batch, adapters: Adapters | None = None, hidden: Tensor | None = None, first: int = 0
    ) -> Float[Tensor, "G T K"]:
        """Run the blocks from ``first`` to the last and normalize.

        Args:
            batch: Tokens of G cells; see :mod:`workbench.data.batches`.
            adapters: What to add to linear layers; none by default.
            hidden: Output of the block below ``first``, shape (G, T, K); the embedding when None.
            first: Block to start with.
        """
        hidden = self.embed(batch.tokens) if hidden is None else hidden
        return self.finish(self.blocks(hidden, batch, adapters or {}, first, self.config.layers))

    def at_labels(
        self, batch: Batch, adapters: Adapters | None = None, hidden: Tensor | None = None, first: int = 0
    ) -> Float[Tensor, "P K"]:
        """Return what calling the decoder gives at the batch's label slots, without the work for the others.

        In the last block nothing but attention reads other tokens: the rest of it runs on these rows alone.
        The arguments are those of a call.
        """
        hidden = self.embed(batch.tokens) if hidden is None else hidden
        return self.finish(self.blocks(hidden, batch, adapters or {}, first, self.config.layers, labels=True))

    def blocks(
        self,
        hidden: Float[Tensor, "G T K"],
        batch: Batch,
        adapters: Adapters,
        first: int,
        last: int,
        *,
        labels: bool = False,
        observe: Observe | None = None,
    ) -> Float[Tensor, "*rows K"]:
        """Run the blocks from ``first`` up to, without, ``last`` over whole examples.

        With ``labels`` only the label slots come out, shape (P, K). ``observe`` is shown the input of every
        linear layer.
        """
        if observe is None and whole_blocks.covers(self):
            return whole_blocks.run(self, hidden, batch, adapters, first, last, labels=labels)
        rotations = self.rotations(batch.positions)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return causal_attention(q, k, v, batch, self.attention[layer])

        # packed, only what enters a block is kept for the gradient, and the block is run again for the rest
        run = recomputed(self.block) if self.packed and torch.is_grad_enabled() else self.block
        for layer in range(first, last):
            only = batch if labels and layer == last - 1 else None
            hidden = run(layer, hidden, rotations, attend, adapters, only, observe)
        return hidden

    def block(
        self,
        layer: int,
        hidden: Float[Tensor, "G T K"],
        rotations: Sequence[Rotation | None],
        attend: Attend,
        adapters: Adapters,
        labels_of: Batch | None = None,
        observe: Observe | None = None,
    ) -> Float[Tensor, "*rows K"]:
        """Run one block; ``attend`` decides what each token may look at.

        Given ``labels_of``, only that batch's label slots leave the block, shape (P, K).
        """
        cells = torch.arange(hidden.shape[0] + 1) * hidden.shape[1]

        def linears(leaves: Sequence[str], x: Tensor, own: Tensor | None = None) -> tuple[Tensor, ...]:
            if observe:
                for leaf in leaves:
                    observe(f"layers.{layer}.{leaf}", x)
            return self.linears(layer, leaves, x, adapters, cells if own is None else own)

        def network(expert: int, x: Tensor, own: Tensor) -> Tensor:
            gate_up, down = config.feed_forward_of(expert)
            gate, up = linears(gate_up, x, own)
            return linears(down, gated_unit(gate, up, config.activation, trained=self.trained), own)[0]

        config, (queries_keys_values, output) = self.config, SAME_INPUT[:2]
        x = self.normalized(f"layers.{layer}.attention_norm", hidden)
        q, k, v = linears(queries_keys_values, x)
        q, k = (turned(x, rotations[layer]) for x in (self.heads(layer, "q", q), self.heads(layer, "k", k)))
        v = self.heads(layer, "v", v)
        mixed = attend(layer, q, k, v)
        if isinstance(prefix := adapters.get(f"layers.{layer}.prefix"), Prefix):
            mixed = (mixed + self.from_prefix(layer, q, prefix)).to(mixed.dtype)
        mixed = rearrange(mixed, "(G T) H D -> G T (H D)", G=hidden.shape[0])
        if labels_of is not None:
            mixed, hidden = (take_rows(x.flatten(0, 1), labels_of.at_labels) for x in (mixed, hidden))
            cells = labels_of.label_boundaries
        (mixed,) = linears(output, mixed)
        hidden = self.add(hidden, self.normalized(f"layers.{layer}.attention_post_norm", mixed))

        x = self.normalized(f"layers.{layer}.feed_forward_norm", hidden)
        if config.experts:
            router = f"layers.{layer}.{ROUTER}"
            if observe:
                observe(router, x)
            fed = through_experts(x, self.weight(router), config.experts_used, cells, network)
        else:
            fed = network(0, x, cells)
        return self.add(hidden, self.normalized(f"layers.{layer}.feed_forward_post_norm", fed))

    def heads(self, layer: int, kind: str, x: Float[Tensor, "G T N"]) -> Float[Tensor, "slots heads D"]:
        """Cut queries, keys or values ("q", "k", "v") into heads, with the norm that they have."""
        name, size = f"layers.{layer}.{kind}_norm", self.config.head_size
        if self.config.head_norms == "projection":
            x = self.normalized(name, x)
        x = rearrange(x, "G T (heads D) -> (G T) heads D", D=size)
        return self.normalized(name, x) if self.config.head_norms == "head" else x

    def add(self, hidden: Float[Tensor, "*rows K"], more: Float[Tensor, "*rows K"]) -> Tensor:
        """Add what one half of a block makes."""
        scale = self.config.residual_scale
        return hidden + more if scale == 1 else hidden + scale * more

    def from_prefix(self, layer: int, q: Float[Tensor, "slots H D"], prefix: Prefix) -> Tensor:
        """Return what the tokens of a block take from their cell's prefix; positions don't turn its keys."""
        _, k, v = self.linears(layer, SAME_INPUT[0], prefix.prompts, {}, torch.tensor([0]))
        k, v = self.heads(layer, "k", k), rearrange(v, "G L (J D) -> (G L) J D", D=self.config.head_size)
        return attend_to_prefix(q, k, v, prefix.gate, self.config.score_scale)

    def normalize(self, name: str, x: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows K"]:
        """Scale each row to a root mean square of 1, then by the weight."""
        weight, epsilon = self.weight(name), self.config.norm_epsilon
        if self.trained:
            return functional.rms_norm(x, (x.shape[-1],), weight, epsilon)
        if self.between != self.dtype:
            return rounded_norm(x, weight, epsilon, self.between)
        return rms_norm(x, weight, epsilon)

    def normalized(self, name: str, x: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows K"]:
        """Apply a norm where the base has it."""
        return self.normalize(name, x) if name in self.weights else x

    def finish(self, hidden: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows K"]:
        """Apply the last normalization, and the logits' scale, before the head."""
        scale = self.config.logit_scale
        return self.normalize("norm", hidden) if scale == 1 else self.normalize("norm", hidden) * scale

    def head_weight(self) -> Affine | QuantizedTensor | Float[Tensor, "V K"]:
        """Return the head's weight, in the precision of its products or still packed."""
        held = self.prepared[self.head_name]
        return held.parts[0] if isinstance(held, PreparedWeight) else held

    def head(self, hidden: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows V"]:
        """Turn normalized vectors into logits, in float32 at least; give it only the rows that need them."""
        if self.trained:
            logits = einsum(hidden, self.weight(self.head_name), "... K, V K -> ... V")
        else:
            logits = head_logits(hidden, self.prepared[self.head_name], self.head_precision)
        cap = self.config.logit_softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def rotations(self, positions: Int64[Tensor, "G T"]) -> list[Rotation | None]:
        """Return each layer's cosine and sine for rotary positions, or nothing where it has none."""
        return rotations(self.config, positions.flatten(), torch.promote_types(self.dtype, torch.float32))
