"""The blocks of a decoder as one step of autograd, with the gradient written out: for processors.

What a block is says :meth:`Decoder.block`. Composed of operators it takes many small passes over memory, and
PyTorch's bookkeeping for each of them takes as long as the pass. Here the same products stand in the same
order, and what lies between two of them is done in as few passes as PyTorch has: norms write the type that
the product takes, rotations turn queries and keys where they lie, one copy gathers the heads for attention,
and slopes are added to those of the residual stream in place.

Each part returns its result and a function that takes the result's slope back to that of its input. What
such a function remembers is freed as soon as it has run. A base that has more than :func:`covers` allows runs
through :meth:`Decoder.block`.

Shape letters: G cells, T tokens in a row, M tokens of all cells, K width, N outputs, F feed-forward size, H
heads, J key-value heads, D head size.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from qlora_kernels import QuantizedTensor, grouped_torch
from qlora_kernels.products import PreparedWeight
from qlora_kernels.take_rows import add_copies
from workbench.data.batches import Batch
from workbench.models.adapted import Adapter, Adapters, Prefix, join, parted
from workbench.models.attention import Attention, mix_by_block
from workbench.models.block_parts import (
    Again,
    Back,
    NormBack,
    gain_outputs,
    gate_rows,
    kept,
    norm_rows,
    turn_heads,
    without_norm,
)
from workbench.models.decoder_config import BIASES, SAME_INPUT, DecoderConfig
from workbench.models.rotary import Rotation

PartBack = Callable[[Tensor, bool], Tensor | None]
"""The same of a part with adapters, whose gradients it notes; nothing where no more than those is wanted."""


@runtime_checkable
class DecoderParts(Protocol):
    """What these blocks take of a ``Decoder``."""

    @property
    def config(self) -> DecoderConfig:
        """Return its sizes and settings."""

    @property
    def device(self) -> torch.device:
        """Return where its weights lie."""

    @property
    def trained(self) -> bool:
        """Say whether it is itself trained."""

    @property
    def packed(self) -> bool:
        """Say whether its matrices stay packed."""

    @property
    def between(self) -> torch.dtype:
        """Return the type of what lies between products."""

    @property
    def weights(self) -> Mapping[str, Tensor | QuantizedTensor]:
        """Return its weights by name."""

    @property
    def prepared(self) -> Mapping[str, Any]:
        """Return what products take, by the first layer's name."""

    @property
    def attention(self) -> Sequence[Attention]:
        """Return how each layer mixes values."""

    def weight(self, name: str) -> Tensor:
        """Return a weight as numbers."""

    def rotations(self, positions: Int64[Tensor, "G T"]) -> list[Rotation | None]:
        """Return each layer's cosines and sines."""

    def from_prefix(self, layer: int, q: Float[Tensor, "slots H D"], prefix: Prefix) -> Tensor:
        """Return what queries take from a prefix."""


def covers(decoder: DecoderParts) -> bool:
    """Say whether these blocks have all that a base takes."""
    return (
        decoder.device.type == "cpu"
        and not decoder.trained
        and not decoder.packed
        and not decoder.config.experts
    )


def run(
    decoder: DecoderParts,
    hidden: Float[Tensor, "G T K"],
    batch: Batch,
    adapters: Adapters,
    first: int,
    last: int,
    *,
    labels: bool = False,
) -> Float[Tensor, "*rows K"]:
    """Run the blocks from ``first`` up to, without, ``last``, as :meth:`Decoder.blocks` does."""
    own = {name: one for name, one in adapters.items() if first <= _layer_of(name) < last}
    numbers = [part for one in own.values() for part in _trained(one)]
    given = any(one.requires_grad for one in (hidden, *numbers))
    graph = torch.is_grad_enabled() and given and first < last
    thinned = last - 1 if labels else None
    blocks = _Blocks(decoder, batch, decoder.rotations(batch.positions), own, thinned, graph, {})
    if graph:
        rows: Tensor = _Run.apply(blocks, first, last, hidden.flatten(0, 1), *numbers)
    else:
        rows = hidden.flatten(0, 1)
        for layer in range(first, last):
            rows, _ = blocks.block(layer, rows)
    return rows if labels else rows.view(hidden.shape)


def _layer_of(name: str) -> int:
    return int(name.split(".")[1])


def _trained(adapter: Adapter | Prefix) -> list[Tensor]:
    """Return what of an adapter gets a gradient."""
    if isinstance(adapter, Prefix):
        return list(adapter)
    return [adapter.a, adapter.b] if adapter.gain is None else [adapter.a, adapter.b, adapter.gain]


class _Run(torch.autograd.Function):
    """Blocks one after the other: hidden (M, K), and what is trained of each adapter -> hidden."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - autograd's
        blocks: "_Blocks",
        first: int,
        last: int,
        hidden: Tensor,
        *numbers: Tensor,
    ) -> Tensor:
        """Run the blocks, and keep the way back from the lowest whose input or adapters get a gradient."""
        ctx.blocks, ctx.backs, ctx.onward = blocks, [], hidden.requires_grad
        lowest = first if ctx.onward else min(map(_layer_of, blocks.adapters))
        for layer in range(first, last):
            hidden, back = blocks.block(layer, hidden, onward=ctx.onward or layer > lowest)
            if layer >= lowest:
                ctx.backs.append(back)
        return hidden

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - autograd's
        """Go back through them, freeing each on the way."""
        if not ctx.backs:
            raise RuntimeError("the way back through blocks is kept for one gradient, and was taken before")
        slope = slope.clone()  # autograd may hand the same one to others
        while ctx.backs:
            slope = ctx.backs.pop()(slope)
        found = ctx.blocks.gradients
        numbers = [part for name in ctx.blocks.adapters for part in found.pop(name)]
        return None, None, None, slope if ctx.onward else None, *numbers


class _Start(torch.autograd.Function):
    """Where a gradient ends: its graph would keep a leaf, beside the copies that attention keeps."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, rows: Tensor) -> Tensor:  # noqa: ANN401 - autograd's
        """Return the rows, as something that has a gradient."""
        return rows.view_as(rows)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[None, None]:  # noqa: ANN401 - autograd's
        """Give nothing on: who wants the slope takes it here."""
        return None, None


class _Blocks(NamedTuple):
    """What the blocks of a run share."""

    decoder: DecoderParts
    batch: Batch
    rotations: Sequence[Rotation | None]
    adapters: Adapters
    thinned: int | None
    """The block above whose attention no more than the labels' rows go on."""
    graph: bool
    """Whether there will be a way back."""
    gradients: dict[str, list[Tensor]]
    """Of what is trained of each adapter, where they have been taken."""

    def block(
        self, layer: int, hidden: Float[Tensor, "M K"], *, onward: bool = True
    ) -> tuple[Float[Tensor, "rows K"], Back]:
        """Run one block; without ``onward`` nothing below its own adapters needs a slope."""
        cells, rows = len(self.batch.tokens), len(hidden)
        segments = torch.arange(cells + 1) * (rows // cells)
        adapted = [any(f"layers.{layer}.{leaf}" in self.adapters for leaf in leaves) for leaves in SAME_INPUT]
        of_heads = onward or adapted[0]
        adapted[0] |= f"layers.{layer}.prefix" in self.adapters
        wanted = [onward or any(adapted[:place]) for place in range(len(adapted))]

        normed, back_first = self.norm(layer, "attention_norm", hidden)
        x, back_inputs = self.linears(layer, 0, normed, segments)
        heads, back_heads = self.heads(layer, x)
        mixed, back_attention = self.attention(layer, heads)
        if layer == self.thinned:
            mixed, hidden = (one.index_select(0, self.batch.label_slots) for one in (mixed, hidden))
            segments = self.batch.label_boundaries
        mixed, back_output = self.linears(layer, 1, kept(mixed), segments)
        normed, back_post = self.norm(layer, "attention_post_norm", mixed)
        middle = self.add(hidden, normed())
        normed, back_second = self.norm(layer, "feed_forward_norm", middle)
        gate_up, back_gate_up = self.linears(layer, 2, normed, segments)
        fed, back_unit = gate_rows(gate_up, self.decoder.config.activation)
        fed, back_down = self.linears(layer, 3, kept(fed), segments)
        normed, back_second_post = self.norm(layer, "feed_forward_post_norm", fed)

        def back(slope: Tensor) -> Tensor:
            own = back_down(back_second_post(self.branch(slope), None), wanted[3])
            own = None if own is None else back_gate_up(back_unit(own), wanted[2])
            if own is None:
                return slope
            slope = back_second(own, slope)
            own = back_output(back_post(self.branch(slope), None), wanted[1])
            if own is None:
                return slope
            if layer == self.thinned:
                own, slope = (add_copies(one, self.batch.label_slots, rows) for one in (own, slope))
            own = back_attention(own, of_heads)
            own = None if own is None else back_inputs(back_heads(own), wanted[0])
            return slope if own is None else back_first(own, slope)

        return self.add(middle, normed()), back

    def add(self, hidden: Tensor, more: Tensor) -> Tensor:
        """Add what one half of a block makes to the residual stream."""
        return torch.add(hidden, more, alpha=self.decoder.config.residual_scale)

    def branch(self, slope: Tensor) -> Tensor:
        """Return the slope of what was added, in the type between products."""
        scale = self.decoder.config.residual_scale
        return (slope if scale == 1 else slope * scale).to(self.decoder.between)

    def norm(self, layer: int, name: str, x: Float[Tensor, "rows K"]) -> tuple[Again, NormBack]:
        """Normalize rows, where the base has that norm, into the type between products."""
        weight = self.decoder.weights.get(f"layers.{layer}.{name}")
        if weight is None:
            return kept(x.to(self.decoder.between)), without_norm
        assert isinstance(weight, Tensor), "norms are numbers"
        return norm_rows(x, weight, self.decoder.config.norm_epsilon, self.decoder.between)

    def linears(
        self, layer: int, place: int, given: Again, segments: Int64[Tensor, " boundaries"]
    ) -> tuple[Float[Tensor, "rows N"], PartBack]:
        """Apply the linear layers ``SAME_INPUT[place]``, as one, with their adapters."""
        decoder, leaves, x = self.decoder, SAME_INPUT[place], given()
        names = [f"layers.{layer}.{leaf}" for leaf in leaves]
        outputs = [decoder.weights[name].shape[0] for name in names]
        own = [one if isinstance(one := self.adapters.get(name), Adapter) else None for name in names]
        held, joined = decoder.prepared[names[0]], join(own, outputs)
        assert isinstance(held, PreparedWeight), "covers() refuses the others"
        a = b = s = None
        scale = x.new_empty(0)
        if joined is not None:
            a, b, scale = joined.a.to(x.dtype), joined.b.to(x.dtype), joined.scale
            s = grouped_torch.shrink(x, a, segments)
        y = grouped_torch.forward(x, held.parts, s, b, scale, segments)
        back_gains = []
        for leaf, one, part in zip(leaves, own, y.split(outputs, dim=1), strict=True):
            back_gains.append(
                None if one is None or one.gain is None else gain_outputs(part, one.gain, segments)
            )
            if leaf in decoder.config.biases:
                part.add_(decoder.weight(f"layers.{layer}.{BIASES[leaf]}"))

        def back(dy: Tensor, onward: bool) -> Tensor | None:
            if any(back_gains):
                dy = dy.clone()  # it may be the residual stream's
            parts = zip(back_gains, dy.split(outputs, dim=1), strict=True)
            dgains = [back_gain and back_gain(part) for back_gain, part in parts]
            ds = None
            if a is not None and b is not None and s is not None:
                ds, db = grouped_torch.output_gradients(dy, b, s, scale, segments)
                da = grouped_torch.shrink_gradient(ds, given(), segments)
                both = parted(own, outputs, da, db)
                for name, one, (of_a, of_b), dgain in zip(names, own, both, dgains, strict=True):
                    if one is not None:
                        found = [of_a, of_b] if dgain is None else [of_a, of_b, dgain]
                        self.gradients[name] = [slope.to(one.a.dtype) for slope in found]
            return grouped_torch.input_gradient(dy, held.parts, ds, a, segments) if onward else None

        return y, back

    def heads(self, layer: int, x: Float[Tensor, "M N"]) -> tuple[Float[Tensor, "M heads D"], Back]:
        """Cut queries, keys and values into heads, normalize and turn the first two, where they lie."""
        config = self.decoder.config
        heads, both = x.view(len(x), -1, config.head_size), config.heads + config.kv_heads
        normed: list[tuple[slice, int, NormBack]] = []
        for name, cut in (("q_norm", slice(config.heads)), ("k_norm", slice(config.heads, both))):
            weight = self.decoder.weights.get(f"layers.{layer}.{name}")
            if isinstance(weight, Tensor):
                part = heads[:, cut]
                rows = part.clone().view(-1, len(weight))
                normed_rows, back_norm = norm_rows(rows, weight, config.norm_epsilon, x.dtype)
                part.copy_(normed_rows().view(part.shape))
                normed.append((cut, len(weight), back_norm))
        rotation = self.rotations[layer]
        if rotation is not None:
            turn_heads(heads[:, :both], *rotation)

        def back(slope: Tensor) -> Tensor:
            if rotation is not None:
                turn_heads(slope[:, :both], rotation[0], -rotation[1])
            for cut, width, back_norm in normed:
                part = slope[:, cut]
                part.copy_(back_norm(part.reshape(-1, width), None).view(part.shape))
            return slope.flatten(1)

        return heads, back

    def attention(
        self, layer: int, heads: Float[Tensor, "M heads D"]
    ) -> tuple[Float[Tensor, "M N"], PartBack]:
        """Let tokens look at those before them; autograd finds the way back through each example."""
        config, batch, count = self.decoder.config, self.batch, len(heads)
        taken = heads.index_select(0, batch.in_blocks.index)
        with torch.set_grad_enabled(self.graph):
            if self.graph:
                taken = _Start.apply(torch.zeros((), requires_grad=True), taken)
            q, k, v = taken.split((config.heads, config.kv_heads, config.kv_heads), dim=1)
            by_block = mix_by_block(q, k, v, batch, self.decoder.attention[layer])
        # places in the graph: the numbers are kept by whoever needs them
        ends = [get_gradient_edge(one) for one in (by_block, taken)] if self.graph else []
        laid_out = len(taken)
        mixed = by_block.detach().index_select(0, batch.out_of_blocks.index)
        back_prefix = None
        if isinstance(prefix := self.adapters.get(f"layers.{layer}.prefix"), Prefix):
            mixed, back_prefix = self.with_prefix(layer, heads[:, : config.heads], prefix, mixed)

        def back(slope: Tensor, onward: bool) -> Tensor | None:
            slope = slope.view(mixed.shape)
            of_queries = None if back_prefix is None else back_prefix(slope, onward)
            if not onward:
                return None
            padded = add_copies(slope, batch.out_of_blocks.index, laid_out)
            (own,) = torch.autograd.grad(ends[:1], ends[1:], padded)
            own = add_copies(own, batch.in_blocks.index, count)
            if of_queries is not None:
                own[:, : config.heads] += of_queries
            return own

        return mixed.flatten(1), back

    def with_prefix(
        self, layer: int, queries: Float[Tensor, "M H D"], prefix: Prefix, mixed: Float[Tensor, "M H D"]
    ) -> tuple[Float[Tensor, "M H D"], PartBack]:
        """Add what queries take from their cell's prefix; autograd finds the way back to both."""
        queries, *given = (one.detach().requires_grad_(self.graph) for one in (queries.contiguous(), *prefix))
        with torch.set_grad_enabled(self.graph):
            more = self.decoder.from_prefix(layer, queries, Prefix(*given))

        def back(slope: Tensor, onward: bool) -> Tensor | None:
            found = torch.autograd.grad(more, [*given, queries][: len(given) + onward], slope.to(more.dtype))
            self.gradients[f"layers.{layer}.prefix"] = list(found[: len(given)])
            return found[-1] if onward else None

        return (mixed + more.detach()).to(mixed.dtype), back
