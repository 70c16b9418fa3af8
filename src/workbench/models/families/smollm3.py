"""SmolLM3: some layers don't turn queries and keys at all."""

from typing import Any

from workbench.models.decoder_config import DecoderConfig
from workbench.models.families.family import ATTENTION, FEED_FORWARD, Family
from workbench.models.families.windows import windows_of_kinds, windows_to_folder
from workbench.models.folder_values import FolderValues
from workbench.models.gguf_values import GgufValues

UNTURNED_INTERVAL = 4
"""Every fourth layer has no positions, where nothing else is said; llama.cpp knows no other number."""


def _from_folder(values: FolderValues) -> dict[str, Any]:
    layers, interval = values.layers(), values.size("no_rope_layer_interval")
    turns = values.stated.get("no_rope_layers")
    if turns is None:
        turns = [int((layer + 1) % interval != 0) for layer in range(layers)]
    if not isinstance(turns, list) or len(turns) < layers or any(one not in (0, 1) for one in turns):
        raise values.wrong("no_rope_layers", turns, f"0 or 1 for each of {layers} layers")
    unturned = frozenset(layer for layer in range(layers) if not turns[layer])
    window = values.size("sliding_window") if values.flag("use_sliding_window") else None
    windowed = [window is not None and layer in unturned for layer in range(layers)]
    return {"unturned": unturned, "windows": windows_of_kinds(values, window, windowed)}


def _to_folder(config: DecoderConfig) -> dict[str, Any]:
    turns = [int(layer not in config.unturned) for layer in range(config.layers)]
    return {"no_rope_layers": turns, **windows_to_folder(config)}


def _from_gguf(values: GgufValues) -> dict[str, Any]:
    layers = range(values.size("block_count"))
    return {"unturned": frozenset(layer for layer in layers if (layer + 1) % UNTURNED_INTERVAL == 0)}


SMOLLM3 = Family(
    examples="SmolLM3",
    about="every fourth layer without positions",
    architecture="SmolLM3ForCausalLM",
    gguf="smollm3",
    defaults={
        "max_position_embeddings": 32_768,
        "num_key_value_heads": 4,
        "tie_word_embeddings": True,
        "rope_theta": 2_000_000.0,
        "no_rope_layer_interval": UNTURNED_INTERVAL,
    },
    reads=frozenset(("no_rope_layers", "no_rope_layer_interval", "use_sliding_window")),
    biases={"attention_bias": ATTENTION, "mlp_bias": FEED_FORWARD},
    from_folder=_from_folder,
    to_folder=_to_folder,
    from_gguf=_from_gguf,
    gguf_pairs=True,
)
