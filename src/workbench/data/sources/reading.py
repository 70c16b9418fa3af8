"""What a file says of one record, checked field by field; all that is wrong with it is collected."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from workbench.data.sources.findings import Finding, Option
from workbench.data.sources.items import kind_in_words, shortened
from workbench.data.sources.layouts.layout import TEXTS, Row

SYSTEM = ("system", "system_prompt")
"""Names of the system text; the first that isn't empty is taken."""
NAME_OF_DIGITS = re.compile(r"[+-]?0\d|.*_")
"""Texts that Python reads as numbers and that people don't."""
Scalar = str | int | float | bool


class Reading:
    """One row read as a record."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.findings = list(row.findings)

    def wrong(self, what: str, detail: str = "", option: Option = "on_bad") -> None:
        """Note that something is wrong."""
        self.findings.append(Finding(self.row.place, what, detail, option))

    def values(self) -> dict[str, Any]:
        """Return the record's fields without its id; of use only where nothing is wrong."""
        asked = TEXTS if self.row.asks else TEXTS[1:]
        prompt, response = (self._text(name) for name in TEXTS)
        texts = [text for name, text in zip(TEXTS, (prompt, response), strict=True) if name in asked]
        if any(text is not None and not text.strip() for text in texts):
            self.wrong("empty " + " or ".join(map(self._name, asked)), option="on_empty")
        context = self._text("context")
        choices, alternatives = self._texts("choices"), self._texts("alternatives")
        if choices and (len(choices) < 2 or (response is not None and response not in choices)):
            self.wrong(
                f"with {self._name('choices')} that aren't two or more, the response among them",
                f"{shortened(json.dumps(choices, ensure_ascii=False))} and {kind_in_words(response)}",
            )
        if response in alternatives:
            self.wrong(
                f"whose response is one of {self._name('alternatives')} too, which are wrong",
                kind_in_words(response),
            )
        self.own_id()
        return {
            "prompt": "" if not self.row.asks else f"{prompt}\n\n{context}" if context else prompt,
            "response": response,
            "context": context,
            "system": self._system(),
            "history": self._history(),
            "choices": choices,
            "alternatives": alternatives,
        }

    def own_id(self) -> str:
        """Return the record's own id, nothing where it has none."""
        value = self.row.values.get("id")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self._text("id", "a text or a whole number") or ""

    def _name(self, field: str) -> str:
        return self.row.names.get(field) or repr(field)

    def _text(self, field: str, expected: str = "a text") -> str | None:
        """Return a field's text, an empty one for null, None for what isn't a text or has to be there."""
        value = self.row.values.get(field)
        if value is None:
            return None if field in TEXTS and field not in self.row.values else ""
        if is_text(value):
            return str(value)
        if isinstance(value, str):
            what = f"with half a surrogate pair, which is no character, in {self._name(field)}"
            self.wrong(what, kind_in_words(value))
        else:
            self.wrong(f"with {self._name(field)} that isn't {expected}", kind_in_words(value))
        return None

    def _system(self) -> str:
        texts = [text for text in map(self._text, SYSTEM) if text and text.strip()]
        if len(set(texts)) > 1:
            self.wrong(f"with different texts in {' and '.join(map(self._name, SYSTEM))}")
        return texts[0] if texts else ""

    def _history(self) -> tuple[tuple[str, str], ...]:
        turns = self.row.values.get("history") or []
        pairs = turns if isinstance(turns, list) else [turns]
        for pair in pairs:
            if not (isinstance(pair, list) and len(pair) == 2 and all(map(is_text, pair))):
                wrong = kind_in_words(turns if pairs is not turns else pair)
                name = self._name("history")
                self.wrong(f"with a {name} that isn't a list of turns, each [asked, answered]", wrong)
                return ()
        return tuple((asked, answered) for asked, answered in pairs)

    def _texts(self, field: str) -> tuple[str, ...]:
        """Return an optional field's list of texts that differ, none where it is missing or empty."""
        values = self.row.values.get(field) or []
        name = self._name(field)
        if not isinstance(values, list):
            self.wrong(f"with {name} that aren't a list of texts", kind_in_words(values))
            return ()
        if not all(is_text(value) and value.strip() for value in values) or len(set(values)) < len(values):
            found = shortened(json.dumps(values, default=str))
            self.wrong(f"with {name} that aren't texts, each another and none empty", found)
            return ()
        return tuple(values)


def is_text(value: object) -> bool:
    """Say whether a value is a text that can be written down."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def hashed(values: Mapping[str, Any]) -> str:
    """Return a hash of what is asked, or of the text where nothing is."""
    asked = values["prompt"] or values["response"]
    if values["system"] or values["history"]:
        asked = json.dumps([values["system"], values["history"], asked])
    return hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()


def extra_of(row: Row, ignored: Counter[str]) -> dict[str, Scalar]:
    """Return what else is said of a record, as far as it is a text, a number or a truth value.

    A missing value is absent: null, what is not a number, an empty name. ``ignored`` counts what is nested.
    """
    found: dict[str, Scalar] = {}
    for key, value in row.columns.items():
        if isinstance(value, str | bool | int | float) and key:
            if is_text(value) if isinstance(value, str) else math.isfinite(value):
                found[key] = value
        elif value is not None:
            ignored[key] += 1
    return found


def tell_numbers(rows: Sequence[dict[str, Scalar]]) -> None:
    """Make numbers and truth values of the columns of a table in text, each where all that it holds are.

    An empty field is a missing value, and so is "nan" among numbers.
    """
    texts: dict[str, list[str]] = {}
    for row in rows:
        for key, text in list(row.items()):
            if text == "":
                del row[key]
            else:
                texts.setdefault(key, []).append(str(text))
    kinds: tuple[Callable[[str], bool | int | float], ...] = (_truth, int, float)
    for key, held in texts.items():
        kind = next((one for one in kinds if _all_are(one, held)), None)
        if kind is None:
            continue
        for row in rows:
            if key in row:
                value = kind(str(row[key]))
                if math.isfinite(value):
                    row[key] = value
                else:
                    del row[key]


def _all_are(kind: Callable[[str], Scalar], texts: Iterable[str]) -> bool:
    """Say whether every text is of a kind; "007" and "1_000" are names."""
    try:
        return all(kind(text) is not None and not NAME_OF_DIGITS.match(text) for text in texts)
    except ValueError:
        return False


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"
