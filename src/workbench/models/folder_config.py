"""A decoder's config out of a Hugging Face config.json, with every key used, known, or refused by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.decoder_config import DecoderConfig
from workbench.models.families import FAMILIES, KNOWN_BASES, Family
from workbench.models.families.windows import known_kinds
from workbench.models.folder_rotary import read_rotary
from workbench.models.folder_settings import ALLOWED_VALUES, shown, unknown
from workbench.models.folder_values import FolderValues, wrong


def read_config(path: Path, settings: dict[str, Any]) -> tuple[DecoderConfig, bool, tuple[str, ...]]:
    """Return the decoder's sizes, whether the settings say that its head is its embedding, and notes.

    Raises:
        InputError: If the model is of no known family, or a key would change what is computed or isn't
            known.
    """
    kind = settings.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise wrong(path, "model_type", kind, f"one of {', '.join(FAMILIES)}; such are {KNOWN_BASES}")
    family = FAMILIES[kind]
    _refuse_other_arithmetic(path, settings, family)
    values = FolderValues(path, settings, family.defaults)
    heads = values.size("num_attention_heads")
    # null means one for each head; what leaving it out means is the family's
    grouped = "num_key_value_heads" in settings and settings["num_key_value_heads"] is None
    kv_heads = heads if grouped else values.size("num_key_value_heads", heads)
    head_size = values.size("head_dim", max(1, values.size("hidden_size") // heads))
    if head_size % 2:
        raise wrong(path, "head_dim", head_size, "an even number, since rotary positions turn pairs")
    if heads % kv_heads:
        raise wrong(path, "num_attention_heads", heads, f"a multiple of num_key_value_heads, {kv_heads}")
    rotary = read_rotary(values, kind, head_size)
    differs = {**family.differs, **family.from_folder(values)}
    biased = [leaf for key, leaves in family.biases.items() if values.flag(key) for leaf in leaves]
    context = values.size("max_position_embeddings")
    notes: tuple[str, ...] = ()
    if rotary.context is not None and rotary.context < context:
        notes += (
            f"texts longer than {rotary.context} tokens turn their positions otherwise (longrope), so "
            f"{rotary.context} is the longest example",
        )
        context = rotary.context
    window = None if "windows" in differs else _window(values)
    config = DecoderConfig(
        family=kind,
        vocabulary=values.size("vocab_size"),
        width=values.size("hidden_size"),
        layers=values.layers(),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        feed_forward=values.size("intermediate_size"),
        rope_base=rotary.base,
        rope_scale=rotary.scale,
        rope_scaling=rotary.scaling,
        rope_features=rotary.features,
        windowed_rope_base=rotary.windowed_base,
        norm_epsilon=values.positive("rms_norm_eps", 1e-6),
        context=context if window is None else min(context, window),
        **(differs | ({"biases": frozenset(biased)} if biased else {})),
    )
    return config, values.flag("tie_word_embeddings"), notes + window_note(window, context)


def window_note(window: int | None, context: int) -> tuple[str, ...]:
    """Say that examples end where a sliding window would begin to cut, where there is one."""
    if window is None or window >= context:
        return ()
    return (
        f"the base attends to no more than {window} tokens at once (sliding_window), so {window} is the "
        "longest example; up to that length the window changes nothing",
    )


def _refuse_other_arithmetic(path: Path, settings: Mapping[str, Any], family: Family) -> None:
    read = family.reads | family.biases.keys()
    allowed_values = {key: values for key, values in ALLOWED_VALUES.items() if key not in read}
    for key, allowed in {**allowed_values, **family.allows}.items():
        if settings.get(key, allowed[0]) not in allowed:
            raise wrong(
                path, key, settings[key], f"{shown(allowed[-1])}: another value changes the arithmetic"
            )
    names = settings.get("architectures")
    if names and not (isinstance(names, list) and any(str(name).endswith("ForCausalLM") for name in names)):
        raise wrong(path, "architectures", names, "a model that continues texts, such as LlamaForCausalLM")
    if keys := unknown(settings, read | family.allows.keys()):
        listed = ", ".join(f"{key} is {shown(settings[key])}" for key in keys)
        one = "that key" if len(keys) == 1 else "those keys"
        raise InputError(
            f"{path}: {listed}: the workbench doesn't know {one}, so it can't tell whether the numbers would "
            f"be right. If transformers' {settings['model_type']} doesn't read {one} either, take {one} out "
            f"of the file; otherwise {ANOTHER_BASE}."
        )


def _window(values: FolderValues) -> int | None:
    """Return how many tokens attention reaches in all layers; None for all."""
    said = "sliding_window" in values.stated
    window = values.stated.get("sliding_window") if said else values.defaults.get("sliding_window")
    window = None if window is None else values.size("sliding_window")
    known_kinds(values, window)
    return window
