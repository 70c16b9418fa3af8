"""LoRA files of image models, in the dialects of cloneofsimo and of kohya.

They aren't for our decoder: they are inspected, combined and written back. cloneofsimo's number the adapted
modules ("unet:12:up" is B, "unet:12:down" is A), have no alpha, and may hold vectors of new tokens; kohya's
name them ("lora_unet_..._to_k.lora_up.weight") and keep an alpha each. A convolution's A has its window in
two more axes.

Source: ``lora_diffusion/lora.py`` of cloneofsimo/lora; ``networks/lora.py`` of kohya-ss/sd-scripts.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from workbench.adapters.adapter import LoraAdapter
from workbench.adapters.formats.tensor_file import COPY_AGAIN, TensorFile, read_tensors, tensor_bytes
from workbench.errors import InputError
from workbench.files import write_atomically
from workbench.models.base import Base

NUMBERED = re.compile(r"((?:unet|text_encoder\w{0,20}):\d{1,6}):(up|down)")
"""Names of cloneofsimo's matrices."""
NAMED = re.compile(r"(lora_\w{1,300})\.(?:(lora_up|lora_down)\.weight|(alpha))")
"""Names of kohya's."""
_HALVES = {"up": "lora_B", "down": "lora_A", "lora_up": "lora_B", "lora_down": "lora_A"}
_KOHYA_LAYER = re.compile(r"lora_\w+")
_NUMBERED_LAYER = re.compile(r"(?:unet|text_encoder\w*):\d+")


def read_cloneofsimo(path: Path, base: Base | None) -> LoraAdapter:
    """Read a file of cloneofsimo's dialect; each layer's alpha is its rank, so that the scale is 1.

    Raises:
        InputError: If it is damaged, a base is named, or a layer isn't whole.
    """
    file = _opened(path, base)
    tensors: dict[str, Tensor] = {}
    extras = {}
    for name, tensor in file.tensors.items():
        found = NUMBERED.fullmatch(name)
        if found:
            tensors[f"{found[1]}.{_HALVES[found[2]]}"] = tensor
        elif file.facts.get(name) == "<embed>":
            extras[name] = tensor
        else:
            raise InputError(
                f"{path} has a tensor {name[:200]!r}, which is neither a LoRA weight nor a token"
            )
    ranks = _ranks(path, tensors)
    for layer, rank in ranks.items():
        said = file.facts.get(f"{layer}:rank", str(rank))
        if said != str(rank):
            raise InputError(
                f"{path}: its metadata says rank {said[:20]!r} for {layer}, whose matrices have rank {rank}; "
                f"{COPY_AGAIN}"
            )
    facts = {key: value for key, value in file.facts.items() if not key.endswith(":rank")}
    most = max(ranks.values())
    return LoraAdapter(
        name=str(path),
        base="not stated",
        rank=most,
        alpha=float(most),
        alphas={layer: float(rank) for layer, rank in ranks.items() if rank != most},
        tensors=tensors,
        extras=extras,
        facts=facts,
    )


def read_kohya(path: Path, base: Base | None) -> LoraAdapter:
    """Read a file of kohya's dialect; a layer without an alpha has its rank as alpha, as there.

    Raises:
        InputError: If it is damaged, a base is named, a layer isn't whole, or it is more than LoRA.
    """
    file = _opened(path, base)
    tensors: dict[str, Tensor] = {}
    alphas: dict[str, float] = {}
    for name, tensor in file.tensors.items():
        found = NAMED.fullmatch(name)
        if not found:
            raise InputError(
                f"{path} has a tensor {name[:200]!r}, which is no plain LoRA weight (DoRA, LoHa and LoKr of "
                "image models aren't read); give a LoRA file"
            )
        if not found[3]:
            tensors[f"{found[1]}.{_HALVES[found[2]]}"] = tensor
        elif tensor.numel() != 1 or (alpha := tensor.item()) <= 0:
            raise InputError(f"{path}: {name} is {tensor.flatten()[:3].tolist()}; expected a number above 0")
        else:
            alphas[found[1]] = alpha
    ranks = _ranks(path, tensors)
    if unknown := set(alphas) - set(ranks):
        raise InputError(f"{path} is damaged: {min(unknown)} has an alpha and no matrices; {COPY_AGAIN}")
    most = max(ranks.values())
    own = {layer: alphas.get(layer, float(rank)) for layer, rank in ranks.items()}
    values = list(own.values())
    alpha = max(dict.fromkeys(values), key=values.count)
    return LoraAdapter(
        name=str(path),
        base="not stated",
        rank=most,
        alpha=alpha,
        alphas={layer: value for layer, value in own.items() if value != alpha},
        tensors=tensors,
        facts=file.facts,
    )


def write_cloneofsimo(adapter: LoraAdapter, path: Path, base: Base | None) -> None:
    """Write a file of cloneofsimo's dialect; a scale other than 1 is in B, since there is no alpha.

    Raises:
        InputError: If the layers are another model's or have names instead of numbers, or the disk is full.
    """
    _check_layers(adapter, "cloneofsimo", _NUMBERED_LAYER)
    tensors = dict(adapter.extras)
    facts = dict.fromkeys(adapter.extras, "<embed>") | dict(adapter.facts)
    for layer in adapter.layers:
        a, b = (adapter.tensors[f"{layer}.{half}"] for half in ("lora_A", "lora_B"))
        scale = adapter.scale(layer)
        tensors |= {f"{layer}:down": a, f"{layer}:up": b if scale == 1 else scale * b}
        facts[f"{layer}:rank"] = str(len(a))
    # the library of that time didn't fill up the header
    write_atomically(path, tensor_bytes(tensors, facts, padded=False))


def write_kohya(adapter: LoraAdapter, path: Path, base: Base | None) -> None:
    """Write a file of kohya's dialect.

    Raises:
        InputError: If the layers are another model's or have numbers instead of names, or the disk is full.
    """
    _check_layers(adapter, "kohya", _KOHYA_LAYER)
    tensors: dict[str, Tensor] = {}
    for layer in adapter.layers:
        a, b = (adapter.tensors[f"{layer}.{half}"] for half in ("lora_A", "lora_B"))
        tensors |= {f"{layer}.lora_down.weight": a, f"{layer}.lora_up.weight": b}
        alpha = adapter.scale(layer) * len(a)
        tensors[f"{layer}.alpha"] = torch.tensor(alpha, dtype=b.dtype)
    write_atomically(path, tensor_bytes(tensors, adapter.facts))


def _opened(path: Path, base: Base | None) -> TensorFile:
    if base is not None:
        raise InputError(
            f"{path} is an adapter of an image model, and {base.name} is a decoder; leave the base out"
        )
    return read_tensors(path)


def _ranks(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Return each layer's rank, after a look at whether A and B belong together."""
    ranks = {}
    if not tensors:
        raise InputError(f"{path} holds no LoRA weight; {COPY_AGAIN}")
    for layer in dict.fromkeys(name.rpartition(".")[0] for name in tensors):
        a, b = (tensors.get(f"{layer}.{half}") for half in ("lora_A", "lora_B"))
        if a is None or b is None or a.ndim not in (2, 4) or b.ndim != a.ndim or b.shape[1] != len(a):
            found = [None if one is None else tuple(one.shape) for one in (a, b)]
            raise InputError(
                f"{path}: {layer} has A of shape {found[0]} and B of shape {found[1]}; expected "
                f"(rank, inputs) and (outputs, rank); {COPY_AGAIN}"
            )
        if b.ndim == 4 and b.shape[2:] != (1, 1):
            raise InputError(
                f"{path}: {layer} has B of shape {tuple(b.shape)}, a window of its own; expected one of 1 x 1"
            )
        ranks[layer] = len(a)
    return ranks


def _check_layers(adapter: LoraAdapter, dialect: str, names: re.Pattern[str]) -> None:
    strange = next((layer for layer in adapter.layers if not names.fullmatch(layer)), None)
    if strange is not None or (dialect == "kohya" and adapter.extras):
        what = strange or f"the token {next(iter(adapter.extras))}"
        raise InputError(
            f"{adapter.name} has {what}, which {dialect}'s dialect has no name for; write it in the format "
            "that it came in"
        )


def has_names(pattern: re.Pattern[str]) -> Callable[[list[str]], bool]:
    """Return whether one of a file's tensors has a name of this pattern."""
    return lambda names: any(pattern.fullmatch(name) for name in names)
