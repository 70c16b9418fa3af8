"""What a JSON object says, as a frozen object of which every fact has its type.

A class of facts lists the names that it knows. A name that is missing, or null, is None or empty, never
invented; a value of another type is refused by its path; a name that isn't known is kept for the file that is
written again.
"""

import copy
import math
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

TYPE_WORDS = {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false"}


NO_FACT = {"fact": False}
"""Marks a field that isn't read from the object."""


class WrongFact(ValueError):
    """Says which fact isn't what it has to be."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a JSON object says."""

    written: Mapping[str, Any] = field(default_factory=dict, repr=False, metadata=NO_FACT)
    """All that the object holds, as it lies on disk."""

    def to_json(self) -> dict[str, Any]:
        """Return all that the object holds, names that aren't known too; the copy is the caller's."""
        return copy.deepcopy(dict(self.written))


AnyFacts = TypeVar("AnyFacts", bound=Facts)


def read_facts(kind: type[AnyFacts], values: Any, path: str = "") -> AnyFacts:  # noqa: ANN401 - whatever a file says
    """Read an object.

    Args:
        kind: The class of its facts.
        values: JSON values.
        path: What messages call it, such as "sessions[2]"; empty for a whole file.

    Raises:
        WrongFact: If it is no object, or a fact in it is of another type.
    """
    if not isinstance(values, dict):
        raise WrongFact(f"{path or 'it'} is no object")
    before = f"{path}." if path else ""
    found = {
        name: _typed(one, values[name], before + name)
        for name, one in _kinds(kind).items()  # type: ignore[arg-type]
        if values.get(name) is not None
    }
    return kind(written=values, **found)


@cache
def _kinds(facts: type[Facts]) -> dict[str, Any]:
    """Return the type of each fact of a class."""
    hints = get_type_hints(facts)
    return {one.name: hints[one.name] for one in fields(facts) if one.metadata.get("fact", True)}


def _typed(kind: Any, value: Any, path: str) -> Any:  # noqa: ANN401 - types, and whatever a file says
    """Return a JSON value as a type has it."""
    if kind is Any:
        return value
    if isinstance(kind, type) and issubclass(kind, Facts):
        return read_facts(kind, value, path)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # only ever with None, which was a missing fact
        (one,) = (part for part in inner if part is not types.NoneType)
        return None if value is None else _typed(one, value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise WrongFact(f"{path} is no list")
        return tuple(_typed(inner[0], item, f"{path}[{place}]") for place, item in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise WrongFact(f"{path} is no object")
        return types.MappingProxyType(
            {name: _typed(inner[1], item, f"{path}.{name}") for name, item in value.items()}
        )
    if origin is Literal:
        # a word may say why behind a colon
        word = value.partition(":")[0] if isinstance(value, str) else value
        if word not in get_args(kind):
            raise WrongFact(f"{path} is {_short(value)}, expected one of {', '.join(get_args(kind))}")
        return word
    if kind is float and type(value) is int and abs(value) <= sys.float_info.max:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise WrongFact(f"{path} is {_short(value)}, expected {TYPE_WORDS[kind]}")
    return value


def _short(value: Any) -> str:  # noqa: ANN401 - whatever a file says
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} …"
