"""Which layout a file has: the one that most of its objects fit, or the one that somebody names."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from workbench.data.sources.items import Item, shortened
from workbench.data.sources.layouts import LAYOUTS
from workbench.data.sources.layouts.layout import OPTIONAL, TEXTS, Keys, Layout, keys_in_words
from workbench.data.sources.layouts.no_records import NO_RECORDS
from workbench.errors import InputError, unknown_name

MAPPED = (*TEXTS, "context", "messages", *(name for name in OPTIONAL if name != "system_prompt"))
"""Fields that ``--map`` may name; "messages" is a conversation."""
GUESSED = {
    "prompt": ("prompt", "question", "query", "instruction", "input", "problem", "source"),
    "response": ("response", "completion", "answer", "output", "target", "chosen", "solution", "reply"),
}
"""Keys that may hold the two texts, for the advice on what to map."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """How a file is read."""

    layout: Layout
    keys: Keys
    also: str = ""
    """Another layout that its objects would fit as well; empty where there is none."""

    def title(self) -> str:
        """Say what the file is read as; nothing for the workbench's own layout, unless another would do."""
        title = self.layout.title
        if self.also:
            title = title or "prompts and responses"
            return f"{title} (--read-as {self.also} would read other keys)"
        return title


def mapping_of(texts: Sequence[str]) -> dict[str, str]:
    """Return what ``--map`` says, a field and the key it is under for each of "prompt=question".

    Raises:
        InputError: If one isn't written so, or names a field twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, key = text.partition("=")
        if not (name and equals and key):
            raise InputError(f"--map {text} can't be read; write FIELD=KEY, such as --map prompt=question")
        if name in found:
            raise InputError(f"--map names {name} twice, as {found[name]!r} and {key!r}; give it once")
        found[name] = key
    check_mapping(found)
    return found


def mapping_in_words(mapping: Mapping[str, str]) -> str:
    """Return what follows ``--map`` for a mapping, as a shell takes it."""
    return " ".join(shlex.quote(f"{name}={key}") for name, key in mapping.items())


def check_mapping(mapping: Any, read_as: str | None = None) -> None:  # noqa: ANN401 - refuses no mapping
    """Refuse fields and layouts that there aren't, before any file is read.

    Raises:
        InputError: If there is such a one, or a key is to be two things.
    """
    if not isinstance(mapping, Mapping):
        raise InputError(f"mapping is {mapping!r}; give the keys by field, such as {{'prompt': 'question'}}")
    if read_as is not None and str(read_as) not in LAYOUTS:
        raise unknown_name("layout", str(read_as), LAYOUTS, "src/workbench/data/sources/layouts/__init__.py")
    for name, key in mapping.items():
        if name not in MAPPED:
            raise unknown_name("field", str(name), MAPPED, "src/workbench/data/sources/layouts/choice.py")
        if not isinstance(key, str) or not key:
            raise InputError(f"mapping has {key!r} as the key of {name!r}; give the name of a key, a text")
        same = [other for other, its in mapping.items() if its == key]
        if len(same) > 1:
            raise InputError(
                f"--map gives the key {key!r} two meanings, {' and '.join(same)}; give each field a key of "
                "its own"
            )


def choose_layout(
    path: Path, items: Sequence[Item], mapping: Mapping[str, str], read_as: str | None
) -> Chosen:
    """Return how a file is read.

    Args:
        path: The file, for messages.
        items: Its objects, at least one.
        mapping: Fields of a record with the keys under which they are here, whatever the layout says.
        read_as: A key of :data:`LAYOUTS`; None finds the one that most objects fit.

    Raises:
        InputError: If no object fits, or a key that is mapped isn't there.
    """
    check_mapping(mapping, read_as)
    for name, key in mapping.items():
        if not any(key in item.values for item in items):
            raise _no_key(path, name, key, items)
    shapes = _shapes(items)
    whole = {
        name: (count, chosen)
        for name, chosen in _candidates(mapping, read_as).items()
        if (count := sum(n for values, n in shapes if chosen.layout.fits(values, chosen.keys)))
    }
    if not whole:
        raise _nothing_fits(path, items, mapping, read_as)
    most = max(count for count, _ in whole.values())
    first, *others = [name for name, (count, _) in whole.items() if count == most]
    chosen = whole[first][1]
    item = next(one for one in items if chosen.layout.fits(one.values, chosen.keys))
    also = next((one for one in others if _other_texts(item, chosen.keys, whole[one][1].keys)), "")
    return replace(chosen, also="" if mapping or read_as else also)


def _shapes(items: Sequence[Item]) -> list[tuple[Mapping[str, Any], int]]:
    """Return one object of each shape with how many have it; what holds a list or an object stands alone."""
    found: dict[Any, list[Any]] = {}
    for place, item in enumerate(items):
        kinds = tuple((key, type(value)) for key, value in item.values.items())
        flat = not any(kind in (list, dict) for _, kind in kinds)
        found.setdefault(kinds if flat else place, [item.values, 0])[1] += 1
    return [(values, count) for values, count in found.values()]


def _candidates(mapping: Mapping[str, str], read_as: str | None) -> dict[str, Chosen]:
    """Return the layouts that may be meant, each with its keys as they are mapped."""
    if read_as is None and set(TEXTS) <= mapping.keys():
        own = LAYOUTS["prompt-response"]
        told = " and ".join(f"{mapping[name]!r} as {name}" for name in TEXTS)
        template = "alpaca" if "context" in mapping else own.template
        layout = replace(own, title=f"it was told: {told}", template=template)
        return {"mapped": Chosen(layout, _mapped(layout.keys, mapping))}
    named = {read_as: LAYOUTS[read_as]} if read_as else LAYOUTS
    return {
        name: Chosen(layout, _mapped(layout.keys, mapping))
        for name, layout in named.items()
        if (read_as or not layout.by_name_only) and mapping.keys() <= _takes(layout)
    }


def _takes(layout: Layout) -> set[str]:
    """Return the fields that can be mapped in a layout."""
    plain = set(TEXTS) <= layout.keys.keys() or "response" in layout.keys
    return {*TEXTS, "context", *OPTIONAL} if plain else set(layout.keys)


def _mapped(keys: Keys, mapping: Mapping[str, str]) -> dict[str, str]:
    """Return a layout's keys with those that are mapped, which no other field takes then."""
    taken = set(mapping.values())
    gone = {"system_prompt"} if "system" in mapping else set()
    kept = {name: key for name, key in keys.items() if key not in taken and name not in gone}
    return {**kept, **mapping}


def _other_texts(item: Item, keys: Keys, others: Keys) -> bool:
    """Say whether other keys would take other texts of an object; a text alone takes all there is."""
    if "prompt" not in others and "messages" not in others:
        return False
    other = [others[name] for name in (*TEXTS, "messages") if name in others]
    mine = [keys[name] for name in (*TEXTS, "messages") if name in keys]
    return other != mine and all(isinstance(item.values.get(key), str | list) for key in other)


def _no_key(path: Path, name: str, key: str, items: Sequence[Item]) -> InputError:
    known = list(dict.fromkeys(known for item in items for known in item.values))
    near = get_close_matches(key, known, n=1)
    hint = f" Did you mean {name}={shlex.quote(near[0])}?" if near else ""
    return InputError(
        f"{path}: no record has the key {key!r}, which --map gives as {name}.{hint} "
        f"Its keys are {keys_in_words(dict.fromkeys(known))}"
    )


def _nothing_fits(
    path: Path, items: Sequence[Item], mapping: Mapping[str, str], read_as: str | None
) -> InputError:
    """Say why no layout fits, and how to read the file all the same."""
    first = items[0]
    found = keys_in_words(first.values)
    if read_as is not None:
        return InputError(
            f"{path}, {first.place}: no object is as --read-as {read_as} has them; found {found}. Leave "
            "--read-as out to have the layout found by the keys"
        )
    if mapping:
        return InputError(
            f"{path}, {first.place}: with --map {mapping_in_words(mapping)} no layout "
            f"fits in which these fields may be named; found {found}. Leave --map out, or say in it where "
            "prompt and response are too"
        )
    for kind in NO_RECORDS.values():
        if 2 * sum(kind.fits(item.values) for item in items) > len(items):
            return InputError(f"{path} {kind.why} (found {found})")
    return InputError(
        f"{path}, {first.place}: expected the keys 'prompt' and 'response', or those of another layout that "
        f"`workbench run --help` lists; found {found}.{_mending(first.values)}"
    )


def _mending(values: Mapping[str, Any]) -> str:
    """Return a sentence on how to read an object of no known layout, where it may be guessed."""
    texts = [key for key, value in values.items() if isinstance(value, str) and key]
    guessed = {name: next((key for key in keys if key in texts), None) for name, keys in GUESSED.items()}
    used = set(guessed.values())
    rest = [key for key in texts if key not in used]
    pair = [guessed[name] or (rest.pop(0) if rest else None) for name in TEXTS]
    if all(pair):
        told = " ".join(f"{name}={shlex.quote(str(key))}" for name, key in zip(TEXTS, pair, strict=True))
        return f" Say which key is what with --map, such as --map {told}"
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            if {"role", "from"} & value[0].keys():
                return f" Say that it is a conversation with --map messages={shlex.quote(key)}"
            if any(layout.fits(value[0], layout.keys) for layout in LAYOUTS.values()):
                return f" The records are under {shortened(key)!r}: give that list as a file of its own."
    return ""
