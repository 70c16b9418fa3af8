"""A whole model as a GGUF, tensor by tensor.

The package ``gguf`` writes the header and the metadata. Its own way of writing tensors holds all of them at
once and loses the error of a full disk, so that part is here.

Source: the GGUF specification, version 3; what llama.cpp expects of tensors of one axis and of ``general.*``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from gguf.constants import GGML_QUANT_VERSION, GGMLQuantizationType, LlamaFileType

from workbench.models.families import FAMILIES
from workbench.models.gguf_layout import gguf_shape, gguf_tensors
from workbench.models.gguf_writer import (
    add_config,
    add_factors,
    add_tokenizer,
    in_file_order,
    write_tensors,
)
from workbench.models.writers.gguf_vocabulary import name_for_llama_cpp, vocabulary_metadata
from workbench.models.writers.model import TellProgress, WholeModel, quiet
from workbench.models.writers.numbers import bytes_of, rounded, row_bytes

FILE_TYPES = {
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "bf16": LlamaFileType.MOSTLY_BF16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
    "q6_k": LlamaFileType.MOSTLY_Q6_K,
    "q4_k": LlamaFileType.MOSTLY_Q4_K_S,
    "q4_1": LlamaFileType.MOSTLY_Q4_1,
    "q4_0": LlamaFileType.MOSTLY_Q4_0,
}
"""What ``general.file_type`` says of a file, by the kind of most of its matrices; only people read it."""


def write_gguf_model(
    path: Path,
    model: WholeModel,
    kinds: Mapping[str, str],
    progress: TellProgress = quiet,
    largest_shard: int | None = None,
) -> None:
    """Write a GGUF to a new file.

    Args:
        path: It isn't there yet.
        model: What to write; its weights are asked for one at a time, in their order in the file.
        kinds: For each weight the key of ``KINDS_OF_NUMBERS``.
        progress: Told of each weight.
        largest_shard: Not used: a GGUF is one file.

    Raises:
        InputError: If a weight isn't finite or is too large for its kind, or the tokenizer can't be written.
        OSError: If the disk is full.
    """
    shapes = model.shapes
    writer = GGUFWriter(path, FAMILIES[model.config.family].gguf)
    writer.add_type("model")
    writer.add_name(name_for_llama_cpp(model.name, model.tokenizer))
    if model.description is not None:
        writer.add_description(model.description)
    if model.licence is not None:
        writer.add_license(model.licence)
    writer.add_quantization_version(GGML_QUANT_VERSION)
    blocks = [kinds[name] for name in shapes if name.startswith("layers.") and len(shapes[name]) == 2]
    writer.add_file_type(FILE_TYPES[max(sorted(set(blocks)), key=blocks.count)])
    add_config(writer, model.config)
    add_tokenizer(writer, vocabulary_metadata(model.tokenizer, model.source))
    held = gguf_tensors(model.config, tied=model.tied)
    for tensor, names in held.items():
        shape, kind = gguf_shape(shapes, names), kinds[names[0]]
        size = int(np.prod(shape[:-1], dtype=np.int64)) * row_bytes(kind, shape[-1])
        block = GGMLQuantizationType[kind.upper()]
        writer.add_tensor_info(tensor, shape, np.dtype(np.float32), size, block)
    factors = add_factors(writer, model.config)

    def rows(name: str, kind: str) -> np.ndarray:
        data = bytes_of(rounded(name, model.weights[name], kind))
        # a norm or a bias is one row of bytes, of which each number is a row here
        return in_file_order(name, data.reshape(shapes[name][0], -1), model.config)

    def tensors() -> Iterator[np.ndarray]:
        for done, names in enumerate(held.values(), 1):
            kind = kinds[names[0]]
            parts = [rows(name, kind) for name in names]
            yield parts[0] if len(parts) == 1 else np.concatenate(parts)
            progress("writing", done, len(held))
        yield from factors

    write_tensors(writer, tensors())
