"""The further axes of a study: its bases, and any setting of a cell.

A study is quality x size x seed over one base and one set of settings. With ``further_bases`` and ``vary`` it
is that grid once for each *variant*, which is a base and a value of each varied setting. What follows:

- A cell knows its base and its settings already, so its key says its variant. A study of one base that varies
  nothing has the same cells, files and words as ever; nothing new is written for it.
- A *part* is what can be prepared together: one base, one precision, one number of adapted blocks. It is a
  study of its own to all that plans and trains (pools, evaluation sets, frozen blocks, stacks and predicted
  time belong to a part), and parts go one after the other, so that one base at a time is in memory. Within a
  part variants share stacks as far as ``stacks.partition`` lets them.
- The folder has one manifest. ``base`` is the first base, ``bases`` all of them with hash and parameters. All
  read the same records, or the study is refused: a base that reads less would be compared on other data.
- The base without an adapter is measured once for each base and precision.
- The table has ``vary``, the variant in words, and with several bases ``model``, their parameters. Each
  variant is answered by itself, as a study of its own; ``laws.variants`` then compares the answers, and
  ``laws.model_size`` fits the joint laws of model size, quality and amount.
- Axes may grow: more bases, more values. An axis that a folder has can't be dropped, for its cells stay.

This module knows settings and words alone; ``parts`` plans, ``disk.variant_rows`` makes the table.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

from workbench.config import PRECISIONS, CellConfig
from workbench.errors import InputError, unknown_name

CELL_SETTINGS = tuple(
    one.name
    for one in fields(CellConfig)
    if one.name
    not in (
        *("data", "data_fingerprint", "base", "base_sha256", "template", "loss_on", "precision"),
        *("first_layer", "quality", "size", "size_in", "drawn", "seed"),
    )
)
"""Fields of a cell that a study's ``settings`` may name: those for which it has no field of its own."""
OF_PART = ("precision", "adapted_layers")
"""Settings of which cells that are prepared together have one value."""
VARIABLE = (*CELL_SETTINGS, *OF_PART)
"""What ``vary`` may name."""
NOT_VARIED = {
    "base": "bases are an axis of their own: --base A B",
    "quality": "qualities are an axis of their own: --quality clean typo:0.5",
    "size": "sizes are an axis of their own: --sizes 16 64",
    "seed": "seeds are an axis of their own: --seeds 0 1 2",
    "schedule": "a schedule decides how long a cell trains, so each asks for a study of its own: --schedule",
    "template": "a template decides what is trained on; give each a study of its own: --template",
    "loss_on": "it decides which tokens count, so two losses would be of other texts; give each a "
    "study of its own: --loss-on",
    "size_in": "what sizes count is the same for a whole study: --size-in",
    "heldout": "cells that are judged on different records can't be compared: --heldout",
    "device": "a device is a place, and no setting of a cell: --device",
}
"""What people may ask to vary and can't, with the reason and what to do."""


def check_vary(vary: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> None:
    """Refuse what can't vary, too few values, and a setting that is given twice.

    Args:
        vary: The values of each varied setting.
        settings: Those that every cell has.

    Raises:
        InputError: If it can't be done.
    """
    for name, values in vary.items():
        if why := NOT_VARIED.get(name):
            raise InputError(f"{name!r} can't vary within a study: {why}")
        if name not in VARIABLE:
            known = [one for one in VARIABLE if one not in NOT_VARIED]
            raise unknown_name("setting to vary", name, known, "src/workbench/studies/variants.py")
        if len(values) < 2:
            raise InputError(
                f"{name} varies over {len(values)} value{'s' * (len(values) != 1)}; give two or more, "
                f"such as --vary {name}=A,B, or one for all cells: --{name.replace('_', '-')}"
            )
        if len({json.dumps(value) for value in values}) < len(values):
            raise InputError(f"--vary {name} names one value twice: {', '.join(map(value_in_words, values))}")
        if name in settings:
            raise InputError(
                f"{name} is {value_in_words(settings[name])} for every cell, and varies as well; leave one "
                "of the two out"
            )
    if {"steps", "epochs"} <= vary.keys():
        raise InputError(
            "steps and epochs can't both vary: each says how long a cell trains; vary one of them"
        )
    for value in vary.get("precision", ()):
        if value not in PRECISIONS:
            raise unknown_name("precision", str(value), PRECISIONS, "src/workbench/config.py")
    for value in vary.get("adapted_layers", ()):
        if type(value) is not int or value < 1:
            raise InputError(f"adapted_layers is {value}; at least 1 block has to carry adapters")


def combinations(vary: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of values, the last setting innermost; one empty one where nothing varies."""
    return [dict(zip(vary, values, strict=True)) for values in product(*vary.values())]


def with_settings(settings: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a cell: those of all, then those of its variant."""
    found = {**settings, **own}
    # exactly one of the two says how long a cell trains
    if "epochs" in own:
        found["steps"] = None
    if "steps" in own:
        found["epochs"] = None
    return found


def value_in_words(value: Any) -> str:  # noqa: ANN401 - a setting's value
    """Return a value of a setting as ``--vary`` takes it and a label shows it."""
    if isinstance(value, tuple | list):
        return "+".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def base_labels(bases: Sequence[str]) -> dict[str, str]:
    """Return a short name for each base: that of its file, or all of the path where two files share one."""
    short = {base: Path(base).stem if base.endswith(".gguf") else Path(base).name or base for base in bases}
    counts = Counter(short.values())
    return {base: name if counts[name] == 1 else base for base, name in short.items()}


def variant_label(base: str | None, own: Mapping[str, Any]) -> str:
    """Return a variant's label: "rank 8, precision int8", or "tiny, rank 8" where the bases are several."""
    parts = [f"{name.replace('_', ' ')} {value_in_words(value)}" for name, value in own.items()]
    return ", ".join([*([base] if base else []), *parts])


def parse_vary(texts: Sequence[str], kinds: Mapping[str, type]) -> dict[str, tuple[Any, ...]]:
    """Read ``rank=1,8,64``; several values of targets are joined by +.

    Args:
        texts: As the command line has them.
        kinds: Settings that are numbers, with their kind.

    Raises:
        InputError: If one can't be read.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not listed:
            raise InputError(f"--vary {text!r} can't be read; expected a setting and its values: rank=1,8,64")
        if name in found:
            raise InputError(f"--vary names {name!r} twice; give all of its values at once: {name}=A,B,C")
        found[name] = tuple(_values(name, listed, {**kinds, "adapted_layers": int}))
    return found


def _values(name: str, listed: str, kinds: Mapping[str, type]) -> Iterator[Any]:
    for text in map(str.strip, listed.split(",")):
        if name == "targets":
            yield tuple(text.split("+"))
            continue
        try:
            yield kinds.get(name, str)(text)
        except ValueError:
            kind = "whole number" if kinds[name] is int else "number"
            raise InputError(f"--vary {name}: {text!r} is no {kind}") from None
