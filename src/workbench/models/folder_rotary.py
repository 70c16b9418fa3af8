"""Rotary positions out of a Hugging Face config.json.

Version 5 of transformers writes rope_parameters, all before it rope_theta and rope_scaling.

Source: ``modeling_rope_utils`` of transformers.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.models.decoder_config import RopeScaling
from workbench.models.families.windows import LAYER_KINDS
from workbench.models.folder_settings import shown
from workbench.models.folder_values import FolderValues

_ALWAYS = ("type", "rope_type", "rope_theta", "partial_rotary_factor")
_KEYS: dict[str, tuple[str, ...]] = {
    "default": ("original_max_position_embeddings",),
    "linear": ("factor", "original_max_position_embeddings"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    "yarn": (
        *("factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"),
        *("mscale", "mscale_all_dim", "truncate"),
    ),
    "longrope": (
        *("factor", "original_max_position_embeddings", "attention_factor", "short_factor", "long_factor"),
    ),
}
"""Keys of rope_parameters, by its rope_type; others are refused unless they change nothing."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {"factor": (None, 1), "attention_factor": (None, 1)}


@dataclass(frozen=True, slots=True)
class FolderRotary:
    """What a folder says about rotary positions."""

    base: float
    scale: float = 1.0
    scaling: RopeScaling | None = None
    features: int | None = None
    windowed_base: float | None = None
    context: int | None = None
    """Longest text of these positions, where a longer one would turn otherwise."""


def read_rotary(values: FolderValues, kind: str, head_size: int) -> FolderRotary:
    """Return what a folder of the family ``kind`` says about rotary positions.

    Raises:
        InputError: If positions of another kind are asked for, or two keys contradict each other.
    """
    stated, found = values.stated.get("rope_theta"), []
    local = values.get("rope_local_base_freq")
    for key in ("rope_scaling", "rope_parameters"):
        rope = values.stated.get(key)
        if rope is None or rope == {}:
            continue
        if not isinstance(rope, dict):
            raise values.wrong(key, rope, "an object with a rope_type")
        if local is not None and (key == "rope_parameters" or any(part in rope for part in LAYER_KINDS)):
            rope, local = _by_layer(values, key, rope, local)
        base = stated if rope.get("rope_theta") is None else rope["rope_theta"]
        if stated not in (None, base):
            raise values.wrong("rope_theta", stated, f"{shown(base)}, as in {key}, or to be left out")
        found.append((key, base, _scaled(values, key, rope, kind, head_size)))
    if len(found) == 2 and found[0][1:] != found[1][1:]:
        given = values.stated["rope_scaling"]
        raise values.wrong("rope_scaling", given, "the same as rope_parameters, or to be left out")
    _, base, rotary = found[0] if found else ("", stated, FolderRotary(1.0))
    base = values.defaults.get("rope_theta", 10_000.0) if base is None else base
    rotary = replace(rotary, base=values.checked("rope_theta", base))
    if not found and kind == "phi3":
        rotary = replace(rotary, features=_features(values, "", values.stated, head_size))
    if local is not None:
        rotary = replace(rotary, windowed_base=values.checked("rope_local_base_freq", local))
    return rotary


def _by_layer(
    values: FolderValues,
    place: str,
    rope: Mapping[str, Any],
    local: Any,  # noqa: ANN401 - from the file
) -> tuple[Mapping[str, Any], Any]:
    """Return the positions of layers without a window, and the base of those with one."""
    full, windowed = (rope.get(part) or {} for part in LAYER_KINDS)
    if not isinstance(full, dict) or not isinstance(windowed, dict) or set(rope) - set(LAYER_KINDS):
        raise values.wrong(place, dict(rope), f"an object for each of {' and '.join(LAYER_KINDS)}")
    for key, value in windowed.items():
        if (key, value) not in (("rope_type", "default"), ("type", "default")) and key != "rope_theta":
            raise values.wrong(f"{place}.sliding_attention.{key}", value, "positions that aren't scaled")
    return full, windowed.get("rope_theta", local)


def _scaled(
    values: FolderValues, place: str, rope: Mapping[str, Any], kind: str, head_size: int
) -> FolderRotary:
    """Return what positions are scaled by, after checking that nothing else is asked for."""
    kinds = [rope[key] for key in ("rope_type", "type") if rope.get(key) is not None] or ["default"]
    named = kinds[0]
    if kind == "phi3" and named in ("su", "yarn"):  # older names of the same
        named = "longrope"
    readers = ("default", "longrope") if kind == "phi3" else tuple(READERS)
    if named not in readers or kinds[-1] != kinds[0]:
        known = ", ".join(map(repr, readers))
        raise values.wrong(place, dict(rope), f"a rope_type out of {known}: no other positions are read")
    for key, value in rope.items():
        allowed = _NEUTRAL.get(key, (None,))
        if key not in (*_ALWAYS, *_KEYS[named]) and value not in allowed:
            raise values.wrong(f"{place}.{key}", value, f"{shown(allowed[-1])} with rope_type {named!r}")
    if kind != "phi3" and rope.get("partial_rotary_factor") not in (None, 1):
        raise values.wrong(f"{place}.partial_rotary_factor", rope["partial_rotary_factor"], "1")
    rotary = READERS[named](_Rope(values, place, rope))
    if kind == "phi3":
        rotary = replace(
            rotary, features=_features(values, f"{place}.", {**values.stated, **rope}, head_size)
        )
        divisors = () if rotary.scaling is None else rotary.scaling.divisors
        if divisors and len(divisors) != (rotary.features or head_size) // 2:
            raise values.wrong(
                f"{place}.short_factor", f"{len(divisors)} numbers", "one for each pair of turned features"
            )
    return rotary


def _features(values: FolderValues, place: str, stated: Mapping[str, Any], head_size: int) -> int | None:
    share = stated.get("partial_rotary_factor")
    if share is None or share == 1:
        return None
    features = int(head_size * values.checked(f"{place}partial_rotary_factor", share))
    if not 2 <= features <= head_size or features % 2:
        raise values.wrong(f"{place}partial_rotary_factor", share, f"an even part of {head_size} features")
    return features


@dataclass(frozen=True, slots=True)
class _Rope:
    """One object of scaled positions."""

    values: FolderValues
    place: str
    rope: Mapping[str, Any]

    def number(self, key: str, default: float | None = None) -> float:
        value = self.rope.get(key)
        return self.values.checked(f"{self.place}.{key}", default if value is None else value)

    def original(self) -> int:
        """Return how long texts were before the base was made for longer ones."""
        key = "original_max_position_embeddings"
        own, value = self.rope.get(key), self.values.stated.get(key)
        if None not in (own, value) and own != value:
            raise self.values.wrong(key, value, f"{own}, as in {self.place}, or to be left out")
        value = self.values.get(key) if own is None else own
        value = self.values.size("max_position_embeddings") if value is None else value
        if type(value) is not int or value < 1:
            place = f"{self.place}.original_max_position_embeddings"
            raise self.values.wrong(place, value, "a whole number from 1 on")
        return value


def _default(rope: _Rope) -> FolderRotary:
    return FolderRotary(1.0)


def _linear(rope: _Rope) -> FolderRotary:
    return FolderRotary(1.0, rope.number("factor"))


def _llama3(rope: _Rope) -> FolderRotary:
    slow, fast = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    if slow >= fast:
        raise rope.values.wrong(f"{rope.place}.low_freq_factor", slow, f"less than high_freq_factor, {fast}")
    scaling = RopeScaling(
        kind="llama3", factor=rope.number("factor"), original_context=rope.original(), slow=slow, fast=fast
    )
    return FolderRotary(1.0, scaling=scaling)


def _yarn(rope: _Rope) -> FolderRotary:
    factor, original = rope.number("factor"), rope.original()
    given = [rope.rope.get(key) for key in ("attention_factor", "mscale", "mscale_all_dim")]
    if given[0] is not None:
        magnitude = rope.number("attention_factor")
    elif given[1] and given[2]:
        magnitude = yarn_magnitude(factor, rope.number("mscale")) / yarn_magnitude(
            factor, rope.number("mscale_all_dim")
        )
    else:
        magnitude = yarn_magnitude(factor)
    whole = rope.rope.get("truncate", True)
    if type(whole) is not bool:
        raise rope.values.wrong(f"{rope.place}.truncate", whole, "true or false")
    scaling = RopeScaling(
        kind="yarn",
        factor=factor,
        original_context=original,
        slow=rope.number("beta_slow", 1.0),
        fast=rope.number("beta_fast", 32.0),
        whole_pairs=whole,
        magnitude=magnitude,
    )
    return FolderRotary(1.0, scaling=scaling)


def yarn_magnitude(factor: float, weight: float = 1.0) -> float:
    """Return what YaRN multiplies cosine and sine by, which makes attention sharper; its equation 22."""
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0


def _longrope(rope: _Rope) -> FolderRotary:
    """Take the numbers for texts within the original context, beyond which others would turn them all."""
    original, longest = rope.original(), rope.values.size("max_position_embeddings")
    # transformers takes the whole from the two lengths for Phi-3, unless it is given
    factor = rope.number("factor", longest / original)
    magnitude = 1.0
    if rope.rope.get("attention_factor") is not None:
        magnitude = rope.number("attention_factor")
    elif factor > 1:
        magnitude = math.sqrt(1 + math.log(factor) / math.log(original))
    divisors = rope.rope.get("short_factor")
    if not isinstance(divisors, list) or not divisors:
        raise rope.values.wrong(f"{rope.place}.short_factor", divisors, "a list of numbers")
    checked = tuple(rope.values.checked(f"{rope.place}.short_factor", one) for one in divisors)
    scaling = RopeScaling(kind="factors", magnitude=magnitude, divisors=checked)
    return FolderRotary(1.0, scaling=scaling, context=min(original, longest))


READERS: dict[str, Callable[[_Rope], FolderRotary]] = {
    "default": _default,
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}
"""By ``rope_type``."""
