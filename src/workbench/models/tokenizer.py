"""Tokenizers: text to the numbers of a base's vocabulary and back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol, runtime_checkable

import tokenizers

from workbench.errors import InputError
from workbench.models.chat import Message, render_chat


@runtime_checkable
class Tokenizer(Protocol):
    """What the rest of the workbench asks of a tokenizer."""

    name: str
    """Which kind it is, for records and messages."""
    vocabulary: int
    """Number of token ids."""
    bos: int | None
    """Token to put before a text that isn't a rendered chat; None if the base was trained without."""
    eos: int | None
    """Token that ends a text."""
    stops: frozenset[int]
    """Tokens at which a generation stops: ``eos`` and others that the base's files name."""
    day: date | None
    """What a chat template that writes a date takes for today; None takes the clock's."""
    pad: int | None
    """Token for empty places. It is often ``eos``: never mask labels by it."""
    chat_template: str | None
    """Jinja template of a chat model, None for others."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; special tokens written in it count as themselves."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, special tokens by their names."""

    def render_chat(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """Write messages as the base expects them, ready for :meth:`encode`."""

    def first_special(self, text: str) -> int | None:
        """Return where the first special token that is written in ``text`` ends; None if there is none."""


class CharacterTokenizer:
    """One token for each character of an alphabet, after three special ones."""

    name: str = "character"
    special = ("<pad>", "<bos>", "<eos>")
    pad: int | None = 0
    bos: int | None = 1
    eos: int | None = 2
    stops: frozenset[int] = frozenset((2,))
    day: date | None = None
    chat_template: str | None = None

    def __init__(self, alphabet: str) -> None:
        if not alphabet or len(set(alphabet)) != len(alphabet):
            raise InputError(f"alphabet {alphabet!r} has to hold at least one character, and each only once")
        self.alphabet = alphabet
        self.vocabulary = len(self.special) + len(alphabet)
        self._symbols = (*self.special, *alphabet)
        self._ids = {character: place for place, character in enumerate(alphabet, len(self.special))}

    def encode(self, text: str) -> list[int]:
        """Return one id for each character.

        Raises:
            InputError: If a character isn't in the alphabet.
        """
        for character in text:
            if character not in self._ids:
                raise InputError(
                    f"character {character!r} in {shorten(text)} isn't in the base's alphabet "
                    f"{self.alphabet!r}; write the text with those characters, or choose a base that reads "
                    "any text, such as --base smollm2-135m"
                )
        return [self._ids[character] for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the characters of ``ids``, special tokens by their names."""
        return "".join(self._symbols[i] for i in ids)

    def render_chat(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """Refuse: a character base was never trained on chats."""
        raise no_chat_template(self.name)

    def first_special(self, text: str) -> int | None:
        """Return None: its special tokens can't be written."""
        return None


@runtime_checkable
class SubwordBackend(Protocol):
    """The part of a subword tokenizer that cuts text into pieces."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, with nothing added."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, special tokens by their names."""


class LibraryBackend:
    """The library ``tokenizers``, and ids that the base doesn't have left out.

    A vocabulary may lack some bytes. Whoever builds the library's tokenizer gives them ids past the end,
    so that they hold their place while their neighbours are merged; here they disappear.
    """

    def __init__(self, library: tokenizers.Tokenizer, vocabulary: int) -> None:
        self.library = library
        self.vocabulary = vocabulary

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, with nothing added."""
        ids = self.library.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token < self.vocabulary]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, special tokens by their names."""
        return self.library.decode(list(ids), skip_special_tokens=False)


@dataclass(kw_only=True)
class SubwordTokenizer:
    """A vocabulary of word pieces, as most language models have."""

    name: str
    backend: SubwordBackend
    vocabulary: int
    bos: int | None
    eos: int | None
    pad: int | None
    chat_template: str | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    """Texts of special tokens by the names that chat templates use, such as "bos_token", also where a plain
    text goes without."""
    special: frozenset[str] = frozenset()
    """Texts of the tokens that stand for themselves wherever they are written, blank ones left out."""
    stops: frozenset[int] = frozenset()
    day: date | None = None
    gguf_metadata: Mapping[str, Any] | None = None
    """The tokenizer's fields of the GGUF it was read from; None if it came from elsewhere."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; special tokens written in it count as themselves.

        Raises:
            InputError: If the text holds half of a surrogate pair, which is no character.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{shorten(text)} holds {text[error.start]!r} at position {error.start}, which is half of a "
                "surrogate pair and no character; take it out of the text"
            ) from error
        return self.backend.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, special tokens by their names."""
        return self.backend.decode(ids)

    def render_chat(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """Write messages as the base expects them, special tokens included.

        Raises:
            InputError: If the base has no chat template, or its template refuses the messages.
        """
        if self.chat_template is None:
            raise no_chat_template(self.name)
        return render_chat(
            self.chat_template,
            messages,
            tokens=self.named,
            add_generation_prompt=add_generation_prompt,
            day=self.day,
        )

    def first_special(self, text: str) -> int | None:
        """Return where the first special token that is written in ``text`` ends; None if there is none."""
        longest_first = sorted(self.special, key=len, reverse=True)
        found = re.search("|".join(map(re.escape, longest_first)) or r"(?!)", text)
        return found.end() if found else None


def no_chat_template(name: str) -> InputError:
    """Say that a tokenizer has no chat template."""
    return InputError(
        f"the base has no chat template (tokenizer {name!r}); use another template (--template plain), or a "
        "base that was trained on chats, such as --base smollm2-135m"
    )


def shorten(text: str, width: int = 60) -> str:
    """Return ``text`` quoted, its end left out where it is long."""
    return repr(text if len(text) <= width else text[: width - 3] + "...")
