"""A decoder and its tokenizer as a GGUF, which our reader and others read back."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType, RopeScalingType
from torch import Tensor

from qlora_kernels import QuantizedTensor
from workbench.errors import InputError
from workbench.files import not_written
from workbench.models.decoder_config import DecoderConfig
from workbench.models.gguf_layout import GGUF_ARCHITECTURE, gguf_name, rotary_heads, to_pairs
from workbench.models.gguf_tokenizer import tokenizer_metadata
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
            writer = GGUFWriter(Path(folder) / path.name, GGUF_ARCHITECTURE)
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
                _add_tensor(writer, gguf_name(weight), weights[weight], rotary_heads(weight, config))
                for weight in config.shapes(tied="head" not in weights)
            ]
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


def add_config(writer: GGUFWriter, config: DecoderConfig) -> None:
    """Add the sizes of the decoder to the metadata."""
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_feed_forward_length(config.feed_forward)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_size)
    writer.add_value_length(config.head_size)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(config.rope_base)
    if config.rope_scale != 1:
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_scale)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_vocab_size(config.vocabulary)


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
    writer: GGUFWriter, name: str, weight: Tensor | QuantizedTensor, heads: int | None
) -> np.ndarray:
    """Add a tensor's entry and return its data."""
    if isinstance(weight, QuantizedTensor):
        format = _block_type(name, weight.format)
        data = weight.to_gguf_bytes().numpy()
    else:
        format = GGMLQuantizationType.F32
        data = weight.detach().to(torch.float32).numpy()
    if heads is not None:
        data = np.ascontiguousarray(to_pairs(data, heads))
    writer.add_tensor_info(name, data.shape, data.dtype, data.nbytes, format)
    return data


def _block_type(name: str, format: str) -> GGMLQuantizationType:
    if format.upper() not in GGMLQuantizationType.__members__:
        raise InputError(
            f"tensor {name!r} is packed as {format!r}, which GGUF doesn't have; quantize it to q4_0, "
            "q4_1 or q8_0."
        )
    return GGMLQuantizationType[format.upper()]
