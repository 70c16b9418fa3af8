"""How a worker and the runner talk: JSON and tensors in frames of bytes, never pickle.

A frame is a safetensors file behind its length: the metadata holds one JSON value, the tensors hold curves
and adapters. Pipes and Ray carry the same bytes.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from workbench.config import CellConfig
from workbench.studies.executors.protocol import Event, Task
from workbench.training.results import CellResult

LENGTH = struct.Struct("<Q")


def pack(value: Any, tensors: Mapping[str, Tensor] | None = None) -> bytes:  # noqa: ANN401 - any JSON value
    """Return the bytes of a JSON value and of named tensors."""
    return save(dict(tensors or {}), {"value": json.dumps(value)})


def unpack(data: bytes) -> tuple[Any, dict[str, Tensor]]:
    """Undo :func:`pack`."""
    (length,) = LENGTH.unpack_from(data)
    header = json.loads(data[LENGTH.size : LENGTH.size + length])
    return json.loads(header["__metadata__"]["value"]), load(data)


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
    return pack({**plain, "results": cells}, tensors)


def unpack_event(data: bytes) -> Event:
    """Undo :func:`pack_event`."""
    value, tensors = unpack(data)
    results = {key: _result(key, fields, tensors) for key, fields in value["results"].items()}
    task = Task(**value["task"])
    return Event(**{**value, "task": task, "losses": tuple(value["losses"]), "results": results})


def _result(key: str, fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> CellResult:
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
