"""Reading values out of a Hugging Face config.json, each with a refusal that names key, value and remedy."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.base import LARGEST_SIZE
from workbench.models.folder_settings import shown

LARGEST_NUMBER = 1e30


@dataclass(frozen=True, slots=True)
class FolderValues:
    """The settings of a folder, with its family's defaults below them."""

    path: Path
    stated: Mapping[str, Any]
    defaults: Mapping[str, Any]
    """What transformers takes where a key is left out; null counts as left out unless it is a default."""

    def get(self, key: str) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return a setting, or its default, or None."""
        value = self.stated.get(key)
        return self.defaults.get(key) if value is None else value

    def size(self, key: str, default: int | None = None) -> int:
        """Return a whole number above 0."""
        value = self.get(key)
        value = default if value is None else value
        if type(value) is not int or not 1 <= value <= LARGEST_SIZE:
            raise self.wrong(key, value, f"a whole number from 1 to {LARGEST_SIZE}")
        return value

    def positive(self, key: str, default: float | None = None) -> float:
        """Return a number above 0."""
        value = self.get(key)
        return self.checked(key, default if value is None else value)

    def optional(self, key: str) -> float | None:
        """Return a number above 0, or None for null; a default holds where nothing is said."""
        value = self.stated[key] if key in self.stated else self.defaults.get(key)
        return None if value is None else self.checked(key, value)

    def checked(self, key: str, value: Any) -> float:  # noqa: ANN401 - whatever the file holds
        """Return a number above 0 that stands under ``key``."""
        if type(value) not in (int, float) or not 0 < value <= LARGEST_NUMBER:
            raise self.wrong(key, value, "a positive number")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return true or false; false where nothing is said."""
        value = self.get(key)
        if value is not None and type(value) is not bool:
            raise self.wrong(key, value, "true or false")
        return bool(value)

    def layers(self) -> int:
        """Return the number of blocks."""
        return self.size("num_hidden_layers")

    def wrong(self, key: str, value: object, expected: str) -> InputError:
        """Say that a setting doesn't fit our decoder."""
        return wrong(self.path, key, value, expected)


def wrong(path: Path, key: str, value: object, expected: str) -> InputError:
    """Say that a setting doesn't fit our decoder."""
    return InputError(f"{path}: {key} is {shown(value)}, expected {expected}; {ANOTHER_BASE}.")
