"""How a GGUF of the LLaMA family lays out what a decoder holds: names of tensors, order of rows.

GGUF stores the rows of the query and key matrices so that the two features that a rotary position turns
together are neighbours; the decoder keeps them half a head apart. Reordering rows leaves every packed
block whole, so it is done on the packed bytes and loses nothing.
"""

import numpy as np
from einops import rearrange

from workbench.models.decoder_config import DecoderConfig

GGUF_ARCHITECTURE = "llama"
"""What ``general.architecture`` has to be; the sizes stand under this name."""

_TOP = {"embedding": "token_embd.weight", "norm": "output_norm.weight", "head": "output.weight"}
_LEAVES = {
    "attention_norm": "attn_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """Return the tensor that holds a weight: "layers.3.q_proj" is "blk.3.attn_q.weight"."""
    if name in _TOP:
        return _TOP[name]
    _, layer, leaf = name.split(".")
    return f"blk.{layer}.{_LEAVES[leaf]}.weight"


def rotary_heads(name: str, config: DecoderConfig) -> int | None:
    """Return the number of heads whose rows GGUF reorders, None for a weight that it leaves alone."""
    return {"q_proj": config.heads, "k_proj": config.kv_heads}.get(name.rpartition(".")[2])


def to_halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Turn GGUF's row order (pairs side by side) into the decoder's (pairs half a head apart)."""
    return rearrange(rows, "(heads pair half) row -> (heads half pair) row", heads=heads, half=2)


def to_pairs(rows: np.ndarray, heads: int) -> np.ndarray:
    """Undo :func:`to_halves`."""
    return rearrange(rows, "(heads half pair) row -> (heads pair half) row", heads=heads, half=2)
