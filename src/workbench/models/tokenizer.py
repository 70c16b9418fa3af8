"""Tokenizers: text to the numbers of a base's vocabulary and back."""

from collections.abc import Mapping, Sequence
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
    """Token that ends a text or a turn."""
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


class CharacterTokenizer:
    """One token for each character of an alphabet, after three special ones."""

    name = "character"
    special = ("<pad>", "<bos>", "<eos>")
    pad, bos, eos = 0, 1, 2
    chat_template = None

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
                    f"{self.alphabet!r}; write the text with those characters or choose a larger base."
                )
        return [self._ids[character] for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the characters of ``ids``, special tokens by their names."""
        return "".join(self._symbols[i] for i in ids)

    def render_chat(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """Refuse: a character base was never trained on chats."""
        raise no_chat_template(self.name)


class SubwordTokenizer:
    """A vocabulary of word pieces, as most language models have."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        name: str,
        bos: int | None,
        eos: int | None,
        pad: int | None,
        chat_template: str | None = None,
        chat_bos: int | None = None,
        gguf_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.backend = backend
        self.name = name
        self.vocabulary = backend.get_vocab_size(with_added_tokens=True)
        self.bos, self.eos, self.pad = bos, eos, pad
        self.chat_template = chat_template
        self.chat_bos = bos if chat_bos is None else chat_bos
        """Token that a chat template means by ``bos_token``, also where plain text goes without."""
        self.gguf_metadata = gguf_metadata
        """The tokenizer's fields of the GGUF it was read from, None if it came from elsewhere."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; special tokens written in it count as themselves.

        Raises:
            InputError: If the text holds half of a surrogate pair, which is no character.
        """
        try:
            return self.backend.encode(text, add_special_tokens=False).ids
        except UnicodeEncodeError as error:
            raise InputError(
                f"{shorten(text)} holds {text[error.start]!r} at position {error.start}, which is half of a "
                "surrogate pair and no character; save the data as valid UTF-8."
            ) from error

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, special tokens by their names."""
        return self.backend.decode(list(ids), skip_special_tokens=False)

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
            bos_token=self._text(self.chat_bos),
            eos_token=self._text(self.eos),
            add_generation_prompt=add_generation_prompt,
        )

    def _text(self, token: int | None) -> str:
        return "" if token is None else (self.backend.id_to_token(token) or "")


def no_chat_template(name: str) -> InputError:
    """Say that a tokenizer has no chat template."""
    return InputError(
        f"the base has no chat template (tokenizer {name!r}); use another template, such as 'plain', or a base "
        "that was trained on chats."
    )


def shorten(text: str, width: int = 60) -> str:
    """Return ``text`` quoted, its end left out where it is long."""
    return repr(text if len(text) <= width else text[: width - 3] + "...")
