"""Which layers of a model attend to a sliding window only."""

from typing import Any

from workbench.models.decoder_config import DecoderConfig
from workbench.models.folder_values import FolderValues

Windows = tuple[int | None, ...]
LAYER_KINDS = ("full_attention", "sliding_attention")
"""What transformers calls a layer without a window, and one with it."""


def windows_of_kinds(values: FolderValues, window: int | None, otherwise: list[bool]) -> Windows:
    """Return each layer's window from ``layer_types``, or from ``otherwise`` where the file hasn't any."""
    kinds = values.stated.get("layer_types")
    if kinds is not None:
        kinds = known_kinds(values, window)
        if len(kinds) != len(otherwise):
            raise values.wrong("layer_types", kinds, f"one entry for each of {len(otherwise)} layers")
        otherwise = [kind == LAYER_KINDS[1] for kind in kinds]
    return tuple(window if windowed else None for windowed in otherwise) if any(otherwise) else ()


def known_kinds(values: FolderValues, window: int | None) -> list[str]:
    """Return ``layer_types``, each a kind that a model with this window, or with none, has; [] for null."""
    kinds, allowed = values.stated.get("layer_types") or [], LAYER_KINDS[: 1 if window is None else 2]
    if not isinstance(kinds, list) or any(kind not in allowed for kind in kinds):
        raise values.wrong("layer_types", kinds, f"nothing but {' and '.join(allowed)}")
    return kinds


def upper_windows(values: FolderValues) -> Windows:
    """Return Qwen's windows: of the layers from ``max_window_layers`` on, if they are used at all."""
    layers, window = values.layers(), None
    first = layers
    if values.flag("use_sliding_window"):
        window, first = values.size("sliding_window"), values.get("max_window_layers")
        if type(first) is not int or first < 0:
            raise values.wrong("max_window_layers", first, "a whole number from 0 on")
    return windows_of_kinds(values, window, [layer >= first for layer in range(layers)])


def window_of(config: DecoderConfig) -> int | None:
    """Return the window of the layers that have one; None where none has."""
    return next((window for window in config.windows if window is not None), None)


def kinds_of(config: DecoderConfig) -> list[str]:
    """Return what ``layer_types`` says of each layer."""
    return [LAYER_KINDS[config.window(layer) is not None] for layer in range(config.layers)]


def windows_to_folder(config: DecoderConfig) -> dict[str, Any]:
    """Return the keys of config.json that say which layers have a window."""
    window = window_of(config)
    if window is None:
        return {"use_sliding_window": False, "sliding_window": None}
    return {
        "use_sliding_window": True,
        "sliding_window": window,
        "max_window_layers": 0,
        "layer_types": kinds_of(config),
    }
