"""Layouts in which each object is one record and each field has a key of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.data.sources.findings import Finding
from workbench.data.sources.items import Item
from workbench.data.sources.layouts.layout import OPTIONAL, TEXTS, Keys, Layout, Row, each, keys_in_words


def has_texts(values: Mapping[str, Any], keys: Keys) -> bool:
    """Say whether an object has the keys of the texts, whatever is in them."""
    return all(keys[name] in values for name in TEXTS if name in keys)


def plain_rows(item: Item, keys: Keys) -> Iterator[Row]:
    """Yield the record of an object whose fields have keys of their own."""
    found = {name: key for name, key in keys.items() if key in item.values}
    row = Row(
        place=item.place,
        values={name: item.values[key] for name, key in found.items()},
        columns={key: value for key, value in item.values.items() if key not in found.values()},
        names={name: repr(key) for name, key in keys.items()},
        asks="prompt" in keys,
    )
    row.findings += [
        Finding(item.place, f"without the key {keys[name]!r}", f"it has {keys_in_words(item.values)}")
        for name in TEXTS
        if name in keys and name not in found
    ]
    yield row


def plain_keys(
    title: str,
    origin: str,
    *,
    template: str = "plain",
    also: tuple[str, ...] = (),
    never: tuple[str, ...] = (),
    **keys: str,
) -> Layout:
    """Return a layout of plain keys.

    Args:
        title: As of :class:`Layout`.
        origin: As of :class:`Layout`.
        template: As of :class:`Layout`.
        also: Keys by which the layout is known beside those of its texts.
        never: Keys that belong to another layout.
        keys: Under which key each field is found.
    """
    return Layout(
        title=title,
        origin=origin,
        template=template,
        fits=lambda values, keys: (
            has_texts(values, keys)
            and all(key in values for key in also)
            and not any(key in values for key in never)
        ),
        rows=each(plain_rows),
        keys={name: name for name in OPTIONAL} | keys,
    )
