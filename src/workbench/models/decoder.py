"""The decoder of the LLaMA family: RMSNorm, rotary positions, grouped-query attention, SwiGLU.

The base is frozen and may be quantized; what is trained comes from outside as ``adapters``, one
function for each linear layer that carries one. Every layer runs on a stack of G cells at once.

Shape letters: G cells, T tokens in a row, K inputs, N outputs, H heads, J key-value heads, D head size,
E examples, S tokens of the longest example, V vocabulary, P labels.

Source: Touvron et al., "LLaMA", arXiv:2302.13971, and the papers that it names for each part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from qlora_kernels import QuantizedTensor
from workbench.config import LINEARS
from workbench.data.batches import Batch

Adapters = Mapping[str, Callable[[Tensor], Tensor]]
"""What is added to a linear layer's output: layer name -> (input -> update)."""

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, queries, keys, values), each "slots heads D" -> mixed values, "slots H D"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """The sizes of a decoder; weights in half-split ("rotate half") rotary layout."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5
    context: int = 2048
    """Longest example, in tokens."""

    def linear_shape(self, leaf: str) -> tuple[int, int]:
        """Return (outputs, inputs) of the linear layer named ``leaf``, such as "q_proj"."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        return {
            "q_proj": (queries, self.width),
            "k_proj": (keys, self.width),
            "v_proj": (keys, self.width),
            "o_proj": (self.width, queries),
            "gate_proj": (self.feed_forward, self.width),
            "up_proj": (self.feed_forward, self.width),
            "down_proj": (self.width, self.feed_forward),
        }[leaf]

    def shapes(self, *, tied: bool = True) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight by its name; ``tied`` leaves out the head."""
        shapes: dict[str, tuple[int, ...]] = {"embedding": (self.vocabulary, self.width)}
        for layer in range(self.layers):
            shapes[f"layers.{layer}.attention_norm"] = (self.width,)
            shapes[f"layers.{layer}.feed_forward_norm"] = (self.width,)
            shapes |= {f"layers.{layer}.{leaf}": self.linear_shape(leaf) for leaf in LINEARS}
        shapes["norm"] = (self.width,)
        return shapes if tied else {**shapes, "head": (self.vocabulary, self.width)}


class Weight(nn.Module):
    """One weight: a plain tensor, or a packed one with a decoded copy beside it.

    The packed form is the truth: the decoded copy is what decoding gives, bit for bit, and
    :meth:`release` drops it, after which every use decodes again.
    """

    def __init__(self, value: Tensor | QuantizedTensor) -> None:
        super().__init__()
        self.packed = value if isinstance(value, QuantizedTensor) else None
        self.decoded: Tensor | None = value.dequantize() if isinstance(value, QuantizedTensor) else value

    def forward(self) -> Tensor:
        """Return the weight as numbers."""
        if self.decoded is not None:
            return self.decoded
        assert self.packed is not None
        return self.packed.dequantize()

    def release(self) -> None:
        """Drop the decoded copy of a packed weight."""
        if self.packed is not None:
            self.decoded = None


class Decoder(nn.Module):
    """A decoder over named weights; see :meth:`DecoderConfig.shapes` for the names."""

    def __init__(self, config: DecoderConfig, weights: Mapping[str, Tensor | QuantizedTensor]) -> None:
        super().__init__()
        self.config = config
        expected = config.shapes(tied="head" not in weights)
        if set(weights) != set(expected):
            raise ValueError(f"weights missing or unknown: {sorted(set(weights) ^ set(expected))}")
        for name, shape in expected.items():
            if tuple(weights[name].shape) != shape:
                raise ValueError(f"{name} has shape {tuple(weights[name].shape)}, expected {shape}")
        # a module's name can't hold a dot
        self.weights = nn.ModuleDict({name.replace(".", "/"): Weight(w) for name, w in weights.items()})
        self.tied = "head" not in weights

    def weight(self, name: str) -> Tensor:
        """Return a weight as numbers, by its name."""
        return self.weights[name.replace(".", "/")]()

    def linear(self, name: str, x: Float[Tensor, "G T K"], adapters: Adapters) -> Float[Tensor, "G T N"]:
        """Apply one linear layer, and add its adapter's update where there is one."""
        y = einsum(x, self.weight(name), "G T K, N K -> G T N")
        return y + adapters[name](x) if name in adapters else y

    def embed(self, tokens: Int64[Tensor, "G T"]) -> Float[Tensor, "G T K"]:
        """Look up the input vectors of tokens."""
        return functional.embedding(tokens, self.weight("embedding"))

    def forward(
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

    def blocks(
        self, hidden: Float[Tensor, "G T K"], batch: Batch, adapters: Adapters, first: int, last: int
    ) -> Float[Tensor, "G T K"]:
        """Run the blocks from ``first`` up to, without, ``last`` over whole examples."""
        rotation = self.rotation(batch.positions)

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return causal_attention(q, k, v, batch)

        for layer in range(first, last):
            hidden = self.block(layer, hidden, rotation, attend, adapters)
        return hidden

    def block(
        self,
        layer: int,
        hidden: Float[Tensor, "G T K"],
        rotation: tuple[Tensor, Tensor],
        attend: Attend,
        adapters: Adapters,
    ) -> Float[Tensor, "G T K"]:
        """Run one block; ``attend`` decides what each token may look at."""

        def linear(leaf: str, x: Tensor) -> Tensor:
            return self.linear(f"layers.{layer}.{leaf}", x, adapters)

        x = self.normalize(f"layers.{layer}.attention_norm", hidden)
        size = self.config.head_size
        q, k, v = (
            rearrange(linear(leaf, x), "G T (heads D) -> (G T) heads D", D=size)
            for leaf in ("q_proj", "k_proj", "v_proj")
        )
        mixed = attend(layer, rotate(q, *rotation), rotate(k, *rotation), v)
        mixed = rearrange(mixed, "(G T) H D -> G T (H D)", G=hidden.shape[0])
        hidden = hidden + linear("o_proj", mixed)

        x = self.normalize(f"layers.{layer}.feed_forward_norm", hidden)
        gated = functional.silu(linear("gate_proj", x)) * linear("up_proj", x)
        return hidden + linear("down_proj", gated)

    def normalize(self, name: str, x: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows K"]:
        """Scale each row to a root mean square of 1, then by the weight."""
        return functional.rms_norm(x, (x.shape[-1],), self.weight(name), self.config.norm_epsilon)

    def finish(self, hidden: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows K"]:
        """Apply the last normalization, before the head."""
        return self.normalize("norm", hidden)

    def head(self, hidden: Float[Tensor, "*rows K"]) -> Float[Tensor, "*rows V"]:
        """Turn normalized vectors into logits; give it only the rows that need them."""
        return einsum(hidden, self.weight("embedding" if self.tied else "head"), "... K, V K -> ... V")

    def rotation(self, positions: Int64[Tensor, "G T"]) -> tuple[Tensor, Tensor]:
        """Return cosine and sine for rotary positions, each of shape (slots, 1, D / 2)."""
        half = torch.arange(0, self.config.head_size, 2, dtype=torch.float64)
        frequencies = self.config.rope_base ** -(half / self.config.head_size)
        angles = einsum(positions.flatten().double(), frequencies, "slots, pair -> slots pair")[:, None]
        dtype = self.weight("norm").dtype
        return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(
    x: Float[Tensor, "slots heads D"],
    cosine: Float[Tensor, "slots 1 half"],
    sine: Float[Tensor, "slots 1 half"],
) -> Float[Tensor, "slots heads D"]:
    """Rotate each pair (d, d + D/2) of a head's features by its position's angle.

    Source: Su et al., "RoFormer", arXiv:2104.09864, in the half-split layout of Hugging Face.
    """
    low, high = x.chunk(2, dim=-1)
    return torch.cat([low * cosine - high * sine, high * cosine + low * sine], dim=-1)


def causal_attention(
    q: Float[Tensor, "slots H D"], k: Float[Tensor, "slots J D"], v: Float[Tensor, "slots J D"], batch: Batch
) -> Float[Tensor, "slots H D"]:
    """Let every token look at itself and at what precedes it in its own example.

    Source: Ainslie et al., "GQA", arXiv:2305.13245: J key-value heads, each serving H / J query heads.
    """
    share = q.shape[1] // k.shape[1]
    queries = rearrange(q[batch.gather], "E S H D -> E H S D")
    keys, values = (repeat(x[batch.gather], "E S J D -> E (J share) S D", share=share) for x in (k, v))
    mixed = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    return rearrange(mixed, "E H S D -> (E S) H D")[batch.scatter.flatten()]
