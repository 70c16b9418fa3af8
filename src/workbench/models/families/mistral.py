"""Mistral: LLaMA with a sliding window."""

from workbench.models.families.family import ATTENTION, FEED_FORWARD, FREQUENCIES, Family

MISTRAL = Family(
    examples="Mistral 7B and Nemo, Zephyr",
    about="a sliding window",
    architecture="MistralForCausalLM",
    gguf="llama",
    defaults={"max_position_embeddings": 131_072, "num_key_value_heads": 8, "sliding_window": 4096},
    gguf_factors=(FREQUENCIES,),
    gguf_biases=(*ATTENTION, *FEED_FORWARD),
    gguf_pairs=True,
)
