"""Gemma 2 and 3: norms around both halves, a scaled embedding, GELU, and windows in most layers.

Source: ``Gemma2Model`` and ``Gemma3TextModel`` of transformers; for what a GGUF leaves unsaid, llama.cpp.
"""

from math import sqrt
from typing import Any

from workbench.models.decoder_config import DecoderConfig
from workbench.models.families.family import ATTENTION, NORMS_AROUND, Family
from workbench.models.families.windows import kinds_of, window_of, windows_of_kinds
from workbench.models.folder_values import FolderValues
from workbench.models.gguf_values import GgufValues

GELU = ("gelu_pytorch_tanh",)
_DEFAULTS = {
    "num_key_value_heads": 4,
    "head_dim": 256,
    "tie_word_embeddings": True,
    "sliding_window": 4096,
    "query_pre_attn_scalar": 256,
}
_READS = frozenset(("query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"))
_ALLOWS: dict[str, tuple[Any, ...]] = {
    "hidden_act": (None, *GELU),
    "hidden_activation": (None, *GELU),
    "cache_implementation": (None, "hybrid"),
}
LARGEST_LAYERS = {2: 46, 3: 62}
"""Layers of the 27B of each generation, whose scores are scaled by the width, as a GGUF doesn't say."""


def _common(values: FolderValues) -> dict[str, Any]:
    return {
        "embedding_scale": sqrt(values.size("hidden_size")),
        "attention_scale": values.positive("query_pre_attn_scalar") ** -0.5,
        "attention_softcap": values.optional("attn_logit_softcapping"),
        "logit_softcap": values.optional("final_logit_softcapping"),
    }


def _gemma2_from_folder(values: FolderValues) -> dict[str, Any]:
    every_other = [layer % 2 == 0 for layer in range(values.layers())]
    return _common(values) | {"windows": windows_of_kinds(values, values.size("sliding_window"), every_other)}


def _gemma3_from_folder(values: FolderValues) -> dict[str, Any]:
    pattern = values.size("sliding_window_pattern")
    windowed = [(layer + 1) % pattern != 0 for layer in range(values.layers())]
    return _common(values) | {"windows": windows_of_kinds(values, values.size("sliding_window"), windowed)}


def _to_folder(config: DecoderConfig) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "hidden_act": GELU[0],
        "hidden_activation": GELU[0],
        # transformers takes whole numbers only
        "query_pre_attn_scalar": round(config.score_scale**-2),
        "attn_logit_softcapping": config.attention_softcap,
        "final_logit_softcapping": config.logit_softcap,
        "sliding_window": window_of(config),
        "layer_types": kinds_of(config),
    }
    if config.windowed_rope_base is not None:
        settings["rope_local_base_freq"] = config.windowed_rope_base
    return settings


def _scale(values: GgufValues, generation: int) -> float:
    """Return what scores are scaled by, which llama.cpp tells from the number of layers."""
    largest = values.size("block_count") == LARGEST_LAYERS[generation]
    size = values.size("embedding_length") // values.size("attention.head_count")
    return (size if largest else values.head_size()) ** -0.5


def _gemma2_from_gguf(values: GgufValues) -> dict[str, Any]:
    layers, window = values.size("block_count"), values.size("attention.sliding_window", 4096)
    return {
        "embedding_scale": sqrt(values.size("embedding_length")),
        "attention_scale": _scale(values, 2),
        "attention_softcap": values.positive("attn_logit_softcapping", 50.0),
        "logit_softcap": values.positive("final_logit_softcapping", 30.0),
        "windows": tuple(window if layer % 2 == 0 else None for layer in range(layers)),
    }


def _gemma3_from_gguf(values: GgufValues) -> dict[str, Any]:
    layers, window = values.size("block_count"), values.size("attention.sliding_window", 1024)
    return {
        "embedding_scale": sqrt(values.size("embedding_length")),
        "attention_scale": _scale(values, 3),
        "logit_softcap": values.optional("final_logit_softcapping"),
        "windows": tuple(window if (layer + 1) % 6 else None for layer in range(layers)),
        "windowed_rope_base": values.positive("rope.freq_base_swa", 10_000.0),
    }


def _to_gguf(config: DecoderConfig) -> dict[str, float | int | str]:
    found: dict[str, float | int | str | None] = {
        "attention.sliding_window": window_of(config),
        "attn_logit_softcapping": config.attention_softcap,
        "final_logit_softcapping": config.logit_softcap,
        "rope.freq_base_swa": config.windowed_rope_base,
    }
    return {key: value for key, value in found.items() if value is not None}


GEMMA2 = Family(
    examples="Gemma 2",
    about="norms before and after each half, a scaled embedding, GELU, capped scores and logits, "
    "a window in every other layer",
    architecture="Gemma2ForCausalLM",
    gguf="gemma2",
    differs={"norms": "around", "activation": "gelu"},
    defaults={
        **_DEFAULTS,
        "max_position_embeddings": 8192,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
    reads=_READS,
    allows=_ALLOWS,
    biases={"attention_bias": ATTENTION},
    from_folder=_gemma2_from_folder,
    to_folder=_to_folder,
    names=NORMS_AROUND,
    norm_offset=1,
    gguf_reads=frozenset(("attn_logit_softcapping", "final_logit_softcapping")),
    from_gguf=_gemma2_from_gguf,
    to_gguf=_to_gguf,
)

GEMMA3 = Family(
    examples="Gemma 3 (270M and 1B, or the text part)",
    about="as Gemma 2 without caps; a norm over each head, and windows with positions of their own in "
    "five layers of six",
    architecture="Gemma3ForCausalLM",
    gguf="gemma3",
    differs={"norms": "around", "activation": "gelu", "head_norms": "head"},
    defaults={
        **_DEFAULTS,
        "max_position_embeddings": 131_072,
        "sliding_window_pattern": 6,
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
    },
    reads=_READS | {"sliding_window_pattern", "rope_local_base_freq"},
    allows=_ALLOWS,
    biases={"attention_bias": ATTENTION},
    from_folder=_gemma3_from_folder,
    to_folder=_to_folder,
    names=NORMS_AROUND,
    norm_offset=1,
    gguf_reads=frozenset(("final_logit_softcapping", "rope.freq_base_swa")),
    from_gguf=_gemma3_from_gguf,
    to_gguf=_to_gguf,
)
