"""PEFT's adapters: a folder with ``adapter_config.json`` and ``adapter_model.safetensors``.

The rotary layout of our decoder is that of Hugging Face checkpoints, so no row has to move.

Source: ``peft.utils.save_and_load`` of PEFT 0.21; names of tensors as in "base_model.model.model.layers.3.
self_attn.q_proj.lora_A.weight".
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from workbench.adapters.adapter import MAGNITUDE, LoraAdapter
from workbench.adapters.formats.peft_settings import (
    alpha_of,
    check_settings,
    is_adapted,
    rank_of,
    read_settings,
)
from workbench.adapters.formats.tensor_file import COPY_AGAIN, read_tensors, tensor_bytes
from workbench.errors import InputError
from workbench.files import not_written, scratch_beside, write_atomically
from workbench.models.base import Base

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PICKLED = "adapter_model.bin"
BASE_HASH = "workbench_base_sha256"
"""Where a file's metadata keeps the hash of the base; PEFT's own files have none."""
PARTS = {
    "q_proj": "self_attn",
    "k_proj": "self_attn",
    "v_proj": "self_attn",
    "o_proj": "self_attn",
    "gate_proj": "mlp",
    "up_proj": "mlp",
    "down_proj": "mlp",
}
"""Which part of a Hugging Face block each linear layer belongs to."""
_NAME = re.compile(r"base_model\.model\.model\.layers\.(\d{1,6})\.\w+\.(\w+)\.(lora_A|lora_B)\.weight")
_PREFIX = re.compile(
    r"base_model\.model\.model\.layers\.(\d{1,6})\.self_attn\.(adaption_prompt|adaption_gate)"
)
_LENGTHS = re.compile(rf"base_model\.model\.model\.layers\.(\d{{1,6}})\.\w+\.(\w+)\.({MAGNITUDE})")


def peft_name(name: str) -> str:
    """Return PEFT's name of a tensor: "layers.3.q_proj.lora_A" becomes "base_model...lora_A.weight"."""
    layer, _, part = name.rpartition(".")
    if layer.endswith(".prefix"):
        return f"base_model.model.model.{layer.removesuffix('.prefix')}.self_attn.{part}"
    return f"base_model.model.{peft_module(layer)}.{part}" + ("" if part == MAGNITUDE else ".weight")


def peft_module(layer: str) -> str:
    """Return a layer's name in a Hugging Face model: "model.layers.3.self_attn.q_proj"."""
    _, block, leaf = layer.split(".")
    return f"model.layers.{block}.{PARTS[leaf]}.{leaf}"


def our_name(name: str) -> str:
    """Undo :func:`peft_name`.

    Raises:
        InputError: If our decoder has no such layer.
    """
    if prefix := _PREFIX.fullmatch(name):
        return f"layers.{prefix[1]}.prefix.{prefix[2]}"
    found = _NAME.fullmatch(name) or _LENGTHS.fullmatch(name)
    ours = f"layers.{found[1]}.{found[2]}.{found[3]}" if found and found[2] in PARTS else None
    if ours is None or peft_name(ours) != name:
        raise InputError(f"a tensor {name[:200]!r}, which is no LoRA weight of this decoder")
    return ours


def in_our_names(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by our names.

    Raises:
        InputError: If one is no LoRA weight of our decoder, such as a bias or an embedding.
    """
    try:
        return {our_name(name): tensor for name, tensor in tensors.items()}
    except InputError as error:
        raise InputError(f"{path} has {error}") from None


def find_peft(path: Path) -> Path:
    """Return the folder of an adapter that is named by its folder or by one of the files in it.

    Raises:
        InputError: If a file is missing, or the weights are there as a pickle only.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_file() and path.name not in (WEIGHTS, CONFIG, PICKLED):
        raise InputError(
            f"{path} has PEFT's tensors and not PEFT's name: its rank and scale stand in a {CONFIG}; rename "
            f"it {WEIGHTS} and put it beside that file"
        )
    if (folder / PICKLED).is_file() and not (folder / WEIGHTS).is_file():
        raise InputError(refuse_pickle(folder / PICKLED))
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder} holds no adapter: {name} is missing. Give a folder in PEFT's layout; those of a "
                "study lie in STUDY/adapters"
            )
    return folder


def refuse_pickle(path: Path) -> str:
    """Return why a pickle isn't opened, and what to do."""
    return (
        f"{path} is a pickle: opening one can run whatever its author wrote, so it wasn't opened. Save the "
        "adapter as safetensors where it was made (save_pretrained of PEFT 0.7 or later does)"
    )


def read_peft(path: Path, base: Base | None) -> LoraAdapter:
    """Read an adapter from its folder.

    Raises:
        InputError: If it is damaged, its files contradict each other, or it asks for more than LoRA, rsLoRA
            or DoRA on the linear layers of a decoder.
    """
    folder = find_peft(path)
    config = read_settings(folder / CONFIG)
    notes = check_settings(folder / CONFIG, config)
    file = read_tensors(folder / WEIGHTS)
    tensors = in_our_names(folder / WEIGHTS, file.tensors)
    layers = {name.rpartition(".")[0]: None for name in tensors}
    if not layers:
        raise InputError(f"{folder / WEIGHTS} holds no tensor; {COPY_AGAIN}")
    for layer in layers:
        _check_layer(folder, layer, tensors, config)
    alpha = alpha_of(folder / CONFIG, {**config, "alpha_pattern": {}}, "")
    alphas = {layer: alpha_of(folder / CONFIG, config, peft_module(layer)) for layer in layers}
    return LoraAdapter(
        name=str(path),
        base=str(config.get("base_model_name_or_path") or "not stated"),
        rank=rank_of(folder / CONFIG, {**config, "rank_pattern": {}}, ""),
        alpha=alpha,
        alphas={layer: value for layer, value in alphas.items() if value != alpha},
        rslora=bool(config.get("use_rslora")),
        tensors=tensors,
        base_sha256=file.facts.get(BASE_HASH),
        notes=notes,
    )


def _check_layer(folder: Path, layer: str, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Refuse a layer that isn't whole, or isn't what the settings say of it."""
    settings, weights = folder / CONFIG, folder / WEIGHTS
    for half in ("lora_A", "lora_B"):
        if f"{layer}.{half}" not in tensors:
            raise InputError(f"{weights} is damaged: {layer} has no {half}; {COPY_AGAIN}")
    module = peft_module(layer)
    if not is_adapted(settings, config, module):
        raise InputError(
            f"{weights} holds {layer}, which target_modules and the other settings of {settings} leave out; "
            "take both files from one adapter"
        )
    rank = rank_of(settings, config, module)
    for half, axis in (("lora_A", 0), ("lora_B", -1)):
        tensor = tensors[f"{layer}.{half}"]
        if tensor.ndim != 2 or tensor.shape[axis] != rank:
            raise InputError(
                f"{weights}: {layer}.{half} is {str(tensor.dtype).removeprefix('torch.')} of shape "
                f"{tuple(tensor.shape)}; expected a matrix of rank {rank}, as {settings.name} says"
            )
    lengths = tensors.get(f"{layer}.{MAGNITUDE}")
    if bool(config.get("use_dora")) != (lengths is not None):
        which = "says DoRA and the file has no" if lengths is None else "doesn't say DoRA and the file has a"
        raise InputError(f"{settings} {which} {MAGNITUDE} of {layer}; take both files from one adapter")
    if lengths is not None and lengths.shape != tensors[f"{layer}.lora_B"].shape[:1]:
        raise InputError(
            f"{weights}: {layer}.{MAGNITUDE} has the shape {tuple(lengths.shape)}; expected one number for "
            f"each of {len(tensors[f'{layer}.lora_B'])} rows"
        )


def write_peft(adapter: LoraAdapter, path: Path, base: Base | None) -> None:
    """Write a folder as PEFT reads it; it is there whole, or not at all.

    Raises:
        InputError: If there is something at this place, the adapter is of an image model, or the disk is
            full.
    """
    if not adapter.of_decoder or adapter.extras:
        raise InputError(
            f"{adapter.name} is of an image model, whose layers PEFT names otherwise; write it in the format "
            "that it came in"
        )
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} is there already; choose another folder, or move it away")
    facts = {"format": "pt"} | ({BASE_HASH: adapter.base_sha256} if adapter.base_sha256 else {})
    named = {peft_name(name): tensor for name, tensor in adapter.tensors.items()}
    with scratch_beside(path) as scratch:
        write_atomically(scratch / path.name / WEIGHTS, tensor_bytes(named, facts))
        config = json.dumps(adapter_settings(adapter), indent=2) + "\n"
        write_atomically(scratch / path.name / CONFIG, config.encode())
        try:
            os.replace(scratch / path.name, path)
        except OSError as error:
            raise not_written(path, error) from error


def adapter_settings(adapter: LoraAdapter) -> dict[str, object]:
    """Return the ``adapter_config.json`` of an adapter."""
    layers = adapter.layers
    leaves = list(dict.fromkeys(layer.split(".")[2] for layer in layers))
    blocks = list(dict.fromkeys(int(layer.split(".")[1]) for layer in layers))
    whole = len(layers) == len(leaves) * len(blocks)
    # full names behind a dot fit the end of the module's name, and of no other
    ranks = {peft_module(name)[6:]: adapter.layer_rank(name) for name in layers}
    alphas = {peft_module(name)[6:]: value for name, value in adapter.alphas.items()}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": adapter.base,
        "r": adapter.rank,
        "lora_alpha": int(adapter.alpha) if float(adapter.alpha).is_integer() else adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": leaves if whole else [peft_module(name)[6:] for name in layers],
        "layers_to_transform": blocks if whole else None,
        "rank_pattern": {name: rank for name, rank in ranks.items() if rank != adapter.rank},
        "alpha_pattern": alphas,
        "use_rslora": adapter.rslora,
        "use_dora": adapter.dora,
    }
