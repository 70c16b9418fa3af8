# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3k. What does a fused 4-bit kernel save, and can you write one?
#
# A GPU multiplies faster than it reads. So a kernel is judged by what it moves, and fusing means: don't
# write down what you'll read again. Here you write the kernels yourself, from one multiplication up to
# the fused 4-bit LoRA layer, on a laptop. Each exercise is checked against an einsum, and every byte is
# counted.
#
# Each exercise has three cells: a kernel with a hole in it (yours), a solution (folded), and a check.
# Until you fill the hole, your attempt is graded "not yet" and the notebook goes on with the solution.
# About 30 minutes.

# %%
import workbench as wb
import sys
from pathlib import Path

sys.path.insert(0, str(Path(wb.__file__).parents[2] / "tests" / "kernels"))  # of the checkout

# %%
# %matplotlib inline
import torch
import triton
import triton.language as tl
from bench.lab import attempt
from bench.pictures import bytes_moved, tiles_touched
from bench.trace import compulsory_bytes
from einops import einsum, rearrange

# %% [markdown]
# The shapes, by the letters of this project: M tokens, K inputs, N outputs, R rank, and blocks of 64
# weights that share one scale. None of M, N divides into tiles of 32: the edges are part of the exercise.

# %%
M, K, N, R, BLOCK = 72, 128, 100, 16, 64
torch.manual_seed(0)
x, dense = torch.randn(M, K), torch.randn(N, K) / K**0.5
a, b = torch.randn(R, K) / K**0.5, torch.randn(N, R)

# %% [markdown]
# ## 1. One program, one row: load, compute, store
#
# A launch `kernel[(M,)](...)` runs M programs. Each learns its number from `tl.program_id(0)`, computes
# the addresses of its own elements, and loads, computes, stores. Blocks come in powers of two, so the
# last lanes of a row of 100 have nothing to do: a *mask* switches them off.
#
# **Exercise.** Multiply each row of `w` by its own factor: `einsum(w, factor, "N K, N -> N K")`.


# %%
@triton.jit
def scale_mine(w, factor, y, K, WIDTH: tl.constexpr):
    row, column = tl.program_id(0), tl.arange(0, WIDTH)  # noqa: F841
    # your turn: load the row under a mask, multiply it by its factor, store it under the same mask


# %% jupyter={"source_hidden": true} tags=["solution"]
@triton.jit
def scale_solved(w, factor, y, K, WIDTH: tl.constexpr):
    row, column = tl.program_id(0), tl.arange(0, WIDTH)
    value = tl.load(w + row * K + column, column < K, other=0.0)
    tl.store(y + row * K + column, value * tl.load(factor + row), column < K)


# %%
rows, factor = torch.randn(5, 100), torch.randn(5)
scaled = einsum(rows.double(), factor.double(), "N K, N -> N K")


def scale(kernel):
    y = torch.empty_like(rows)
    kernel[(5,)](rows, factor, y, 100, WIDTH=128)
    return y


# %%
assert attempt(lambda: scale(scale_solved), scaled).correct
attempt(lambda: scale(scale_mine), scaled)

# %% [markdown]
# What does a forgotten mask do? On a GPU it reads whatever lies behind the row and often gives the right
# answer all the same, until one day it doesn't. Here it is caught at once, by name.


# %%
@triton.jit
def scale_careless(w, factor, y, K, WIDTH: tl.constexpr):
    row, column = tl.program_id(0), tl.arange(0, WIDTH)
    value = tl.load(w + row * K + column)
    tl.store(y + row * K + column, value * tl.load(factor + row), column < K)


# %%
careless = attempt(lambda: scale(scale_careless), scaled)
print(careless.verdict)

# %% [markdown]
# ## 2. A tile of a matrix product
#
# `einsum(x, w, "M K, N K -> M N")`. A program computes one TILE x TILE piece of the result. It walks
# along K, loads a piece of `x` and a piece of `w`, and adds their product (`tl.dot`) to a total that
# stays on the chip.
#
# **Exercise.** Fill in the walk. `input_precision="ieee"` keeps float32 from being rounded to tf32.


# %%
@triton.jit
def product_mine(x, w, y, M, N, K, TILE: tl.constexpr):
    m = tl.program_id(0) * TILE + tl.arange(0, TILE)[:, None]
    n = tl.program_id(1) * TILE + tl.arange(0, TILE)[None, :]
    total = tl.zeros((TILE, TILE), tl.float32)
    # your turn: for start in range(0, K, TILE), load x[m, k] as (m, k) and w[n, k] as (k, n), add their dot
    tl.store(y + m * N + n, total, (m < M) & (n < N))


# %% jupyter={"source_hidden": true} tags=["solution"]
@triton.jit
def product_solved(x, w, y, M, N, K, TILE: tl.constexpr):
    m = tl.program_id(0) * TILE + tl.arange(0, TILE)[:, None]
    n = tl.program_id(1) * TILE + tl.arange(0, TILE)[None, :]
    total = tl.zeros((TILE, TILE), tl.float32)
    for start in range(0, K, TILE):
        k = start + tl.arange(0, TILE)
        left = tl.load(x + m * K + k[None, :], (m < M) & (k[None, :] < K), other=0.0)
        right = tl.load(w + n * K + k[:, None], (n < N) & (k[:, None] < K), other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(y + m * N + n, total, (m < M) & (n < N))


# %%
def product(kernel, w, tile=32):
    y = torch.empty(M, N)
    grid = (triton.cdiv(M, tile), triton.cdiv(N, tile))
    kernel[grid](x, w, y, M, N, K, TILE=tile)
    return y


# %%
plain = einsum(x.double(), dense.double(), "M K, N K -> M N")
products = {
    f"tiles of {t}": attempt(lambda t=t: product(product_solved, dense, t), plain) for t in (16, 32, 64, 128)
}
assert all(p.correct for p in products.values())
attempt(lambda: product(product_mine, dense), plain)

# %% [markdown]
# Every program of a tile row reads the same rows of `x` again. Wider tiles share more: that is all a tile
# size is.

# %%
least = compulsory_bytes(x, dense, torch.empty(M, N))
bytes_moved({name: p.trace for name, p in products.items()}, least)

# %%
tiles_touched(products["tiles of 32"].trace, "product_solved", "y", (M, N))

# %% [markdown]
# ## 3. LoRA: a product beside the product
#
# The frozen weight gets an update of low rank: `x W^T + scale (x A^T) B^T`. The small matrix `s = x A^T`
# (M x R) is cheap. The question is what happens to its product with `B`. The obvious way launches three
# products and an addition, and writes and reads the whole result twice. Instead, start the total from
# `scale * dot(s, b)`.
#
# **Exercise.** One line: give `total` its first value.


# %%
@triton.jit
def lora_mine(x, w, s, b, y, scale, M, N, K, R: tl.constexpr, TILE: tl.constexpr):
    m = tl.program_id(0) * TILE + tl.arange(0, TILE)[:, None]
    n = tl.program_id(1) * TILE + tl.arange(0, TILE)[None, :]
    total = tl.zeros((TILE, TILE), tl.float32)  # your turn: scale * (s[m, :] b[n, :]^T) instead of zeros
    for start in range(0, K, TILE):
        k = start + tl.arange(0, TILE)
        left = tl.load(x + m * K + k[None, :], m < M, other=0.0)
        right = tl.load(w + n * K + k[:, None], n < N, other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(y + m * N + n, total, (m < M) & (n < N))


# %% jupyter={"source_hidden": true} tags=["solution"]
@triton.jit
def lora_solved(x, w, s, b, y, scale, M, N, K, R: tl.constexpr, TILE: tl.constexpr):
    m = tl.program_id(0) * TILE + tl.arange(0, TILE)[:, None]
    n = tl.program_id(1) * TILE + tl.arange(0, TILE)[None, :]
    r = tl.arange(0, R)
    small = tl.load(s + m * R + r[None, :], m < M, other=0.0)
    total = scale * tl.dot(small, tl.load(b + n * R + r[:, None], n < N, other=0.0), input_precision="ieee")
    for start in range(0, K, TILE):
        k = start + tl.arange(0, TILE)
        left = tl.load(x + m * K + k[None, :], m < M, other=0.0)
        right = tl.load(w + n * K + k[:, None], n < N, other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(y + m * N + n, total, (m < M) & (n < N))


# %%
s, scale_factor = x @ a.T, 2.0
grid = (triton.cdiv(M, 32), triton.cdiv(N, 32))


def lora(kernel):
    y = torch.empty(M, N)
    kernel[grid](x, dense, s, b, y, scale_factor, M, N, K, R=R, TILE=32)
    return y


# %%
update = einsum(s.double(), b.double(), "M R, N R -> M N")
assert attempt(lambda: lora(lora_solved), plain + scale_factor * update).correct
attempt(lambda: lora(lora_mine), plain + scale_factor * update)

# %% [markdown]
# ## 4. Block quantization: sixteen levels and a scale
#
# Four bits hold a code from 0 to 15; code c stands for (c - 8) x scale. Each block of 64 weights has its
# own scale, its largest magnitude over 7, so that one outlier spoils 64 weights and not a whole row. Two
# codes share a byte, here the even weight in the low half.
#
# **Exercise.** Quantize: one program per block. The einsum's way of saying it comes first, for
# comparison.

# %%
blocks = rearrange(dense, "N (G B) -> (N G) B", B=BLOCK)
scales = blocks.abs().amax(1) / 7
codes = (torch.floor(blocks / scales[:, None] + 0.5) + 8).to(torch.uint8)
packed = codes[:, 0::2] | codes[:, 1::2] << 4


# %%
@triton.jit
def quantize_mine(w, packed, scales, B: tl.constexpr):
    block, pair = tl.program_id(0), tl.arange(0, B // 2)  # noqa: F841
    # your turn: load the even and the odd weights, find the scale, round, pack, store both results
    # hints: tl.max(x, 0), tl.abs, tl.floor, tl.div_rn for a division that rounds correctly


# %% jupyter={"source_hidden": true} tags=["solution"]
@triton.jit
def quantize_solved(w, packed, scales, B: tl.constexpr):
    block, pair = tl.program_id(0), tl.arange(0, B // 2)
    even = tl.load(w + block * B + 2 * pair)
    odd = tl.load(w + block * B + 2 * pair + 1)
    scale = tl.div_rn(tl.maximum(tl.max(tl.abs(even), 0), tl.max(tl.abs(odd), 0)), 7.0)
    low = (tl.floor(tl.div_rn(even, scale) + 0.5) + 8).to(tl.uint8)
    high = (tl.floor(tl.div_rn(odd, scale) + 0.5) + 8).to(tl.uint8)
    tl.store(packed + block * (B // 2) + pair, low | (high << 4))
    tl.store(scales + block, scale)


# %%
def quantize(kernel):
    result, result_scales = torch.empty_like(packed), torch.empty_like(scales)
    kernel[(len(blocks),)](dense, result, result_scales, B=BLOCK)
    return result


# %%
assert attempt(lambda: quantize(quantize_solved), packed).correct
attempt(lambda: quantize(quantize_mine), packed)

# %% [markdown]
# ## 5. Decoding: sixteen levels back into numbers
#
# One byte gives two neighbours along K: `tl.join` puts the two halves side by side, `tl.reshape` makes
# them one row. A helper marked `@triton.jit` is called like any function from inside a kernel.
#
# **Exercise.** From `byte` (rows x B/2) and `scale` (rows), make the weights (rows x B).


# %%
@triton.jit
def decode_mine(byte, scale, B: tl.constexpr):
    # your turn: low = byte & 0xF, high = byte >> 4, minus 8, side by side, times the scale of their row
    return tl.zeros((byte.shape[0], B), tl.float32)


# %% jupyter={"source_hidden": true} tags=["solution"]
@triton.jit
def decode_solved(byte, scale, B: tl.constexpr):
    low = (byte & 0xF).to(tl.float32) - 8.0
    high = (byte >> 4).to(tl.float32) - 8.0
    return tl.reshape(tl.join(low, high), (byte.shape[0], B)) * scale[:, None]


# %%
@triton.jit
def expand(packed, scales, w, DECODE: tl.constexpr, B: tl.constexpr):
    block, one = tl.program_id(0), tl.arange(0, 1)
    byte = tl.load(packed + block * (B // 2) + one[:, None] + tl.arange(0, B // 2)[None, :])
    weights = DECODE(byte, tl.load(scales + block + one), B)
    tl.store(w + block * B + one[:, None] + tl.arange(0, B)[None, :], weights)


# %%
def expanded(decode):
    w = torch.empty(N, K)
    expand[(len(blocks),)](packed, scales, w, DECODE=decode, B=BLOCK)
    return w


# %%
levels = rearrange(codes.double() - 8, "(N G) B -> N G B", N=N)
weight = rearrange(levels * scales.double().view(N, -1, 1), "N G B -> N (G B)")
assert attempt(lambda: expanded(decode_solved), weight).correct
attempt(lambda: expanded(decode_mine), weight)

# %% [markdown]
# ## 6. The fusion
#
# Decoding the whole weight first writes it out in full and reads it back: then the four bits have saved
# nothing. Decode the piece at hand instead, between its load and its product. Nothing is left for you to
# fill in but to read: this is exercise 3 with one line from exercise 5 in the middle.


# %%
@triton.jit
def fused(
    x, packed, scales, s, b, y, lora_scale, M, N, K, DECODE: tl.constexpr, R: tl.constexpr, B: tl.constexpr
):
    m, n = tl.program_id(0) * B + tl.arange(0, B), tl.program_id(1) * B + tl.arange(0, B)
    r, k, half = tl.arange(0, R)[None, :], tl.arange(0, B)[None, :], tl.arange(0, B // 2)[None, :]
    small = tl.load(s + m[:, None] * R + r, m[:, None] < M, other=0.0)
    wide = tl.load(b + n[:, None] * R + r, n[:, None] < N, other=0.0)
    total = lora_scale * tl.dot(small, tl.trans(wide), input_precision="ieee")
    for group in range(K // B):
        left = tl.load(x + m[:, None] * K + group * B + k, m[:, None] < M, other=0.0)
        byte = tl.load(packed + n[:, None] * (K // 2) + group * (B // 2) + half, n[:, None] < N, other=0)
        right = DECODE(byte, tl.load(scales + n * (K // B) + group, n < N, other=0.0), B).to(left.dtype)
        total = tl.dot(left, tl.trans(right), total, input_precision="ieee")
    tl.store(y + m[:, None] * N + n[None, :], total, (m[:, None] < M) & (n[None, :] < N))


# %%
tiles = (triton.cdiv(M, BLOCK), triton.cdiv(N, BLOCK))


def all_in_one(dtype=torch.float32):
    y, (x_, s_, b_) = torch.empty(M, N), (t.to(dtype) for t in (x, s, b))
    arguments = (x_, packed, scales, s_, b_, y, scale_factor, M, N, K)
    fused[tiles](*arguments, DECODE=decode_solved, R=R, B=BLOCK)
    return y


# %%
def one_after_the_other():
    y, w = torch.empty(M, N), expanded(decode_solved)
    lora_solved[tiles](x, w, s, b, y, scale_factor, M, N, K, R=R, TILE=BLOCK)
    return y


# %%
truth = einsum(x.double(), weight, "M K, N K -> M N") + scale_factor * update
ways = {way.__name__: attempt(way, truth) for way in (one_after_the_other, all_in_one)}
print(ways)

# %%
least = compulsory_bytes(x, packed, scales, s, b, torch.empty(M, N))
bytes_moved({name.replace("_", " "): way.trace for name, way in ways.items()}, least)

# %% [markdown]
# ## On a GPU that isn't here
#
# The same kernel compiles for GPUs you don't have. Registers, spills and shared memory are facts of the
# machine code, and so is the use of the matrix units, which want 16-bit inputs. A spill in the inner loop
# would cost more than the fusion saves: try `torch.float32` here to see some.

# %%
from bench.compiler import build, captured

launch = captured(lambda: all_in_one(torch.bfloat16))[0]
reports = {target: build(launch, target) for target in ("sm_80", "sm_90", "gfx942")}
{
    t: f"{r.registers} registers, {r.spills} spilled, {r.matrix_instructions} matrix"
    for t, r in reports.items()
}

# %% [markdown]
# ## What was claimed
#
# The package's own kernels add what is left out here: NF4's uneven levels through a table of byte pairs,
# 16-bit tensor cores, 64-bit offsets, the backward pass, many adapters at once. `kernels/README.md` shows
# the way.

# %%
moved = {name: way.trace.moved for name, way in ways.items()}
assert all(way.correct for way in ways.values())
assert moved["all_in_one"] <= 0.5 * moved["one_after_the_other"], "fusing must halve the bytes"
assert all(r.spills == 0 and r.matrix_instructions > 0 for r in reports.values())
assert "outside 'w'" in careless.verdict, "a forgotten mask must be caught"
