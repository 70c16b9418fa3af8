"""From the text of a conversation's turns to tokens, and which of them count in the loss.

A text is cut as the base's tokenizer cuts it, but never across the place where an answer that counts begins
or ends: it is cut there as a generation, which knows only what is before it, meets and writes it.

Where a text goes on without the token that ends an answer, the token is still what is to be told there, and
doesn't stand in the text: later turns are asked as they always are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from workbench.errors import ANOTHER_BASE, InputError


@runtime_checkable
class TokenizerProtocol(Protocol):
    """What a template asks of a tokenizer; ``workbench.models.tokenizer`` has the real ones."""

    @property
    def name(self) -> str:
        """Which kind it is."""

    @property
    def bos(self) -> int | None:
        """Token to put before a text that isn't a rendered chat; None if there is none."""

    @property
    def eos(self) -> int | None:
        """Token that ends a text."""

    @property
    def stops(self) -> frozenset[int]:
        """Tokens at which a generation stops."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, with nothing added."""

    def render_chat(
        self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = False
    ) -> str:
        """Write messages as the base expects them, special tokens included."""

    def first_special(self, text: str) -> int | None:
        """Return where the first special token that is written in ``text`` ends; None if there is none."""


@dataclass(frozen=True, slots=True)
class Example:
    """Tokens of a prompt and its response; those from ``prompt_length`` on count in the loss.

    Before the prompt's end, and part of it, may stand answers of earlier turns that count too.
    """

    token_ids: tuple[int, ...]
    prompt_length: int
    end_length: int = 1
    """How many of the last tokens end the response: the end token and what a template writes before it."""
    earlier: tuple[tuple[int, int], ...] = ()
    """What is to be told of earlier answers: each token with the place where it stands. An end token that the
    text lacks has the place of what stands there instead."""
    merged: bool = field(default=False, compare=False)
    """Whether the tokenizer, given all as one text, would cut it otherwise where a turn begins or ends."""
    earlier_learnt: int = field(default=0, compare=False)
    """How many earlier answers count."""
    earlier_missed: int = field(default=0, compare=False)
    """How many don't, as a generation at their turn would have been asked, or have written, otherwise."""

    @property
    def labels(self) -> list[tuple[int, int]]:
        """All that counts in the loss: each token that is to be told, with its place."""
        response = range(self.prompt_length, len(self.token_ids))
        return [*self.earlier, *((place, self.token_ids[place]) for place in response)]

    @property
    def response_ids(self) -> tuple[int, ...]:
        """The response's own tokens, without those that end it."""
        return self.token_ids[self.prompt_length : len(self.token_ids) - self.end_length]


@dataclass(frozen=True, slots=True)
class Turn:
    """An answered turn as text."""

    asked: str
    """All that stands before the answer."""
    said: str
    end: str = ""
    """What the template writes behind the answer as part of its end."""
    closed: bool = False
    """Whether that holds the token at which a generation stops."""

    @property
    def text(self) -> str:
        """All up to the answer's end."""
        return self.asked + self.said + self.end


def within(turns: Sequence[Turn], text: str) -> list[Turn]:
    """Return the turns that a text goes through, each behind the one before."""
    kept: list[Turn] = []
    for turn in turns:
        if text.startswith(turn.text) and len(turn.asked) >= (len(kept[-1].text) if kept else 0):
            kept.append(turn)
    return kept


def joined(turns: Sequence[Turn], tokenizer: TokenizerProtocol, opening: Sequence[int]) -> Example:
    """Return the tokens of a conversation, in which the answers of all ``turns`` count.

    Args:
        turns: One or more, each text a beginning of the next one's.
        tokenizer: The base's.
        opening: Tokens that stand before the text's.

    Raises:
        InputError: If an answer couldn't end, as the tokenizer has no end token, or nothing stands before it.
    """
    if tokenizer.eos is None and not all(turn.closed for turn in turns):
        raise InputError(
            f"the base's tokenizer ({tokenizer.name}) has no end token, so a response couldn't end; "
            f"{ANOTHER_BASE}"
        )
    ids: list[int] = []
    text, merged = "", False
    labels: list[tuple[int, int]] = []
    for turn in turns:
        asked, cut_before = _behind(ids, text, turn.asked.removeprefix(text), tokenizer)
        ids = ids + asked
        if not opening and not ids:
            raise InputError(
                "nothing stands before a response whose prompt is empty, so its first token would follow "
                "from nothing; use a template that writes something there, such as 'plain' (--template plain)"
            )
        said, cut = _behind(ids, turn.asked, turn.said + turn.end, tokenizer)
        merged = merged or cut_before or cut
        begin = len(opening) + len(ids)
        told = said if turn.closed or tokenizer.eos is None else [*said, tokenizer.eos]
        if turn is turns[-1]:
            break
        labels += enumerate(told, begin)
        ids, text = ids + said, turn.text
    without = said
    if turn.end:
        without = (
            _continued(turn.said, tokenizer) if cut else _behind(ids, turn.asked, turn.said, tokenizer)[0]
        )
    ending = len(told) - _alike(said, without)
    return Example((*opening, *ids, *told), begin, ending, tuple(labels), merged)


def _behind(ids: Sequence[int], text: str, more: str, tokenizer: TokenizerProtocol) -> tuple[list[int], bool]:
    """Return the tokens of ``more`` behind ``text``, which has been cut into ``ids``.

    Says also whether the tokenizer would cut the two together in another way between them.
    """
    both = tokenizer.encode(text + more)
    if both[: len(ids)] == ids:
        return both[len(ids) :], False
    alone = tokenizer.encode(text)
    if both[: len(alone)] == alone:
        return both[len(alone) :], False
    return _continued(more, tokenizer), True


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens that two sequences begin with alike."""
    differ = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differ, min(len(one), len(other)))


def _continued(text: str, tokenizer: TokenizerProtocol) -> list[int]:
    """Return the tokens of a text that goes on from another, so that no space is put before it."""
    for anchor in ("\n", "a", ".", " "):
        before, both = tokenizer.encode(anchor), tokenizer.encode(anchor + text)
        if both[: len(before)] == before:
            return both[len(before) :]
    return tokenizer.encode(text)
