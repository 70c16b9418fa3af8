"""Weights in 4 bits as the programs of GPTQ and of AWQ write them: groups of inputs with a whole zero point.

Both store a layer's matrix the other way round, inputs first, eight codes in each number of 32 bits:

    weight[n, k] = scales[group(k), n] * (code[k, n] - zero[group(k), n])

GPTQ packs the codes of eight inputs, AWQ those of eight outputs in the order 0 2 4 6 1 3 5 7. Zeros lie
eight outputs together in both. GPTQ's files of version 1 hold the zero less 1: a whole number of 32 bits has
0x11111111 added to it, as its programs do. Where groups of inputs lie side by side and end with the row, a
weight stays packed as "int4_zero"; GPTQ may give each input a group (``g_idx``, from ``desc_act``), and then
it is decoded once.

Source: Frantar et al., "GPTQ", arXiv:2210.17323, Lin et al., "AWQ", arXiv:2306.00978; the layout is that of
AutoGPTQ and GPTQModel, and of AutoAWQ's "gemm".
"""

from collections.abc import Mapping
from typing import Any

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from qlora_kernels import QuantizedTensor
from qlora_kernels.formats_layout import Stored, pack_pairs
from workbench.models.folder_quantized import (
    Method,
    Misfit,
    Named,
    expect,
    fitting_block,
    unknown_settings,
)

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight outputs lies in each 4 bits of a number, from the lowest on."""
ONE_EACH = 0x11111111
LARGEST_SCALE = 2.0**120
"""Sixteen times a larger one would be infinite in float32."""

_WRITTEN_BY = (
    "model_name_or_path model_file_base_name dataset tokenizer damp_percent damp_auto_increment "
    "true_sequential static_groups sym meta model_seqlen batch_size pad_token_id max_input_length "
    "block_name_to_quantize module_name_preceding_first_block modules_in_block_to_quantize mse "
    "cache_block_outputs act_group_aware quantizer parallel_packing "
    # how another program computes
    "use_cuda_fp16 backend use_exllama disable_exllama exllama_config use_triton do_fuse fuse_max_seq_len "
    "modules_to_fuse "
    # which layers are left plain, as the tensors themselves say
    "modules_to_not_convert lm_head true_group"
)


def check_gptq(value: Mapping[str, Any]) -> str | None:
    """Say what can't be read of a quantization_config of GPTQ."""
    return _group_size(value) or unknown_settings(
        value,
        ("bits", "group_size", "desc_act", "checkpoint_format", "format"),
        {
            "bits": (4,),
            "checkpoint_format": (None, "gptq", "gptq_v2"),
            "format": (None, "gptq", "gptq_v2"),
            "is_marlin_format": (None, False),
            "pack_dtype": (None, "int32"),
            "dynamic": (None, {}),
            "adapter": (None, {}),
            "rotation": (None, ""),
        },
        _WRITTEN_BY,
    )


def check_awq(value: Mapping[str, Any]) -> str | None:
    """Say what can't be read of a quantization_config of AWQ."""
    lower = {key: one.lower() if isinstance(one, str) else one for key, one in value.items()}
    return _group_size(value) or unknown_settings(
        lower,
        ("bits", "group_size"),
        {
            "bits": (4,),
            "version": ("gemm",),
            "format": (None, "gemm"),
            "checkpoint_format": (None, "gemm"),
            "zero_point": (True,),
            "desc_act": (None, False),
            "pack_dtype": (None, "int32"),
            "dynamic": (None, {}),
        },
        _WRITTEN_BY,
    )


def _group_size(value: Mapping[str, Any]) -> str | None:
    size = value.get("group_size")
    if type(size) is not int or (size != -1 and not 1 <= size <= 1 << 24):
        return f"group_size is {size!r}, expected a number of inputs, or -1 for all"
    return None if value.get("bits") == 4 else f"bits is {value.get('bits')!r}, expected 4"


def module_of_codes(tensor: str) -> tuple[str, str] | None:
    """Return the module of "MODULE.qweight" and its like."""
    module, _, rest = tensor.rpartition(".")
    return (module, rest) if module and rest in ("qweight", "qzeros", "g_idx") else None


def read_gptq(
    tensors: Named, shape: tuple[int, int], settings: Mapping[str, Any]
) -> Tensor | QuantizedTensor:
    """Return a weight of GPTQ, packed where its groups lie side by side.

    Raises:
        Misfit: If the tensors don't fit the shape or each other.
    """
    rows, columns = shape
    if rows % 8 or columns % 8:
        raise Misfit(f"has the shape {shape}, expected multiples of 8")
    size, groups = _groups(settings, columns)
    scales, zeros = _scales_and_zeros(tensors, rows, groups)
    if "gptq_v2" not in (settings.get("checkpoint_format"), settings.get("format")):
        zeros = zeros + ONE_EACH  # wraps around as it does in numbers of 32 bits
    packed = expect("qweight", tensors.get("qweight"), [torch.int32], (columns // 8, rows))
    codes = rearrange(nibbles_of(packed), "inputs N eight -> N (inputs eight)")
    zero = rearrange(nibbles_of(zeros), "C outputs eight -> (outputs eight) C")
    order = tensors.get("g_idx")
    if order is not None:
        order = expect("g_idx", order, [torch.int32, torch.int64], (columns,)).long()
        if not (int(order.min()) >= 0 and int(order.max()) < groups):
            raise Misfit(f"has groups up to {int(order.max())} in g_idx, expected 0 to {groups - 1}")
        if torch.equal(order, torch.arange(columns) // size):
            order = None
    return _of_groups(codes, rearrange(scales, "C N -> N C"), zero, size, order)


def read_awq(tensors: Named, shape: tuple[int, int], settings: Mapping[str, Any]) -> Tensor | QuantizedTensor:
    """Return a weight of AWQ, packed where its groups end with its rows.

    Raises:
        Misfit: If the tensors don't fit the shape or each other.
    """
    rows, columns = shape
    if rows % 8:
        raise Misfit(f"has the shape {shape}, expected a multiple of 8 outputs")
    if "g_idx" in tensors:
        raise Misfit("has g_idx, which AWQ doesn't")
    size, groups = _groups(settings, columns)
    scales, zeros = _scales_and_zeros(tensors, rows, groups)
    packed = expect("qweight", tensors.get("qweight"), [torch.int32], (columns, rows // 8))
    place = torch.tensor(AWQ_ORDER).argsort()
    codes = rearrange(nibbles_of(packed)[..., place], "K outputs eight -> (outputs eight) K")
    zero = rearrange(nibbles_of(zeros)[..., place], "C outputs eight -> (outputs eight) C")
    return _of_groups(codes, rearrange(scales, "C N -> N C"), zero, size, None)


def nibbles_of(packed: Int32[Tensor, "A B"]) -> UInt8[Tensor, "A B eight"]:
    """Take eight codes out of each number, from the lowest bits on."""
    pairs = packed.contiguous().view(torch.uint8)  # a number's lowest byte comes first
    return rearrange([pairs & 15, pairs >> 4], "half A (B byte) -> A B (byte half)", byte=4)


def _groups(settings: Mapping[str, Any], columns: int) -> tuple[int, int]:
    size = columns if settings["group_size"] == -1 else min(settings["group_size"], columns)
    return size, -(-columns // size)


def _scales_and_zeros(tensors: Named, rows: int, groups: int) -> tuple[Tensor, Tensor]:
    kinds = [torch.float16, torch.bfloat16, torch.float32]
    scales = expect("scales", tensors.get("scales"), kinds, (groups, rows))
    if not bool((scales.float().abs() <= LARGEST_SCALE).all()):
        raise Misfit("has scales that are no numbers, infinite, or too large")
    return scales, expect("qzeros", tensors.get("qzeros"), [torch.int32], (groups, rows // 8))


def _of_groups(
    codes: UInt8[Tensor, "N K"],
    scales: Float[Tensor, "N C"],
    zeros: UInt8[Tensor, "N C"],
    size: int,
    order: Tensor | None,
) -> Tensor | QuantizedTensor:
    """Return a weight packed, or in float32 where inputs of a group lie apart or scales have 32 bits."""
    rows, columns = codes.shape
    block = fitting_block(size)
    if order is None and block is not None and columns % size == 0 and scales.dtype != torch.float32:
        stored = Stored(
            codes=pack_pairs(codes),
            scales=scales.repeat_interleave(size // block, dim=1),
            offsets=zeros.repeat_interleave(size // block, dim=1),
        )
        return QuantizedTensor(format="int4_zero", shape=(rows, columns), stored=stored, block_size=block)
    group = torch.arange(columns) // size if order is None else order
    return einsum(codes.float() - zeros.float()[:, group], scales.float()[:, group], "N K, N K -> N K")


GPTQ = Method(check=check_gptq, module_of=module_of_codes, beside=("scales",), read=read_gptq)
AWQ = Method(check=check_awq, module_of=module_of_codes, beside=("scales",), read=read_awq)
