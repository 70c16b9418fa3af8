"""Fused LoRA and quantization operators: each an einsum reference and a fast twin."""
