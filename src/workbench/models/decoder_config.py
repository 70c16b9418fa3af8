"""The sizes of a decoder, how it computes, and with them the shape of each of its weights."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import isclose, sqrt

from workbench.config import LINEARS

BIASES = {leaf: leaf.replace("_proj", "_bias") for leaf in LINEARS}
"""The weight that holds the bias of a linear layer: "q_bias" of "q_proj"."""

SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))
"""The linear layers of a block; those that read the same input are one product."""

ROUTER = "router"
"""The matrix that chooses experts, (E, width)."""
_EXPERT = re.compile(r"expert(\d+)_")


def expert_leaf(expert: int, leaf: str) -> str:
    """Return the linear layer of one expert: "expert2_gate_proj" of "gate_proj"."""
    return f"expert{expert}_{leaf}"


def expert_of(leaf: str) -> int | None:
    """Return the number of the expert that a linear layer belongs to, None for one outside of experts."""
    found = _EXPERT.match(leaf)
    return int(found[1]) if found else None


def without_expert(leaf: str) -> str:
    """Return which of the linear layers of a block it is: "gate_proj" of "expert2_gate_proj"."""
    return _EXPERT.sub("", leaf, count=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeScaling:
    """Scaled positions other than linear ones."""

    kind: str
    """A key of ``rotary.SCALINGS``."""
    factor: float = 1.0
    """How much longer texts may be than ``original_context``."""
    original_context: int = 0
    """Tokens of the longest text before the base was made longer."""
    slow: float = 1.0
    """Turns within ``original_context``, up to which a pair is divided by the whole factor."""
    fast: float = 4.0
    """Turns within ``original_context``, from which on a pair isn't divided."""
    whole_pairs: bool = True
    """Under yarn, whether the pairs between which the division changes are rounded to whole ones."""
    magnitude: float = 1.0
    """What cosine and sine are multiplied by."""
    divisors: tuple[float, ...] = ()
    """Under "factors", what each pair's angle is divided by, (D / 2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """The sizes and settings of a decoder; weights in half-split ("rotate half") rotary layout.

    Whatever has a default is as in LLaMA.
    """

    family: str = "llama"
    """The key of ``families.FAMILIES``: how its files name things. The arithmetic stands below."""
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
    rope_scaling: RopeScaling | None = None
    """Scaled positions of another kind."""
    rope_features: int | None = None
    """How many features of each head, from the first on, are turned; all by default."""
    windowed_rope_base: float | None = None
    """Of layers with a window, whose positions aren't scaled; by default they turn like the others."""
    unturned: frozenset[int] = frozenset()
    """Layers without rotary positions."""
    windows: tuple[int | None, ...] = ()
    """By layer, to how many tokens attention reaches, its own included; None and no entry for all."""
    norms: str = "before"
    """Where a block's norms stand: "before" attention and feed-forward, "after" them, or "around" both."""
    head_norms: str | None = None
    """What norms of queries and keys run over: each "head", or the whole "projection"; None for no norms."""
    biases: frozenset[str] = frozenset()
    """Linear layers that add a bias, such as "q_proj"."""
    activation: str = "silu"
    """Of the gate: "silu", or "gelu" in its approximation by tanh."""
    embedding_scale: float = 1.0
    """What the embedding's vectors are multiplied by."""
    residual_scale: float = 1.0
    """What each half of a block is multiplied by before it is added."""
    attention_scale: float | None = None
    """What scores are multiplied by; 1 / sqrt(head size) by default."""
    attention_softcap: float | None = None
    """c in c tanh(score / c); None for plain scores."""
    logit_scale: float = 1.0
    """What logits are multiplied by."""
    logit_softcap: float | None = None
    """c in c tanh(logit / c), after the scale; None for plain logits."""
    experts: int = 0
    """Feed-forward networks of a block, of which a router chooses; 0 for one network without a router."""
    experts_used: int = 0
    """How many of them each token goes through."""
    norm_epsilon: float = 1e-5
    context: int = 2048
    """Longest example, in tokens."""

    @property
    def score_scale(self) -> float:
        """What attention's scores are multiplied by."""
        return 1 / sqrt(self.head_size) if self.attention_scale is None else self.attention_scale

    def window(self, layer: int) -> int | None:
        """Return to how many tokens a layer's attention reaches; None for all."""
        return self.windows[layer] if layer < len(self.windows) else None

    @property
    def same_input(self) -> tuple[tuple[str, ...], ...]:
        """The linear layers of a block by what they read, as in :data:`SAME_INPUT`, each expert's apart."""
        if not self.experts:
            return SAME_INPUT
        each = range(self.experts)
        return *SAME_INPUT[:2], *(leaves for expert in each for leaves in self.feed_forward_of(expert))

    @property
    def linear_leaves(self) -> list[str]:
        """All linear layers of a block, without the router."""
        return [leaf for leaves in self.same_input for leaf in leaves]

    def feed_forward_of(self, expert: int) -> tuple[tuple[str, ...], ...]:
        """Return the linear layers of a feed-forward network by what they read: gate and up, then down."""
        if not self.experts:
            return SAME_INPUT[2:]
        return tuple(tuple(expert_leaf(expert, leaf) for leaf in leaves) for leaves in SAME_INPUT[2:])

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
        }[without_expert(leaf)]

    def norm_shapes(self) -> dict[str, tuple[int]]:
        """Return the shape of each norm of a block, by its name within the block."""
        shapes: dict[str, tuple[int]] = {}
        if self.norms in ("before", "around"):
            shapes |= {"attention_norm": (self.width,), "feed_forward_norm": (self.width,)}
        if self.norms in ("after", "around"):
            shapes |= {"attention_post_norm": (self.width,), "feed_forward_post_norm": (self.width,)}
        if self.head_norms is not None:
            heads = (self.heads, self.kv_heads) if self.head_norms == "projection" else (1, 1)
            shapes |= {
                name: (count * self.head_size,)
                for name, count in zip(("q_norm", "k_norm"), heads, strict=True)
            }
        return shapes

    def shapes(self, *, tied: bool = True) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight by its name; ``tied`` leaves out the head."""
        block: dict[str, tuple[int, ...]] = {**self.norm_shapes()}
        if self.experts:
            block[ROUTER] = (self.experts, self.width)
        for leaf in self.linear_leaves:
            block[leaf] = self.linear_shape(leaf)
            if leaf in self.biases:
                block[BIASES[leaf]] = self.linear_shape(leaf)[:1]
        shapes: dict[str, tuple[int, ...]] = {"embedding": (self.vocabulary, self.width)}
        for layer in range(self.layers):
            shapes |= {f"layers.{layer}.{leaf}": shape for leaf, shape in block.items()}
        shapes["norm"] = (self.width,)
        return shapes if tied else {**shapes, "head": (self.vocabulary, self.width)}


def fused_shape(shapes: Mapping[str, tuple[int, ...]], names: Sequence[str]) -> tuple[int, ...]:
    """Return the shape of a tensor that holds several weights one above the other."""
    return sum(shapes[name][0] for name in names), *shapes[names[0]][1:]


def unlike_fields(one: DecoderConfig, other: DecoderConfig) -> list[str]:
    """Return in which fields two configs differ in what they compute, numbers taken as float32 holds them."""
    differing = [
        said.name
        for said in fields(DecoderConfig)
        if said.name not in ("family", "rope_scaling", "rope_scale", "attention_scale")
        and not _alike(getattr(one, said.name), getattr(other, said.name))
    ]
    if not _alike(one.score_scale, other.score_scale):
        differing.append("attention_scale")
    return differing


def _alike(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-6)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one == other
