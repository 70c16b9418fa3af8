"""The sizes of a decoder of the LLaMA family, and with them the shape of each of its weights."""

from dataclasses import dataclass

from workbench.config import LINEARS


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
    rope_scale: float = 1.0
    """Positions are divided by this before they turn anything: linear scaling, for a longer context."""
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
