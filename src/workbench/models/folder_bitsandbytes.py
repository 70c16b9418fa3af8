"""Weights in 4 bits as bitsandbytes writes them: NF4 or FP4, with scales in float32 or quantized themselves.

A weight is its codes, two a byte, and beside them ``absmax``, ``quant_map`` and a JSON text in bytes,
``quant_state.bitsandbytes__nf4``; with double quantization ``nested_absmax`` and ``nested_quant_map``, too.
Blocks run through the whole weight, row after row: where they end with rows, the weight stays packed.

Source: bitsandbytes' ``QuantState.as_dict`` and ``dequantize_4bit``.
"""

import json
from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from qlora_kernels import QuantizedTensor
from qlora_kernels.decode import decode
from qlora_kernels.formats_layout import LEVELS, Stored
from qlora_kernels.formats_nf4 import DYNAMIC_LEVELS, OUTER_BLOCK
from workbench.models.folder_quantized import (
    Method,
    Misfit,
    Named,
    expect,
    fitting_block,
    unknown_settings,
)

SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Of blocks, as bitsandbytes has them."""
LARGEST_FLOAT32 = torch.finfo(torch.float32).max
_STATE = "weight.quant_state.bitsandbytes__"
_LARGEST_STATE = 4096
_PARTS = ("absmax", "quant_map", "nested_absmax", "nested_quant_map")


def check_bitsandbytes(value: Mapping[str, Any]) -> str | None:
    """Say what can't be read of a quantization_config."""
    if value.get("load_in_8bit") or value.get("_load_in_8bit") or not value.get("load_in_4bit"):
        return f"load_in_4bit is {value.get('load_in_4bit')!r}, expected True: its 8 bits aren't read"
    return unknown_settings(
        value,
        (),
        {"bnb_4bit_quant_type": ("nf4", "fp4")},
        # the weights themselves say how they are quantized; the rest is how products are computed
        "load_in_4bit load_in_8bit _load_in_4bit _load_in_8bit bnb_4bit_use_double_quant "
        "bnb_4bit_compute_dtype bnb_4bit_quant_storage llm_int8_enable_fp32_cpu_offload "
        "llm_int8_has_fp16_weight llm_int8_skip_modules llm_int8_threshold",
    )


def module_of_scales(tensor: str) -> tuple[str, str] | None:
    """Return the module of "MODULE.weight.absmax" and its like."""
    module, found, rest = tensor.rpartition(".weight.")
    return (module, f"weight.{rest}") if found else None


def read_bitsandbytes(
    tensors: Named, shape: tuple[int, int], settings: Mapping[str, Any]
) -> Tensor | QuantizedTensor:
    """Return a weight, packed where its blocks end with its rows.

    Raises:
        Misfit: If the tensors don't fit the shape or each other.
    """
    kind, state = _state(tensors, shape)
    known = {"weight", *(f"weight.{part}" for part in _PARTS), f"{_STATE}{kind}"}
    if unknown := sorted(set(tensors) - known):
        raise Misfit(f"has {', '.join(unknown)} beside it, which the workbench doesn't know")
    rows, columns = shape
    numbers, block = rows * columns, state["blocksize"]
    count = -(-numbers // block)
    codes = tensors.get("weight")
    if codes is None or codes.nbytes != -(-numbers // 2):
        found = "no codes" if codes is None else f"{codes.nbytes} bytes of codes"
        raise Misfit(f"has {found}, expected {-(-numbers // 2)} for the shape {shape}")
    codes = codes.contiguous().view(-1).view(torch.uint8)  # whatever bnb_4bit_quant_storage they are in
    _expect_levels("quant_map", tensors.get("weight.quant_map"), LEVELS[kind])
    if "nested_blocksize" in state:
        magnitudes = expect("absmax", tensors.get("weight.absmax"), [torch.uint8], (count,))
        outer, offset = _outer(tensors, state, count)
    else:
        magnitudes, outer, offset = _magnitudes(tensors, count), None, None
    size = fitting_block(block)
    # a scale that is quantized itself can't be said twice: its place says which outer scale it has
    if columns % block or size is None or (outer is not None and size != block):
        return _decoded(codes, magnitudes, outer, offset, kind, shape, block)
    scales = magnitudes.view(rows, -1).repeat_interleave(block // size, dim=1)
    stored = Stored(codes=codes.view(rows, -1), scales=scales, outer_scales=outer, outer_offsets=offset)
    name = kind if outer is None else f"{kind}_double"
    return QuantizedTensor(format=name, shape=shape, stored=stored, block_size=size)


def _decoded(
    codes: Tensor,
    magnitudes: Tensor,
    outer: Tensor | None,
    offset: Tensor | None,
    kind: str,
    shape: tuple[int, int],
    block: int,
) -> Tensor:
    """Decode blocks that run from row to row, as rows of one block; the last may be short."""
    numbers = prod(shape)
    missing = len(magnitudes) * block // 2 - len(codes)
    rows = torch.cat([codes, codes.new_zeros(missing)]).view(len(magnitudes), -1)
    stored = Stored(codes=rows, scales=magnitudes.view(-1, 1), outer_scales=outer, outer_offsets=offset)
    whole = QuantizedTensor(
        format=kind if outer is None else f"{kind}_double",
        shape=(len(magnitudes), block),
        stored=stored,
        block_size=block,
    )
    return decode(whole.affine()).flatten()[:numbers].reshape(shape).clone()


def _state(tensors: Named, shape: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    """Return the kind of the levels, and the other settings of one weight."""
    found = [name for name in tensors if name.startswith(_STATE)]
    kinds = [name.removeprefix(_STATE) for name in found]
    if len(found) != 1 or kinds[0] not in ("nf4", "fp4"):
        raise Misfit(f"has the states {kinds}, expected one of nf4 and fp4")
    text = tensors[found[0]]
    if text.dtype != torch.uint8 or text.ndim != 1 or len(text) > _LARGEST_STATE:
        raise Misfit(f"has a state in {text.dtype} of the shape {tuple(text.shape)}, expected JSON in bytes")
    try:
        state = json.loads(bytes(text.tolist()))
    except (ValueError, RecursionError):
        raise Misfit("has a state that isn't JSON") from None
    if not isinstance(state, dict):
        raise Misfit(f"has the state {state!r}, expected a JSON object")
    known = {"quant_type", "blocksize", "dtype", "shape", "nested_blocksize", "nested_dtype", "nested_offset"}
    for key, expected in (
        ("quant_type", [kinds[0]]),
        ("blocksize", list(SIZES)),
        ("shape", [list(shape)]),
        ("nested_blocksize", [None, OUTER_BLOCK]),
        ("nested_dtype", [None, "float32"]),
    ):
        value = state.get(key)
        if value not in expected or isinstance(value, (bool, float)):
            raise Misfit(f"says that its {key} is {value!r}, expected {' or '.join(map(repr, expected))}")
    if unknown := sorted(set(state) - known):
        raise Misfit(f"has the settings {', '.join(unknown)} in its state, which the workbench doesn't know")
    return kinds[0], {key: value for key, value in state.items() if value is not None}


def _magnitudes(tensors: Named, count: int) -> Tensor:
    kinds = [torch.float32, torch.float16, torch.bfloat16]
    return expect("absmax", tensors.get("weight.absmax"), kinds, (count,)).float()


def _outer(tensors: Named, state: Mapping[str, Any], count: int) -> tuple[Tensor, Tensor]:
    """Return the scales of the scales, and what was taken off those."""
    _expect_levels("nested_quant_map", tensors.get("weight.nested_quant_map"), DYNAMIC_LEVELS)
    outer = -(-count // OUTER_BLOCK)
    scales = expect("nested_absmax", tensors.get("weight.nested_absmax"), [torch.float32], (outer,))
    offset: Any = state.get("nested_offset")
    # not so for NaN either
    if type(offset) not in (int, float) or not abs(offset) <= LARGEST_FLOAT32:
        raise Misfit(f"says that its nested_offset is {offset!r}, expected a number of float32")
    return scales, torch.tensor([float(offset)], dtype=torch.float32)


def _expect_levels(name: str, found: Tensor | None, levels: tuple[float, ...]) -> None:
    values = expect(name, found, [torch.float32], (len(levels),))
    if not torch.equal(values, torch.tensor(levels)):
        raise Misfit(f"has other levels in {name} than bitsandbytes defines")


BITSANDBYTES = Method(
    check=check_bitsandbytes, module_of=module_of_scales, beside=("weight",), read=read_bitsandbytes
)
