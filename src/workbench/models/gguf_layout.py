"""How a GGUF lays out what a decoder holds: names of tensors, order of rows.

For some families GGUF stores the rows of the query and key matrices so that the two features that a rotary
position turns together are neighbours; the decoder keeps them half a head apart. Reordering rows leaves every
packed block whole, so it is done on the packed bytes and loses nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from einops import rearrange

from workbench.models.decoder_config import (
    ROUTER,
    DecoderConfig,
    expert_of,
    fused_shape,
    without_expert,
)
from workbench.models.families import FAMILIES

_TOP = {"embedding": "token_embd.weight", "norm": "output_norm.weight", "head": "output.weight"}
_LEAVES = {
    "attention_norm": "attn_norm",
    "attention_post_norm": "post_attention_norm",
    "q_proj": "attn_q",
    "q_norm": "attn_q_norm",
    "k_proj": "attn_k",
    "k_norm": "attn_k_norm",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "feed_forward_post_norm": "post_ffw_norm",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
    ROUTER: "ffn_gate_inp",
}


def gguf_name(name: str) -> str:
    """Return the tensor that holds a weight: "layers.3.q_proj" is "blk.3.attn_q.weight"."""
    if name in _TOP:
        return _TOP[name]
    _, layer, leaf = name.split(".")
    if (linear := leaf.replace("_bias", "_proj")) != leaf:
        return f"blk.{layer}.{_LEAVES[linear]}.bias"
    ending = "" if expert_of(leaf) is None else "_exps"
    return f"blk.{layer}.{_LEAVES[without_expert(leaf)]}{ending}.weight"


def gguf_tensors(config: DecoderConfig, *, tied: bool) -> dict[str, tuple[str, ...]]:
    """Return which weights each tensor of a GGUF holds, one above the other, in the decoder's order."""
    fused = FAMILIES[config.family].gguf_fused
    whole = {leaf: tensor for tensor, leaves in fused.items() for leaf in leaves}
    found: dict[str, tuple[str, ...]] = {}
    for name in config.shapes(tied=tied):
        leaf = name.rpartition(".")[2]
        tensor = f"blk.{name.split('.')[1]}.{whole[leaf]}.weight" if leaf in whole else gguf_name(name)
        found[tensor] = (*found.get(tensor, ()), name)
    return found


def gguf_shape(shapes: Mapping[str, tuple[int, ...]], names: Sequence[str]) -> tuple[int, ...]:
    """Return the shape of a tensor of a GGUF: experts lie along an axis of their own."""
    if expert_of(names[0].rpartition(".")[2]) is None:
        return fused_shape(shapes, names)
    return len(names), *shapes[names[0]]


def rotary_heads(name: str, config: DecoderConfig) -> int | None:
    """Return the number of heads whose rows GGUF reorders, None for a weight that it leaves alone."""
    if not FAMILIES[config.family].gguf_pairs:
        return None
    heads = {"q": config.heads, "k": config.kv_heads}
    kind, _, what = name.rpartition(".")[2].partition("_")
    return heads.get(kind) if what in ("proj", "bias") else None


def to_halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Turn GGUF's row order (pairs side by side) into the decoder's (pairs half a head apart)."""
    return rearrange(rows, "(heads pair half) row -> (heads half pair) row", heads=heads, half=2)


def to_pairs(rows: np.ndarray, heads: int) -> np.ndarray:
    """Undo :func:`to_halves`."""
    return rearrange(rows, "(heads half pair) row -> (heads pair half) row", heads=heads, half=2)
