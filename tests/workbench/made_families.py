"""Small random models of every family, made by transformers' own classes."""

import tokenizers
import torch

from workbench.models.families import FAMILIES
from workbench.models.tokenizer import LibraryBackend, SubwordTokenizer

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "vocab_size": 40,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
}
LONG = {"rope_type": "longrope", "rope_theta": 10_000.0, "short_factor": [1.0, 1.5, 2.0, 3.0]}
MODELS = {
    "llama": ("llama", {}),
    "llama with biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama 3.1": ("llama", {"rope_parameters": LLAMA3}),
    "llama, yarn": ("llama", {"rope_parameters": YARN}),
    "mistral": ("mistral", {"sliding_window": None}),
    "mixtral": ("mixtral", {"num_local_experts": 4}),
    "mixtral, one of three": ("mixtral", {"num_local_experts": 3, "num_experts_per_tok": 1}),
    "qwen2": ("qwen2", {}),
    "qwen2 with windows": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2},
    ),
    "qwen3": ("qwen3", {"head_dim": 16}),
    "qwen3, yarn": ("qwen3", {"head_dim": 16, "rope_parameters": YARN}),
    "qwen3, yarn, biases": ("qwen3", {"head_dim": 16, "attention_bias": True, "rope_parameters": YARN}),
    "gemma2": (
        "gemma2",
        {"head_dim": 16, "sliding_window": 5, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 2.0}
        | {"final_logit_softcapping": 3.0},
    ),
    "gemma2, as released": ("gemma2", {"head_dim": 16, "sliding_window": 5, "query_pre_attn_scalar": 16}),
    "gemma3_text, as released": (
        "gemma3_text",
        {"head_dim": 16, "sliding_window": 5, "query_pre_attn_scalar": 16, "num_hidden_layers": 7},
    ),
    "gemma3_text": ("gemma3_text", {"head_dim": 16, "sliding_window": 5, "query_pre_attn_scalar": 24}),
    "gemma3_text, long": (
        "gemma3_text",
        {
            "head_dim": 16,
            "sliding_window": 5,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
    "phi3": ("phi3", {"sliding_window": None}),
    "phi3, long, partial": (
        "phi3",
        {
            "head_dim": 16,
            "hidden_size": 64,
            "original_max_position_embeddings": 32,
            "rope_parameters": LONG | {"long_factor": [4.0] * 4, "partial_rotary_factor": 0.5},
        },
    ),
    "smollm3": ("smollm3", {}),
    "smollm3 with windows": (
        "smollm3",
        {"no_rope_layers": [1, 0, 1, 0], "use_sliding_window": True, "sliding_window": 5},
    ),
    "olmo2": ("olmo2", {}),
    "granite": (
        "granite",
        {"embedding_multiplier": 6.0, "residual_multiplier": 0.3, "attention_multiplier": 0.2}
        | {"logits_scaling": 4.0},
    ),
    "granite with biases": ("granite", {"attention_bias": True, "mlp_bias": True}),
}
"""A model of each family, and of each way in which the bases of a family differ: (model_type, settings)."""


def make(transformers, model_type, settings, folder, tied=None, **sizes):
    """Make a model with weights that make every part of it count, and save it; returns it."""
    torch.manual_seed(0)
    given = {**SIZES, **({} if tied is None else {"tie_word_embeddings": tied}), **settings, **sizes}
    config = transformers.AutoConfig.for_model(model_type, **given)
    kind = getattr(transformers, FAMILIES[model_type].architecture)
    model = kind._from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            drawn = torch.randn_like(weight)
            if "norm" in name:
                weight.copy_(1 - FAMILIES[model_type].norm_offset * ("norm" in name) + drawn / 4)
            else:
                weight.copy_(drawn / (weight.shape[-1] ** 0.5 if weight.ndim == 2 else 4))
    model.save_pretrained(folder)
    return model


def bytes_tokenizer():
    """Return a tokenizer of one token a byte, a pair, and an end, as a GGUF holds it."""
    tokens = [*sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), "ab", "<|end|>"]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 1) + [3],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.bos_token_id": len(tokens) - 1,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
    }
    return SubwordTokenizer(
        name="bytes",
        backend=LibraryBackend(tokenizers.Tokenizer(tokenizers.models.BPE()), len(tokens)),
        vocabulary=len(tokens),
        bos=None,
        eos=None,
        pad=None,
        gguf_metadata=metadata,
    )
