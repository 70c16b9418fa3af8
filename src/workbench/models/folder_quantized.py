"""Hugging Face folders whose weights are quantized: tensors that together are one weight, read as one.

config.json names the method under ``quantization_config``. A :class:`Method` says which tensors belong to
one weight and how they are read: packed, where a format of the kernels has the same arithmetic, or decoded
once to float32, which a note of the base tells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from qlora_kernels import QuantizedTensor
from qlora_kernels.formats_layout import Stored
from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.folder_settings import shown
from workbench.models.folder_tokenizer import unreadable

Named = Mapping[str, Tensor]
"""Tensors of one weight by what follows its module's name, such as "qweight"."""

PLAIN_INSTEAD = (
    "Give the folder that they were made from, with weights in float32, float16 or bfloat16; or the same "
    "base as a GGUF in Q8_0."
)
"""What to do where quantized weights can't be read."""
BLOCKS = (256, 128, 64, 32)
"""Sizes of blocks that the packed formats have."""


class Misfit(Exception):
    """A weight's tensors contradict each other; the text says how, the caller where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to quantize a folder's weights; an entry of ``METHODS`` in ``folder_methods.py``."""

    check: Callable[[Mapping[str, Any]], str | None]
    """(quantization_config) -> what can't be read about it, as "bits is 3, expected 4", or None."""
    module_of: Callable[[str], tuple[str, str] | None]
    """(name of a tensor) -> module and the rest of the name, where it belongs to a quantized weight alone."""
    beside: Sequence[str]
    """Further tensors of such a module, by the rest of their names, that belong to the weight."""
    read: Callable[[Named, tuple[int, int], Mapping[str, Any]], Tensor | QuantizedTensor]
    """(tensors, decoded shape, quantization_config) -> the weight; raises :class:`Misfit`."""


@dataclass(frozen=True, slots=True)
class QuantizedWeight:
    """Where the tensors of one weight lie, and how they are read."""

    module: str
    places: Mapping[str, Path]
    """Of each tensor, by what follows the module's name."""
    folder: "QuantizedFolder"

    def __str__(self) -> str:
        """Name the file for a message."""
        return str(next(iter(self.places.values())))

    def read(self, shape: tuple[int, ...]) -> Tensor | QuantizedTensor:
        """Return the weight of this shape, packed or in float32.

        Raises:
            InputError: If a file is damaged, or the tensors don't fit the shape or each other.
        """
        try:
            if len(shape) != 2:
                raise Misfit(f"is quantized, expected plain numbers of the shape {shape}")
            tensors = {
                rest: stored_tensor(file, f"{self.module}.{rest}") for rest, file in self.places.items()
            }
            weight = self.folder.method.read(tensors, (shape[0], shape[1]), self.folder.settings)
        except Misfit as misfit:
            raise InputError(
                f"{self}: the quantized weight {self.module!r} {misfit}; get the folder again, or "
                f"{ANOTHER_BASE}."
            ) from None
        if isinstance(weight, Tensor):
            self.folder.decoded.append((prod(shape), sum(one.nbytes for one in tensors.values())))
        else:
            self.folder.packed.append(prod(shape))
        return weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroBias:
    """A bias of zeros, which GPTQ's programs write for layers that have none."""

    file: Path

    def __str__(self) -> str:
        """Name the file for a message."""
        return str(self.file)


Source = Path | QuantizedWeight | ZeroBias
"""Where a weight comes from: the file that has its tensor, or what its tensors are."""


@dataclass(frozen=True, slots=True)
class QuantizedFolder:
    """A folder's method, and what became of its weights while they were read."""

    path: Path
    """Of config.json."""
    method: Method
    name: str
    settings: Mapping[str, Any]
    decoded: list[tuple[int, int]] = field(default_factory=list)
    """Numbers, and bytes in the file, of each weight that was decoded once."""
    packed: list[int] = field(default_factory=list)

    def sources(self, files: Mapping[str, Path]) -> dict[str, Source]:
        """Put the tensors of each quantized weight together, under the name that it has when it is plain."""
        found: dict[str, dict[str, Path]] = {}
        for tensor, file in files.items():
            if place := self.method.module_of(tensor):
                found.setdefault(place[0], {})[place[1]] = file
        if not found:
            raise InputError(
                f"{self.path}: quantization_config says that the weights are quantized in the format "
                f"{self.name!r}, but none is; take quantization_config out of the file."
            )
        sources: dict[str, Source] = {
            tensor: file for tensor, file in files.items() if self.method.module_of(tensor) is None
        }
        for module, places in found.items():
            for rest in self.method.beside:
                part = sources.get(f"{module}.{rest}")
                if isinstance(part, Path):
                    places[rest] = part
                    del sources[f"{module}.{rest}"]
            bias = sources.get(f"{module}.bias")
            if isinstance(bias, Path) and _is_zero(stored_tensor(bias, f"{module}.bias")):
                sources[f"{module}.bias"] = ZeroBias(file=bias)
            if isinstance(second := sources.get(f"{module}.weight"), Path):
                raise InputError(
                    f"{second}: {module!r} has a weight in plain numbers and another that is quantized; get "
                    f"the folder again, or {ANOTHER_BASE}."
                )
            sources[f"{module}.weight"] = QuantizedWeight(module, places, self)
        return sources

    def notes(self) -> tuple[str, ...]:
        """Say what of the weights takes more memory than the file, where some do."""
        if not self.decoded:
            return ()
        numbers, stored = (sum(each) for each in zip(*self.decoded, strict=True))
        return (
            f"{len(self.decoded)} of {len(self.decoded) + len(self.packed)} weights in the format "
            f"{self.name} were decoded to float32 once and take {4 * numbers / 1e9:.3g} GB of memory instead "
            f"of the file's {stored / 1e9:.3g}: their groups don't lie side by side in rows",
        )


def check_method(
    path: Path, settings: Mapping[str, Any], methods: Mapping[str, Method]
) -> tuple[str, Mapping[str, Any]] | None:
    """Return the method's name and its settings, None where config.json names none.

    Raises:
        InputError: If the method or one of its settings isn't read.
    """
    if settings.get("quantization") is not None:
        raise _refused(path, "quantization", settings, "in a format of another program", "isn't read")
    value = settings.get("quantization_config")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _refused(path, "quantization_config", settings, "", f"is {shown(value)}, expected an object")
    name = value.get("quant_method")
    if name is None and (value.get("load_in_4bit") or value.get("load_in_8bit")):
        name = "bitsandbytes"  # which its first versions left out
    named = f"in the format {name!r}" if name else ""
    if not isinstance(name, str) or name not in methods:
        why = f"isn't read: known are {', '.join(methods)}"
        raise _refused(path, "quantization_config", settings, named, why)
    if complaint := methods[name].check(value):
        raise _refused(path, "quantization_config", settings, named, f"isn't read: {complaint}")
    return name, value


def _refused(path: Path, key: str, settings: Mapping[str, Any], named: str, why: str) -> InputError:
    origin = settings.get("_name_or_path")
    source = f" It names {origin!r} as their origin." if isinstance(origin, str) and origin else ""
    how = f" {named}" if named else ""
    return InputError(
        f"{path}: the folder's weights are quantized{how}, and {key} {why}.{source} {PLAIN_INSTEAD}"
    )


def unknown_settings(
    value: Mapping[str, Any], read: Sequence[str], allowed: Mapping[str, tuple[Any, ...]], harmless: str
) -> str | None:
    """Return what of a quantization_config isn't known or isn't done, None where nothing is.

    Args:
        value: The object.
        read: Keys that the method reads.
        allowed: Keys that change the numbers, with the only values that are done.
        harmless: Keys, between blanks, that change no number: how another program computes or was told to.
    """
    for key, values in allowed.items():
        if value.get(key, values[0]) not in values:
            return f"{key} is {shown(value[key])}, expected {shown(values[0])}"
    known = {"quant_method", *read, *allowed, *harmless.split()}
    for key, given in value.items():
        if key not in known and given is not None:
            return f"{key} is {shown(given)}, which the workbench doesn't know"
    return None


def split_rows(weight: Tensor | QuantizedTensor, sizes: Sequence[int]) -> Sequence[Tensor | QuantizedTensor]:
    """Take a matrix apart that holds several, one above the other, without decoding it.

    Where rows share scales of scales, each part gets its scales as float32 numbers: the same to the bit.
    """
    if isinstance(weight, Tensor):
        return weight.split(list(sizes))
    if len(sizes) == 1:
        return [weight]
    if weight.format.endswith("_double"):
        single = Stored(codes=weight.codes, scales=weight.affine().scales)
        weight = replace(weight, format=weight.format.removesuffix("_double"), stored=single)
    return [weight.rows(rows) for rows in torch.arange(sum(sizes)).split(list(sizes))]


def fitting_block(group: int) -> int | None:
    """Return the block of a packed format whose scales, repeated, are those of groups of this size."""
    return next((block for block in BLOCKS if group % block == 0), None)


def expect(name: str, tensor: Tensor | None, dtypes: Sequence[torch.dtype], shape: tuple[int, ...]) -> Tensor:
    """Return a tensor that is there, with one of the types and the shape.

    Raises:
        Misfit: If it isn't so.
    """
    types = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
    if tensor is None:
        raise Misfit(f"lacks {name}, expected {types} of the shape {shape}")
    if tensor.dtype not in dtypes or tuple(tensor.shape) != shape:
        found = str(tensor.dtype).removeprefix("torch.")
        raise Misfit(f"has {name} in {found} of the shape {tuple(tensor.shape)}, expected {types} of {shape}")
    return tensor


def _is_zero(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.float16, torch.bfloat16, torch.float32) and not bool(tensor.any())


def stored_tensor(file: Path, name: str) -> Tensor:
    """Return a tensor of a file as it is stored.

    Raises:
        InputError: If the file is damaged.
    """
    try:
        with safe_open(file, framework="pt") as tensors:
            value: Tensor = tensors.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise unreadable(file, error) from error
    return value
