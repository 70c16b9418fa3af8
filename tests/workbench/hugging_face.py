"""Our decoder as a model of transformers, for tests that compare with it."""

import torch

from workbench.adapters.formats.peft import PARTS


def as_transformers(transformers, decoder):
    """Return the base as a model of transformers."""
    config = decoder.config
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.feed_forward,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads,
            head_dim=config.head_size,
            rms_norm_eps=config.norm_epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_base},
            tie_word_embeddings=decoder.tied,
        )
    ).eval()
    theirs.load_state_dict(hugging_face(decoder), strict=False)
    return theirs


def hugging_face(decoder) -> dict[str, torch.Tensor]:
    """Return the base's weights by the names of a Hugging Face checkpoint."""
    names = {
        "embedding": "model.embed_tokens.weight",
        "norm": "model.norm.weight",
        "head": "lm_head.weight",
        "attention_norm": "input_layernorm",
        "feed_forward_norm": "post_attention_layernorm",
    }
    weights = {}
    for name in decoder.config.shapes(tied=decoder.tied):
        *layer, leaf = name.split(".")
        place = ".".join(["model", *layer]) if layer else ""
        inner = f"{PARTS[leaf]}.{leaf}" if leaf in PARTS else names[leaf]
        weights[f"{place}.{inner}.weight" if layer else names[leaf]] = decoder.weight(name)
    return weights
