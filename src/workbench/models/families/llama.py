"""LLaMA: the family that all others are told from."""

from workbench.models.families.family import ATTENTION, FEED_FORWARD, FREQUENCIES, Family

LLAMA = Family(
    examples="Llama 1 to 3.3, TinyLlama, SmolLM and SmolLM2, Vicuna",
    about="the family that the others are told from; positions scaled linearly, as Llama 3.1's or by YaRN; "
    "biases where a base has them",
    architecture="LlamaForCausalLM",
    gguf="llama",
    defaults={"max_position_embeddings": 2048},
    biases={"attention_bias": ATTENTION, "mlp_bias": FEED_FORWARD},
    gguf_factors=(FREQUENCIES,),
    gguf_biases=(*ATTENTION, *FEED_FORWARD),
    gguf_pairs=True,
)
