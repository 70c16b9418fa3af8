# ruff: noqa: ANN001, ANN201, D103 -- a kernel's arguments are pointers and strides
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""The kernels of the lab's exercises, solved; the notebook goes on with these whatever a learner fills in.

The notebook's folded solutions have the same text, which a test holds.

Shape letters: M tokens, K inputs, N outputs, R rank, B block of weights that share a scale.
"""

import triton
import triton.language as tl


@triton.jit
def scale_kernel(w, factor, y, K, WIDTH: tl.constexpr):
    row, column = tl.program_id(0), tl.arange(0, WIDTH)
    value = tl.load(w + row * K + column, column < K, other=0.0)
    tl.store(y + row * K + column, value * tl.load(factor + row), column < K)


@triton.jit
def product_kernel(x, w, y, M, N, K, TILE: tl.constexpr):
    m = tl.program_id(0) * TILE + tl.arange(0, TILE)[:, None]
    n = tl.program_id(1) * TILE + tl.arange(0, TILE)[None, :]
    total = tl.zeros((TILE, TILE), tl.float32)
    for start in range(0, K, TILE):
        k = start + tl.arange(0, TILE)
        left = tl.load(x + m * K + k[None, :], (m < M) & (k[None, :] < K), other=0.0)
        right = tl.load(w + n * K + k[:, None], (n < N) & (k[:, None] < K), other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(y + m * N + n, total, (m < M) & (n < N))


@triton.jit
def lora_kernel(x, w, s, b, y, scale, M, N, K, R: tl.constexpr, TILE: tl.constexpr):
    m = tl.program_id(0) * TILE + tl.arange(0, TILE)[:, None]
    n = tl.program_id(1) * TILE + tl.arange(0, TILE)[None, :]
    r = tl.arange(0, R)
    small = tl.load(s + m * R + r[None, :], m < M, other=0.0)
    wide = tl.load(b + n * R + r[:, None], n < N, other=0.0)
    total = scale * tl.dot(small, wide, input_precision="ieee")
    for start in range(0, K, TILE):
        k = start + tl.arange(0, TILE)
        left = tl.load(x + m * K + k[None, :], m < M, other=0.0)
        right = tl.load(w + n * K + k[:, None], n < N, other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(y + m * N + n, total, (m < M) & (n < N))


@triton.jit
def quantize_kernel(w, packed, scales, B: tl.constexpr):
    block, pair = tl.program_id(0), tl.arange(0, B // 2)
    even = tl.load(w + block * B + 2 * pair)
    odd = tl.load(w + block * B + 2 * pair + 1)
    largest = tl.maximum(tl.max(tl.abs(even), 0), tl.max(tl.abs(odd), 0))
    scale = tl.div_rn(largest, 7.0)
    low = (tl.floor(tl.div_rn(even, scale) + 0.5) + 8).to(tl.uint8)
    high = (tl.floor(tl.div_rn(odd, scale) + 0.5) + 8).to(tl.uint8)
    tl.store(packed + block * (B // 2) + pair, low | (high << 4))
    tl.store(scales + block, scale)


@triton.jit
def decode_kernel(byte, scale, B: tl.constexpr):
    low = (byte & 0xF).to(tl.float32) - 8.0
    high = (byte >> 4).to(tl.float32) - 8.0
    return tl.reshape(tl.join(low, high), (byte.shape[0], B)) * scale[:, None]


@triton.jit
def fused_kernel(x, packed, scales, s, b, y, M, N, K, R: tl.constexpr, B: tl.constexpr):
    m = tl.program_id(0) * B + tl.arange(0, B)[:, None]
    n = tl.program_id(1) * B + tl.arange(0, B)
    r, k = tl.arange(0, R)[None, :], tl.arange(0, B)[None, :]
    small = tl.load(s + m * R + r, m < M, other=0.0)
    wide = tl.load(b + n[:, None] * R + r, n[:, None] < N, other=0.0)
    total = tl.dot(small, tl.trans(wide), input_precision="ieee")
    for g in range(K // B):
        left = tl.load(x + m * K + g * B + k, m < M, other=0.0)
        place = n[:, None] * (K // 2) + g * (B // 2) + tl.arange(0, B // 2)[None, :]
        byte = tl.load(packed + place, n[:, None] < N, other=0)
        right = decode_kernel(byte, tl.load(scales + n * (K // B) + g, n < N, other=0.0), B)
        total = tl.dot(left, tl.trans(right.to(left.dtype)), total, input_precision="ieee")
    tl.store(y + m * N + n[None, :], total, (m < M) & (n[None, :] < N))
