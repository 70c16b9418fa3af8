"""Which keys of a Hugging Face config.json are known, and what each does to the numbers.

Every key of a file is one of five: read by ``folder_config.py``; known to change the arithmetic, and refused
unless it has a value that leaves it alone; known to change nothing; a setting of ``generate()``, which a note
names where greedy answers would differ; or unknown, and refused by name.
"""

from collections.abc import Collection, Mapping
from typing import Any

READ_KEYS = frozenset(
    (
        *("model_type", "architectures", "vocab_size", "hidden_size", "intermediate_size"),
        *("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim"),
        *("max_position_embeddings", "sliding_window", "layer_types", "rms_norm_eps"),
        *("rope_theta", "rope_scaling", "rope_parameters"),
        *("tie_word_embeddings", "quantization_config", "quantization"),
    )
)
"""Keys that are used."""

ALLOWED_VALUES: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("swish", "silu"),
    "hidden_activation": (None, "swish", "silu"),
    "partial_rotary_factor": (None, 1),
    "rope_interleaved": (None, False),
    "position_embedding_type": (None, "rope", "rotary"),
    "alibi": (None, False),
    "no_rope_layers": (None, []),
    "no_rope_layer_interval": (None,),
    "rope_local_base_freq": (None,),
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "qkv_bias": (None, False),
    "use_bias": (None, False),
    "bias": (None, False),
    "qk_norm": (None, False),
    "use_qk_norm": (None, False),
    "clip_qkv": (None,),
    "attention_multiplier": (None,),
    "query_pre_attn_scalar": (None,),
    "attention_chunk_size": (None,),
    "is_causal": (None, True),
    "use_bidirectional_attention": (None, False),
    "use_parallel_residual": (None, False),
    "embedding_multiplier": (None, 1),
    "residual_multiplier": (None, 1),
    "scale_emb": (None, 1),
    "logits_scaling": (None, 1),
    "logit_scale": (None, 1),
    "logits_soft_cap": (None, 0),
    "attn_logit_softcapping": (None, 0),
    "final_logit_softcapping": (None, 0),
    "num_experts": (None, 0),
    "num_local_experts": (None, 0),
    "num_experts_per_tok": (None, 0),
    "is_encoder_decoder": (None, False),
    "add_cross_attention": (None, False),
    "pruned_heads": (None, {}),
    "is_llama_config": (None, True),
    "auto_map": (None, {}),
}
"""Keys of models whose arithmetic is another, with the only values that leave it as it is."""

_BECAUSE: dict[str, str] = {
    "a name or a remark": "name_or_path model_name transformers_version tokenizer_class finetuning_task "
    "task_specific_params license prefix transformers.js_config",
    "how transformers computes; the workbench has its own precision": "torch_dtype dtype use_cache "
    "attn_implementation use_bfloat16 torchscript return_dict output_attentions output_hidden_states "
    "chunk_size_feed_forward pretraining_tp use_flash_attn use_flash_attention use_flash_attention_2 "
    "use_flashattn device_map low_cpu_mem_usage gradient_checkpointing",
    "for training only": "initializer_range attention_dropout attention_probs_dropout_prob hidden_dropout "
    "hidden_dropout_prob dropout resid_pdrop embd_pdrop attn_pdrop residual_dropout embedding_dropout "
    "router_aux_loss_coef router_jitter_noise output_router_logits",
    "a token, which the tokenizer and generation know": "bos_token_id eos_token_id pad_token_id unk_token_id "
    "sep_token_id cls_token_id mask_token_id decoder_start_token_id",
    "for classification": "id2label label2id num_labels problem_type",
    "for encoders": "is_decoder cross_attention_hidden_size tie_encoder_decoder tf_legacy_loss",
    "examples never exceed the window": "use_sliding_window max_window_layers",
    "an older name of the context, which transformers doesn't read": "max_sequence_length model_max_length "
    "seq_length original_max_position_embeddings",
    "for sampling or searching; answers are greedy": "do_sample temperature top_k top_p min_p typical_p "
    "epsilon_cutoff eta_cutoff early_stopping length_penalty max_length max_new_tokens num_return_sequences "
    "output_scores return_dict_in_generate renormalize_logits remove_invalid_values",
}
HARMLESS_KEYS: dict[str, str] = {key: why for why, keys in _BECAUSE.items() for key in keys.split()}
"""Keys that change nothing here, with the reason."""

HARMLESS_BEGINNINGS: dict[str, str] = {
    "_": "private to transformers",
    "unsloth_": "a remark of the program that saved the folder",
}
"""Beginnings of keys that change nothing here, with the reason."""

GREEDY: dict[str, tuple[Any, ...]] = {
    "repetition_penalty": (None, 1),
    "encoder_repetition_penalty": (None, 1),
    "no_repeat_ngram_size": (None, 0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "num_beams": (None, 1),
    "num_beam_groups": (None, 1),
    "diversity_penalty": (None, 0),
    "penalty_alpha": (None, 0),
    "guidance_scale": (None, 1),
    "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []),
    "bad_words_ids": (None, []),
    "force_words_ids": (None, []),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "forced_decoder_ids": (None, []),
    "exponential_decay_length_penalty": (None,),
    "sequence_bias": (None, {}, []),
    "stop_strings": (None, []),
}
"""Settings of transformers' ``generate()`` by which greedy answers would differ from the plain model's, with
the values by which they don't. They change no logit and aren't used here, which a note says."""


def unknown(settings: Mapping[str, Any], read: Collection[str] = ()) -> list[str]:
    """Return the keys that hold something and about which nothing is known.

    ``read`` are keys that one family uses.
    """
    known = {*read} | READ_KEYS | ALLOWED_VALUES.keys() | HARMLESS_KEYS.keys() | GREEDY.keys()
    return [
        key
        for key, value in settings.items()
        if key not in known and value is not None and not key.startswith(tuple(HARMLESS_BEGINNINGS))
    ]


def generation_note(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which settings of ``generate()`` ask for other than plain greedy answers, if some do."""
    asked = {key: settings[key] for key in GREEDY if settings.get(key) not in GREEDY[key]}
    if not asked:
        return ()
    listed = ", ".join(f"{key} {shown(value)}" for key, value in asked.items())
    return (
        f"the base's settings for generation ask for {listed}, which aren't used: answers are greedy and "
        "plain, here and in every number of a study",
    )


def shown(value: object) -> str:
    """Return a value as a message shows it, not longer than a line."""
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."
