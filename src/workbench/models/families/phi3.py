"""Phi-3 and Phi-4-mini: matrices with one input in one tensor, long contexts by a number for each pair.

Source: ``Phi3Model`` of transformers, and llama.cpp.
"""

from typing import Any

from workbench.models.decoder_config import DecoderConfig
from workbench.models.families.family import GATE_UP, QKV, Family


def _to_folder(config: DecoderConfig) -> dict[str, Any]:
    share = (config.rope_features or config.head_size) / config.head_size
    return {"partial_rotary_factor": share, "original_max_position_embeddings": config.context}


PHI3 = Family(
    examples="Phi-3, Phi-3.5 and Phi-4 (mini)",
    about="joined matrices; a part of each head turned; long contexts by a number for each pair (LongRoPE)",
    architecture="Phi3ForCausalLM",
    gguf="phi3",
    defaults={
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "original_max_position_embeddings": 4096,
    },
    reads=frozenset(("partial_rotary_factor", "original_max_position_embeddings")),
    to_folder=_to_folder,
    fused={"self_attn.qkv_proj": QKV, "mlp.gate_up_proj": GATE_UP},
    gguf_factors=("rope_factors_short.weight", "rope_factors_long.weight"),
    gguf_fused={"attn_qkv": QKV, "ffn_up": GATE_UP},
)
