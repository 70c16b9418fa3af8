"""What the cells of a study share: its settings. Cells of other settings are another study.

Within a study cells differ in quality, size and seed, and in what it varies. Where the data and the base lie
doesn't count: their hashes say what they are. Every other field of a cell is a setting, one that is added
later too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from workbench.config import CellConfig
from workbench.conversions import quoted
from workbench.errors import InputError

AXES = ("quality", "size", "seed")
"""Fields of a cell in which the cells of one study differ."""
PLACES = ("data", "base")
"""Fields that only say where something lies."""
DERIVED = ("drawn",)
"""Fields that follow from the others."""
SHARED = tuple(one.name for one in fields(CellConfig) if one.name not in (*AXES, *PLACES, *DERIVED))
MOST_SETTINGS = 4
"""Settings that a message describes before it only counts."""
LONGEST_SUFFIX = 60
"""Characters of a folder's name that settings may add."""

_shared = attrgetter(*SHARED)
_place = attrgetter(*AXES)


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """One thing in which two studies differ."""

    name: str
    then: Any
    now: Any
    slug: str | None = None
    """What a folder's name says about it; None takes the name and the value now."""

    def __str__(self) -> str:
        """Describe the difference, such as "learning_rate was 0.003 and is 0.001"."""
        return f"{self.name} was {setting_in_words(self.then)} and is {setting_in_words(self.now)}"


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that share their settings."""

    lead: CellConfig
    """The one that was stored first."""
    keys: tuple[str, ...]


def settings_of(cell: CellConfig, layers: int | None = None) -> dict[str, Any]:
    """Return a cell's settings by name.

    Args:
        cell: The cell.
        layers: Blocks of its base; where they are known, ``first_layer`` is given as ``adapted_layers``,
            as people ask for it.
    """
    values = dict(zip(SHARED, _shared(cell), strict=True))
    if layers:
        values["adapted_layers"] = layers - values.pop("first_layer")
    return values


def differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[SettingDifference]:
    """Return in what two settings differ; only names that both have are compared, and numbers as numbers."""
    return [
        SettingDifference(name, then[name], value)
        for name, value in now.items()
        if name in then and then[name] != value
    ]


def grouped(cells: Mapping[str, CellConfig], varied: Sequence[str] = ()) -> list[Group]:
    """Return the cells, which go by their keys, by settings; in the order of the first one of each.

    Args:
        cells: The cells.
        varied: Settings in which cells of one study differ, because it varies them.
    """
    names = [name for name in SHARED if name not in varied]
    shared = attrgetter(*names) if varied else _shared
    found = _by({key: shared(cell) for key, cell in cells.items()}, cells)
    if len({(_shared(cell), _place(cell)) for cell in cells.values()}) == len(cells):
        return found
    # a number that was written in two ways, such as 8 and 8.0, has made two cells of each
    return _by({key: repr(shared(cell)) for key, cell in cells.items()}, cells)


def _by(names: Mapping[str, Any], cells: Mapping[str, CellConfig]) -> list[Group]:
    keys: dict[Any, list[str]] = {}
    for key, name in names.items():
        keys.setdefault(name, []).append(key)
    return [Group(cells[own[0]], tuple(own)) for own in keys.values()]


def settings_in_words(groups: Sequence[Group], layers: int | None = None) -> list[str]:
    """Return for each of several settings in what it differs from the others, in words."""
    all_settings = [settings_of(group.lead, layers) for group in groups]
    names = [name for name in all_settings[0] if len({repr(settings[name]) for settings in all_settings}) > 1]
    return [
        ", ".join(f"{name} {setting_in_words(settings[name])}" for name in names) for settings in all_settings
    ]


def mixed(folder: Path, groups: Sequence[Group], layers: int | None = None) -> InputError:
    """Say that a study holds cells of several settings, which ones, and what to do."""
    told = [
        f"{len(group.keys)} with {words}"
        for group, words in zip(groups, settings_in_words(groups, layers), strict=True)
    ]
    more = [f"{len(told) - MOST_SETTINGS} more"] if len(told) > MOST_SETTINGS else []
    return InputError(
        f"{folder} holds cells of {len(told)} settings, which one table can't compare: "
        f"{'; '.join(told[:MOST_SETTINGS] + more)}; `workbench mend {quoted(folder)}` gives each settings a "
        "study of its own and loses nothing"
    )


def folder_suffix(differences: Sequence[SettingDifference]) -> str:
    """Return what the name of a folder says about the settings in it, such as "learning-rate-0.001"."""
    given = [one for one in differences if one.now is not None] or differences
    parts = [one.slug or f"{one.name.replace('_', '-')}-{setting_in_words(one.now)}" for one in given]
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).strip("-.")
    return text if len(text) <= LONGEST_SUFFIX else text[:LONGEST_SUFFIX].rstrip("-.")


def setting_in_words(value: Any) -> str:  # noqa: ANN401 - a setting's value
    """Return a value as a message writes it."""
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return ", ".join(map(setting_in_words, value)) or "none"
    return str(value)
