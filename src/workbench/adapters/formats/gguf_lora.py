"""LoRA adapters as llama.cpp loads them: a GGUF file.

llama.cpp adds user_scale * alpha / rank * B A to a layer, with one alpha for the whole file. GGUF orders the
rows of a base's query and key matrices in pairs (see ``models/gguf_layout.py``), so the rows of B of these
two are reordered with them, for which the numbers of heads have to be known; A, whose rows are ranks, stays.

Source: ``convert_lora_to_gguf.py`` and ``llama-adapter.cpp`` of llama.cpp.
"""

import io
import math
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType
from gguf.gguf_writer import WriterState
from torch import Tensor

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.formats.tensor_file import COPY_AGAIN, check_numbers
from workbench.config import LINEARS
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.models.base import Base
from workbench.models.families import FAMILIES, GGUF_FAMILIES
from workbench.models.gguf_container import GgufFile, PackedTensor, read_container
from workbench.models.gguf_layout import gguf_name, to_halves, to_pairs

_HALVES = {"lora_A": "lora_a", "lora_B": "lora_b"}
_LEAVES = {gguf_name(f"layers.0.{leaf}").split(".")[2]: leaf for leaf in LINEARS}
_PLAIN = {GGMLQuantizationType.F32: np.float32, GGMLQuantizationType.F16: np.float16}
_ALPHA = "adapter.lora.alpha"
_HEADS = ("attention.head_count", "attention.head_count_kv")
_BASE_NAME, _BASE_HASH = "general.base_model.0.name", "workbench.base_sha256"


def read_gguf_lora(path: Path, base: Base | None) -> LoraAdapter:
    """Read an adapter from a GGUF; a stranger's that changes queries or keys needs the base, for its heads.

    Raises:
        InputError: If the file is damaged, is no LoRA adapter of a known or of the base's family, or needs
            a base.
    """
    file = read_container(path)
    wanted = [*GGUF_FAMILIES] if base is None else [FAMILIES[base.decoder.config.family].gguf]
    for key, values in (
        ("general.type", ["adapter"]),
        ("adapter.type", ["lora"]),
        ("general.architecture", wanted),
    ):
        if file.metadata.get(key) not in values:
            expected = " or ".join(map(repr, sorted(values)))
            whose = "of a known family" if base is None else "of this base"
            raise InputError(
                f"{path}: {key} is {str(file.metadata.get(key))[:80]!r}, expected {expected}; give a LoRA "
                f"adapter {whose}"
            )
    architecture = file.metadata["general.architecture"]
    alpha = file.metadata.get(_ALPHA)
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha < math.inf:
        raise InputError(f"{path}: {_ALPHA} is {str(alpha)[:20]}; expected a number above 0")
    heads = _heads(file, base)
    pairs = _has_pairs(architecture)
    tensors = {}
    for tensor in file.tensors.values():
        layer, half = _our_parts(path, tensor.name, FAMILIES[GGUF_FAMILIES[architecture]].gguf_fused)
        tensors[f"{layer}.{half}"] = _numbers(
            path, tensor, _heads_of(path, layer, half, heads) if pairs else None
        )
    layers = {name.rpartition(".")[0] for name in tensors}
    for layer in sorted(layers):
        _check_halves(path, layer, tensors)
    if not layers:
        raise InputError(f"{path} holds no tensor; {COPY_AGAIN}")
    ranks = [len(tensors[f"{layer}.lora_A"]) for layer in layers]
    rank = max(set(ranks), key=lambda one: (ranks.count(one), one))
    return LoraAdapter(
        name=str(path),
        base=str(file.metadata.get(_BASE_NAME, "not stated")),
        rank=rank,
        alpha=float(alpha),
        tensors=tensors,
        base_sha256=_text(file, _BASE_HASH),
        heads=heads,
        architecture=architecture,
    )


def _has_pairs(architecture: str) -> bool:
    """Say whether GGUF orders the rows of queries and keys for this family."""
    return FAMILIES[GGUF_FAMILIES[architecture]].gguf_pairs


def _heads(file: GgufFile, base: Base | None) -> tuple[int, int] | None:
    if base is not None:
        return base.decoder.config.heads, base.decoder.config.kv_heads
    architecture = file.metadata["general.architecture"]
    found = tuple(file.metadata.get(f"{architecture}.{key}") for key in _HEADS)
    if all(type(one) is int and one > 0 for one in found):
        return cast(tuple[int, int], found)
    return None


def _text(file: GgufFile, key: str) -> str | None:
    value = file.metadata.get(key)
    return value if isinstance(value, str) else None


def _our_parts(path: Path, name: str, fused: Container[str]) -> tuple[str, str]:
    """Return the layer and the half of "blk.3.attn_q.weight.lora_a"."""
    parts = name.split(".")
    halves = {theirs: ours for ours, theirs in _HALVES.items()}
    known = len(parts) == 5 and parts[1].isdecimal() and len(parts[1]) < 7
    if not known or [parts[0], parts[3]] != ["blk", "weight"]:
        known = False
    if not known or parts[2] not in _LEAVES or parts[2] in fused or parts[4] not in halves:
        raise InputError(
            f"{path} has a tensor {name[:200]!r}, which is no LoRA weight of a linear layer of this decoder; "
            "train an adapter without it"
        )
    return f"layers.{int(parts[1])}.{_LEAVES[parts[2]]}", halves[parts[4]]


def _numbers(path: Path, tensor: PackedTensor, heads: int | None) -> Tensor:
    if tensor.format not in _PLAIN:
        raise InputError(
            f"{path}: tensor {tensor.name!r} has the type {tensor.format.name}; expected F32 or F16. Convert "
            "the adapter anew with --outtype f32"
        )
    values = np.ascontiguousarray(tensor.data).view(_PLAIN[tensor.format]).reshape(tensor.shape)
    if heads is not None:
        if values.ndim != 2 or len(values) % (2 * heads):
            raise InputError(
                f"{path}: tensor {tensor.name!r} has the shape {values.shape}, whose rows aren't those of "
                f"{heads} heads; take the base that the adapter was trained on"
            )
        values = to_halves(values, heads)
    numbers = torch.from_numpy(values.copy())
    check_numbers(path, tensor.name, numbers)
    return numbers


def _check_halves(path: Path, layer: str, tensors: dict[str, Tensor]) -> None:
    a, b = (tensors.get(f"{layer}.{half}") for half in _HALVES)
    if a is None or b is None or a.ndim != 2 or b.ndim != 2 or len(a) != b.shape[1]:
        found = [None if one is None else tuple(one.shape) for one in (a, b)]
        raise InputError(
            f"{path}: {layer} has A of shape {found[0]} and B of shape {found[1]}; expected (rank, inputs) "
            f"and (outputs, rank); {COPY_AGAIN}"
        )


def _heads_of(path: Path, layer: str, half: str, heads: tuple[int, int] | None) -> int | None:
    """Return by how many heads the rows of a tensor are ordered; None where the order is the decoder's."""
    place = {"q_proj": 0, "k_proj": 1}.get(layer.rpartition(".")[2])
    if half == "lora_A" or place is None:
        return None
    if heads is None:
        raise InputError(
            f"{path}: GGUF orders the rows of {layer} by the heads of the base, and nothing says how many it "
            "has; name the base with --base (in Python: base=wb.load_base(...))"
        )
    return heads[place]


def write_gguf_lora(adapter: LoraAdapter, path: Path, base: Base | None) -> None:
    """Write an adapter for llama.cpp; the file is there whole, or not at all.

    Where the layers' scales follow from one alpha it is written as such, and A and B as they are; otherwise
    each layer's own scale is in its B.

    Raises:
        InputError: If it is DoRA or of an image model, the heads aren't known, or the disk is full.
    """
    if adapter.dora or not adapter.of_decoder or adapter.extras:
        what = "is DoRA" if adapter.dora else "is of an image model"
        raise InputError(
            f"{adapter.name} {what}, which llama.cpp's adapters can't be; "
            + ("merge it into its base" if adapter.dora else "write it in the format that it came in")
        )
    heads, architecture = adapter.heads, adapter.architecture
    if base is not None:
        config = base.decoder.config
        heads, architecture = (config.heads, config.kv_heads), FAMILIES[config.family].gguf
    if architecture_fuses(architecture, adapter.layers):
        raise InputError(
            f"{adapter.name} changes layers that a GGUF of the architecture {architecture!r} holds in one "
            "tensor, which llama.cpp's adapters can't say; merge it into its base"
        )
    # alpha / rank is what llama.cpp makes of it, in float32
    alphas = {layer: adapter.scale(layer) * adapter.layer_rank(layer) for layer in adapter.layers}
    same = max(alphas.values()) - min(alphas.values()) <= 1e-12 * max(alphas.values())
    alpha = next(iter(alphas.values())) if same else adapter.alpha
    writer = GGUFWriter(None, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32(_ALPHA, alpha)
    writer.add_string(_BASE_NAME, Path(adapter.base).name)
    if adapter.base_sha256:
        writer.add_string(_BASE_HASH, adapter.base_sha256)
    for key, number in zip(_HEADS, heads or (), strict=False):
        writer.add_uint32(f"{architecture}.{key}", number)
    numbers = []
    for layer in adapter.layers:
        a, b = adapter.matrices(layer)
        b = b if same else b * (alphas[layer] / alpha)
        for half, tensor in (("lora_A", a), ("lora_B", b)):
            values = tensor.numpy()
            rows = _heads_of(path, layer, half, heads) if _has_pairs(architecture) else None
            values = np.ascontiguousarray(values if rows is None else to_pairs(values, rows))
            writer.add_tensor_info(
                f"{gguf_name(layer)}.{_HALVES[half]}", values.shape, values.dtype, values.nbytes
            )
            numbers.append(values)
    write_atomically(path, _file(writer, numbers))


def architecture_fuses(architecture: str, layers: Iterable[str]) -> bool:
    """Say whether a GGUF holds one of some layers together with others."""
    fused = {leaf for leaves in FAMILIES[GGUF_FAMILIES[architecture]].gguf_fused.values() for leaf in leaves}
    return any(layer.rpartition(".")[2] in fused for layer in layers)


def _file(writer: GGUFWriter, numbers: list[np.ndarray]) -> bytes:
    """Return the file's bytes: the library writes its head, and what follows is the numbers, in its order.

    Its own way to write the numbers loses the error of a full disk.
    """
    file = io.BytesIO()
    writer.fout = cast(Any, [file])
    writer.state = WriterState.EMPTY
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for values in numbers:
        writer.write_padding(file, file.tell())
        file.write(values.tobytes())
    writer.write_padding(file, file.tell())
    return file.getvalue()
