"""The user's own records: a JSON list or JSONL, with the keys that people have.

A record is an object with "prompt" and "response", or with Alpaca's "instruction", "input" (may be missing
or empty) and "output"; the first record decides for the whole file. It may also have

- "id": a text or a whole number, unique in the file;
- "choices": the closed set of answers, two or more, the response among them;
- "alternatives": wrong responses.

Other keys are ignored and named in the data set's notes. Without an id, a record is known by a hash of its
prompt: it keeps its place in every draw when the file is sorted, other records are added, or its response is
corrected, so a file and its cleaned copy can be compared record by record. Copies of one prompt are numbered
in the file's order.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.data.heldout import hold_out
from workbench.data.records import Dataset, Record
from workbench.data.sources.json_items import Item, read_items, shortened
from workbench.errors import InputError

Policy = Literal["error", "drop"]
SHOWN = 5
"""Places that a message names before it only counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The keys of one kind of file."""

    prompt: str
    response: str
    context: str | None
    template: str
    """The template that suits it."""

    @property
    def keys(self) -> set[str]:
        """Every key that is read."""
        needed = {self.prompt, self.response, "id", "choices", "alternatives"}
        return needed if self.context is None else needed | {self.context}


LAYOUTS = (
    Layout(prompt="prompt", response="response", context=None, template="plain"),
    Layout(prompt="instruction", response="output", context="input", template="alpaca"),
)


def load(
    path: Path,
    heldout: int | None = None,
    *,
    heldout_file: Path | None = None,
    on_empty: Policy = "error",
    on_bad: Policy = "error",
) -> Dataset:
    """Return the records of a file.

    Args:
        path: A JSON list or JSONL, in UTF-8.
        heldout: Records to hold out, chosen by a hash of their prompts; None for 600, or a fifth of a file
            with fewer than 3,000.
        heldout_file: A file with the records to hold out instead; no prompt may be in both.
        on_empty: What becomes of a record whose prompt or response is empty: "error" refuses the file,
            "drop" leaves the record out and says so in the notes.
        on_bad: The same for what can't be read as a record.

    Raises:
        InputError: If a file can't be read, a record isn't as described above, or too few are left.
    """
    if on_empty not in ("error", "drop"):
        raise InputError(f"on_empty is {on_empty!r}; it has to be 'error' or 'drop'")
    if heldout is not None and heldout_file is not None:
        raise InputError(f"heldout is {heldout} and heldout_file is {heldout_file}; give only one of them")
    records, layout, notes = _read(path, on_empty)
    if heldout_file is None:
        train, held = hold_out(records, heldout, str(path))
    else:
        others, _, more = _read(heldout_file, on_empty)
        _refuse_overlap(records, others, path, heldout_file)
        train, held, notes = tuple(records), tuple(others), [*notes, *more]
    return Dataset(
        name=path.stem,
        train=train,
        heldout=held,
        template=layout.template,
        licence="not stated: the user's own file",
        origin=" and ".join(str(one) for one in (path, heldout_file) if one),
        notes=tuple(notes),
    )


def _read(path: Path, on_empty: Policy) -> tuple[list[Record], Layout, list[str]]:
    """Return a file's records, their layout, and notes on what was left out."""
    items = read_items(path)
    layout = _layout(items[0])
    kept = [item for item in items if not _is_empty(item, layout)]
    if not kept:
        raise InputError(f"{path}: every record has an empty {layout.prompt!r} or {layout.response!r}")
    notes = []
    if len(kept) < len(items):
        empty = f"{len(items) - len(kept)} of {len(items)} records"
        what = f"empty {layout.prompt!r} or {layout.response!r}"
        if on_empty == "error":
            places = _listed([item.place for item in items if _is_empty(item, layout)])
            raise InputError(
                f"{path}: {empty} have an {what} ({places}); fill them, or have them left out with "
                "on_empty='drop' (--on-empty drop)"
            )
        notes.append(f"{path.name}: {empty} left out: {what}")
    ignored = Counter(key for item in items for key in item.values if key not in layout.keys)
    notes += [f"{path.name}: key {key!r} ignored ({count} records)" for key, count in sorted(ignored.items())]
    names = _ids(kept, layout)
    return [_record(item, layout, name) for item, name in zip(kept, names, strict=True)], layout, notes


def _layout(item: Item) -> Layout:
    """Return the layout of which a file's first record has a key."""
    for layout in LAYOUTS:
        if layout.prompt in item.values:
            return layout
    known = " or ".join(f"{layout.prompt!r} and {layout.response!r}" for layout in LAYOUTS)
    raise InputError(f"{item}: expected the keys {known}, found {_keys(item)}")


def _is_empty(item: Item, layout: Layout) -> bool:
    return not all(_text(item, key).strip() for key in (layout.prompt, layout.response))


def _record(item: Item, layout: Layout, name: str) -> Record:
    response, context = _text(item, layout.response), _context(item, layout)
    choices, alternatives = _texts(item, "choices"), _texts(item, "alternatives")
    if choices and (response not in choices or len(choices) < 2):
        raise InputError(f"{item}: 'choices' {list(choices)} have to be two or more, {response!r} among them")
    if response in alternatives:
        raise InputError(f"{item}: {response!r} is both the right response and one of 'alternatives'")
    return Record(
        id=name,
        prompt=_prompt(item, layout),
        response=response,
        context=context,
        choices=choices,
        alternatives=alternatives,
    )


def _context(item: Item, layout: Layout) -> str:
    if layout.context is None or item.values.get(layout.context) is None:
        return ""
    return _text(item, layout.context)


def _prompt(item: Item, layout: Layout) -> str:
    instruction, context = _text(item, layout.prompt), _context(item, layout)
    return f"{instruction}\n\n{context}" if context else instruction


def _ids(items: Iterable[Item], layout: Layout) -> list[str]:
    """Return each record's own id, or a hash of its prompt with a number from the second copy on."""
    places: dict[str, Item] = {}
    copies: Counter[str] = Counter()
    for item in items:
        name = item.values.get("id")
        if name is None:
            name = hashlib.blake2b(_prompt(item, layout).encode(), digest_size=8).hexdigest()
            copies[name] += 1
            name += f"-{copies[name]}" if copies[name] > 1 else ""
        elif isinstance(name, bool) or not isinstance(name, str | int):
            raise InputError(f"{item}: 'id' is {_json(name)}; expected a text or a whole number")
        if (first := places.setdefault(str(name), item)) is not item:
            raise InputError(f"{item}: 'id' {name!r} is also that of {first.place}; ids have to be unique")
    return list(places)


def _text(item: Item, key: str) -> str:
    """Return a key's text, which may be empty."""
    if key not in item.values:
        raise InputError(f"{item}: key {key!r} is missing; the record has {_keys(item)}")
    return _checked(item, key, item.values[key])


def _texts(item: Item, key: str) -> tuple[str, ...]:
    """Return an optional key's list of texts, none where it is missing."""
    values = item.values.get(key)
    if values is None:
        return ()
    if not isinstance(values, list):
        raise InputError(f"{item}: {key!r} is {_json(values)}; expected a list of texts")
    texts = tuple(_checked(item, key, value) for value in values)
    if not all(text.strip() for text in texts) or len(set(texts)) < len(texts):
        raise InputError(
            f"{item}: {key!r} is {_json(values)}; expected texts that differ, none of them empty"
        )
    return texts


def _checked(item: Item, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{item}: {key!r} is {_json(value)}; expected a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{item}: {key!r} holds {value[error.start]!r}, half of a surrogate pair and no character"
        ) from error
    return value


def _refuse_overlap(train: Iterable[Record], heldout: Iterable[Record], path: Path, other: Path) -> None:
    prompts = {record.prompt for record in train}
    both = [record.prompt for record in heldout if record.prompt in prompts]
    if both:
        raise InputError(
            f"{len(both)} prompts of {other} are in {path} too, the first is {_json(both[0])}; remove them "
            "from one of the files: what was trained on can't judge"
        )


def _listed(places: Sequence[str]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(places[:SHOWN]) + more


def _keys(item: Item) -> str:
    return ", ".join(map(repr, item.values)) or "no keys"


def _json(value: object) -> str:
    return shortened(json.dumps(value, ensure_ascii=False))
