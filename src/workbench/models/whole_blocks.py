"""The blocks of a decoder as one step of autograd, with the gradient written out: for processors.

What a block is says :meth:`Decoder.block`. Composed of operators it takes many small passes over memory, and
PyTorch's bookkeeping for each of them takes as long as the pass. Here the same products stand in the same
order, and what lies between two of them is done in as few passes as PyTorch has: norms write the type that
the product takes, rotations turn queries and keys where they lie, one copy gathers the heads for attention,
and slopes are added to those of the residual stream in place.

Each part returns its result and a function that takes the result's slope back to that of its input. What
such a function remembers is freed as soon as it has run. A base that has more than :func:`fits` allows runs
through :meth:`Decoder.block`.

Shape letters: G cells, T tokens in a row, M tokens of all cells, K width, N outputs, F feed-forward size, H
heads, J key-value heads, D head size.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional

from qlora_kernels import grouped_torch
from qlora_kernels.products import PreparedWeight
from qlora_kernels.rows import widened
from workbench.data.batches import Batch
from workbench.models.adapted import Adapter, Adapters, Prefix, join, parted
from workbench.models.attention import mix_by_block
from workbench.models.decoder_config import BIASES, SAME_INPUT
from workbench.models.rotary import Rotation

if TYPE_CHECKING:
    from workbench.models.decoder import Decoder

Back = Callable[[Tensor], Tensor]
"""Slope of a result -> slope of what it was made of. It may write into what it is given."""
NormBack = Callable[[Tensor, Tensor | None], Tensor]
"""The same of a norm; given a second slope, that of the residual stream, it is added to that one in place."""
PartBack = Callable[[Tensor, bool], Tensor | None]
"""The same of a part with adapters, whose gradients it notes; nothing where no more than those is wanted."""


def fits(decoder: "Decoder") -> bool:
    """Say whether these blocks have all that a base takes."""
    return (
        decoder.device.type == "cpu"
        and not decoder.trained
        and not decoder.packed
        and not decoder.config.experts
    )


def run(
    decoder: "Decoder",
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
    blocks = _Blocks(decoder, batch, decoder.rotations(batch.positions), own, labels, graph, {})
    if graph:
        rows: Tensor = _Run.apply(blocks, first, last, hidden.flatten(0, 1), *numbers)
    else:
        rows = hidden.flatten(0, 1)
        for layer in range(first, last):
            rows, _ = blocks.block(layer, rows, only_labels=labels and layer == last - 1)
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
            only = blocks.labels and layer == last - 1
            onward = ctx.onward or layer > lowest
            hidden, back = blocks.block(layer, hidden, only_labels=only, onward=onward)
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


class _Blocks(NamedTuple):
    """What the blocks of a run share."""

    decoder: "Decoder"
    batch: Batch
    rotations: Sequence[Rotation | None]
    adapters: Adapters
    labels: bool
    graph: bool
    """Whether there will be a way back."""
    gradients: dict[str, list[Tensor]]
    """Of what is trained of each adapter, where they have been taken."""

    def block(
        self, layer: int, hidden: Float[Tensor, "M K"], *, only_labels: bool, onward: bool = True
    ) -> tuple[Float[Tensor, "rows K"], Back]:
        """Run one block; without ``onward`` nothing below its own adapters needs a slope."""
        cells, rows = len(self.batch.tokens), len(hidden)
        segments = torch.arange(cells + 1) * (rows // cells)
        adapted = [any(f"layers.{layer}.{leaf}" in self.adapters for leaf in leaves) for leaves in SAME_INPUT]
        of_heads = onward or adapted[0]
        adapted[0] |= f"layers.{layer}.prefix" in self.adapters
        wanted = [onward or any(adapted[:place]) for place in range(len(adapted))]

        x, back_first = self.norm(layer, "attention_norm", hidden)
        x, back_inputs = self.linears(layer, 0, x, segments)
        heads, back_heads = self.heads(layer, x)
        mixed, back_attention = self.attention(layer, heads)
        if only_labels:
            mixed, hidden = (one.index_select(0, self.batch.label_slots) for one in (mixed, hidden))
            segments = self.batch.label_boundaries
        mixed, back_output = self.linears(layer, 1, mixed, segments)
        mixed, back_post = self.norm(layer, "attention_post_norm", mixed)
        middle = self.add(hidden, mixed)
        x, back_second = self.norm(layer, "feed_forward_norm", middle)
        gate_up, back_gate_up = self.linears(layer, 2, x, segments)
        fed, back_unit = _unit(gate_up, self.decoder.config.activation)
        fed, back_down = self.linears(layer, 3, fed, segments)
        fed, back_second_post = self.norm(layer, "feed_forward_post_norm", fed)

        def back(slope: Tensor) -> Tensor:
            own = back_down(back_second_post(self.branch(slope), None), wanted[3])
            own = None if own is None else back_gate_up(back_unit(own), wanted[2])
            if own is None:
                return slope
            slope = back_second(own, slope)
            own = back_output(back_post(self.branch(slope), None), wanted[1])
            if own is None:
                return slope
            if only_labels:
                own, slope = (_placed(one, self.batch.label_slots, rows) for one in (own, slope))
            own = back_attention(own, of_heads)
            own = None if own is None else back_inputs(back_heads(own), wanted[0])
            return slope if own is None else back_first(own, slope)

        return self.add(middle, fed), back

    def add(self, hidden: Tensor, more: Tensor) -> Tensor:
        """Add what one half of a block makes to the residual stream."""
        return torch.add(hidden, more, alpha=self.decoder.config.residual_scale)

    def branch(self, slope: Tensor) -> Tensor:
        """Return the slope of what was added, in the type between products."""
        scale = self.decoder.config.residual_scale
        return (slope if scale == 1 else slope * scale).to(self.decoder.between)

    def norm(self, layer: int, name: str, x: Float[Tensor, "rows K"]) -> tuple[Tensor, NormBack]:
        """Normalize rows, where the base has that norm, into the type between products."""
        weight = self.decoder.weights.get(f"layers.{layer}.{name}")
        if weight is None:
            return x.to(self.decoder.between), _without_norm
        assert isinstance(weight, Tensor), "norms are numbers"
        return _norm(x, weight, self.decoder.config.norm_epsilon, self.decoder.between)

    def linears(
        self, layer: int, place: int, x: Float[Tensor, "rows K"], segments: Int64[Tensor, " boundaries"]
    ) -> tuple[Float[Tensor, "rows N"], PartBack]:
        """Apply the linear layers ``SAME_INPUT[place]``, as one, with their adapters."""
        decoder, leaves = self.decoder, SAME_INPUT[place]
        names = [f"layers.{layer}.{leaf}" for leaf in leaves]
        outputs = [decoder.weights[name].shape[0] for name in names]
        own = [one if isinstance(one := self.adapters.get(name), Adapter) else None for name in names]
        held, joined = decoder.prepared[names[0]], join(own, outputs)
        assert isinstance(held, PreparedWeight), "fits() refuses the others"
        a = b = s = None
        scale = x.new_empty(0)
        if joined is not None:
            a, b, scale = joined.a.to(x.dtype), joined.b.to(x.dtype), joined.scale
            s = grouped_torch.shrink(x, a, segments)
        y = grouped_torch.forward(x, held.parts, s, b, scale, segments)
        back_gains = []
        for leaf, one, part in zip(leaves, own, y.split(outputs, dim=1), strict=True):
            back_gains.append(None if one is None or one.gain is None else _gained(part, one.gain, segments))
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
                da = grouped_torch.shrink_gradient(ds, x, segments)
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
                y, back_norm = _norm(rows, weight, config.norm_epsilon, x.dtype)
                part.copy_(y.view(part.shape))
                normed.append((cut, len(weight), back_norm))
        rotation = self.rotations[layer]
        if rotation is not None:
            _turn(heads[:, :both], *rotation)

        def back(slope: Tensor) -> Tensor:
            if rotation is not None:
                _turn(slope[:, :both], rotation[0], -rotation[1])
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
        taken = heads.index_select(0, batch.in_blocks.index).requires_grad_(self.graph)
        with torch.set_grad_enabled(self.graph):
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
            padded = _placed(slope, batch.out_of_blocks.index, laid_out)
            (own,) = torch.autograd.grad(ends[:1], ends[1:], padded)
            own = _placed(own, batch.in_blocks.index, count)
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


def _norm(
    x: Float[Tensor, "rows K"], weight: Float[Tensor, " K"], epsilon: float, dtype: torch.dtype
) -> tuple[Float[Tensor, "rows K"], NormBack]:
    """Compute ``rms_norm_reference`` with sums in float32 at least, and the result in ``dtype``.

    With n = x / rms: dx = (w dy - n mean(w dy n)) / rms.
    """
    wide, weight = widened(x), widened(weight)
    inverse = torch.linalg.vecdot(wide, wide).div_(wide.shape[1]).add_(epsilon).rsqrt_()[:, None]
    normed = wide * inverse
    y = (
        normed.mul_(weight)
        if dtype == normed.dtype
        else torch.mul(normed, weight, out=normed.new_empty(normed.shape, dtype=dtype))
    )

    def back(dy: Tensor, residual: Tensor | None) -> Tensor:
        scaled = dy * weight
        along = torch.linalg.vecdot(scaled, wide)[:, None].mul_(inverse.pow(3)).div_(-wide.shape[1])
        if residual is None:
            return scaled.mul_(inverse).addcmul_(wide, along).to(x.dtype)
        return residual.addcmul_(scaled, inverse).addcmul_(wide, along)

    return y, back


def _without_norm(dy: Tensor, residual: Tensor | None) -> Tensor:
    return dy if residual is None else residual.add_(dy)


def _gained(
    part: Float[Tensor, "rows N"], gain: Float[Tensor, "G N"], segments: Int64[Tensor, " boundaries"]
) -> Callable[[Tensor], Float[Tensor, "G N"]]:
    """Multiply outputs by their cell's gains where they lie; returns the same way back, that of the gains."""
    cell = torch.repeat_interleave(segments.diff())
    rows, before = gain.index_select(0, cell), part.clone()
    part.mul_(rows)

    def back(dy: Tensor) -> Tensor:
        dgain = gain.new_zeros(gain.shape).index_add_(0, cell, (widened(dy) * before).to(gain.dtype))
        dy.mul_(rows)
        return dgain

    return back


def _unit(gate_up: Float[Tensor, "rows both"], activation: str) -> tuple[Float[Tensor, "rows F"], Back]:
    """Let the second half through as far as the first opens, in float32 at least.

    With s = sigmoid(gate) and SwiGLU: dgate = dy up (s + gate s (1 - s))  and  dup = dy gate s.
    """
    gate, up = widened(gate_up).chunk(2, dim=1)
    opened = functional.silu(gate) if activation == "silu" else functional.gelu(gate, approximate="tanh")
    fed = opened.mul_(up).to(gate_up.dtype)

    def back(dy: Tensor) -> Tensor:
        slopes = torch.empty_like(gate_up)
        dgate, dup = slopes.chunk(2, dim=1)
        gate, up = widened(gate_up).chunk(2, dim=1)
        dy = widened(dy)
        if activation == "silu":
            share = torch.sigmoid(gate)
            opened = gate * share
            slope = torch.addcmul(share, opened, share, value=-1).add_(opened)
            dgate.copy_(slope.mul_(dy).mul_(up))
        else:
            opened = functional.gelu(gate, approximate="tanh")
            dgate.copy_(torch.ops.aten.gelu_backward(dy * up, gate, approximate="tanh"))
        dup.copy_(opened.mul_(dy))
        return slopes

    return fed, back


def _turn(
    x: Float[Tensor, "M heads D"], cosine: Float[Tensor, "M half"], sine: Float[Tensor, "M half"]
) -> None:
    """Turn the first features of each head where they lie, as ``rope`` does in its layout "half_split"."""
    part = x[..., : 2 * cosine.shape[1]]
    wide, cosine, sine = part.to(cosine.dtype), cosine[:, None], sine[:, None]
    first, second = wide.chunk(2, dim=-1)
    across = first * sine
    first.mul_(cosine).addcmul_(second, sine, value=-1)
    second.mul_(cosine).add_(across)
    if wide is not part:
        part.copy_(wide)


def _placed(
    rows: Float[Tensor, "P *rest"], slots: Int64[Tensor, " P"], count: int
) -> Float[Tensor, "M *rest"]:
    """Put the slopes of taken rows back; those of one row are added, in float32 at least."""
    wide = widened(rows)
    return wide.new_zeros(count, *rows.shape[1:]).index_add_(0, slots, wide).to(rows.dtype)
