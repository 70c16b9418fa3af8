"""Fused LoRA and quantization operators: each an einsum reference and a fast twin.

>>> import torch
>>> from qlora_kernels import dequantize, quantize
>>> packed = quantize(torch.randn(64, 128), "q4_1")
>>> packed
QuantizedTensor(q4_1, 64 x 128, 5.000 bits per weight in blocks of 32, 5,120 bytes, cpu)
>>> dequantize(packed).shape
torch.Size([64, 128])
"""

from qlora_kernels.formats import FORMATS
from qlora_kernels.quantize import dequantize, quantize
from qlora_kernels.quantized import QuantizedTensor

__all__ = ["FORMATS", "QuantizedTensor", "dequantize", "quantize"]
