"""How a worker and the runner talk: JSON and tensors in frames of bytes, never pickle.

A frame is a safetensors file behind its length: the metadata holds one JSON value, the tensors hold curves
and adapters. Pipes and Ray carry the same bytes.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from workbench.config import CellConfig
from workbench.errors import InputError
from workbench.studies.executors.protocol import Event, Task
from workbench.studies.states import EventKind
from workbench.training.results import CellResult, Status

LENGTH = struct.Struct("<Q")
LARGEST_FRAME = 4 * 2**30
"""Bytes of a frame; a stack's adapters on a base of billions of weights take less."""


class BadFrame(ValueError):
    """Says why bytes are no frame of a worker."""


def pack_frame(value: Any, tensors: Mapping[str, Tensor] | None = None) -> bytes:  # noqa: ANN401 - any JSON value
    """Return the bytes of a JSON value and of named tensors."""
    return save(dict(tensors or {}), {"value": json.dumps(value)})


def unpack(data: bytes) -> tuple[Any, dict[str, Tensor]]:
    """Undo :func:`pack_frame`.

    Raises:
        BadFrame: If the bytes are anything else.
    """
    with _understood():
        tensors = load(data)
        (length,) = LENGTH.unpack_from(data)
        header = json.loads(data[LENGTH.size : LENGTH.size + length])
        return json.loads(header["__metadata__"]["value"]), tensors


def frame_length(head: bytes | bytearray) -> int:
    """Return how long the frame behind these bytes is.

    Raises:
        BadFrame: If it says that it is longer than any frame.
    """
    (length,) = LENGTH.unpack_from(head)
    if length > LARGEST_FRAME:
        raise BadFrame(f"a frame that says it is {length} bytes long")
    return length


@contextmanager
def _understood() -> Iterator[None]:
    wrong = (SafetensorError, InputError, LookupError, TypeError, ValueError, AttributeError, struct.error)
    try:
        yield
    except BadFrame:
        raise
    except (*wrong, RecursionError, OverflowError) as error:
        raise BadFrame(f"bytes that are no frame: {str(error)[:200]}") from error


def pack_event(event: Event) -> bytes:
    """Return an event's bytes."""
    cells, tensors = {}, {}
    for key, result in event.results.items():
        cells[key] = {
            "cell": result.cell.to_dict() if result.cell else None,
            "status": result.status,
            "metrics": result.metrics,
            "failure": result.failure,
            "seconds": result.seconds,
            "curves": list(result.curves),
            "adapter": None if result.adapter is None else list(result.adapter),
        }
        for name, points in result.curves.items():
            tensors[f"{key} curve {name}"] = torch.tensor(points, dtype=torch.float64)
        for name, tensor in (result.adapter or {}).items():
            tensors[f"{key} adapter {name}"] = tensor.contiguous()
    plain = asdict(replace(event, results={}))
    return pack_frame({**plain, "results": cells}, tensors)


def unpack_event(data: bytes) -> Event:
    """Undo :func:`pack_event`.

    Raises:
        BadFrame: If the bytes are anything else.
    """
    value, tensors = unpack(data)
    with _understood():
        results = {key: _result(key, fields, tensors) for key, fields in value["results"].items()}
        task, losses = Task(**value["task"]), tuple(value["losses"])
        _check(task, losses, value)
        return Event(**{**value, "task": task, "losses": losses, "results": results})


def _check(task: Task, losses: tuple[float | None, ...], value: Mapping[str, Any]) -> None:
    numbers = (task.stack, task.attempt, value["step"])
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise BadFrame("an event whose stack, attempt or step is no number")
    if not all(loss is None or type(loss) is float for loss in (*losses, value["seconds"])):
        raise BadFrame("an event whose losses are no numbers")
    if value["kind"] not in get_args(EventKind) or not isinstance(value["detail"], str):
        raise BadFrame("an event of no known kind")


def _result(key: str, fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> CellResult:
    if fields["status"] not in get_args(Status):
        raise BadFrame("a result of no known status")
    adapter = fields["adapter"]
    return CellResult(
        cell=None if fields["cell"] is None else CellConfig.from_dict(fields["cell"]),
        status=fields["status"],
        metrics=fields["metrics"],
        failure=fields["failure"],
        seconds=fields["seconds"],
        curves={name: tensors[f"{key} curve {name}"].tolist() for name in fields["curves"]},
        adapter=None if adapter is None else {name: tensors[f"{key} adapter {name}"] for name in adapter},
    )
