"""A decoder and its tokenizer as a GGUF, which our reader and others read back."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType
from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.errors import InputError
from workbench.files import not_written
from workbench.models.decoder_config import BIASES, DecoderConfig, unlike_fields
from workbench.models.families import FAMILIES
from workbench.models.folder_rotary import yarn_magnitude
from workbench.models.gguf_config import read_config
from workbench.models.gguf_container import GgufFile, PackedTensor
from workbench.models.gguf_layout import gguf_name, gguf_shape, gguf_tensors, rotary_heads, to_pairs
from workbench.models.gguf_tokenizer import tokenizer_metadata
from workbench.models.rotary import divisors_of, same_rotations
from workbench.models.tokenizer import Tokenizer

Weights = Mapping[str, Tensor | QuantizedTensor]


def write_gguf(
    path: Path,
    config: DecoderConfig,
    weights: Weights,
    tokenizer: Tokenizer,
    *,
    name: str,
    licence: str | None,
    description: str | None = None,
    author: str | None = None,
) -> None:
    """Write a GGUF; the file is there whole, or not at all.

    Args:
        path: Where to write.
        config: Sizes of the decoder.
        weights: Every weight by the decoder's name. A packed one is written as it is, a plain one as F32.
        tokenizer: A character tokenizer, or one that was read from a GGUF.
        name: Name of the model.
        licence: Licence of the weights, such as "MIT"; None leaves the field out.
        description: What the model is and where its data came from; notices belong here.
        author: Who made it.

    Raises:
        InputError: If a format or the tokenizer can't be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            writer = GGUFWriter(Path(folder) / path.name, FAMILIES[config.family].gguf)
            writer.add_type("model")
            for add, value in (
                (writer.add_name, name),
                (writer.add_author, author),
                (writer.add_description, description),
                (writer.add_license, licence),
            ):
                if value is not None:
                    add(value)
            add_config(writer, config)
            add_tokenizer(writer, tokenizer_metadata(tokenizer))
            tensors = [
                _add_tensor(writer, tensor, {name: weights[name] for name in names}, config)
                for tensor, names in gguf_tensors(config, tied="head" not in weights).items()
            ]
            tensors += add_factors(writer, config)
            write_tensors(writer, tensors)
            os.replace(Path(folder) / path.name, path)
    except OSError as error:
        raise not_written(path, error) from error


def write_tensors(writer: GGUFWriter, tensors: Iterable[np.ndarray]) -> None:
    """Write what a writer was told of, then the tensors' bytes in the order of their entries.

    The package's own ``write_tensors_to_file`` holds all tensors at once, and NumPy, which it writes with,
    may lose the error of a full disk: then half a file would look like a whole one.

    Raises:
        OSError: If the disk takes no more, at whatever byte that is.
    """
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        assert writer.fout is not None
        (file,) = writer.fout
        writer.write_padding(file, file.tell())
        for entry, data in zip(writer.tensors[0].values(), tensors, strict=True):
            assert data.nbytes == entry.nbytes
            file.write(np.ascontiguousarray(data).data)
            writer.write_padding(file, data.nbytes)
        file.flush()
        os.fsync(file.fileno())
    finally:
        writer.close()


def gguf_settings(config: DecoderConfig) -> dict[str, float | int | str]:
    """Return what a GGUF's metadata says of a decoder, below its architecture."""
    found: dict[str, float | int | str] = {
        "block_count": config.layers,
        "context_length": config.context,
        "embedding_length": config.width,
        "feed_forward_length": config.feed_forward,
        "attention.head_count": config.heads,
        "attention.head_count_kv": config.kv_heads,
        "attention.key_length": config.head_size,
        "attention.value_length": config.head_size,
        "rope.dimension_count": config.rope_features or config.head_size,
        "rope.freq_base": float(config.rope_base),
        "attention.layer_norm_rms_epsilon": float(config.norm_epsilon),
        "vocab_size": config.vocabulary,
    }
    scaling = config.rope_scaling
    if scaling is not None and scaling.kind == "yarn":
        found |= {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": float(scaling.factor),
            "rope.scaling.original_context_length": scaling.original_context,
            "rope.scaling.yarn_beta_fast": float(scaling.fast),
            "rope.scaling.yarn_beta_slow": float(scaling.slow),
            "rope.scaling.attn_factor": scaling.magnitude / yarn_magnitude(scaling.factor),
        }
    elif config.rope_scale != 1:
        found |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(config.rope_scale)}
    if scaling is not None and scaling.kind != "yarn" and scaling.magnitude != 1:
        found["rope.scaling.attn_factor"] = float(scaling.magnitude)
    return found | FAMILIES[config.family].to_gguf(config)


def add_config(writer: GGUFWriter, config: DecoderConfig) -> None:
    """Add the sizes and settings of the decoder to the metadata.

    Raises:
        InputError: If a GGUF of this family can't say one of them.
    """
    settings, architecture = gguf_settings(config), FAMILIES[config.family].gguf
    _refuse_unsaid(config, settings)
    for key, value in settings.items():
        add: Callable[[str, Any], None] = {int: writer.add_uint32, float: writer.add_float32}.get(
            type(value), writer.add_string
        )
        add(f"{architecture}.{key}", value)


def _refuse_unsaid(config: DecoderConfig, settings: Mapping[str, float | int | str]) -> None:
    """Read the settings back as a file would say them, and refuse what doesn't come out the same."""
    family = FAMILIES[config.family]
    metadata = {f"{family.gguf}.{key}": value for key, value in settings.items()}
    nothing = np.empty((0, 0), np.uint8)
    held: dict[str, tuple[tuple[int, ...], np.ndarray]] = {
        "token_embd.weight": ((config.vocabulary, config.width), nothing)
    }
    held |= {gguf_name(f"layers.0.{BIASES[leaf]}"): ((1,), nothing) for leaf in config.biases}
    held |= {name: (values.shape, values.view(np.uint8)) for name, values in factors_of(config).items()}
    tensors = {
        name: PackedTensor(name, GGMLQuantizationType.F32, shape, data)
        for name, (shape, data) in held.items()
    }
    if unread := sorted(config.biases - {*family.gguf_biases}):
        raise InputError(
            f"a GGUF of the architecture {family.gguf!r} can't hold biases of {', '.join(unread)}: llama.cpp "
            "doesn't read them. Write a folder of safetensors instead."
        )
    architecture = {"general.architecture": family.gguf}
    read, _ = read_config(GgufFile(Path("the new file"), architecture | metadata, tensors))
    unlike = unlike_fields(config, read)
    if not same_rotations(config, read):
        unlike.append("rope_scaling")
    for name in unlike:
        raise InputError(
            f"a GGUF of the architecture {family.gguf!r} can't say that {name} is {getattr(config, name)!r}: "
            f"llama.cpp would take {getattr(read, name)!r}. Write a folder of safetensors instead."
        )


def factors_of(config: DecoderConfig) -> dict[str, np.ndarray]:
    """Return the tensors of what each pair's angle is divided by, by name; none where nothing is."""
    scaling = config.rope_scaling
    if scaling is None or scaling.kind == "yarn":
        return {}
    divisors = np.array(divisors_of(config), np.float32)
    return dict.fromkeys(FAMILIES[config.family].gguf_factors, divisors)


def add_factors(writer: GGUFWriter, config: DecoderConfig) -> list[np.ndarray]:
    """Add the entries of :func:`factors_of` and return their data."""
    factors = factors_of(config)
    for name, values in factors.items():
        writer.add_tensor_info(name, values.shape, values.dtype, values.nbytes, GGMLQuantizationType.F32)
    return list(factors.values())


def add_tokenizer(writer: GGUFWriter, metadata: Mapping[str, Any]) -> None:
    """Add a tokenizer's fields to the metadata.

    Raises:
        InputError: If a field holds something that isn't written to a GGUF.
    """
    for key, value in metadata.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif key.endswith(".precompiled_charsmap"):
            writer.add_array(key, bytes(byte & 0xFF for byte in value))
        elif isinstance(value, list):
            writer.add_array(key, value)
        else:
            raise InputError(f"metadata field {key!r} holds {value!r}, which isn't written to a GGUF.")


def _add_tensor(
    writer: GGUFWriter, name: str, weights: Mapping[str, Tensor | QuantizedTensor], config: DecoderConfig
) -> np.ndarray:
    """Add the entry of a tensor, which holds weights one above the other, and return its data."""
    formats, parts = set(), []
    for own, weight in weights.items():
        if isinstance(weight, QuantizedTensor):
            formats.add(_block_type(name, weight.format))
            data = weight.to_gguf_bytes().numpy()
        else:
            formats.add(GGMLQuantizationType.F32)
            data = weight.detach().to(torch.float32).numpy()
        parts.append(in_file_order(own, data, config))
    if len(formats) > 1:
        kinds = " and ".join(sorted(format.name for format in formats))
        raise InputError(f"tensor {name!r} would hold {kinds} at once; quantize {', '.join(weights)} alike.")
    data = parts[0] if len(parts) == 1 else np.concatenate(parts)
    shapes = {own: tuple(weight.shape) for own, weight in weights.items()}
    data = data.reshape(*gguf_shape(shapes, [*weights])[:-1], -1)
    writer.add_tensor_info(name, data.shape, data.dtype, data.nbytes, formats.pop())
    return data


def in_file_order(name: str, data: np.ndarray, config: DecoderConfig) -> np.ndarray:
    """Return the rows of a weight, or the numbers of a bias, in the order that a GGUF has."""
    heads = rotary_heads(name, config)
    if heads is None:
        return data
    return np.ascontiguousarray(to_pairs(data.reshape(len(data), -1), heads)).reshape(data.shape)


def _block_type(name: str, format: str) -> GGMLQuantizationType:
    if format.upper() not in GGMLQuantizationType.__members__:
        raise InputError(
            f"tensor {name!r} is packed as {format!r}, which GGUF doesn't have; quantize it to q4_0, "
            "q4_1 or q8_0."
        )
    return GGMLQuantizationType[format.upper()]
