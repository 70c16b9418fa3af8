"""Qwen2 and Qwen2.5: biases of queries, keys and values; upper layers may have a window."""

from typing import Any

from workbench.models.families.family import QKV, Family
from workbench.models.families.windows import upper_windows, windows_to_folder
from workbench.models.folder_values import FolderValues

WINDOW_KEYS = frozenset(("use_sliding_window", "max_window_layers"))
WINDOW_DEFAULTS = {"sliding_window": 4096, "max_window_layers": 28}


def windows_from_folder(values: FolderValues) -> dict[str, Any]:
    """Read which layers have a window: upper ones, where ``use_sliding_window`` says so."""
    return {"windows": upper_windows(values)}


QWEN2 = Family(
    examples="Qwen2 and Qwen2.5",
    about="biases of queries, keys and values; a window in upper layers where it is switched on",
    architecture="Qwen2ForCausalLM",
    gguf="qwen2",
    differs={"biases": frozenset(QKV)},
    defaults={"max_position_embeddings": 32_768, "num_key_value_heads": 32, **WINDOW_DEFAULTS},
    reads=WINDOW_KEYS,
    from_folder=windows_from_folder,
    gguf_biases=QKV,
    to_folder=windows_to_folder,
)
