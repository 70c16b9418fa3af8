"""Trained adapters in the layout that PEFT reads: one folder a cell, in ``adapters`` of the study.

Where it was trained, ``AutoPeftModelForCausalLM.from_pretrained("STUDY/adapters/KEY")`` opens one from any
working directory; transformers finds a GGUF base by its folder and its name, so there the call also takes
``gguf_file="BASE.gguf"``. Elsewhere ``PeftModel.from_pretrained(base, "STUDY/adapters/KEY")`` takes a base
that is loaded already. The rotary layout of our decoder is that of Hugging Face checkpoints, so no row has to
move.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from workbench.adapters.adapter import MAGNITUDE
from workbench.adapters.formats.peft import CONFIG, WEIGHTS, in_our_names, peft_name
from workbench.adapters.formats.peft_settings import read_settings
from workbench.adapters.formats.tensor_file import read_tensors
from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.adapters.kinds.rslora import by_root_of_rank
from workbench.adapters.prefix import GATE
from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.models.loaders import NAMES

ADAPTERS = "adapters"
ANOTHER_COPY = "copy it from another copy of the study, or run the study again in another folder"
"""A run in the same folder would not do: it doesn't train a cell that has its result."""


PREFIX_TYPE = "ADAPTION_PROMPT"
"""What PEFT calls adapters that are trained tokens."""


def adapter_folder(study: Path, key: str) -> Path:
    """Return where a cell's adapter lies."""
    return study / ADAPTERS / key


def write_adapter(study: Path, cell: CellConfig, tensors: Mapping[str, Tensor]) -> None:
    """Write a cell's adapter, named as :meth:`LoraStack.tensors` names it.

    Raises:
        InputError: If the disk is full or can't be written.
    """
    folder = adapter_folder(study, cell.key())
    named = {peft_name(name): tensor.contiguous() for name, tensor in tensors.items()}
    write_atomically(folder / WEIGHTS, save(named, {"format": "pt"}))
    # the configuration comes last: a folder that has one is a whole adapter
    write_atomically(folder / CONFIG, (json.dumps(peft_config(cell, tensors), indent=2) + "\n").encode())


def read_adapter(study: Path, key: str) -> dict[str, Tensor]:
    """Read a cell's adapter as :meth:`LoraStack.load` takes it.

    Raises:
        InputError: If there is none or it is damaged.
    """
    path = adapter_folder(study, key) / WEIGHTS
    if not path.is_file():
        raise InputError(f"{path} is missing: the cell {key} has no adapter; {ANOTHER_COPY}")
    return in_our_names(path, read_tensors(path, ANOTHER_COPY, checked=False).tensors)


def check_adapter(study: Path, key: str) -> None:
    """Refuse an adapter that isn't what a study's adapters are.

    Raises:
        InputError: If it can't be read, isn't in 32-bit numbers, holds one that isn't finite, or its two
            files don't fit each other.
    """
    tensors = read_adapter(study, key)
    folder = adapter_folder(study, key)
    _check_tensors(folder, tensors, read_settings(folder / CONFIG, ANOTHER_COPY))


def _check_tensors(folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Refuse tensors that aren't finite 32-bit numbers of the rank that the configuration names."""
    prefix = config.get("peft_type") == PREFIX_TYPE
    rank = config.get("adapter_len" if prefix else "r")
    if type(rank) is not int or rank < 1:
        raise InputError(f"{folder / CONFIG} is damaged: r, the rank, is {str(rank)[:20]}; {ANOTHER_COPY}")
    for name, tensor in tensors.items():
        ranks = tensor.shape[0 if name.endswith("lora_A") else -1] if tensor.ndim == 2 else None
        if name.endswith(MAGNITUDE) and tensor.ndim == 1 and config.get("use_dora") is True:
            ranks = rank  # one length a row, whatever the rank
        if prefix:
            ranks = rank if tensor.shape[:2] == (1, rank) or name.endswith(GATE) else None
        if tensor.dtype != torch.float32 or ranks != rank or not tensor.isfinite().all():
            raise InputError(
                f"{folder}: {name} is {tensor.dtype} of shape {tuple(tensor.shape)}; expected "
                f"finite 32-bit numbers of rank {rank}"
            )


def base_place(name: str) -> str:
    """Return where transformers finds a base: its absolute folder, or that of its GGUF file."""
    path = _named(name) if name in NAMES else Path(name).expanduser()
    if not path.exists():
        return name
    place = path.absolute()
    return str(place if path.is_dir() else place.parent)


@cache
def _named(name: str) -> Path:
    # a fetched base is hashed whenever it is asked for; once is enough for all adapters
    return NAMES[name]()


def peft_config(cell: CellConfig, tensors: Mapping[str, Tensor]) -> dict[str, object]:
    """Return the ``adapter_config.json`` of a cell.

    An adapter that began with a part of the base's weights is written with what they gave up, as plain LoRA
    of twice the rank and alpha, so that it fits the base as it was.
    """
    kind = ADAPTER_KINDS[cell.adapter]
    if kind.prefix:
        blocks = {name.split(".")[1] for name in tensors}
        return {
            "peft_type": PREFIX_TYPE,
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_place(cell.base),
            "inference_mode": True,
            "target_modules": "self_attn",
            "adapter_len": cell.rank,
            "adapter_layers": len(blocks),
            # PEFT has one plain gate; it refuses the shape of a gate in each head
            **({"workbench_gate": "tanh, one for each head"} if kind.gate_of_each_head else {}),
        }
    times = 2 if kind.start else 1
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_place(cell.base),
        "r": times * cell.rank,
        "lora_alpha": times * cell.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": list(cell.targets),
        "layers_to_transform": sorted({int(name.split(".")[1]) for name in tensors}),
        "use_rslora": kind.scale is by_root_of_rank,
        "use_dora": kind.magnitudes,
    }
