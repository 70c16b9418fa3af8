"""A made-up GPU: tensors that lie on a device of their own, of which every read by the processor is counted.

    with rehearsal() as record:
        loss, gradient = step_gradient(frozen, stack, rows)
    assert record.reads == []

Its tensors wrap tensors of the processor, so everything computes; but torch sees another device, as it sees a
GPU: a tensor left on the processor is refused beside one of the device, and what would make the processor
wait for a GPU is written down. Triton's kernels run in the interpreter of the bench. It is a backend of torch
in Python (``PrivateUse1``), as torch's own tests make one.
"""

import contextlib
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import bench.unwrapped  # noqa: F401 - before any kernel is imported
import torch
from torch._library.custom_ops import OPDEFS
from torch.utils import backend_registration
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only
from triton.runtime.jit import JITFunction

from qlora_kernels import registration, rows
from qlora_kernels.lab.interpreter import interpreted

NAME = "rehearsal"
DEVICE = f"{NAME}:0"


@dataclass
class Record:
    """What happened between the processor and the device."""

    reads: list[str] = field(default_factory=list)
    """Operations for which the processor waits, each with the line of the project that asked for it."""
    copies: list[str] = field(default_factory=list)
    """Copies to the device for which nobody waits."""
    launches: list[str] = field(default_factory=list)
    """Triton kernels that ran."""


_records: list[Record] = []


class OnDevice(torch.Tensor):
    """A tensor that says it lies on the device; ``inner`` has its numbers."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "OnDevice":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(DEVICE),
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})

    def __repr__(self) -> str:
        return f"OnDevice({self.inner!r})"


WAITS = {
    "aten::_local_scalar_dense": "a number is read",
    "aten::nonzero": "the size of the result depends on the values",
    "aten::masked_select": "the size of the result depends on the values",
    "aten::_unique2": "the size of the result depends on the values",
    "aten::unique_dim": "the size of the result depends on the values",
    "aten::equal": "a truth value is read",
    "aten::is_nonzero": "a truth value is read",
}
"""Operations whose result the processor can't know without waiting."""


def _place() -> str:
    """Return the innermost line of the packages that led here."""
    for frame in reversed(traceback.extract_stack()):
        if "/qlora_kernels/" in frame.filename or "/workbench/" in frame.filename:
            return f"{frame.filename.rsplit('/', 1)[1]}:{frame.lineno} {frame.line}"
    return "the test itself"


def _note_reads(operation: Any, args: tuple, kwargs: dict) -> None:
    name = operation._schema.name
    reason = WAITS.get(name)
    flat = tree_flatten((args, kwargs))[0]
    if name in ("aten::index", "aten::index_put", "aten::index_put_"):
        masks = [one for one in tree_flatten(args[1])[0] if isinstance(one, torch.Tensor)]
        if any(mask.dtype in (torch.bool, torch.uint8) for mask in masks):
            reason = "the size of the result depends on the mask"
    if name == "aten::repeat_interleave" and kwargs.get("output_size") is None:
        reason = "the size of the result depends on the counts"
    if name in ("aten::_to_copy", "aten::copy_"):
        waits = not (kwargs.get("non_blocking") or (len(args) > 2 and args[2]))
        source = args[1] if name == "aten::copy_" else args[0]
        target = (
            args[0].device if name == "aten::copy_" else torch.device(kwargs.get("device") or source.device)
        )
        leaves, comes = isinstance(source, OnDevice), target.type == NAME
        if leaves and not comes:
            reason = "a tensor is copied to the processor"
        elif comes and not leaves and source.dim() and waits:
            reason = "the processor waits for a copy to the device"
        elif comes and not leaves:
            for record in _records:
                record.copies.append(_place())
    elif any(isinstance(one, OnDevice) for one in flat):
        strangers = [
            one
            for one in flat
            if isinstance(one, torch.Tensor) and not isinstance(one, OnDevice) and one.dim()
        ]
        if strangers:
            shape = tuple(strangers[0].shape)
            raise RuntimeError(f"{name}: a tensor of shape {shape} was left on the processor at {_place()}")
    if reason:
        for record in _records:
            record.reads.append(f"{name} ({reason}) at {_place()}")


def _run(operation: Any, args: tuple, kwargs: dict) -> Any:
    _note_reads(operation, args, kwargs)
    name = operation._schema.name
    if operation.namespace == "qlora_kernels":
        return OPDEFS[name]._init_fn(*args, **kwargs)
    to_processor = name == "aten::_to_copy" and torch.device(kwargs.get("device") or DEVICE).type == "cpu"
    inner_args, inner_kwargs = tree_map_only(OnDevice, lambda one: one.inner, (args, kwargs))
    if inner_kwargs.get("device") is not None:
        inner_kwargs = {**inner_kwargs, "device": torch.device("cpu")}
    inner_kwargs.pop("pin_memory", None)
    if name == "aten::mm" and "out_dtype" in str(operation._schema):
        # of processors torch has no such product
        a, b, wide = inner_args
        product = a.to(wide) @ b.to(wide)
        if "out" not in kwargs:
            return OnDevice(product)
        kwargs["out"].inner.copy_(product)
        return kwargs["out"]
    if name == "aten::copy_" and not isinstance(args[0], OnDevice):
        return operation(*inner_args, **inner_kwargs)
    out = operation(*inner_args, **inner_kwargs)
    if to_processor and kwargs.get("non_blocking"):
        # nobody has waited: what arrives later must not be read now
        return torch.full_like(out, 127)
    if to_processor:
        return out.clone() if out is inner_args[0] else out
    return return_and_correct_aliasing(operation, args, kwargs, tree_map_only(torch.Tensor, OnDevice, out))


class _Module(backend_registration._DummyBackendModule):
    def is_available(self) -> bool:
        return False  # nobody who looks for a GPU is to find this one


class _Hook(torch._C._acc.PrivateUse1Hooks):
    def is_available(self) -> bool:
        return False

    def has_primary_context(self, index: int) -> bool:
        return True

    def is_built(self) -> bool:
        return False


# at the import, which is before any test runs: torch counts the devices in a process's first backward pass,
# and has a thread for each from then on, so that a fork of the process can't compute a gradient any more.
# Therefore in processes alone that run nothing else (the marker "alone"), and not where tests are only listed
if os.environ.get("WORKBENCH_ALONE"):
    backend_registration._setup_privateuseone_for_python_backend(NAME, _Module(), _Hook())
    _LIBRARY = torch.library.Library("_", "IMPL")
    _LIBRARY.fallback(lambda operation, *args, **kwargs: _run(operation, args, kwargs), "PrivateUse1")
    registration.PLAIN.add(OnDevice)


@contextlib.contextmanager
def rehearsal() -> Iterator[Record]:
    """Let the device be one for which operators take Triton's kernels, which are interpreted."""
    record = Record()
    _records.append(record)
    rows.TRITON_DEVICES.add(NAME)
    with interpreted():
        interpret = JITFunction.run

        def run(kernel: JITFunction, *args: Any, **options: Any) -> None:
            record.launches.append(kernel.fn.__name__)
            args, options = tree_map_only(OnDevice, lambda one: one.inner, (args, options))
            interpret(kernel, *args, **options)

        JITFunction.run = run
        try:
            yield record
        finally:
            JITFunction.run = interpret
            rows.TRITON_DEVICES.discard(NAME)
            _records.remove(record)
