"""Qwen3: a norm over each head of queries and keys."""

from workbench.models.families.family import ATTENTION, Family
from workbench.models.families.qwen2 import WINDOW_DEFAULTS, WINDOW_KEYS, windows_from_folder
from workbench.models.families.windows import windows_to_folder

QWEN3 = Family(
    examples="Qwen3",
    about="a norm over each head of queries and keys",
    architecture="Qwen3ForCausalLM",
    gguf="qwen3",
    differs={"head_norms": "head"},
    defaults={
        "max_position_embeddings": 32_768,
        "num_key_value_heads": 32,
        "head_dim": 128,
        **WINDOW_DEFAULTS,
    },
    reads=WINDOW_KEYS,
    biases={"attention_bias": ATTENTION},
    from_folder=windows_from_folder,
    to_folder=windows_to_folder,
)
