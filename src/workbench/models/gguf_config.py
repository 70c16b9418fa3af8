"""The sizes of a decoder out of a GGUF's metadata, with every key used, known, or refused by name.

What changes the arithmetic of a LLaMA stands under ``llama.``; a key there that isn't known is refused. The
other known namespaces describe the file; a key in none of them is used by no reader of this architecture, and
a note names it.

Source: the GGUF specification, and llama.cpp for what a missing or zero value means.
"""

from typing import Any

from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.base import LARGEST_SIZE
from workbench.models.decoder_config import DecoderConfig
from workbench.models.folder_config import FAMILY, LARGEST_NUMBER, window_note
from workbench.models.folder_settings import shown
from workbench.models.gguf_container import GgufFile, command_without
from workbench.models.gguf_layout import GGUF_ARCHITECTURE

READ_KEYS = frozenset(
    (
        *("block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size"),
        *("attention.head_count", "attention.head_count_kv", "attention.key_length"),
        *("attention.value_length", "attention.layer_norm_rms_epsilon", "attention.sliding_window"),
        *("rope.dimension_count", "rope.freq_base"),
        *("rope.scaling.type", "rope.scaling.factor", "rope.scale_linear"),
    )
)
"""Keys under ``llama.`` that are used."""

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
    "rope.scaling.attn_factor": (1,),
    "rope.scaling.yarn_attn_factor": (1,),
    "rope.scaling.yarn_ext_factor": (0, -1),
    "rope.scaling.yarn_log_multiplier": (0,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "leading_dense_block_count": (0,),
    "nextn_predict_layers": (0,),
}
"""Keys under ``llama.`` of models whose arithmetic is another, with the only values that leave it alone."""

HARMLESS_KEYS: dict[str, str] = {
    "attention.layer_norm_epsilon": "of layer norms, which a LLaMA doesn't have",
    "pooling_type": "for embeddings of texts",
    "rope.scaling.finetuned": "a remark about the training",
    "rope.scaling.original_context_length": "for YaRN, which is refused",
    "rope.scaling.yarn_beta_fast": "for YaRN, which is refused",
    "rope.scaling.yarn_beta_slow": "for YaRN, which is refused",
}
"""Keys under ``llama.`` that change nothing, with the reason."""

NAMESPACES: dict[str, str] = {
    "general.": "describes the file",
    "tokenizer.": "read by the tokenizer",
    "quantize.": "how the file was quantized",
    "split.": "checked before: all parts are there",
}
"""Beginnings of keys outside ``llama.`` that are known, with the reason why they change no arithmetic."""

_GENERAL: dict[str, tuple[Any, ...]] = {
    "general.quantization_version": (2,),
    "general.tensor_data_layout": ("Meta AI original pth",),
}


def read_config(file: GgufFile) -> tuple[DecoderConfig, tuple[str, ...]]:
    """Read the sizes of the decoder out of the metadata, and notes.

    Raises:
        InputError: If the model isn't of the LLaMA family, a field is missing or doesn't fit, or a key would
            change what is computed or isn't known.
    """
    architecture = field(file, "general.architecture", str)
    if architecture != GGUF_ARCHITECTURE:
        raise InputError(
            f"{file.path}: general.architecture is {architecture!r}, expected {GGUF_ARCHITECTURE!r}; such "
            f"are {FAMILY}; {ANOTHER_BASE}."
        )
    notes = _check_keys(file)
    if "token_embd.weight" not in file.tensors:
        raise InputError(
            f"{file.path}: tensor 'token_embd.weight' is missing; convert the model anew, or {ANOTHER_BASE}."
        )
    rows = file.tensors["token_embd.weight"].shape[0]
    if (stated := _size(file, "vocab_size", rows)) != rows:
        raise wrong(file, "vocab_size", stated, f"{rows}, the rows of token_embd.weight")
    width, heads = _size(file, "embedding_length"), _size(file, "attention.head_count")
    kv_heads = _size(file, "attention.head_count_kv", heads)
    head_size = _size(file, "attention.key_length", max(1, width // heads))
    for key in ("attention.value_length", "rope.dimension_count"):
        if (value := _size(file, key, head_size)) != head_size:
            raise wrong(file, key, value, f"the head size, {head_size}")
    if head_size % 2:
        raise wrong(
            file, "attention.key_length", head_size, "an even number, since rotary positions turn pairs"
        )
    if heads % kv_heads:
        raise wrong(file, "attention.head_count", heads, f"a multiple of attention.head_count_kv, {kv_heads}")
    context = _size(file, "context_length")
    # 0 says that there is no window
    given = file.metadata.get(f"{GGUF_ARCHITECTURE}.attention.sliding_window", 0)
    window = None if given == 0 else _size(file, "attention.sliding_window")
    config = DecoderConfig(
        vocabulary=rows,
        width=width,
        layers=_size(file, "block_count"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        feed_forward=_size(file, "feed_forward_length"),
        rope_base=_positive(file, "rope.freq_base", 10_000.0),
        rope_scale=_rope_scale(file),
        norm_epsilon=_positive(file, "attention.layer_norm_rms_epsilon"),
        context=context if window is None else min(context, window),
    )
    return config, notes + window_note(window, context)


def _check_keys(file: GgufFile) -> tuple[str, ...]:
    """Refuse what would change the arithmetic or isn't known; return a note about what no reader uses."""
    prefix = f"{GGUF_ARCHITECTURE}."
    allowed = _GENERAL | {prefix + key: values for key, values in ALLOWED_VALUES.items()}
    strangers: dict[str, Any] = {}
    unused = []
    for key, value in file.metadata.items():
        if key in allowed:
            if value not in allowed[key]:
                raise InputError(
                    f"{file.path}: {key} is {shown(value)}, expected {allowed[key][-1]!r}: another value "
                    f"changes the arithmetic; {ANOTHER_BASE}."
                )
        elif key.startswith(prefix):
            if key.removeprefix(prefix) not in READ_KEYS | HARMLESS_KEYS.keys():
                strangers[key] = value
        elif not key.startswith(tuple(NAMESPACES)):
            unused.append(key)
    if strangers:
        one = "that key" if len(strangers) == 1 else "those keys"
        listed = ", ".join(f"{key} is {shown(value)}" for key, value in strangers.items())
        raise InputError(
            f"{file.path}: {listed}: the workbench doesn't know {one}, so it can't tell whether the numbers "
            f"would be right. If llama.cpp doesn't read {one} for a LLaMA either, make a copy without with "
            f"`{command_without(file.path, strangers)}` and give that; otherwise {ANOTHER_BASE}."
        )
    if not unused:
        return ()
    return (f"the file has metadata that no reader of a LLaMA uses: {', '.join(sorted(unused)[:8])}",)


def _rope_scale(file: GgufFile) -> float:
    """Return what positions are divided by.

    A factor without a type means linear, and older files have ``rope.scale_linear``; 0 is no factor.
    """
    kind = field(file, f"{GGUF_ARCHITECTURE}.rope.scaling.type", str, "linear")
    if kind not in ("none", "linear"):
        raise wrong(
            file, "rope.scaling.type", repr(kind), "'none' or 'linear': no other scaled positions are read"
        )
    if kind == "none":
        return 1.0
    new, old = (
        _positive(file, key) if file.metadata.get(f"{GGUF_ARCHITECTURE}.{key}", 0) != 0 else None
        for key in ("rope.scaling.factor", "rope.scale_linear")
    )
    if None not in (new, old) and new != old:
        raise wrong(file, "rope.scale_linear", old, f"{new}, as in rope.scaling.factor")
    return new or old or 1.0


_REQUIRED = object()


def field(file: GgufFile, key: str, kind: type, default: Any = _REQUIRED) -> Any:  # noqa: ANN401 - of that kind
    """Return a metadata field of one type.

    Raises:
        InputError: If it is of another type, or is missing and has no default.
    """
    value = file.metadata.get(key, default)
    if value is _REQUIRED:
        raise InputError(
            f"{file.path}: metadata field {key!r} is missing; convert the model anew, or {ANOTHER_BASE}."
        )
    if value is not default and type(value) is not kind:
        raise InputError(
            f"{file.path}: {key} is {shown(value)}, expected {kind.__name__}; convert the model anew, or "
            f"{ANOTHER_BASE}."
        )
    return value


def _size(file: GgufFile, key: str, default: Any = _REQUIRED) -> int:  # noqa: ANN401 - an int, or nothing
    stated = file.metadata.get(f"{GGUF_ARCHITECTURE}.{key}")
    if isinstance(stated, list):
        # some writers repeat a size for each block
        if len({*stated}) != 1 or type(stated[0]) is not int:
            raise wrong(file, key, shown(stated), "one number, the same for all blocks")
        value = stated[0]
    else:
        value = field(file, f"{GGUF_ARCHITECTURE}.{key}", int, default)
    if not 1 <= value <= LARGEST_SIZE:
        raise wrong(file, key, value, f"1 to {LARGEST_SIZE}")
    return value


def _positive(file: GgufFile, key: str, default: Any = _REQUIRED) -> float:  # noqa: ANN401 - a float, or nothing
    value = field(file, f"{GGUF_ARCHITECTURE}.{key}", float, default)
    if not 0 < value <= LARGEST_NUMBER:
        raise wrong(file, key, value, "a positive number")
    return value


def wrong(file: GgufFile, key: str, value: object, expected: str) -> InputError:
    """Say that a field doesn't fit our decoder."""
    return InputError(
        f"{file.path}: {GGUF_ARCHITECTURE}.{key} is {value}, expected {expected}; {ANOTHER_BASE}."
    )
