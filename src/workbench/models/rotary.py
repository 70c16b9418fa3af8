"""Rotary positions: how far each pair of features of a head is turned, token by token.

A pair turns by position / period; scaled positions divide each pair's angle by a number of its own, so that
longer texts turn no further than what the base knows. Which number is what the kinds below differ in.

Shape letters: D turned features of a head, M tokens.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from qlora_kernels.rope import rope, rope_angles
from workbench.models.decoder_config import DecoderConfig, RopeScaling

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of each token's angles, each (M, D / 2)."""


def _llama3(scaling: RopeScaling, base: float, features: int) -> Tensor:
    """Divide slow pairs, leave fast ones, and blend between, in the number of turns.

    Source: Llama 3.1, and ``_compute_llama3_parameters`` of transformers.
    """
    turns = scaling.original_context * _frequencies(base, features) / (2 * math.pi)
    kept = ((turns - scaling.slow) / (scaling.fast - scaling.slow)).clamp(0, 1)
    return 1 / (kept + (1 - kept) / scaling.factor)


def _yarn(scaling: RopeScaling, base: float, features: int) -> Tensor:
    """Divide slow pairs, leave fast ones, and blend between, in the number of the pair.

    Source: Peng et al., "YaRN", arXiv:2309.00071, and ``_compute_yarn_parameters`` of transformers.
    """

    def pair(turns: float) -> float:
        return features * math.log(scaling.original_context / (turns * 2 * math.pi)) / (2 * math.log(base))

    first, last = pair(scaling.fast), pair(scaling.slow)
    if scaling.whole_pairs:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, features - 1)
    width = last - first or 0.001
    divided = ((torch.arange(features // 2, dtype=torch.float64) - first) / width).clamp(0, 1)
    return 1 / (1 - divided + divided / scaling.factor)


def _factors(scaling: RopeScaling, base: float, features: int) -> Tensor:
    """Divide each pair by its own number, as LongRoPE and GGUF's rope_freqs do; arXiv:2402.13753."""
    return torch.tensor(scaling.divisors, dtype=torch.float64)


SCALINGS: dict[str, Callable[[RopeScaling, float, int], Tensor]] = {
    "llama3": _llama3,
    "yarn": _yarn,
    "factors": _factors,
}
"""(scaling, base, D) -> what the angle of each pair is divided by, (D / 2)."""


def _frequencies(base: float, features: int) -> Float[Tensor, " half"]:
    return base ** -(torch.arange(0, features, 2, dtype=torch.float64) / features)


def rotation(
    positions: Int64[Tensor, " M"],
    features: int,
    base: float,
    scale: float | int = 1.0,
    scaling: RopeScaling | None = None,
    dtype: torch.dtype = torch.float32,
) -> Rotation:
    """Return cosine and sine for some positions.

    Args:
        positions: Of each token in its own text.
        features: D, how many features of a head are turned.
        base: What the angles' periods grow by, from the first pair to the last.
        scale: What all angles are divided by.
        scaling: What else each angle is divided by.
        dtype: Of the results; angles are computed in float64.
    """
    if scaling is None:
        return rope_angles(positions, features, base, scale=scale, dtype=dtype)
    divisors = SCALINGS[scaling.kind](scaling, base, features).to(positions.device)
    cosine, sine = rope_angles(positions, features, base, scale=divisors * scale, dtype=torch.float64)
    return (cosine * scaling.magnitude).to(dtype), (sine * scaling.magnitude).to(dtype)


def turned(x: Float[Tensor, "M heads size"], by: Rotation | None) -> Float[Tensor, "M heads size"]:
    """Turn the first features of each head; the rest stay, and all of them where ``by`` is nothing."""
    if by is None:
        return x
    features = 2 * by[0].shape[1]
    if features == x.shape[-1]:
        return rope(x, *by, layout="half_split")
    first = rope(x[..., :features].contiguous(), *by, layout="half_split")
    return torch.cat([first, x[..., features:]], dim=-1)


def rotations(
    config: DecoderConfig, positions: Int64[Tensor, " M"], dtype: torch.dtype
) -> list[Rotation | None]:
    """Return each layer's cosine and sine for some positions, or nothing where it has none."""
    features = config.rope_features or config.head_size
    own = rotation(positions, features, config.rope_base, config.rope_scale, config.rope_scaling, dtype)
    windowed = own
    if config.windowed_rope_base is not None:
        windowed = rotation(positions, features, config.windowed_rope_base, dtype=dtype)
    return [
        None if layer in config.unturned else own if config.window(layer) is None else windowed
        for layer in range(config.layers)
    ]


def divisors_of(config: DecoderConfig) -> tuple[float, ...]:
    """Return what each pair's angle is divided by beside ``rope_scale``; nothing without scaling."""
    scaling, features = config.rope_scaling, config.rope_features or config.head_size
    return (
        () if scaling is None else tuple(SCALINGS[scaling.kind](scaling, config.rope_base, features).tolist())
    )


def same_rotations(one: DecoderConfig, other: DecoderConfig) -> bool:
    """Say whether two configs turn positions alike, however they say so; numbers as float32 holds them."""
    places = torch.tensor([1, 100])
    pairs = [rotations(config, places, torch.float64)[0] for config in (one, other)]
    if None in pairs:
        return pairs[0] is pairs[1]
    return all(torch.allclose(a, b, rtol=0, atol=1e-4) for a, b in zip(*pairs, strict=True))
