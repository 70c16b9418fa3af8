"""Granite: LLaMA with four scales."""

from typing import Any

from workbench.models.decoder_config import DecoderConfig
from workbench.models.families.family import ATTENTION, FEED_FORWARD, Family
from workbench.models.folder_values import FolderValues
from workbench.models.gguf_values import GgufValues

SCALES = frozenset(("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"))


def _from_folder(values: FolderValues) -> dict[str, Any]:
    return {
        "embedding_scale": values.positive("embedding_multiplier"),
        "residual_scale": values.positive("residual_multiplier"),
        "attention_scale": values.positive("attention_multiplier"),
        "logit_scale": 1 / values.positive("logits_scaling"),
    }


def _to_folder(config: DecoderConfig) -> dict[str, Any]:
    return {
        "embedding_multiplier": config.embedding_scale,
        "residual_multiplier": config.residual_scale,
        "attention_multiplier": config.score_scale,
        "logits_scaling": 1 / config.logit_scale,
    }


def _from_gguf(values: GgufValues) -> dict[str, Any]:
    # 0 and nothing mean that there is no such scale
    logits = values.optional("logit_scale")
    return {
        "embedding_scale": values.optional("embedding_scale") or 1.0,
        "residual_scale": values.optional("residual_scale") or 1.0,
        "attention_scale": values.optional("attention.scale"),
        "logit_scale": 1.0 if logits is None else 1 / logits,
    }


def _to_gguf(config: DecoderConfig) -> dict[str, float | int | str]:
    return {
        "embedding_scale": config.embedding_scale,
        "residual_scale": config.residual_scale,
        "attention.scale": config.score_scale,
        "logit_scale": 1 / config.logit_scale,
    }


GRANITE = Family(
    examples="Granite 3 and 4 (dense)",
    about="scales of embedding, residual, scores and logits",
    architecture="GraniteForCausalLM",
    gguf="granite",
    defaults={"max_position_embeddings": 2048, **dict.fromkeys(SCALES, 1.0)},
    reads=SCALES,
    biases={"attention_bias": ATTENTION, "mlp_bias": FEED_FORWARD},
    from_folder=_from_folder,
    to_folder=_to_folder,
    gguf_reads=frozenset(("embedding_scale", "residual_scale", "attention.scale", "logit_scale")),
    from_gguf=_from_gguf,
    to_gguf=_to_gguf,
    gguf_biases=(*ATTENTION, *FEED_FORWARD),
    gguf_pairs=True,
)
