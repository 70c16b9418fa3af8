"""The sizes of a decoder out of a Hugging Face config.json, with every key used, known, or refused by name.

Where a key is left out, the defaults are those of transformers' LlamaConfig and MistralConfig.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.base import LARGEST_SIZE
from workbench.models.decoder_config import DecoderConfig
from workbench.models.folder_settings import ALLOWED_VALUES, shown, unknown

MODEL_TYPES = ("llama", "mistral")
"""Values of ``model_type`` whose decoder is ours."""

FAMILY = "Llama 1 to 3, TinyLlama, SmolLM and SmolLM2, Vicuna, Mistral 7B and Zephyr"
"""Examples for messages: well-known bases with such a decoder."""

LARGEST_NUMBER = 1e30
_ATTENTION = ("full_attention", "sliding_attention")
_ROPE_KEYS = ("type", "rope_type", "rope_theta", "factor", "original_max_position_embeddings")
_ROPE_ALLOWED: dict[str, tuple[Any, ...]] = {
    "partial_rotary_factor": (None, 1),
    "attention_factor": (None, 1),
}


def read_config(path: Path, settings: dict[str, Any]) -> tuple[DecoderConfig, bool, tuple[str, ...]]:
    """Return the decoder's sizes, whether the settings say that its head is its embedding, and notes.

    Raises:
        InputError: If the model isn't of the LLaMA family, or a key would change what is computed or isn't
            known.
    """
    kind = settings.get("model_type")
    if kind not in MODEL_TYPES:
        raise wrong(path, "model_type", kind, f"one of {', '.join(MODEL_TYPES)}; such are {FAMILY}")
    _refuse_other_arithmetic(path, settings)

    def size(key: str, default: int | None = None) -> int:
        value = settings.get(key)
        value = default if value is None else value
        if type(value) is not int or not 1 <= value <= LARGEST_SIZE:
            raise wrong(path, key, value, f"a whole number from 1 to {LARGEST_SIZE}")
        return value

    heads = size("num_attention_heads")
    # what Mistral means by leaving this out is 8; what it means by null is one for each head
    grouped = 8 if kind == "mistral" and "num_key_value_heads" not in settings else heads
    base, scale = _rotary(path, settings)
    context = size("max_position_embeddings", 131_072 if kind == "mistral" else 2048)
    window = _window(path, settings, size)
    config = DecoderConfig(
        vocabulary=size("vocab_size"),
        width=size("hidden_size"),
        layers=size("num_hidden_layers"),
        heads=heads,
        kv_heads=size("num_key_value_heads", grouped),
        head_size=size("head_dim", max(1, size("hidden_size") // heads)),
        feed_forward=size("intermediate_size"),
        rope_base=base,
        rope_scale=scale,
        norm_epsilon=_positive(path, "rms_norm_eps", settings.get("rms_norm_eps", 1e-6)),
        context=context if window is None else min(context, window),
    )
    if config.head_size % 2:
        raise wrong(path, "head_dim", config.head_size, "an even number, since rotary positions turn pairs")
    if heads % config.kv_heads:
        raise wrong(
            path, "num_attention_heads", heads, f"a multiple of num_key_value_heads, {config.kv_heads}"
        )
    tied = settings.get("tie_word_embeddings", False)
    if type(tied) is not bool:
        raise wrong(path, "tie_word_embeddings", tied, "true or false")
    return config, tied, window_note(window, context)


def window_note(window: int | None, context: int) -> tuple[str, ...]:
    """Say that examples end where a sliding window would begin to cut, where there is one."""
    if window is None or window >= context:
        return ()
    return (
        f"the base attends to no more than {window} tokens at once (sliding_window), so {window} is the "
        "longest example; up to that length the window changes nothing",
    )


def _refuse_other_arithmetic(path: Path, settings: Mapping[str, Any]) -> None:
    for key, allowed in ALLOWED_VALUES.items():
        if settings.get(key, allowed[0]) not in allowed:
            raise wrong(
                path, key, settings[key], f"{shown(allowed[-1])}: another value changes the arithmetic"
            )
    names = settings.get("architectures")
    if names and not (isinstance(names, list) and any(str(name).endswith("ForCausalLM") for name in names)):
        raise wrong(path, "architectures", names, "a model that continues texts, such as LlamaForCausalLM")
    if keys := unknown(settings):
        listed = ", ".join(f"{key} is {shown(settings[key])}" for key in keys)
        one = "that key" if len(keys) == 1 else "those keys"
        raise InputError(
            f"{path}: {listed}: the workbench doesn't know {one}, so it can't tell whether the numbers would "
            f"be right. If transformers' {settings['model_type']} doesn't read {one} either, take {one} out "
            f"of the file; otherwise {ANOTHER_BASE}."
        )


def _rotary(path: Path, settings: Mapping[str, Any]) -> tuple[float, float]:
    """Return the base of the rotary positions and what positions are divided by.

    Version 5 of transformers writes rope_parameters, all before it rope_theta and rope_scaling.
    """
    stated = settings.get("rope_theta")
    found = []
    for key in ("rope_scaling", "rope_parameters"):
        rope = settings.get(key)
        if rope is not None and rope != {}:
            if not isinstance(rope, dict):
                raise wrong(path, key, rope, "an object with a rope_type")
            base = stated if rope.get("rope_theta") is None else rope["rope_theta"]
            if stated not in (None, base):
                raise wrong(path, "rope_theta", stated, f"{shown(base)}, as in {key}, or to be left out")
            found.append((key, base, _scale(path, key, rope)))
    if len(found) == 2 and found[0][1:] != found[1][1:]:
        raise wrong(
            path, "rope_scaling", settings["rope_scaling"], "the same as rope_parameters, or to be left out"
        )
    _, base, scale = found[0] if found else ("", stated, 1.0)
    return _positive(path, "rope_theta", 10_000.0 if base is None else base), scale


def _scale(path: Path, place: str, rope: Mapping[str, Any]) -> float:
    """Return what positions are divided by, after checking that nothing else is asked for."""
    kinds = [rope[key] for key in ("rope_type", "type") if rope.get(key) is not None] or ["default"]
    if kinds[0] not in ("default", "linear") or kinds[-1] != kinds[0]:
        raise wrong(
            path, place, dict(rope), "rope_type 'default' or 'linear': no other rotary positions are read"
        )
    for key, value in rope.items():
        allowed = _ROPE_ALLOWED.get(key, (None,))
        if key not in _ROPE_KEYS and value not in allowed:
            raise wrong(path, f"{place}.{key}", value, f"{shown(allowed[-1])} with rope_type {kinds[0]!r}")
    if kinds[0] == "linear":
        return _positive(path, f"{place}.factor", rope.get("factor"))
    if rope.get("factor") not in (None, 1):
        raise wrong(path, f"{place}.factor", rope["factor"], "1 with rope_type 'default'")
    return 1.0


def _window(path: Path, settings: Mapping[str, Any], size: Any) -> int | None:  # noqa: ANN401 - size(key, default)
    """Return how many tokens attention reaches; None for all."""
    window = None
    if settings["model_type"] == "mistral" and "sliding_window" not in settings:
        window = 4096  # what Mistral means by leaving it out
    elif settings.get("sliding_window") is not None:
        window = size("sliding_window")
    kinds = settings.get("layer_types") or []
    allowed = _ATTENTION[: 1 if window is None else 2]
    if not isinstance(kinds, list) or any(kind not in allowed for kind in kinds):
        raise wrong(path, "layer_types", kinds, f"nothing but {' and '.join(allowed)}")
    return window


def _positive(path: Path, key: str, value: Any) -> float:  # noqa: ANN401 - whatever the file holds
    if type(value) not in (int, float) or not 0 < value <= LARGEST_NUMBER:
        raise wrong(path, key, value, "a positive number")
    return float(value)


def wrong(path: Path, key: str, value: object, expected: str) -> InputError:
    """Say that a setting doesn't fit our decoder."""
    return InputError(f"{path}: {key} is {shown(value)}, expected {expected}; {ANOTHER_BASE}.")
