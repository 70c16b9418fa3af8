"""Adapters' tensors in a safetensors file: read without trust, written with the same bytes each time.

The library writes the entries of a header's metadata in an order that changes from run to run; here they are
sorted, as the files of the Rust tools have them. The order of tensors is the library's.

Source: the safetensors format, version 0.4 and later.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from workbench.errors import InputError
from workbench.files import not_read

COPY_AGAIN = "copy it again from where it came from"
"""What to do with a damaged file."""
NUMBER_FORMATS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
}
"""The number formats an adapter may be in, by their names in a header, in the order of a file."""


@dataclass(frozen=True, slots=True)
class TensorFile:
    """What a safetensors file holds."""

    tensors: dict[str, Tensor]
    facts: dict[str, str]
    """The header's metadata."""


def tensor_names(path: Path) -> list[str]:
    """Return the names of a file's tensors, from its header alone.

    Raises:
        InputError: If it isn't a safetensors file, or is cut off.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except SafetensorError as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise not_read(path, error) from error


def read_tensors(path: Path, again: str = COPY_AGAIN, *, checked: bool = True) -> TensorFile:
    """Read all tensors.

    Args:
        path: The file.
        again: What to do where it is damaged.
        checked: Whether the numbers are looked at; a study's own are, where one is opened.

    Raises:
        InputError: If the file can't be read or is cut off, or a tensor isn't of finite numbers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            facts = dict(file.metadata() or {})
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, error, again) from error
    except OSError as error:
        raise not_read(path, error) from error
    for name, tensor in tensors.items() if checked else ():
        check_numbers(path, name, tensor)
    return TensorFile(tensors, facts)


def check_numbers(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse a tensor that no adapter can have.

    Raises:
        InputError: If it is empty, not of floating-point numbers, or one of them isn't finite.
    """
    shape = tuple(tensor.shape)
    if tensor.dtype not in NUMBER_FORMATS:
        raise InputError(
            f"{path}: {name} is {str(tensor.dtype).removeprefix('torch.')}; expected float32, float16 or "
            "bfloat16"
        )
    if not tensor.isfinite().all():
        place = int((~tensor.isfinite()).flatten().nonzero()[0])
        raise InputError(
            f"{path}: {name}, of shape {shape}, holds {tensor.flatten()[place].item()} at place {place}; "
            f"expected finite numbers. Its training diverged, or the file is damaged: {COPY_AGAIN}"
        )
    if tensor.numel() == 0:
        raise InputError(f"{path}: {name} has the shape {shape} and holds nothing; {COPY_AGAIN}")


def tensor_bytes(
    tensors: Mapping[str, Tensor], facts: Mapping[str, str] | None = None, *, padded: bool = True
) -> bytes:
    """Return a safetensors file of these tensors.

    Args:
        tensors: By name; written as they are, whatever their strides.
        facts: The header's metadata.
        padded: Whether the numbers begin at a multiple of 8 bytes, as newer files have it.
    """
    order = list(NUMBER_FORMATS)
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    header: dict[str, object] = {"__metadata__": dict(sorted(facts.items()))} if facts else {}
    numbers = []
    end = 0
    for name in names:
        data = tensors[name].detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        numbers.append(data)
        start, end = end, end + len(data)
        header[name] = {
            "dtype": NUMBER_FORMATS[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    head = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if padded:
        head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *numbers])


def _damaged(path: Path, error: Exception, again: str = COPY_AGAIN) -> InputError:
    return InputError(f"{path} is damaged: {error}; {again}")
