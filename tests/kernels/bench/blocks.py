"""Blocks of GGUF formats out of random bytes, with sensible or with awkward scales."""

import numpy as np
import torch

from qlora_kernels import FORMATS, QuantizedTensor
from qlora_kernels.formats_layout import Stored

HALVES: dict[str, tuple[int, ...]] = {
    "q4_0": (0,), "q4_1": (0, 2), "q8_0": (0,), "q4_k": (0, 2), "q6_k": (208,),
    "q5_0": (0,), "q5_1": (0, 2), "q5_k": (0, 2), "q3_k": (108,), "q2_k": (80, 82),
    "iq4_nl": (0,), "iq4_xs": (0,), "mxfp4": (),
}  # fmt: skip
"""Where a block of each GGUF format keeps float16 numbers."""

AWKWARD = torch.tensor(
    # 0, -0, the smallest and largest subnormals, 1, -1, the largest, infinities, two that are no numbers
    [0x0000, 0x8000, 0x0001, 0x83FF, 0x3C00, 0xBC00, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0xFD01],
    dtype=torch.int32,
).to(torch.uint16)
"""Bits of float16 that a reader can trip over."""


def random_blocks(name, rng, rows=40, blocks=3):
    """Random bytes with sensible float16 numbers where the format keeps some, and sensible exponents."""
    size = FORMATS[name].block_bytes
    data = torch.randint(256, (rows, blocks, size), generator=rng, dtype=torch.uint8)
    for place in HALVES[name]:
        numbers = torch.randn(rows, blocks, 1, generator=rng).half()
        data[:, :, place : place + 2] = numbers.view(torch.uint8)
    if name == "mxfp4":
        data[:, :, 0] = torch.randint(120, 131, (rows, blocks), generator=rng, dtype=torch.uint8)
    return data.view(rows, blocks * size)


def awkward_blocks(name, rng, rows, blocks):
    """Every pair of awkward scale and offset, over codes and inner scales that are random, all 0 or all 1."""
    size = FORMATS[name].block_bytes
    data = torch.randint(256, (rows, blocks, size), generator=rng, dtype=torch.uint8)
    data[: rows // 8] = 0
    data[rows // 8 : rows // 4] = 255
    for place in HALVES[name]:
        chosen = torch.randint(len(AWKWARD), (rows, blocks, 1), generator=rng)
        numbers = torch.from_numpy(AWKWARD.numpy()[chosen.numpy()])
        data[:, :, place : place + 2] = numbers.view(torch.uint8)
    if name == "mxfp4":
        data[:, :, 0] = torch.arange(rows * blocks).view(rows, blocks)  # all 256 exponents
    return data.view(rows, blocks * size)


def packed_blocks(name, rng, rows, columns):
    """A weight of random codes with sensible scales, of any format."""
    known = FORMATS[name]
    if known.from_bytes is not None:
        data = random_blocks(name, rng, rows, columns // known.multiple)
        return QuantizedTensor.from_gguf_bytes(name, (rows, columns), data)
    block = max(size for size in known.block_sizes if columns % size == 0)
    shapes = known.layout(rows, columns, block)
    stored = {
        kind: torch.rand(shape, generator=rng).to(dtype)
        if dtype.is_floating_point
        else torch.randint(17 if kind == "offsets" else 256, shape, generator=rng).to(dtype)
        for kind, (shape, dtype) in shapes.items()
    }
    return QuantizedTensor(format=name, shape=(rows, columns), stored=Stored(**stored), block_size=block)


def same_bits(got, expected):
    """Whether two arrays of float32 hold the same bits; one that is no number is as good as another."""
    got, expected = np.asarray(got), np.asarray(expected)
    no_numbers = np.isnan(expected)
    return np.array_equal(np.isnan(got), no_numbers) and np.array_equal(
        got.view(np.uint32)[~no_numbers], expected.view(np.uint32)[~no_numbers]
    )
