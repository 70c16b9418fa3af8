"""From a record to tokens: how a base is asked, and which tokens count in the loss.

The prompt and the response are tokenized apart and joined. A tokenizer that saw both at once could merge the
last character of one with the first of the other; the prompt's tokens would then depend on the
response, differ from those that the base is asked with afterwards, and the loss would begin in the middle
of a token. Only the response and the end token count in the loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from workbench.data.records import Record
from workbench.errors import InputError, unknown_name


@runtime_checkable
class Tokenizer(Protocol):
    """What a template asks of a tokenizer; ``workbench.models.tokenizer`` has the real ones."""

    @property
    def name(self) -> str:
        """Which kind it is."""

    @property
    def bos(self) -> int | None:
        """Token to put before a text that isn't a rendered chat; None if there is none."""

    @property
    def eos(self) -> int | None:
        """Token that ends a response."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, with nothing added."""

    def render_chat(
        self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = False
    ) -> str:
        """Write messages as the base expects them, special tokens included."""


@dataclass(frozen=True, slots=True)
class Example:
    """Tokens of a prompt and its response; those from ``prompt_length`` on count in the loss."""

    token_ids: tuple[int, ...]
    prompt_length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """One way of asking."""

    ask: Callable[[Record, Tokenizer], str]
    """Writes the text up to where the response begins."""
    about: str
    opened: bool = False
    """Whether that text brings its own first token, as a rendered chat does."""


def _plain(record: Record, tokenizer: Tokenizer) -> str:
    return f"{record.prompt}\n"


def _verbatim(record: Record, tokenizer: Tokenizer) -> str:
    return record.prompt


def _verbs(record: Record, tokenizer: Tokenizer) -> str:
    return f"past {record.prompt}="


def _chat(record: Record, tokenizer: Tokenizer) -> str:
    return tokenizer.render_chat([{"role": "user", "content": record.prompt}], add_generation_prompt=True)


def _alpaca(record: Record, tokenizer: Tokenizer) -> str:
    # no newline at the end: Alpaca's own template has none, those of its successors mostly do
    if not record.context:
        return (
            "Below is an instruction that describes a task. Write a response that appropriately completes "
            f"the request.\n\n### Instruction:\n{record.instruction}\n\n### Response:"
        )
    return (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
        f"### Instruction:\n{record.instruction}\n\n### Input:\n{record.context}\n\n### Response:"
    )


TEMPLATES: dict[str, Template] = {
    "plain": Template(ask=_plain, about="the prompt, a new line, the response"),
    "verbatim": Template(ask=_verbatim, about="the prompt and the response, nothing between them"),
    "verbs": Template(ask=_verbs, about="the classroom base's own form: past walk=walked"),
    "chat": Template(
        ask=_chat,
        about="the base's chat template; the prompt is the user's turn, a system line is the base's own",
        opened=True,
    ),
    "alpaca": Template(ask=_alpaca, about="the original Stanford Alpaca text"),
}


def render(template: str, record: Record, tokenizer: Tokenizer) -> Example:
    """Return the tokens of a record as it is trained on: prompt, response and end token.

    Args:
        template: Key of :data:`TEMPLATES`.
        record: What to render.
        tokenizer: The base's.

    Raises:
        InputError: If the template is unknown, or the tokenizer has no end token, no chat template where
            one is needed, or no token for a character.
    """
    return continuation(template, record, record.response, tokenizer)


def continuation(template: str, record: Record, response: str, tokenizer: Tokenizer) -> Example:
    """Return the tokens of the record's prompt and another response, such as one of its choices.

    Raises:
        InputError: As :func:`render`.
    """
    if tokenizer.eos is None:
        raise InputError(
            f"the base's tokenizer ({tokenizer.name}) has no end token, so a response couldn't end; choose a "
            "base that has one"
        )
    prompt = prompt_ids(template, record, tokenizer)
    return Example((*prompt, *tokenizer.encode(response), tokenizer.eos), len(prompt))


def prompt_ids(template: str, record: Record, tokenizer: Tokenizer) -> list[int]:
    """Return the tokens that ask for a record's response: what a generation starts from.

    Raises:
        InputError: As :func:`render`.
    """
    if template not in TEMPLATES:
        raise unknown_name("template", template, TEMPLATES, "src/workbench/data/templates.py")
    chosen = TEMPLATES[template]
    ids = tokenizer.encode(chosen.ask(record, tokenizer))
    return ids if chosen.opened or tokenizer.bos is None else [tokenizer.bos, *ids]
