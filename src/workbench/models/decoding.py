"""The blocks for one new token of each prompt, as few calls as they take: what :mod:`generation` steps with.

With one row there is little to multiply, and what stands between the products decides the speed. So all that
is the same in every step is made once a generation: which numbers each product takes, the adapters of layers
with the same input as one, the cosines of all positions. A step then goes through the blocks without checks,
gradients or copies of the cache. It computes what ``Decoder.block`` computes, in the same order of roundings;
a test holds both to the same bits. Where the base has four bits a weight, long generations of few prompts
multiply with these, which errs as much as bfloat16 does, and otherwise: their last bits are others. What a
base or an adapter has that isn't here takes ``Decoder.block``.

Shape letters: G cells, E prompts (all cells'), K inputs, N outputs, R rank, H heads, J key-value heads,
S tokens so far, D head size, P positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from qlora_kernels import QuantizedTensor
from qlora_kernels.few_rows import FOUR_BITS_UP_TO, FewRows, FourBitWeight, OrderedWeight
from qlora_kernels.products import PreparedWeight, product
from workbench import memory
from workbench.models.adapted import Adapter, Adapters, join
from workbench.models.attention import Attention
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import BIASES, SAME_INPUT, DecoderConfig
from workbench.models.holding import SPARE_BYTES

LONG_FROM = 24
"""Steps from which on the base is copied into the form that few rows are multiplied with fastest. Two cores
need 0.2 s for copies of SmolLM2-135M, and then 12 ms a token instead of 29."""
AS_FAR_OFF = 0.02
"""How far products in four bits may be from those with the base in bfloat16, as a share of their size."""
LINEARS_OF_PLAN = ("inputs", "output", "gate_up", "down")
""":class:`BlockPlan`'s fields for linear layers."""


class KeyValueCache:
    """Keys and values of every layer and prompt, each prompt's from position 0 on."""

    def __init__(self, decoder: Decoder, prompts: int, tokens: int) -> None:
        """Set memory aside for ``tokens`` tokens of each prompt."""
        config, heads = decoder.config, decoder.config.kv_heads
        shape = (config.layers, prompts, tokens, 2 * heads, config.head_size)
        self.pairs = torch.zeros(shape, dtype=decoder.between, device=decoder.device)
        """Keys, then values, of a token one after the other: (layers, E, S, 2 J, D)."""
        self.keys, self.values = self.pairs[..., :heads, :], self.pairs[..., heads:, :]


@dataclass(frozen=True, eq=False, slots=True)
class JoinedLinear:
    """Linear layers with the same input, and all that is added to them."""

    names: tuple[str, ...]
    """Of the base's weights."""
    base: tuple[Tensor, ...]
    """They as one, as ``products.product`` takes it."""
    a: Float[Tensor, "G K R"] | None
    b: Float[Tensor, "G R N"] | None
    scale: Float[Tensor, "G 1 1"] | None
    gain: Float[Tensor, "E N"] | None
    """Under DoRA, each prompt's."""
    bias: Float[Tensor, " N"] | None
    few_rows: FewRows | None = None
    """The base once more, in the form that few rows are multiplied with fastest."""

    @classmethod
    def of(
        cls, decoder: Decoder, layer: int, leaves: Sequence[str], adapters: Adapters, per_cell: int
    ) -> "JoinedLinear":
        """Collect what the layers ``leaves`` of a block take; each cell has ``per_cell`` prompts."""
        names = [f"layers.{layer}.{leaf}" for leaf in leaves]
        sizes = [decoder.weights[name].shape[0] for name in names]
        own = [one if isinstance(one := adapters.get(name), Adapter) else None for name in names]
        weight, adapter = decoder.prepared[names[0]], join(own, sizes)
        assert isinstance(weight, PreparedWeight), "fits() refuses the others"
        a = b = scale = gain = bias = None
        if adapter is not None:
            a, b = adapter.a.detach().mT, adapter.b.detach().mT
            scale = adapter.scale.to(a.dtype)[:, None, None]
            gains = [None if one is None else one.gain for one in own]
            if any(one is not None for one in gains):
                ones = [a.new_ones(len(a), size) for size in sizes]
                both = zip(gains, ones, strict=True)
                filled = torch.cat([one if its is None else its for its, one in both], dim=1)
                gain = filled.detach().repeat_interleave(per_cell, dim=0)
        biases = [
            decoder.weight(f"layers.{layer}.{BIASES[leaf]}") if leaf in decoder.config.biases else None
            for leaf in leaves
        ]
        if any(one is not None for one in biases):
            filled_in = zip(biases, sizes, strict=True)
            zeros = decoder.weight("norm").new_zeros
            bias = torch.cat([zeros(size) if one is None else one for one, size in filled_in])
        return cls(tuple(names), weight.parts, a, b, scale, gain, bias)

    def __call__(self, x: Float[Tensor, "E K"]) -> Float[Tensor, "E N"]:
        """Apply the layers; their outputs lie side by side."""
        y = self.product(x)
        if self.a is not None and self.b is not None and self.scale is not None:
            if len(self.a) == 1:
                y.addmm_((x @ self.a[0]).mul_(self.scale[0]), self.b[0])
            else:
                rows = x.view(len(self.a), -1, x.shape[1])
                y.view(len(self.a), -1, y.shape[1]).baddbmm_(torch.bmm(rows, self.a).mul_(self.scale), self.b)
            if self.gain is not None:
                y.mul_(self.gain)
        return y if self.bias is None else y.add_(self.bias)

    def product(self, x: Float[Tensor, "E K"]) -> Float[Tensor, "E N"]:
        """Multiply with the base alone."""
        return product(x, self.base) if self.few_rows is None else self.few_rows(x)

    def for_few(self, decoder: Decoder, rows: int, exact: bool) -> "JoinedLinear":
        """Return it with the form of its base that is fastest for so many rows; as it is if it has none."""
        made: FewRows | None = None
        if rows <= FOUR_BITS_UP_TO and not exact:
            weights = [decoder.weights[name] for name in self.names]
            packed = [one for one in weights if isinstance(one, QuantizedTensor)]
            if self.names not in decoder.four_bits and len(packed) == len(weights):
                decoder.four_bits[self.names] = FourBitWeight.of([one.affine() for one in packed])
            made = decoder.four_bits.get(self.names)
        return replace(self, few_rows=made or OrderedWeight.of(self.base[0], rows))

    def agrees(self, rows: int) -> bool:
        """Say whether its form for few rows gives on this machine what its base does."""
        if self.few_rows is None:
            return True
        x = torch.randn(rows, self.base[0].shape[1], generator=torch.Generator().manual_seed(0))
        given, right = self.few_rows(x), product(x, self.base)
        if self.few_rows.exact:
            return torch.equal(given, right)
        return bool((given - right).norm() <= AS_FAR_OFF * right.norm())


@dataclass(frozen=True, eq=False, slots=True)
class BlockPlan:
    """What one block takes; a norm that it doesn't have is None."""

    inputs: JoinedLinear
    """Queries, keys and values."""
    output: JoinedLinear
    gate_up: JoinedLinear
    down: JoinedLinear
    attention_norm: Tensor | None
    attention_post_norm: Tensor | None
    feed_forward_norm: Tensor | None
    feed_forward_post_norm: Tensor | None
    q_norm: Tensor | None
    k_norm: Tensor | None
    attention: Attention
    turned_by: int | None
    """Which of the distinct tables of cosines; None where positions turn nothing."""
    pairs: Float[Tensor, "E S heads D"]
    keys: Float[Tensor, "E J S D"]
    values: Float[Tensor, "E J S D"]


def fits(decoder: Decoder, adapters: Adapters) -> bool:
    """Say whether :class:`Steps` has all that this base and these adapters take."""
    return (
        decoder.device.type == "cpu"
        and not decoder.trained
        and not decoder.packed
        and not decoder.config.experts
        and decoder.dtype in (torch.float32, torch.float64)
        and decoder.between == decoder.dtype
        and all(isinstance(one, Adapter) for one in adapters.values())
    )


class Steps:
    """Steps of one token for each prompt of a generation."""

    def __init__(
        self,
        decoder: Decoder,
        cache: KeyValueCache,
        adapters: Adapters,
        cells: int,
        steps: int = 0,
        *,
        exact: bool = False,
    ) -> None:
        """Make what is the same in all steps; the adapters must not change after that.

        ``steps`` is how many will be made at most: it decides whether what speeds them up is worth making.
        With ``exact`` only what leaves the bits as they are is made.
        """
        prompts, tokens = cache.pairs.shape[1:3]
        self.decoder, self.config = decoder, decoder.config
        self.prompts = torch.arange(prompts)
        self.places = torch.arange(tokens)
        # cosines and signed sines of all positions, a table for all layers that turn alike
        self.tables: list[tuple[Tensor, Tensor]] = []
        tables: dict[int, int] = {}
        rotations = decoder.rotations(self.places[None])
        for rotation in rotations:
            if rotation is not None and id(rotation[0]) not in tables:
                tables[id(rotation[0])] = len(self.tables)
                self.tables.append(_table(*rotation, decoder.config, decoder.dtype))
        self.features = decoder.config.rope_features or decoder.config.head_size
        self.blocks = [
            self._plan(layer, cache, adapters, prompts // cells, None if by is None else tables[id(by[0])])
            for layer, by in enumerate(rotations)
        ]

        head = decoder.prepared[decoder.head_name]
        assert isinstance(head, PreparedWeight), "fits() refuses the others"
        self.head = JoinedLinear((decoder.head_name,), head.parts, None, None, None, None, None)
        if steps >= LONG_FROM and self._has_room():
            self._copy_for_few(prompts, exact)

    def _has_room(self) -> bool:
        """Say whether the base is in bfloat16, and memory has room for it once more."""
        first = [*(getattr(self.blocks[0], name) for name in LINEARS_OF_PLAN), self.head]
        taken = sum(one.base[0].nbytes for one in first[:-1]) * len(self.blocks) + self.head.base[0].nbytes
        in_bfloat16 = all(one.base[0].dtype == torch.bfloat16 for one in first)
        return in_bfloat16 and taken + SPARE_BYTES <= memory.free_bytes()

    def _copy_for_few(self, rows: int, exact: bool) -> None:
        """Copy the base for products of few rows, unless copies of the first block give something else."""
        blocks: list[BlockPlan] = []
        for block in self.blocks:
            linears = {
                name: getattr(block, name).for_few(self.decoder, rows, exact) for name in LINEARS_OF_PLAN
            }
            if not blocks and not all(one.agrees(rows) for one in linears.values()):
                return
            blocks.append(replace(block, **linears))
        head = self.head.for_few(self.decoder, rows, exact)
        if head.agrees(rows):
            self.blocks, self.head = blocks, head

    def _plan(
        self, layer: int, cache: KeyValueCache, adapters: Adapters, per_cell: int, turned_by: int | None
    ) -> BlockPlan:
        decoder = self.decoder

        def norm(name: str) -> Tensor | None:
            full = f"layers.{layer}.{name}"
            return decoder.weight(full) if full in decoder.weights else None

        inputs, output, gate_up, down = (
            JoinedLinear.of(decoder, layer, leaves, adapters, per_cell) for leaves in SAME_INPUT
        )
        return BlockPlan(
            inputs,
            output,
            gate_up,
            down,
            norm("attention_norm"),
            norm("attention_post_norm"),
            norm("feed_forward_norm"),
            norm("feed_forward_post_norm"),
            norm("q_norm"),
            norm("k_norm"),
            decoder.attention[layer],
            turned_by,
            cache.pairs[layer],
            cache.keys[layer].transpose(1, 2),
            cache.values[layer].transpose(1, 2),
        )

    def __call__(self, token: Int64[Tensor, " E"], positions: Int64[Tensor, " E"]) -> Float[Tensor, "E V"]:
        """Read one token of each prompt, at its position, and keep it; returns the logits of what follows."""
        hidden = self.decoder.embed(token[None])[0]
        upto = int(positions.max()) + 1
        together = upto - 1 if int(positions.min()) == upto - 1 else None
        turns = [(cosine[positions], sine[positions]) for cosine, sine in self.tables]
        masks: dict[int | None, Tensor] = {}
        for block in self.blocks:
            window = block.attention.window
            if window not in masks:
                masks[window] = block.attention.visible(positions[:, None], self.places[:upto])
            hidden = self._block(block, hidden, turns, positions, upto, together, masks[window])
        logits, cap = self.head.product(self.decoder.finish(hidden)), self.config.logit_softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def _block(
        self,
        block: BlockPlan,
        hidden: Tensor,
        turns: Sequence[tuple[Tensor, Tensor]],
        positions: Tensor,
        upto: int,
        together: int | None,
        visible: Tensor,
    ) -> Tensor:
        config, rows = self.config, len(hidden)
        x = self._normed(hidden, block.attention_norm)
        heads = self._heads(block, block.inputs(x))
        queries = config.heads
        if block.turned_by is not None:
            turned = heads[:, : queries + config.kv_heads]
            turned.copy_(self._turned(turned, *turns[block.turned_by]))
        if together is None:
            block.pairs[self.prompts, positions] = heads[:, queries:]
        else:
            block.pairs[:, together].copy_(heads[:, queries:])
        mixed = block.attention.mix(
            heads[:, :queries, None], block.keys[:, :, :upto], block.values[:, :, :upto], visible
        )
        mixed = block.output(mixed.reshape(rows, -1))
        hidden = self._added(hidden, self._normed(mixed, block.attention_post_norm))
        x = self._normed(hidden, block.feed_forward_norm)
        gate, up = block.gate_up(x).chunk(2, dim=-1)
        if config.activation == "gelu":
            fed = functional.gelu(gate, approximate="tanh") * up
        else:
            fed = functional.silu(gate) * up
        return self._added(hidden, self._normed(block.down(fed), block.feed_forward_post_norm))

    def _heads(self, block: BlockPlan, x: Float[Tensor, "E N"]) -> Float[Tensor, "E heads D"]:
        """Cut queries, keys and values into heads, with the norms that they have."""
        config = self.config
        heads = x.view(len(x), -1, config.head_size)
        for weight, first, count in (
            (block.q_norm, 0, config.heads),
            (block.k_norm, config.heads, config.kv_heads),
        ):
            if weight is not None:
                part = heads[:, first : first + count]
                flat = part.reshape(-1, len(weight))
                part.copy_(self._normed(flat, weight).view(part.shape))
        return heads

    def _turned(
        self, x: Float[Tensor, "E heads D"], cosine: Float[Tensor, "E 1 D"], sine: Float[Tensor, "E 1 D"]
    ) -> Float[Tensor, "E heads D"]:
        """Turn pairs of features: each times the cosine, its partner times the signed sine."""
        size = self.features
        partner = x[..., :size].roll(size // 2, -1)
        if size != x.shape[-1]:
            partner = torch.cat([partner, x[..., size:]], dim=-1)
        return (x * cosine).add_(partner.mul_(sine))

    def _normed(self, x: Tensor, weight: Tensor | None) -> Tensor:
        if weight is None:
            return x
        inverse = torch.linalg.vecdot(x, x).div_(x.shape[1]).add_(self.config.norm_epsilon).rsqrt_()
        return (x * inverse[:, None]).mul_(weight)

    def _added(self, hidden: Tensor, more: Tensor) -> Tensor:
        scale = self.config.residual_scale
        return hidden + more if scale == 1 else hidden + scale * more


def _table(cosine: Tensor, sine: Tensor, config: DecoderConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Spread the cosines and signed sines of pairs over the features of a head, each (P, 1, D)."""
    rest = config.head_size - 2 * cosine.shape[1]
    whole = torch.cat([cosine, cosine, cosine.new_ones(len(cosine), rest)], dim=1)
    signed = torch.cat([-sine, sine, sine.new_zeros(len(sine), rest)], dim=1)
    return whole.to(dtype)[:, None], signed.to(dtype)[:, None]
