"""The row operators on the weights of SmolLM2: what a real block of the decoder feeds them."""

import gguf
import pytest
import torch
from bench.checks import agrees
from real_weights import real_file

from qlora_kernels import QuantizedTensor
from qlora_kernels.linear_cross_entropy import linear_cross_entropy
from qlora_kernels.rms_norm import rms_norm
from qlora_kernels.rope import rope, rope_angles
from qlora_kernels.swiglu import swiglu

TOKENS = 5


@pytest.fixture(scope="module")
def weights():
    """Decoded tensors of the first block, and the embedding, which is the head too."""
    wanted = {"token_embd.weight", "output_norm.weight"}
    found = {}
    for t in gguf.GGUFReader(real_file()).tensors:
        if t.name in wanted or t.name.startswith("blk.0."):
            shape, data = tuple(int(n) for n in reversed(t.shape)), torch.from_numpy(t.data.copy())
            kind = t.tensor_type.name.lower()
            if kind == "f32":
                found[t.name] = data.view(shape)
            else:
                found[t.name] = QuantizedTensor.from_gguf_bytes(kind, shape, data).dequantize()
    return found


@pytest.fixture(scope="module")
def normed(weights):
    """What the first block's projections read, for five words."""
    return rms_norm(weights["token_embd.weight"][1000 : 1000 + TOKENS], weights["blk.0.attn_norm.weight"])


def test_rms_norm(weights):
    x = weights["token_embd.weight"][:TOKENS]
    agrees(lambda x, w, to: rms_norm(x, w, backend=to), x, weights["blk.0.attn_norm.weight"], terms=576)


def test_swiglu(weights, normed):
    gate, up = (normed @ weights[f"blk.0.ffn_{part}.weight"].T for part in ("gate", "up"))
    agrees(lambda g, u, to: swiglu(g, u, backend=to), gate, up, terms=5)


def test_rope(weights, normed):
    queries = (normed @ weights["blk.0.attn_q.weight"].T).view(TOKENS, 9, 64)
    angles = rope_angles(torch.arange(TOKENS), 64, base=100_000.0)
    agrees(
        lambda x, to: rope(x, *(a.to(x.dtype) for a in angles), layout="interleaved", backend=to),
        queries,
        terms=2,
    )


def test_linear_cross_entropy(weights, normed):
    head, targets = weights["token_embd.weight"], torch.tensor([17, 49_151, 0, 300, 8000])
    agrees(
        lambda x, to: linear_cross_entropy(x, head.to(x.dtype), targets, backend=to),
        normed,
        terms=len(head),
    )
