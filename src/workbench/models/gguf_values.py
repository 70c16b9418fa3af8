"""Reading values out of a GGUF's metadata, each with a refusal that names key, value and remedy."""

from dataclasses import dataclass
from typing import Any

from workbench.errors import ANOTHER_BASE, InputError
from workbench.models.base import LARGEST_SIZE
from workbench.models.folder_settings import shown
from workbench.models.folder_values import LARGEST_NUMBER
from workbench.models.gguf_container import GgufFile

_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class GgufValues:
    """The settings that stand under a file's architecture."""

    file: GgufFile
    architecture: str

    def name(self, key: str) -> str:
        """Return the whole name of a key."""
        return f"{self.architecture}.{key}"

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return a setting, or a default."""
        return self.file.metadata.get(self.name(key), default)

    def size(self, key: str, default: Any = _REQUIRED) -> int:  # noqa: ANN401 - an int, or nothing
        """Return a whole number above 0."""
        stated = self.get(key)
        if isinstance(stated, list):
            # some writers repeat a size for each block
            if len({*stated}) != 1 or type(stated[0]) is not int:
                raise self.wrong(key, shown(stated), "one number, the same for all blocks")
            value = stated[0]
        else:
            value = field(self.file, self.name(key), int, default)
        if not 1 <= value <= LARGEST_SIZE:
            raise self.wrong(key, value, f"1 to {LARGEST_SIZE}")
        return value

    def positive(self, key: str, default: Any = _REQUIRED) -> float:  # noqa: ANN401 - a float, or nothing
        """Return a number above 0."""
        value = field(self.file, self.name(key), float, default)
        if not 0 < value <= LARGEST_NUMBER:
            raise self.wrong(key, value, "a positive number")
        return value

    def optional(self, key: str) -> float | None:
        """Return a number above 0, or None where there is none or 0."""
        return None if self.get(key, 0) == 0 else self.positive(key)

    def head_size(self) -> int:
        """Return the features of a head."""
        width, heads = self.size("embedding_length"), self.size("attention.head_count")
        return self.size("attention.key_length", max(1, width // heads))

    def wrong(self, key: str, value: object, expected: str) -> InputError:
        """Say that a field doesn't fit our decoder."""
        return InputError(
            f"{self.file.path}: {self.name(key)} is {value}, expected {expected}; {ANOTHER_BASE}."
        )


def field(file: GgufFile, key: str, kind: type, default: Any = _REQUIRED) -> Any:  # noqa: ANN401 - of that kind
    """Return a metadata field of one type.

    Raises:
        InputError: If it is of another type, or is missing and has no default.
    """
    value = file.metadata.get(key, default)
    if value is _REQUIRED:
        raise InputError(
            f"{file.path}: metadata field {key!r} is missing; convert the model anew, or {ANOTHER_BASE}."
        )
    if value is not default and type(value) is not kind:
        raise InputError(
            f"{file.path}: {key} is {shown(value)}, expected {kind.__name__}; convert the model anew, or "
            f"{ANOTHER_BASE}."
        )
    return value
