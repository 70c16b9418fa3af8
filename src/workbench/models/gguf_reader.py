"""A base out of a GGUF of a known family; the weights stay packed in the blocks they came in."""

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import torch
from gguf.constants import GGMLQuantizationType
from torch import Tensor

from qlora_kernels import FORMATS, QuantizedTensor
from qlora_kernels.in_file import PLAIN_NUMBERS
from qlora_kernels.packed_weight import MappedTensor
from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.base import Base
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig
from workbench.models.families import FAMILIES
from workbench.models.gguf_config import read_config, values_of
from workbench.models.gguf_container import GgufFile, PackedTensor
from workbench.models.gguf_layout import gguf_shape, gguf_tensors, rotary_heads, to_halves
from workbench.models.gguf_parts import read_parts
from workbench.models.gguf_tokenizer import read_tokenizer
from workbench.models.gguf_values import field
from workbench.models.holding import chosen_hold
from workbench.models.not_a_base import refuse_other_files, refuse_other_kinds

_PLAIN: dict[GGMLQuantizationType, type] = {
    GGMLQuantizationType.F32: np.float32,
    GGMLQuantizationType.F16: np.float16,
}


def load_gguf(
    path: Path,
    name: str,
    precision: str = "float32",
    device: torch.device | str = "cpu",
    hold: str = "decoded",
) -> Base:
    """Load a base from a GGUF, or from any part of a split one, ready for products in ``precision``.

    Held "packed", matrices stay in the file, which is mapped into memory.

    Raises:
        InputError: If the file is cut off or foreign, is of no known family, lacks a tensor or a
            field, or has one that doesn't fit.
    """
    refuse_other_files(path)
    parts = read_parts(path)
    file = parts.file
    refuse_other_kinds(file)
    config, notes = read_config(file)
    tokenizer = read_tokenizer(file)
    if tokenizer.vocabulary != config.vocabulary:
        raise InputError(
            f"{path}: tokenizer.ggml.tokens has {tokenizer.vocabulary} entries and token_embd.weight "
            f"{config.vocabulary} rows; they have to be equal; convert the model anew, or {ANOTHER_BASE}."
        )
    hold = chosen_hold(hold, precision, config, torch.device(device), lambda item: decoded_bytes(file, item))
    return Base(
        name=name,
        path=file.path,
        sha256=parts.sha256,
        licence=field(file, "general.license", str, None),
        decoder=Decoder(config, read_weights(file, config, hold == "packed"), precision, device, hold),
        tokenizer=tokenizer,
        notes=notes,
    )


def decoded_bytes(file: GgufFile, itemsize: int) -> int:
    """Return the most that a file's weights take in memory while they are read and decoded for products.

    Args:
        file: The file.
        itemsize: Bytes of a number that is multiplied.
    """
    total, largest = 0, 0
    for name, tensor in file.tensors.items():
        numbers, plain = prod(tensor.shape), tensor.format.name.lower() in PLAIN_NUMBERS
        total += 4 * numbers if plain else tensor.data.nbytes
        looked_up = name == "token_embd.weight" and "output.weight" in file.tensors
        if len(tensor.shape) == 2 and not looked_up and not (plain and itemsize == 4):
            total += itemsize * numbers
            largest = max(largest, numbers)
    return total + 4 * largest


def read_weights(
    file: GgufFile, config: DecoderConfig, mapped: bool = False
) -> dict[str, Tensor | QuantizedTensor]:
    """Return every weight by the decoder's name, packed where the file has it packed.

    Matrices that are ``mapped`` stay in the file.
    """
    if config.layers > len(file.tensors):
        most = f"at most {len(file.tensors)}, the tensors in the file"
        raise values_of(file).wrong("block_count", config.layers, most)
    shapes = config.shapes(tied="output.weight" not in file.tensors)
    tensors = gguf_tensors(config, tied="head" not in shapes)
    for tensor in file.tensors:
        if tensor not in tensors and tensor not in FAMILIES[config.family].gguf_factors:
            raise InputError(
                f"{file.path}: tensor {tensor!r} has no place in a decoder of the family {config.family!r} "
                f"with {config.layers} blocks; {ANOTHER_BASE}."
            )
    weights: dict[str, Tensor | QuantizedTensor] = {}
    for tensor, names in tensors.items():
        packed = file.tensors.get(tensor)
        shape = gguf_shape(shapes, names)
        if packed is None or packed.shape != shape:
            found = "is missing" if packed is None else f"has the shape {packed.shape}"
            raise InputError(
                f"{file.path}: tensor {tensor!r} {found}, expected the shape {shape} from the "
                f"metadata; convert the model anew, or {ANOTHER_BASE}."
            )
        first = 0
        for name in names:
            last = first + shapes[name][0]
            part = (
                packed
                if len(names) == 1
                else replace(packed, shape=shapes[name], data=packed.data[first:last])
            )
            weights[name] = _weight(file, part, rotary_heads(name, config), mapped)
            first = last
    return weights


def _weight(
    file: GgufFile, tensor: PackedTensor, heads: int | None, mapped: bool = False
) -> Tensor | QuantizedTensor:
    rows, format = tensor.data, tensor.format.name.lower()
    if mapped and len(tensor.shape) == 2 and format in (*FORMATS, *PLAIN_NUMBERS):
        places = np.arange(len(rows))[:, None]
        order = None if heads is None else torch.from_numpy(to_halves(places, heads).ravel())
        return MappedTensor(format, (len(rows), tensor.shape[1]), rows, order)
    if heads is not None:
        # a bias is one row of plain numbers, of which each is a row of the matrix that it belongs to
        rows = to_halves(rows.reshape(tensor.shape[0], -1), heads)
    if tensor.format in _PLAIN:
        values = np.ascontiguousarray(rows).view(_PLAIN[tensor.format]).astype(np.float32)
        return torch.from_numpy(values.reshape(tensor.shape))
    if tensor.format is GGMLQuantizationType.BF16:
        # the upper half of a float32
        widened = np.ascontiguousarray(rows).view(np.uint16).astype(np.uint32) << 16
        return torch.from_numpy(widened.view(np.float32).reshape(tensor.shape))
    if format not in FORMATS:
        known = ", ".join(sorted(name.upper() for name, one in FORMATS.items() if one.block_bytes))
        raise InputError(
            f"{file.path}: tensor {tensor.name!r} has the block type {tensor.format.name}, expected F32, "
            f"F16, BF16 or one of {known}. Take the model's Q8_0 file, or quantize it to Q8_0."
        )
    return QuantizedTensor.from_gguf_bytes(format, tensor.shape, rows)
