"""From a record to tokens: how a base is asked, and which tokens count in the loss.

What is trained is what the base's tokenizer makes of prompt and response together, up to the token at which a
generation stops. The prompt's tokens have to be those that the base is asked with afterwards: where a
tokenizer would cut the prompt's end in another way with the response behind it (one token across the two, for
instance), the response is tokenized as a continuation of the prompt, and the loss begins between the two all
the same. Only the response and what ends
it count in the loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from workbench.data.records import Record
from workbench.errors import ANOTHER_BASE, InputError, unknown_name

PROBE = "an-answer-in-its-place"
"""Stands for a response, to see what a chat template writes around one."""


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
    """Tokens of a prompt and its response; those from ``prompt_length`` on count in the loss."""

    token_ids: tuple[int, ...]
    prompt_length: int
    end_length: int = 1
    """How many of the last tokens end the response: the end token and what a template writes before it."""
    merged: bool = field(default=False, compare=False)
    """Whether the tokenizer, given prompt and response as one text, would cut the prompt's end otherwise."""

    @property
    def response_ids(self) -> tuple[int, ...]:
        """The response's own tokens, without those that end it."""
        return self.token_ids[self.prompt_length : len(self.token_ids) - self.end_length]


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """One way of asking. A record's system text and earlier turns are part of what is asked."""

    ask: Callable[[Record], str] | None
    """Writes the text up to where the response begins; None for the base's own chat template."""
    about: str


def _plain(record: Record) -> str:
    before = [record.system] * bool(record.system) + [f"{asked}\n{said}" for asked, said in record.history]
    return "".join(f"{text}\n\n" for text in before) + f"{record.prompt}\n"


def _verbatim(record: Record) -> str:
    before = [record.system] * bool(record.system) + [asked + said for asked, said in record.history]
    return "".join(f"{text}\n" for text in before) + record.prompt


def _verbs(record: Record) -> str:
    if record.system or record.history:
        raise InputError(
            f"{record.where} has a system text or earlier turns, for which the "
            "template 'verbs' has no place; use another one, such as 'plain' (--template plain)"
        )
    return f"past {record.prompt}="


def _alpaca(record: Record) -> str:
    # no newline at the end: Alpaca's own template has none, those of its successors mostly do
    preamble = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the "
        "request."
    )
    task = f"### Instruction:\n{record.instruction}\n\n"
    if record.context:
        preamble = (
            "Below is an instruction that describes a task, paired with an input that provides further "
            "context. Write a response that appropriately completes the request."
        )
        task += f"### Input:\n{record.context}\n\n"
    earlier = "".join(
        f"### Instruction:\n{asked}\n\n### Response:{said}\n\n" for asked, said in record.history
    )
    return f"{record.system or preamble}\n\n{earlier}{task}### Response:"


TEMPLATES: dict[str, Template] = {
    "plain": Template(ask=_plain, about="the prompt, a new line, the response"),
    "verbatim": Template(ask=_verbatim, about="the prompt and the response, nothing between them"),
    "verbs": Template(ask=_verbs, about="the classroom base's own form: past walk=walked"),
    "chat": Template(
        ask=None,
        about="the base's chat template; a system line is the record's, or else the base's own",
    ),
    "alpaca": Template(ask=_alpaca, about="the original Stanford Alpaca text"),
}


def render(template: str, record: Record, tokenizer: TokenizerProtocol) -> Example:
    """Return the tokens of a record as it is trained on: prompt, response and what ends it.

    Args:
        template: Key of :data:`TEMPLATES`.
        record: What to render.
        tokenizer: The base's.

    Raises:
        InputError: If the template is unknown, or the tokenizer has no end token, no chat template where
            one is needed, or no token for a character; or if the chat template doesn't write the response
            behind the prompt.
    """
    return continuation(template, record, record.response, tokenizer)


def continuation(template: str, record: Record, response: str, tokenizer: TokenizerProtocol) -> Example:
    """Return the tokens of the record's prompt and another response, such as one of its choices.

    Raises:
        InputError: As :func:`render`.
    """
    if _chosen(template).ask is None:
        return _turn(record, response, tokenizer)
    prompt, opening = prompt_text(template, record, tokenizer), _opening(template, tokenizer)
    return _joined(prompt, response, "", tokenizer, opening)


def prompt_ids(template: str, record: Record, tokenizer: TokenizerProtocol) -> list[int]:
    """Return the tokens that ask for a record's response: what a generation starts from.

    Raises:
        InputError: As :func:`render`.
    """
    return [*_opening(template, tokenizer), *tokenizer.encode(prompt_text(template, record, tokenizer))]


def prompt_text(template: str, record: Record, tokenizer: TokenizerProtocol) -> str:
    """Return the text that asks for a record's response.

    Raises:
        InputError: As :func:`render`.
    """
    ask = _chosen(template).ask
    if ask is None:
        return tokenizer.render_chat(_messages(record), add_generation_prompt=True)
    return ask(record)


def stops(template: str, tokenizer: TokenizerProtocol) -> frozenset[int]:
    """Return the tokens at which a generation stops: the tokenizer's, and the one that ends a chat's turn.

    Raises:
        InputError: As :func:`render`.
    """
    if _chosen(template).ask is not None:
        return tokenizer.stops
    asked = Record(id="asked", prompt=PROBE, response=PROBE)
    return tokenizer.stops | {render(template, asked, tokenizer).token_ids[-1]}


def remarks(template: str, tokenizer: TokenizerProtocol) -> list[str]:
    """Return what is worth knowing about how a base's chat template ends a turn.

    Raises:
        InputError: As :func:`render`.
    """
    if _chosen(template).ask is not None:
        return []
    asked = Record(id="asked", prompt=PROBE, response=PROBE)
    written = tokenizer.render_chat(_messages(asked, PROBE)).rpartition(PROBE)[2]
    end = tokenizer.first_special(written)
    if end is None:
        return ["the base's chat template ends no turn; its end token is learnt as the end of each answer"]
    learnt = render(template, asked, tokenizer).token_ids[-1]
    if learnt == tokenizer.eos:
        return []
    text = written[:end].strip()
    return [f"the base's chat template ends a turn with {text!r}, which is learnt as the end of each answer"]


def _chosen(template: str) -> Template:
    if template not in TEMPLATES:
        raise unknown_name("template", template, TEMPLATES, "src/workbench/data/templates.py")
    return TEMPLATES[template]


def _opening(template: str, tokenizer: TokenizerProtocol) -> list[int]:
    """Return what goes before the text's tokens; a rendered chat brings its own."""
    chat = _chosen(template).ask is None
    return [] if chat or tokenizer.bos is None else [tokenizer.bos]


def _messages(record: Record, response: str | None = None) -> list[dict[str, str]]:
    turns = [text for turn in (*record.history, (record.prompt,)) for text in turn]
    turns += [] if response is None else [response]
    messages = [
        {"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(turns)
    ]
    return [{"role": "system", "content": record.system}] * bool(record.system) + messages


def _turn(record: Record, response: str, tokenizer: TokenizerProtocol) -> Example:
    """Return a chat's tokens up to the end of the assistant's turn, as the base's template writes it.

    The prompt is what a generation starts from. What the template writes around a response shows in a probe:
    text before it, which the base has to write too, and text behind it, of which a generation writes no
    more than up to the first special token.
    """
    prompt = tokenizer.render_chat(_messages(record), add_generation_prompt=True)
    written, whole = (tokenizer.render_chat(_messages(record, text)) for text in (response, PROBE))
    before, found, behind = whole.removeprefix(prompt).rpartition(PROBE)
    if not (whole.startswith(prompt) and found and written.startswith(prompt + before)):
        raise _other_turn(record, prompt, whole)
    own = written.removeprefix(prompt + before)
    if behind and not own.endswith(behind):
        raise _other_turn(record, prompt, written)
    own = own.removesuffix(behind)
    end = tokenizer.first_special(behind)
    if end is None:
        return _joined(prompt, before + own, behind, tokenizer, [])
    return _joined(prompt, before + own, behind[:end], tokenizer, [], closed=True)


def _other_turn(record: Record, prompt: str, written: str) -> InputError:
    return InputError(
        f"the base's chat template asks with a text that ends in {prompt[-40:]!r}, and writes the answered "
        f"turn of {record.where} in another way ({written[-60:]!r}), so what "
        "is trained would not be what a generation continues; use a template without a chat format, such as "
        "'plain' (--template plain)"
    )


def _joined(
    prompt: str,
    response: str,
    end: str,
    tokenizer: TokenizerProtocol,
    opening: list[int],
    *,
    closed: bool = False,
) -> Example:
    """Tokenize prompt, response and end as one text; ``closed`` says that the end holds the end token."""
    if not closed and tokenizer.eos is None:
        raise InputError(
            f"the base's tokenizer ({tokenizer.name}) has no end token, so a response couldn't end; "
            f"{ANOTHER_BASE}"
        )
    asked = tokenizer.encode(prompt)
    if not opening and not asked:
        raise InputError(
            "nothing stands before a response whose prompt is empty, so its first token would follow from "
            "nothing; use a template that writes something there, such as 'plain' (--template plain)"
        )
    told = tokenizer.encode(prompt + response + end)
    merged = told[: len(asked)] != asked
    said = _continued(response + end, tokenizer) if merged else told[len(asked) :]
    ending = 0
    if end:
        without = (
            _continued(response, tokenizer) if merged else tokenizer.encode(prompt + response)[len(asked) :]
        )
        ending = len(said) - _alike(said, without)
    if not closed:
        assert tokenizer.eos is not None
        said, ending = [*said, tokenizer.eos], ending + 1
    return Example((*opening, *asked, *said), len(opening) + len(asked), ending, merged)


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
