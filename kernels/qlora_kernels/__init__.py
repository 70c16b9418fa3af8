"""Fused LoRA and quantization operators: each an einsum reference and a fast twin.

>>> import torch
>>> from qlora_kernels import dequantize, quantize
>>> packed = quantize(torch.randn(64, 128), "q4_1")
>>> packed
QuantizedTensor(q4_1, 64 x 128, 5.000 bits per weight in blocks of 32, 5,120 bytes, cpu)
>>> dequantize(packed).shape
torch.Size([64, 128])
"""

from qlora_kernels.dispatch import choose
from qlora_kernels.formats import FORMATS
from qlora_kernels.grouped import grouped_lora_linear
from qlora_kernels.linear import lora_linear, quantized_linear
from qlora_kernels.packed_weight import QuantizedTensor
from qlora_kernels.quantize import dequantize, quantize

__all__ = [
    "FORMATS",
    "QuantizedTensor",
    "choose",
    "dequantize",
    "grouped_lora_linear",
    "lora_linear",
    "quantize",
    "quantized_linear",
]
