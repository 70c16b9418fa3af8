"""Mixtral: Mistral with experts.

Source: Jiang et al., "Mixtral of Experts", arXiv:2401.04088; ``MixtralForCausalLM`` of transformers.
"""

from typing import Any

from workbench.models.decoder_config import ROUTER, DecoderConfig
from workbench.models.families.family import ATTENTION, FREQUENCIES, Family
from workbench.models.folder_values import FolderValues
from workbench.models.gguf_values import GgufValues

MOST_EXPERTS = 512
"""As many as llama.cpp takes."""


def _from_folder(values: FolderValues) -> dict[str, Any]:
    experts, used = values.size("num_local_experts"), values.size("num_experts_per_tok")
    if experts > MOST_EXPERTS:
        raise values.wrong("num_local_experts", experts, f"at most {MOST_EXPERTS}")
    if used > experts:
        raise values.wrong("num_experts_per_tok", used, f"at most num_local_experts, {experts}")
    return {"experts": experts, "experts_used": used}


def _to_folder(config: DecoderConfig) -> dict[str, Any]:
    return {"num_local_experts": config.experts, "num_experts_per_tok": config.experts_used}


def _from_gguf(values: GgufValues) -> dict[str, Any]:
    experts, used = values.size("expert_count"), values.size("expert_used_count")
    if experts > MOST_EXPERTS:
        raise values.wrong("expert_count", experts, f"at most {MOST_EXPERTS}")
    if used > experts:
        raise values.wrong("expert_used_count", used, f"at most expert_count, {experts}")
    return {"experts": experts, "experts_used": used}


def _to_gguf(config: DecoderConfig) -> dict[str, float | int | str]:
    return {"expert_count": config.experts, "expert_used_count": config.experts_used}


MIXTRAL = Family(
    examples="Mixtral 8x7B and 8x22B",
    about="several feed-forward networks (experts) in each block, of which a router chooses for each token",
    architecture="MixtralForCausalLM",
    gguf="llama",
    defaults={
        "max_position_embeddings": 131_072,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1_000_000.0,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
    },
    reads=frozenset(("num_local_experts", "num_experts_per_tok")),
    from_folder=_from_folder,
    to_folder=_to_folder,
    names={
        ROUTER: "block_sparse_moe.gate",
        "gate_proj": "block_sparse_moe.experts.{}.w1",
        "up_proj": "block_sparse_moe.experts.{}.w3",
        "down_proj": "block_sparse_moe.experts.{}.w2",
    },
    experts=True,
    gguf_reads=frozenset(("expert_count", "expert_used_count")),
    from_gguf=_from_gguf,
    to_gguf=_to_gguf,
    gguf_factors=(FREQUENCIES,),
    gguf_biases=ATTENTION,
    gguf_pairs=True,
)
