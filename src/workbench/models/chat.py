"""Chat templates: a list of messages to the text that a chat model was trained on.

A template comes with the model and is somebody else's program, so it runs in Jinja's immutable sandbox,
with the same additions that ``transformers`` makes and nothing else.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workbench.errors import InputError

Message = Mapping[str, Any]
"""A message: at least "role" ("system", "user", "assistant") and "content"."""


FAILURES = (
    *(TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(RecursionError, SyntaxError, MemoryError),
)
"""How a template can fail, which is as any program can: a missing key, an addition of a number to a text; and
what Python says to a template of too many nested blocks, or to one that asks for a terabyte."""


def render_chat(
    template: str,
    messages: Sequence[Message],
    *,
    tokens: Mapping[str, str] | None = None,
    add_generation_prompt: bool = False,
    day: date | None = None,
) -> str:
    """Write ``messages`` as the model expects them, special tokens included.

    Args:
        template: The model's Jinja template.
        messages: The conversation, oldest first.
        tokens: Texts of the special tokens by the names that templates use, such as "bos_token".
        add_generation_prompt: End with the opening of the assistant's next message.
        day: What a template that writes a date takes for today; None takes the clock's.

    Raises:
        InputError: If the template can't be read, or refuses these messages.
    """
    try:
        return _compile(template).render(
            {"bos_token": "", "eos_token": "", **(tokens or {})},
            messages=messages,
            tools=None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            strftime_now=_clock(day),
        )
    except FAILURES as error:
        roles = [message.get("role") for message in messages]
        raise InputError(
            f"the model's chat template failed on messages with the roles {roles}: {error}. Use a template "
            "without a chat format, such as 'plain' (--template plain)."
        ) from error


def writes_date(template: str) -> bool:
    """Say whether a template asks for the day, so that its text depends on when it is rendered."""
    return "strftime_now" in template


class _Generation(Extension):
    """``{% generation %} ... {% endgeneration %}``: marks what the assistant wrote; the text stays as it is.

    Source: ``transformers`` (``apply_chat_template`` with ``return_assistant_tokens_mask``).
    """

    tags = {"generation"}  # noqa: RUF012 - Jinja reads it as a class attribute

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_unchanged"), [], [], body).set_lineno(line)

    def _unchanged(self, caller: Callable[[], str]) -> str:
        return caller()


@lru_cache(maxsize=32)
def _compile(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    return environment.from_string(template)


def _to_json(
    value: Any,  # noqa: ANN401 - whatever a template holds
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes <, > and & for web pages; a model reads them as they are
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _clock(day: date | None) -> Callable[[str], str]:
    now = datetime.now() if day is None else datetime.combine(day, time())
    return now.strftime
