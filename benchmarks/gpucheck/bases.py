"""Bases with random weights, made on the device in packed form: nothing is downloaded, nothing held whole."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gpucheck.place import Place
from qlora_kernels import QuantizedTensor
from qlora_kernels.formats import known_format
from qlora_kernels.formats_layout import LEVELS, Stored
from workbench.config import LINEARS
from workbench.devices import choose_device
from workbench.models.decoder import Decoder
from workbench.models.decoder_config import DecoderConfig


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one base of the LLaMA family, and whether its head is its embedding."""

    name: str
    config: DecoderConfig
    tied: bool


def _shape(
    name: str,
    width: int,
    feed_forward: int,
    vocabulary: int,
    layers: int,
    heads: tuple[int, int, int],
    tied: bool,
) -> Shape:
    queries, keys, size = heads
    config = DecoderConfig(
        vocabulary=vocabulary,
        width=width,
        layers=layers,
        heads=queries,
        kv_heads=keys,
        head_size=size,
        feed_forward=feed_forward,
        rope_base=100_000.0,
    )
    return Shape(name, config, tied)


REAL = {
    shape.name: shape
    for shape in (
        _shape("SmolLM2-135M", 576, 1536, 49_152, 30, (9, 3, 64), tied=True),
        _shape("1B", 2048, 8192, 128_256, 16, (32, 8, 64), tied=True),
        _shape("8B", 4096, 14_336, 128_256, 32, (32, 8, 128), tied=False),
    )
}
"""The shapes of SmolLM2-135M, Llama 3.2 1B and Llama 3.1 8B, by name."""

TINY = {
    shape.name: shape
    for shape in (
        _shape("SmolLM2-135M", 64, 128, 96, 2, (2, 1, 32), tied=True),
        _shape("1B", 64, 192, 128, 2, (4, 2, 16), tied=True),
        _shape("8B", 128, 192, 128, 2, (4, 2, 32), tied=False),
    )
}
"""What the rehearsal has in their places."""


def random_packed(
    format: str, rows: int, columns: int, device: torch.device, generator: torch.Generator
) -> QuantizedTensor:
    """Make a packed weight with random codes, whose numbers are about as large as a trained layer's.

    Every code is as likely as another, and scales are such that a number's root mean square is 1 /
    sqrt(columns): rows of a root mean square of 1 stay such.
    """
    known = known_format(format)
    assert known.layout is not None
    levels = known.affine(_empty(format)).levels
    values = torch.tensor(LEVELS[levels] if levels in LEVELS else range(-127, 128), dtype=torch.float64)
    middle = float(values.mean()) if levels == "unsigned" else 0.0
    step = 1 / (math.sqrt(columns) * float((values - middle).square().mean().sqrt()))
    made = {}
    for name, (shape, dtype) in known.layout(rows, columns, known.block_size).items():
        if name == "codes":
            low, high = (-127, 128) if dtype == torch.int8 else (0, 256)
            made[name] = torch.randint(low, high, shape, dtype=dtype, device=device, generator=generator)
        else:
            value = step if name == "scales" else -middle * step
            made[name] = torch.full(shape, value, dtype=dtype, device=device)
    return QuantizedTensor(
        format=format, shape=(rows, columns), stored=Stored(**made), block_size=known.block_size
    )


def _empty(format: str) -> Stored:
    """Return what is stored of the least weight of a format: enough to ask which levels it has."""
    known = known_format(format)
    assert known.layout is not None
    size = max(known.multiple, known.block_size)
    made = {
        name: torch.zeros(shape, dtype=dtype)
        for name, (shape, dtype) in known.layout(1, size, known.block_size).items()
    }
    return Stored(**made)


def random_decoder(place: Place, shape: Shape, format: str) -> Decoder:
    """Make a base on the place's device: linear layers packed, embedding, head and norms as numbers.

    It computes in the place's 16-bit type; in a rehearsal in float32.
    """
    generator = torch.Generator(place.device).manual_seed(0)
    config, dtype = shape.config, place.pick(place.half, torch.float32)
    weights: dict[str, Tensor | QuantizedTensor] = {}
    for name, size in config.shapes(tied=shape.tied).items():
        if name.rpartition(".")[2] in LINEARS:
            weights[name] = random_packed(format, *size, place.device, generator)
        elif name in ("embedding", "head"):
            drawn = torch.empty(size, dtype=dtype, device=place.device)
            weights[name] = drawn.normal_(std=size[1] ** -0.5, generator=generator)
        else:
            weights[name] = torch.ones(size, device=place.device)
    # chosen as a study chooses it, which also sets up a GPU as a study does
    device = choose_device(place.pick("cuda", "cpu")).torch
    return Decoder(config, weights, str(dtype).removeprefix("torch."), device)


def weight_bytes(decoder: Decoder) -> int:
    """Return the bytes of a base's weights as they are kept."""
    return sum(weight.nbytes for weight in decoder.weights.values())


def shallow(shape: Shape, layers: int) -> Shape:
    """Return a shape with fewer blocks, for what repeats in each."""
    return replace(shape, config=replace(shape.config, layers=layers))
