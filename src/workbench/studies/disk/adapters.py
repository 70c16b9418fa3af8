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
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.kinds.known import ADAPTER_KINDS
from workbench.adapters.kinds.rslora import by_root_of_rank
from workbench.adapters.lora import ROW_LENGTHS
from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.models.loaders import NAMES

ADAPTERS = "adapters"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
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
ANOTHER_COPY = "copy it from another copy of the study, or run the study again in another folder"
"""A run in the same folder would not do: it doesn't train a cell that has its result."""
COPY_AGAIN = "copy it again from where it came from"
TAKEN = {
    *("r", "lora_alpha", "base_model_name_or_path", "target_modules", "exclude_modules", "layers_pattern"),
    *("layers_to_transform", "task_type", "inference_mode", "lora_dropout", "revision", "auto_mapping"),
    *("peft_version", "megatron_core", "qalora_group_size", "ensure_weight_tying"),
}
"""Settings of an ``adapter_config.json`` that are used, or that change nothing once an adapter is trained."""
PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": (None, "none"),
    "init_lora_weights": (None, True, False, "gaussian"),  # the others change the base, too
}
"""Settings that can be read with these values only; all that are in neither have to be empty or false."""


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
    return _tensors(path, ANOTHER_COPY)


def _tensors(path: Path, again: str) -> dict[str, Tensor]:
    """Read an adapter's tensors by our names; ``again`` says what to do where they are damaged."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}; {again}") from error
    ours = {peft_name(_our_name(name)): _our_name(name) for name in tensors}
    if unknown := set(tensors) - set(ours):
        raise InputError(f"{path} has a tensor {min(unknown)!r}, which is no LoRA weight of this decoder")
    return {ours[name]: tensor for name, tensor in tensors.items()}


def check_adapter(study: Path, key: str) -> None:
    """Refuse an adapter that isn't what a study's adapters are.

    Raises:
        InputError: If it can't be read, isn't in 32-bit numbers, holds one that isn't finite, or its two
            files don't fit each other.
    """
    tensors = read_adapter(study, key)
    folder = adapter_folder(study, key)
    _check_tensors(folder, tensors, _config(folder / CONFIG, ANOTHER_COPY), ANOTHER_COPY)


def _config(path: Path, again: str) -> dict[str, Any]:
    """Read an ``adapter_config.json``; ``again`` says what to do where it is damaged."""
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error!r}; {again}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object; {again}")
    return config


def _check_tensors(
    folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any], again: str
) -> None:
    """Refuse tensors that aren't finite 32-bit numbers of the rank that the configuration names."""
    rank = config.get("r")
    if type(rank) is not int or rank < 1:
        raise InputError(f"{folder / CONFIG} is damaged: r, the rank, is {str(rank)[:20]}; {again}")
    for name, tensor in tensors.items():
        ranks = tensor.shape[0 if name.endswith("lora_A") else -1] if tensor.ndim == 2 else None
        if name.endswith(ROW_LENGTHS) and tensor.ndim == 1 and config.get("use_dora") is True:
            ranks = rank  # one length a row, whatever the rank
        if tensor.dtype != torch.float32 or ranks != rank or not tensor.isfinite().all():
            raise InputError(
                f"{folder}: {name} is {tensor.dtype} of shape {tuple(tensor.shape)}; expected "
                f"finite 32-bit numbers of rank {rank}"
            )


def load_adapter(folder: Path | str) -> LoraAdapter:
    """Load a trained LoRA adapter from a folder in PEFT's layout, such as ``STUDY/adapters/KEY``.

    Args:
        folder: It holds ``adapter_config.json`` and ``adapter_model.safetensors``.

    Returns:
        The adapter: for each adapted layer A, shape (rank, inputs), and B, shape (outputs, rank), in float32.

    Raises:
        InputError: If there is none, it is damaged, or it asks for more than plain LoRA, such as DoRA or a
            rank of its own for some layers.
    """
    folder = Path(folder).expanduser()
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder} holds no adapter: {name} is missing. Give a folder in PEFT's layout; those of a "
                f"study lie in STUDY/{ADAPTERS}"
            )
    config = _config(folder / CONFIG, COPY_AGAIN)
    _refuse_what_is_not_lora(folder / CONFIG, config)
    tensors = _tensors(folder / WEIGHTS, COPY_AGAIN)
    _check_tensors(folder, tensors, config, COPY_AGAIN)
    halves = {name.rpartition(".")[0]: {"lora_A", "lora_B"} for name in tensors}
    for layer, half in ((layer, half) for layer, both in halves.items() for half in sorted(both)):
        if f"{layer}.{half}" not in tensors:
            raise InputError(f"{folder / WEIGHTS} is damaged: {layer} has no {half}; {COPY_AGAIN}")
    alpha = config.get("lora_alpha")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha < float("inf"):
        raise InputError(f"{folder / CONFIG}: lora_alpha is {alpha!r}; expected a number above 0")
    return LoraAdapter(
        name=str(folder),
        base=str(config.get("base_model_name_or_path") or "not stated"),
        rank=config["r"],
        alpha=float(alpha),
        tensors=tensors,
    )


def _refuse_what_is_not_lora(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse every setting that would change what the adapter computes; none is ignored."""
    for name, value in {"peft_type": None, **config}.items():
        taken = value in PLAIN[name] if name in PLAIN else name in TAKEN or value in (None, False, [], {})
        if not taken:
            raise InputError(
                f"{path}: {name} is {str(value)[:80]!r}, and only plain LoRA can be read; train an adapter "
                "without it"
            )


def peft_name(name: str) -> str:
    """Return PEFT's name of a tensor: "layers.3.q_proj.lora_A" becomes "base_model...lora_A.weight"."""
    _, layer, leaf, half = name.split(".")
    end = "" if half == ROW_LENGTHS else ".weight"  # as PEFT writes the lengths of DoRA
    return f"base_model.model.model.layers.{layer}.{PARTS[leaf]}.{leaf}.{half}{end}"


def _our_name(name: str) -> str:
    parts = name.split(".")
    if len(parts) not in (8, 9) or parts[6] not in PARTS:
        raise InputError(f"{name[:200]!r} is no LoRA weight of this decoder")
    return f"layers.{parts[4]}.{parts[6]}.{parts[7]}"


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
