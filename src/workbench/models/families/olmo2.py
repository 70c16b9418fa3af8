"""OLMo 2: norms after both halves of a block, and over all queries and all keys."""

from workbench.models.families.family import ATTENTION, NORMS_AROUND, Family

OLMO2 = Family(
    examples="OLMo 2",
    about="norms after attention and feed-forward, and over all queries and all keys",
    architecture="Olmo2ForCausalLM",
    gguf="olmo2",
    differs={"norms": "after", "head_norms": "projection"},
    defaults={"max_position_embeddings": 2048, "rms_norm_eps": 1e-5},
    biases={"attention_bias": ATTENTION},
    names=NORMS_AROUND,
)
