"""The sizes of a decoder out of a GGUF's metadata, with every key used, known, or refused by name.

What changes the arithmetic of a model stands under its architecture, such as ``llama.``; a key there that
isn't known is refused. The other known namespaces describe the file; a key in none of them is used by no
reader, and a note names it.

Source: the GGUF specification, and llama.cpp for what a missing or zero value means.
"""

from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType

from workbench.config import LINEARS
from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.decoder_config import BIASES, DecoderConfig, RopeScaling
from workbench.models.families import (
    FAMILIES,
    GGUF_FAMILIES,
    KNOWN_BASES,
    SPARSE_GGUF_FAMILIES,
    Family,
)
from workbench.models.folder_config import window_note
from workbench.models.folder_rotary import yarn_magnitude
from workbench.models.folder_settings import shown
from workbench.models.folder_values import LARGEST_NUMBER
from workbench.models.gguf_container import GgufFile, command_without
from workbench.models.gguf_layout import gguf_name
from workbench.models.gguf_values import GgufValues, field

READ_KEYS = frozenset(
    (
        *("block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size"),
        *("attention.head_count", "attention.head_count_kv", "attention.key_length"),
        *("attention.value_length", "attention.layer_norm_rms_epsilon", "attention.sliding_window"),
        *("rope.dimension_count", "rope.freq_base"),
        *("rope.scaling.type", "rope.scaling.factor", "rope.scale_linear", "rope.scaling.attn_factor"),
    )
)
"""Keys under the architecture that are used."""

ALLOWED_VALUES: dict[str, tuple[Any, ...]] = {
    "tensor_data_layout": ("Meta AI original pth",),
    "use_parallel_residual": (False,),
    "hidden_activation": ("silu",),
    "attention.causal": (True,),
    "attention.scale": (0,),
    "attention.output_scale": (0, 1),
    "attention.value_scale": (0, 1),
    "attention.clamp_kqv": (0,),
    "attention.max_alibi_bias": (0,),
    "attention.temperature_scale": (0,),
    "attn_logit_softcapping": (0,),
    "final_logit_softcapping": (0,),
    "logit_scale": (0, 1),
    "embedding_scale": (0, 1),
    "residual_scale": (0, 1),
    "rope.scaling.alpha": (0, 1),
    "rope.scaling.yarn_attn_factor": (1,),
    "rope.scaling.yarn_ext_factor": (0, -1),
    "rope.scaling.yarn_log_multiplier": (0,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "leading_dense_block_count": (0,),
    "nextn_predict_layers": (0,),
}
"""Keys under the architecture that change the arithmetic, with the only values that leave it alone."""

HARMLESS_KEYS: dict[str, str] = {
    "attention.layer_norm_epsilon": "of layer norms, which no family here has",
    "pooling_type": "for embeddings of texts",
    "rope.scaling.finetuned": "a remark about the training",
    "rope.scaling.original_context_length": "read for YaRN and LongRoPE only",
    "rope.scaling.yarn_beta_fast": "read for YaRN only",
    "rope.scaling.yarn_beta_slow": "read for YaRN only",
}
"""Keys under the architecture that change nothing, with the reason."""

NAMESPACES: dict[str, str] = {
    "general.": "describes the file",
    "tokenizer.": "read by the tokenizer",
    "quantize.": "how the file was quantized",
    "split.": "checked before: all parts are there",
}
"""Beginnings of keys outside the architecture that are known, with the reason why they change nothing."""

_GENERAL: dict[str, tuple[Any, ...]] = {
    "general.quantization_version": (2,),
    "general.tensor_data_layout": ("Meta AI original pth",),
}


def read_config(file: GgufFile) -> tuple[DecoderConfig, tuple[str, ...]]:
    """Read the sizes of the decoder out of the metadata, and notes.

    Raises:
        InputError: If the model is of no known family, a field is missing or doesn't fit, or a key would
            change what is computed or isn't known.
    """
    values = values_of(file)
    kind = GGUF_FAMILIES[values.architecture]
    if values.get("expert_count", 0) != 0:
        kind = SPARSE_GGUF_FAMILIES.get(values.architecture, kind)
    family = FAMILIES[kind]
    notes = _check_keys(values, family)
    if "token_embd.weight" not in file.tensors:
        raise InputError(
            f"{file.path}: tensor 'token_embd.weight' is missing; convert the model anew, or {ANOTHER_BASE}."
        )
    rows = file.tensors["token_embd.weight"].shape[0]
    if (stated := values.size("vocab_size", rows)) != rows:
        raise values.wrong("vocab_size", stated, f"{rows}, the rows of token_embd.weight")
    heads = values.size("attention.head_count")
    kv_heads, head_size = values.size("attention.head_count_kv", heads), values.head_size()
    if (value := values.size("attention.value_length", head_size)) != head_size:
        raise values.wrong("attention.value_length", value, f"the head size, {head_size}")
    turned = values.size("rope.dimension_count", head_size)
    if turned != head_size and (family.gguf != "phi3" or turned > head_size or turned % 2):
        raise values.wrong("rope.dimension_count", turned, f"the head size, {head_size}")
    if head_size % 2:
        raise values.wrong(
            "attention.key_length", head_size, "an even number, since rotary positions turn pairs"
        )
    if heads % kv_heads:
        raise values.wrong(
            "attention.head_count", heads, f"a multiple of attention.head_count_kv, {kv_heads}"
        )
    context = values.size("context_length")
    scale, scaling = _rope_scaling(values, family, turned)
    longer = family.gguf_factors[1:]
    if longer and longer[0] in file.tensors:
        original = values.size("rope.scaling.original_context_length", context)
        if original < context:
            notes += (
                f"texts longer than {original} tokens turn their positions otherwise ({longer[0]}), so "
                f"{original} is the longest example",
            )
            context = original
    differs = {**family.differs, **family.from_gguf(values)}
    # 0 says that there is no window
    unlimited = "windows" in differs or values.get("attention.sliding_window", 0) == 0
    window = None if unlimited else values.size("attention.sliding_window")
    config = DecoderConfig(
        family=kind,
        vocabulary=rows,
        width=values.size("embedding_length"),
        layers=values.size("block_count"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        feed_forward=values.size("feed_forward_length"),
        rope_base=values.positive("rope.freq_base", 10_000.0),
        rope_scale=scale,
        rope_scaling=scaling,
        rope_features=None if turned == head_size else turned,
        norm_epsilon=values.positive("attention.layer_norm_rms_epsilon"),
        context=context if window is None else min(context, window),
        **(differs | _biases(file)),
    )
    return config, notes + window_note(window, context)


def values_of(file: GgufFile) -> GgufValues:
    """Return the settings of a file's architecture.

    Raises:
        InputError: If it is of no known family.
    """
    architecture = field(file, "general.architecture", str)
    if architecture not in GGUF_FAMILIES:
        known = ", ".join(repr(one) for one in sorted(GGUF_FAMILIES))
        raise InputError(
            f"{file.path}: general.architecture is {architecture!r}, expected one of {known}; such are "
            f"{KNOWN_BASES}; {ANOTHER_BASE}."
        )
    return GgufValues(file, architecture)


def _biases(file: GgufFile) -> dict[str, Any]:
    """Return which linear layers have biases: those of the first block that have one there."""
    found = frozenset(leaf for leaf in LINEARS if gguf_name(f"layers.0.{BIASES[leaf]}") in file.tensors)
    return {"biases": found} if found else {}


def _check_keys(values: GgufValues, family: Family) -> tuple[str, ...]:
    """Refuse what would change the arithmetic or isn't known; return a note about what no reader uses."""
    file = values.file
    allowed = _GENERAL | {
        values.name(key): known for key, known in ALLOWED_VALUES.items() if key not in family.gguf_reads
    }
    strangers: dict[str, Any] = {}
    unused = []
    for key, value in file.metadata.items():
        if key in allowed:
            if value not in allowed[key]:
                raise InputError(
                    f"{file.path}: {key} is {shown(value)}, expected {allowed[key][-1]!r}: another value "
                    f"changes the arithmetic; {ANOTHER_BASE}."
                )
        elif key.startswith(prefix := values.name("")):
            if key.removeprefix(prefix) not in READ_KEYS | HARMLESS_KEYS.keys() | family.gguf_reads:
                strangers[key] = value
        elif not key.startswith(tuple(NAMESPACES)):
            unused.append(key)
    if strangers:
        one = "that key" if len(strangers) == 1 else "those keys"
        listed = ", ".join(f"{key} is {shown(value)}" for key, value in strangers.items())
        raise InputError(
            f"{file.path}: {listed}: the workbench doesn't know {one}, so it can't tell whether the numbers "
            f"would be right. If llama.cpp doesn't read {one} for this architecture either, make a copy "
            f"without with `{command_without(file.path, strangers)}` and give that; otherwise {ANOTHER_BASE}."
        )
    if not unused:
        return ()
    return (f"the file has metadata that no reader uses: {', '.join(sorted(unused)[:8])}",)


def _rope_scaling(values: GgufValues, family: Family, features: int) -> tuple[float, RopeScaling | None]:
    """Return what all positions are divided by, and what else each pair's are.

    A factor without a type means linear, and older files have ``rope.scale_linear``; 0 is no factor.
    """
    kind = field(values.file, values.name("rope.scaling.type"), str, "linear")
    known = ("none", "linear", "yarn", "longrope")
    if kind not in known:
        raise values.wrong(
            "rope.scaling.type",
            repr(kind),
            f"one of {', '.join(map(repr, known))}: no other positions are read",
        )
    new, old = values.optional("rope.scaling.factor"), values.optional("rope.scale_linear")
    if None not in (new, old) and new != old:
        raise values.wrong("rope.scale_linear", old, f"{new}, as in rope.scaling.factor")
    scale, magnitude = new or old or 1.0, values.positive("rope.scaling.attn_factor", 1.0)
    divisors = _divisors(values, family, features)
    if kind == "yarn":
        if divisors:
            tensor = family.gguf_factors[0]
            raise values.wrong("rope.scaling.type", "'yarn'", f"another one beside the tensor {tensor}")
        return 1.0, RopeScaling(
            kind="yarn",
            factor=scale,
            original_context=values.size(
                "rope.scaling.original_context_length", values.size("context_length")
            ),
            slow=values.positive("rope.scaling.yarn_beta_slow", 1.0),
            fast=values.positive("rope.scaling.yarn_beta_fast", 32.0),
            magnitude=magnitude * yarn_magnitude(scale),
        )
    if kind == "longrope" and not divisors:
        needed = " or ".join(family.gguf_factors[:1]) or "any such positions"
        raise values.wrong("rope.scaling.type", "'longrope'", f"another one without {needed}")
    scaling = RopeScaling(kind="factors", divisors=divisors, magnitude=magnitude) if divisors else None
    if scaling is None and magnitude != 1:
        raise values.wrong("rope.scaling.attn_factor", magnitude, "1 without scaled positions")
    return scale if kind == "linear" else 1.0, scaling


def _divisors(values: GgufValues, family: Family, features: int) -> tuple[float, ...]:
    """Return what each pair's angle is divided by, out of a tensor; nothing where there is none."""
    tensors = values.file.tensors
    name = next(iter(family.gguf_factors), "")
    if name not in tensors:
        return ()
    tensor = tensors[name]
    if tensor.format is not GGMLQuantizationType.F32 or tensor.shape != (features // 2,):
        raise InputError(
            f"{values.file.path}: tensor {name!r} is {tensor.format.name} of the shape {tensor.shape}, "
            f"expected F32 of the shape {(features // 2,)}; convert the model anew, or {ANOTHER_BASE}."
        )
    found = tuple(np.ascontiguousarray(tensor.data).view(np.float32).ravel().tolist())
    if not all(0 < one < LARGEST_NUMBER for one in found):
        raise InputError(
            f"{values.file.path}: tensor {name!r} holds a number that isn't positive and finite; convert the "
            f"model anew, or {ANOTHER_BASE}."
        )
    return found
