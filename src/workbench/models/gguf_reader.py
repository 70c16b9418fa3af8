"""A base out of a GGUF of the LLaMA family; the weights stay packed in the blocks they came in."""

from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf.constants import GGMLQuantizationType
from torch import Tensor

from qlora_kernels import FORMATS, QuantizedTensor
from workbench.errors import InputError
from workbench.files import sha256_of
from workbench.models.base import LARGEST, Base
from workbench.models.decoder import Decoder, DecoderConfig
from workbench.models.gguf_container import GgufFile, PackedTensor, read_container
from workbench.models.gguf_layout import ARCHITECTURE, gguf_name, rotary_heads, to_halves
from workbench.models.gguf_tokenizer import read_tokenizer

_PLAIN: dict[GGMLQuantizationType, type] = {
    GGMLQuantizationType.F32: np.float32,
    GGMLQuantizationType.F16: np.float16,
}


def load_gguf(path: Path, name: str, precision: str = "float32") -> Base:
    """Load a base from a GGUF, ready for products in ``precision``.

    Raises:
        InputError: If the file is cut off or foreign, isn't of the LLaMA family, lacks a tensor or a
            field, or has one that doesn't fit.
    """
    file = read_container(path)
    config = read_config(file)
    tokenizer = read_tokenizer(file)
    if tokenizer.vocabulary != config.vocabulary:
        raise InputError(
            f"{path}: tokenizer.ggml.tokens has {tokenizer.vocabulary} entries and token_embd.weight "
            f"{config.vocabulary} rows; they have to be equal. Convert the model anew."
        )
    return Base(
        name=name,
        path=path,
        sha256=sha256_of(path),
        licence=_field(file, "general.license", str, None),
        decoder=Decoder(config, read_weights(file, config), precision),
        tokenizer=tokenizer,
    )


def read_config(file: GgufFile) -> DecoderConfig:
    """Read the sizes of the decoder out of the metadata."""
    architecture = _field(file, "general.architecture", str)
    if architecture != ARCHITECTURE:
        raise InputError(
            f"{file.path}: general.architecture is {architecture!r}, expected {ARCHITECTURE!r}: only "
            "models of the LLaMA family are read. Choose another base."
        )
    _refuse_scaled_positions(file)
    width, heads = _size(file, "embedding_length"), _size(file, "attention.head_count")
    kv_heads = _size(file, "attention.head_count_kv", heads)
    head_size = _size(file, "attention.key_length", max(1, width // heads))
    for field in ("attention.value_length", "rope.dimension_count"):
        if (value := _size(file, field, head_size)) != head_size:
            raise _wrong(file, field, value, f"the head size, {head_size}")
    if head_size % 2:
        raise _wrong(
            file, "attention.key_length", head_size, "an even number, since rotary positions turn pairs"
        )
    if heads % kv_heads:
        raise _wrong(
            file, "attention.head_count", heads, f"a multiple of attention.head_count_kv, {kv_heads}"
        )
    if "token_embd.weight" not in file.tensors:
        raise InputError(f"{file.path}: tensor 'token_embd.weight' is missing. Get the file again.")
    return DecoderConfig(
        vocabulary=file.tensors["token_embd.weight"].shape[0],
        width=width,
        layers=_size(file, "block_count"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        feed_forward=_size(file, "feed_forward_length"),
        rope_base=_positive(file, "rope.freq_base", 10_000.0),
        norm_epsilon=_positive(file, "attention.layer_norm_rms_epsilon"),
        context=_size(file, "context_length"),
    )


def read_weights(file: GgufFile, config: DecoderConfig) -> dict[str, Tensor | QuantizedTensor]:
    """Return every weight by the decoder's name, packed where the file has it packed."""
    if config.layers > len(file.tensors):
        raise _wrong(
            file, "block_count", config.layers, f"at most {len(file.tensors)}, the tensors in the file"
        )
    shapes = config.shapes(tied="output.weight" not in file.tensors)
    names = {gguf_name(name): name for name in shapes}
    for tensor in file.tensors:
        if tensor not in names:
            raise InputError(
                f"{file.path}: tensor {tensor!r} has no place in a plain LLaMA decoder of {config.layers} "
                "blocks (biases, experts and scaled rotary positions aren't supported). Choose another base."
            )
    weights = {}
    for tensor, name in names.items():
        packed = file.tensors.get(tensor)
        if packed is None or packed.shape != shapes[name]:
            found = "is missing" if packed is None else f"has the shape {packed.shape}"
            raise InputError(
                f"{file.path}: tensor {tensor!r} {found}, expected the shape {shapes[name]} from the "
                "metadata. Get the file again."
            )
        weights[name] = _weight(file, packed, rotary_heads(name, config))
    return weights


def _weight(file: GgufFile, tensor: PackedTensor, heads: int | None) -> Tensor | QuantizedTensor:
    rows = tensor.data if heads is None else to_halves(tensor.data, heads)
    if tensor.format in _PLAIN:
        values = np.ascontiguousarray(rows).view(_PLAIN[tensor.format]).astype(np.float32)
        return torch.from_numpy(values.reshape(tensor.shape))
    if tensor.format is GGMLQuantizationType.BF16:
        # the upper half of a float32
        widened = np.ascontiguousarray(rows).view(np.uint16).astype(np.uint32) << 16
        return torch.from_numpy(widened.view(np.float32).reshape(tensor.shape))
    format = tensor.format.name.lower()
    if format not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise InputError(
            f"{file.path}: tensor {tensor.name!r} has the block type {tensor.format.name}, expected F32, "
            f"F16, BF16 or one of {known}. Quantize the model to one of those, such as Q4_K_M or Q8_0."
        )
    return QuantizedTensor.from_gguf_bytes(format, tensor.shape, rows)


def _refuse_scaled_positions(file: GgufFile) -> None:
    key = f"{ARCHITECTURE}.rope.scaling.type"
    kind = _field(file, key, str, "none")
    if kind != "none":
        raise InputError(
            f"{file.path}: {key} is {kind!r}, expected 'none': scaled rotary positions aren't supported. "
            "Choose another base."
        )


_REQUIRED = object()


def _field(file: GgufFile, key: str, kind: type, default: Any = _REQUIRED) -> Any:  # noqa: ANN401 - of that kind
    value = file.metadata.get(key, default)
    if value is _REQUIRED:
        raise InputError(f"{file.path}: metadata field {key!r} is missing. Get the file again.")
    if value is not default and type(value) is not kind:
        shown = str(value)[:40]
        raise InputError(f"{file.path}: {key} is {shown!r}, expected {kind.__name__}. Get the file again.")
    return value


def _size(file: GgufFile, field: str, default: Any = _REQUIRED) -> int:  # noqa: ANN401 - an int, or nothing
    value = _field(file, f"{ARCHITECTURE}.{field}", int, default)
    if not 1 <= value <= LARGEST:
        raise _wrong(file, field, value, f"1 to {LARGEST}")
    return value


def _positive(file: GgufFile, field: str, default: Any = _REQUIRED) -> float:  # noqa: ANN401 - a float, or nothing
    value = _field(file, f"{ARCHITECTURE}.{field}", float, default)
    if not (isfinite(value) and value > 0):
        raise _wrong(file, field, value, "a positive number")
    return value


def _wrong(file: GgufFile, field: str, value: object, expected: str) -> InputError:
    return InputError(
        f"{file.path}: {ARCHITECTURE}.{field} is {value}, expected {expected}. Get the file again, or "
        "choose another base."
    )
